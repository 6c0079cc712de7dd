"""Shutdown, pre-upgrade and upgrade of the applications, service by service."""

import time

from . import tasks, upgrade
from .estate import Refused

PODS = 2


def tick(estate, roll):
    repaired = estate.fault("repaired_by_hand", "")
    if repaired:
        for service in estate.data["services"].values():
            service.update({"version": repaired["version"], "state": "Running"})
        estate.data["version"] = repaired["version"]
    for record in list(estate.data["upgrades"].values()):
        if record["status"] != "Upgrading":
            continue
        shutting_down(estate, record)
        pre_upgrading(estate, record)
        upgrading(estate, record, roll)


# Shutdown: pod by pod, but for the data service.

def shutdown(estate, key):
    record = upgrade.get(estate, key)
    if "shutdown" in record["operations"]:
        raise Refused(409, "ALREADY_SHUTTING_DOWN", "the shutdown has begun already")
    record = upgrade.get(estate, key, ["stop_tasks", "shutdown"])
    tasks.require_none(estate)
    record["stage"] = "shutdown"
    record["times"]["shutdown"] = upgrade.clock()
    names = [one["name"] for one in estate.data["services"].values() if one["group"] != "data_service"]
    record["operations"]["shutdown"] = {f"{name}-{pod}": estate.after(1 + n + pod) for n, name in enumerate(names) for pod in range(PODS)}
    return pods(estate, key)


def shutting_down(estate, record):
    ends = record["operations"].get("shutdown")
    if ends and record["stage"] == "shutdown":
        for name, service in estate.data["services"].items():
            if service["group"] != "data_service" and all(ends[f"{name}-{pod}"] <= time.time() for pod in range(PODS)):
                service["state"] = "Stopped"
        if all(end <= time.time() for end in ends.values()):
            upgrade.advance(record, "shutdown")


def pods(estate, key):
    record = upgrade.get(estate, key)
    ends = record["operations"].get("shutdown", {})
    listed = [{"pod": pod, "service": pod.rsplit("-", 1)[0], "state": "Stopped" if end <= time.time() else "Terminating"} for pod, end in ends.items()]
    if not ends:
        listed = [{"pod": f"{name}-{pod}", "service": name, "state": "Running"} for name, one in estate.data["services"].items()
                  if one["group"] != "data_service" for pod in range(PODS)]
    stopped = sum(one["state"] == "Stopped" for one in listed)
    return {"pods": listed, "total": len(listed), "stopped": stopped, "progress": round(100 * stopped / len(listed))}


# Pre-upgrade: all applications at once, while everything still serves.

def pre_upgrade(estate, key):
    record = upgrade.get(estate, key, ["pre_upgrade"])
    known = record["operations"].setdefault("pre_upgrade", {})
    begun = [name for name in estate.data["services"] if known.get(name, {}).get("state") not in ("Running", "Successful")]
    for weight, name in enumerate(begun):
        known[name] = {"state": "Running", "ends": estate.after(2 + weight)}
    if not begun:
        raise Refused(409, "PRE_UPGRADE_ALREADY_STARTED", "the pre-upgrade runs or is complete")
    return pre_upgrade_shown(estate, key)


def pre_upgrading(estate, record):
    for name, one in record["operations"].get("pre_upgrade", {}).items():
        if one["state"] == "Running" and one["ends"] <= time.time():
            one["state"] = "Failed" if estate.fault("pre_upgrade_fails", name) else "Successful"


def pre_upgrade_shown(estate, key):
    known = upgrade.get(estate, key)["operations"].get("pre_upgrade", {})
    listed = [{"name": name, "state": known.get(name, {}).get("state", "Not started")} for name in estate.data["services"]]
    done = sum(one["state"] == "Successful" for one in listed)
    return {"services": listed, "progress": round(100 * done / len(listed))}


