"""Data update: the tasks that bring stored data to the new version, and the messages of the asset refresh."""

import time

from . import upgrade
from .estate import Refused

TASKS = [("asset_refresh", "Asset refresh", True, 3), ("metadata_acquisition", "Metadata acquisition", True, 2),
         ("lineage", "Lineage update", True, 2), ("usage_statistics", "Usage statistics", False, 6)]
MESSAGES, WORKFLOWS = 40, 8


def listed(record):
    """The tasks of an upgrade. Semi-downtime upgrades list only those that need to be run."""
    known = record["operations"].setdefault("data_update", {})
    for key, name, blocking, weight in TASKS:
        if blocking or record["mode"] == "downtime":
            known.setdefault(key, {"id": key, "name": name, "blocking": blocking, "state": "Not started", "skipped": False, "weight": weight, "log": []})
    return known


def tick(estate):
    for record in estate.data["upgrades"].values():
        for key, one in record["operations"].get("data_update", {}).items():
            if one["state"] != "Running":
                continue
            share = min(1.0, 1 - (one["ends"] - time.time()) / max(one["ends"] - one["begun"], 0.001))
            if key == "asset_refresh":
                fails = estate.fault("messages_fail", spend=False)
                failed = min(fails.get("count", 3), MESSAGES) if fails else 0
                done = int(share * MESSAGES)
                one["messages"] = {"total": MESSAGES, "remaining": MESSAGES - done, "failed": min(failed, done), "successful": done - min(failed, done)}
            if key == "metadata_acquisition":
                one["workflows"] = {"total": WORKFLOWS, "completed": int(share * WORKFLOWS)}
            if one["ends"] <= time.time():
                bad = estate.fault("data_update_fails", key)
                one["state"] = "Failed" if bad else "Successful"
                one["log"].append(f"{upgrade.clock()} {'ERROR the task failed: relation is locked' if bad else 'the task is successful'}")
        if record["status"] == "Upgrading" and record["stage"] == "data_update" and record["operations"].get("update_begun"):
            finish(estate, record)


def finish(estate, record):
    """All blocking tasks are complete: a downtime upgrade resumes task submission and leaves maintenance mode by itself."""
    known = listed(record).values()
    waits = [one for one in known if one["blocking"] and not one["skipped"] and one["state"] != "Successful"]
    if waits or unconfirmed(record):
        return
    if record["mode"] == "downtime" and record["operations"].get("exit_maintenance", True):
        leave_and_go(estate, record)
    elif record["mode"] != "downtime":
        upgrade.advance(record, "data_update")


def leave_and_go(estate, record):
    upgrade.leave(estate, record)
    upgrade.advance(record, "data_update")


def unconfirmed(record):
    """Failed messages that nobody has confirmed yet."""
    return [one["id"] for one in listed(record).values() if one.get("messages", {}).get("failed") and not one.get("ignored") and not one["skipped"]]


def shown(estate, key):
    record = upgrade.get(estate, key)
    keys = ("id", "name", "blocking", "state", "skipped", "messages", "workflows", "ignored")
    tasks = [{key: one.get(key) for key in keys} for one in listed(record).values()]
    done = sum(one["state"] == "Successful" or one["skipped"] for one in tasks)
    return {"tasks": tasks, "progress": round(100 * done / len(tasks)), "unconfirmed_messages": unconfirmed(record), "stage": record["stage"],
            "blocking_complete": all(one["state"] == "Successful" or one["skipped"] for one in tasks if one["blocking"]),
            "failed": [one["id"] for one in tasks if one["state"] == "Failed" and not one["skipped"]]}


def picked(record, body):
    known = listed(record)
    names = list(known) if body.get("all") else body.get("ids", [])
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Refused(404, "TASK_UNKNOWN", f"there is no data update task {', '.join(unknown)}")
    return [known[name] for name in names]


def run(estate, key, body):
    """Runs those that neither run nor have run successfully; skipped ones are left out."""
    record = upgrade.get(estate, key, ["data_update", "verify"])
    record["operations"]["update_begun"] = True
    record["operations"]["exit_maintenance"] = body.get("exit_maintenance", True)
    started = []
    for one in picked(record, body):
        if one["state"] not in ("Running", "Successful") and not one["skipped"]:
            one.update({"state": "Running", "begun": time.time(), "ends": estate.after(one["weight"])})
            one["log"].append(f"{upgrade.clock()} started")
            started.append(one["id"])
    return {"started": started}


def stop(estate, key, body):
    record = upgrade.get(estate, key, ["data_update", "verify"])
    ended = [one for one in picked(record, body) if one["state"] == "Running"]
    for one in ended:
        one["state"] = "Stopped"
    return {"stopped": [one["id"] for one in ended]}


def skip(estate, key, body):
    """Treats tasks as non-blocking. Metadata acquisition cannot be skipped; semi-downtime upgrades do not offer it."""
    record = upgrade.get(estate, key, ["data_update"])
    if record["mode"] != "downtime":
        raise Refused(409, "SKIP_NOT_OFFERED", "tasks can be skipped in downtime upgrades only")
    tasks = picked(record, body)
    if any(one["id"] == "metadata_acquisition" for one in tasks):
        raise Refused(422, "CANNOT_SKIP", "metadata acquisition tasks cannot be skipped")
    for one in tasks:
        one["skipped"] = True
    return {"skipped": [one["id"] for one in tasks]}


def ignore_messages(estate, key, body):
    """The O&M team's word, by name, that the failed messages of tasks can be ignored."""
    record = upgrade.get(estate, key, ["data_update"])
    if not body.get("by") or not body.get("reason"):
        raise Refused(422, "CONFIRMATION_INCOMPLETE", "say who confirms and why: `by` and `reason`")
    for one in picked(record, body):
        one["ignored"] = {"by": body["by"], "reason": body["reason"], "failed": one.get("messages", {}).get("failed", 0), "at": upgrade.clock()}
    return {"ignored": body.get("ids", [])}


def read_log(estate, key, name):
    one = listed(upgrade.get(estate, key)).get(name)
    if one is None:
        raise Refused(404, "TASK_UNKNOWN", f"there is no data update task {name}")
    return {"id": name, "lines": one["log"], "workflows": one.get("workflows"), "messages": one.get("messages")}