def pre_upgrade_next(estate, key):
    record = upgrade.get(estate, key, ["pre_upgrade"])
    if pre_upgrade_shown(estate, key)["progress"] != 100:
        raise Refused(409, "PRE_UPGRADE_NOT_COMPLETE", "the pre-upgrade is not complete")
    upgrade.advance(record, "pre_upgrade")
    return {"stage": record["stage"]}


# The applications. The data service and its gateway come after mgmt, each by itself, new before old.

def start(estate, key, body):
    record = upgrade.get(estate, key, ["applications"])
    operation = record["operations"].setdefault("applications", {})
    wanted = body.get("group", "application")
    if wanted == "data_service" and operation.get("mgmt", {}).get("state") != "Upgraded":
        raise Refused(409, "MGMT_NOT_UPGRADED", "the applications of the data service are upgraded after mgmt")
    upgrade.stop_scheduling(estate, record)
    begun = []
    for name, service in estate.data["services"].items():
        if (service["group"] == "data_service") == (wanted == "data_service") and operation.get(name, {}).get("state") not in ("Upgrading", "Upgraded", "Failed"):
            weight = {"application": 2, "mgmt": 3, "data_service": 2}[service["group"]] + len(begun)
            operation[name] = {"state": "Upgrading", "ends": estate.after(weight), "log": [f"{upgrade.clock()} starting {name} {record['to']}"]}
            service["state"] = "Running" if service["group"] == "data_service" else "Starting"
            begun.append(name)
    if not begun:
        raise Refused(409, "ALREADY_UPGRADING", "these applications are being upgraded or are upgraded")
    upgrade.log(record, f"upgrading {', '.join(begun)}")
    return shown(estate, key)


def upgrading(estate, record, roll):
    operation = record["operations"].get("applications", {})
    for name, one in operation.items():
        if one["state"] == "Upgrading" and one["ends"] <= time.time():
            service = estate.data["services"][name]
            if estate.fault("service_fails", name):
                one["state"], service["state"] = "Failed", "CrashLoopBackOff"
                one["log"].append("java.lang.IllegalStateException: the metadata store did not answer")
                continue
            if name == "oltp":
                roll(record["to"])
            one["state"] = "Upgraded"
            one["log"].append(f"{upgrade.clock()} {name} {record['to']} is ready")
            service.update({"version": record["to"], "state": "Running"})
    if len(operation) == len(estate.data["services"]) and all(one["state"] == "Upgraded" for one in operation.values()) and record["stage"] == "applications":
        estate.data["version"] = record["to"]
        if record["configuration"]:
            estate.data["values"] = {**estate.data["values"], **record["configuration"]["values"]}
        upgrade.log(record, "the applications are upgraded")
        upgrade.advance(record, "applications")


def shown(estate, key):
    operation = upgrade.get(estate, key)["operations"].get("applications", {})
    listed = [{"name": name, "group": one["group"], "version": one["version"], "state": operation.get(name, {}).get("state", "Not started")}
              for name, one in estate.data["services"].items()]
    done = sum(one["state"] == "Upgraded" for one in listed)
    return {"services": listed, "progress": round(100 * done / len(listed)), "failed": [one["name"] for one in listed if one["state"] == "Failed"]}


def diagnose(estate, key, name, what):
    record = upgrade.get(estate, key)
    operation = record["operations"].get("applications", {})
    if name not in estate.data["services"]:
        raise Refused(404, "SERVICE_UNKNOWN", f"there is no service {name}")
    one = operation.get(name, {"state": "Not started", "log": []})
    if what == "log":
        return {"name": name, "lines": one["log"]}
    if what == "thread-dump":
        return {"name": name, "dump": f'"main" #1 prio=5 in {name}\n   java.lang.Thread.State: WAITING (parking)\n\tat com.dataphin.{name}.Store.await(Store.java:88)'}
    if one["state"] != "Failed":
        raise Refused(409, "NOT_FAILED", f"{name} is {one['state']}: only the process of a failed application is restarted")
    one.update({"state": "Upgrading", "ends": estate.after(2)})
    one["log"].append(f"{upgrade.clock()} restarted by hand")
    return {"name": name, "state": "Upgrading"}
