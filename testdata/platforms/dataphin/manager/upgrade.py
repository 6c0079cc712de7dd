"""The life of an upgrade: its record, its stages, maintenance mode, and the ways out of it."""

from . import configuration
from .estate import Refused, clock

STAGES = {
    "downtime": ["stop_tasks", "shutdown", "backup", "applications", "rerun", "data_update", "verify"],
    "semi-downtime": ["backup", "pre_upgrade", "applications", "data_update", "verify"],
    "zero-downtime": ["backup", "pre_upgrade", "applications", "data_update", "verify"],
}
# Where everything that was done can be taken back: nothing was shut down or replaced.
STOPPABLE = {"stop_tasks", "shutdown", "backup", "pre_upgrade", "applications"}
OPEN = ("Configuring", "Upgrading")


def numbers(version):
    """`V5.1.1` as [5, 1, 1]."""
    digits = "".join(c if c.isdigit() else " " for c in version).split()
    return [int(part) for part in digits]


def modes(estate, target):
    """Which upgrade modes there are to a version, and why."""
    current = estate.data["version"]
    have, want = numbers(current), numbers(target)
    found = ["downtime"]
    if have >= [5, 1, 1]:
        found.insert(0, "semi-downtime")
    if have[:3] == want[:3]:
        found.insert(0, "zero-downtime")
    default = "zero-downtime" if "zero-downtime" in found else "downtime"
    recommended = "zero-downtime" if "zero-downtime" in found else found[0]
    return {"current": current, "target": target, "modes": found, "default": default, "recommended": recommended}


def open_upgrade(estate):
    """The upgrade that is configured or runs, if there is one."""
    return next((estate.data["upgrades"][key] for key in estate.data["order"] if estate.data["upgrades"][key]["status"] in OPEN), None)


def get(estate, key, stages=None):
    """A record; where stages are named, it must be upgrading and in one of them."""
    record = estate.data["upgrades"].get(key)
    if record is None:
        raise Refused(404, "UPGRADE_UNKNOWN", f"there is no upgrade {key}")
    if stages is not None:
        if record["status"] != "Upgrading":
            raise Refused(409, "NOT_UPGRADING", f"the upgrade is {record['status']}")
        if record["stage"] not in stages:
            raise Refused(409, "WRONG_STAGE", f"the upgrade is in the stage {record['stage']}, not in {' or '.join(stages)}")
    return record


def create(estate, body, by):
    """Saves a configuration: a record with the status Configuring."""
    busy = open_upgrade(estate)
    if busy:
        raise Refused(409, "UPGRADE_IN_PROGRESS", f"upgrade {busy['id']} to {busy['to']} is {busy['status']}", {"id": busy["id"]})
    key = str(len(estate.data["order"]) + 1)
    record = {"id": key, "from": estate.data["version"], "to": None, "mode": None, "status": "Configuring", "stage": None, "operator": by,
              "times": {"created": clock()}, "announcement": None, "outcome": None, "configuration": None, "operations": {}, "log": []}
    estate.data["upgrades"][key] = record
    estate.data["order"].append(key)
    try:
        return edit(estate, key, body)
    except Refused:
        del estate.data["upgrades"][key]
        estate.data["order"].remove(key)
        raise


def edit(estate, key, body):
    """Continues a saved configuration."""
    record = get(estate, key)
    if record["status"] != "Configuring":
        raise Refused(409, "NOT_CONFIGURING", f"the upgrade is {record['status']}")
    target = body.get("target", record["to"])
    if target not in estate.data["versions"]:
        raise Refused(422, "VERSION_UNKNOWN", f"{target} is not in the version list: upload its configuration")
    offered = modes(estate, target)
    mode = body.get("mode", record["mode"]) or offered["default"]
    if mode not in offered["modes"]:
        raise Refused(422, "MODE_NOT_SUPPORTED", f"{mode} is not supported from {offered['current']} to {target}; there are {', '.join(offered['modes'])}")
    announcement = body.get("announcement", record["announcement"])
    record.update({"to": target, "mode": mode, "announcement": announcement})
    return record


def attach(estate, key, content, kind):
    """Uploads the configuration file of an upgrade."""
    record = get(estate, key)
    if record["status"] != "Configuring":
        raise Refused(409, "NOT_CONFIGURING", f"the upgrade is {record['status']}")
    found = configuration.check_file(estate, record["to"], content, kind)
    if not found["valid"]:
        raise Refused(422, "CONFIGURATION_INVALID", found["message"], found)
    record["configuration"] = found
    return found


def discard(estate, key):
    """Removes a saved configuration."""
    record = get(estate, key)
    if record["status"] != "Configuring":
        raise Refused(409, "NOT_CONFIGURING", f"the upgrade is {record['status']}")
    del estate.data["upgrades"][key]
    estate.data["order"].remove(key)
    return {"discarded": key}


def enter(estate, key, body):
    """Begins: into maintenance mode for all but zero-downtime upgrades. Scheduled tasks are no longer dispatched; running ones go on."""
    record = get(estate, key)
    if record["status"] == "Upgrading":
        raise Refused(409, "ALREADY_UPGRADING", "the upgrade has begun already")
    if record["status"] != "Configuring":
        raise Refused(409, "NOT_CONFIGURING", f"the upgrade is {record['status']}")
    if not body.get("risk_accepted"):
        raise Refused(422, "RISK_NOT_ACCEPTED", "the risk declaration must be selected")
    if record["configuration"] is None:
        raise Refused(422, "CONFIGURATION_MISSING", "no configuration file was uploaded")
    announcement = record["announcement"] or {}
    missing = [name for name in ("estimated_completion", "email", "phone") if not announcement.get(name)]
    if missing and record["mode"] != "zero-downtime":
        raise Refused(422, "ANNOUNCEMENT_INCOMPLETE", f"the announcement lacks {', '.join(missing)}")
    record.update({"status": "Upgrading", "stage": STAGES[record["mode"]][0]})
    record["times"]["begun"] = clock()
    record["switches_before"] = {name: dict(switch) for name, switch in estate.data["switches"].items()}
    log(record, f"upgrade to {record['to']} by {record['mode']} begun")
    if record["mode"] != "zero-downtime":
        record["times"]["entered_maintenance"] = clock()
        estate.data["maintenance"] = {"since": clock(), "upgrade": key, "announcement": record["announcement"]}
        estate.data["switches"]["production"] = {"schedule": bool(estate.fault("scheduling_stays_on")), "execution": True}
        estate.data["switches"]["development"] = {"schedule": False, "execution": True}
    return record


def stop_scheduling(estate, record):
    if record["mode"] != "zero-downtime":
        estate.data["switches"]["production"]["schedule"] = False


def leave(estate, record):
    """Out of maintenance mode: task submission resumes, the switches are as they were before."""
    if estate.data["maintenance"] and estate.data["maintenance"]["upgrade"] == record["id"]:
        estate.data["maintenance"] = None
        estate.data["switches"].update({name: dict(switch) for name, switch in record.get("switches_before", {}).items()})
        record["times"]["task_submission_resumed"] = record["times"]["exited_maintenance"] = clock()
        log(record, "maintenance mode left, task submission resumed")


def exit_maintenance(estate, key):
    """The click of semi-downtime upgrades, once the applications are upgraded."""
    record = get(estate, key)
    if record["status"] != "Upgrading" or record["mode"] != "semi-downtime":
        raise Refused(409, "NOT_OFFERED", "maintenance mode is left by a click in semi-downtime upgrades only")
    if "exited_maintenance" in record["times"]:
        raise Refused(409, "ALREADY_LEFT", "maintenance mode was left already")
    if record["stage"] in STAGES["semi-downtime"][:3]:
        raise Refused(409, "APPLICATIONS_NOT_UPGRADED", "maintenance mode cannot be left before the applications are upgraded: contact the O&M engineers")
    leave(estate, record)
    return record


def advance(record, stage):
    """Goes on to the next stage where this one is the current."""
    if record["status"] == "Upgrading" and record["stage"] == stage:
        order = STAGES[record["mode"]]
        record["stage"] = order[order.index(stage) + 1]


def can_stop(estate, record):
    """A graceful stop is offered until the shutdown (downtime) or the start of the applications (others) has begun."""
    begun = "shutdown" in record["operations"] or "applications" in record["operations"]
    return record["status"] == "Upgrading" and record["stage"] in STOPPABLE and not begun


def stop(estate, key, body):
    """Stop upgrade: dispatching resumes and maintenance ends; forcibly stopped tasks are run again or left for a person."""
    record = get(estate, key)
    if (record["outcome"] or {}).get("how") == "stopped":
        return record
    if record["status"] != "Upgrading":
        raise Refused(409, "NOT_UPGRADING", f"the upgrade is {record['status']}")
    if not can_stop(estate, record):
        raise Refused(409, "CANNOT_STOP", "the shutdown or the upgrade of the applications has begun: only a forced stop is left")
    stopped = record["operations"].get("stopped_tasks", [])
    left = []
    for task in stopped:
        if body.get("rerun", True) and task["can_rerun"]:
            task.update({"state": "Running", "rerun": "Successful"})
            estate.data["running_tasks"].append({**task, "state": "Running"})
        else:
            left.append(task["id"])
    leave(estate, record)
    record.update({"status": "Failed", "outcome": {"how": "stopped", "rerun_by_hand": left}})
    record["times"]["stopped"] = clock()
    log(record, "stopped: nothing was shut down")
    return record


def force_stop(estate, key, body, by):
    """Force stop: at any stage, with an outcome that a person declares. Nothing is put back; a database backup goes on."""
    record = get(estate, key)
    if record["status"] not in OPEN:
        raise Refused(409, "NOT_UPGRADING", f"the upgrade is {record['status']}")
    outcome = body.get("outcome")
    if outcome not in ("succeeded", "failed"):
        raise Refused(422, "OUTCOME_MISSING", "the upgrade status must be set to `succeeded` or `failed`")
    if not body.get("confirmed"):
        raise Refused(422, "NOT_CONFIRMED", "confirm that the upgrade or rollback was completed by hand")
    record["status"] = outcome.capitalize()
    record["outcome"] = {"how": "force stopped", "declared": outcome, "by": body.get("by") or by, "reason": body.get("reason")}
    record["times"]["force_stopped"] = clock()
    log(record, f"force stopped as {outcome}")
    if outcome == "succeeded":
        # The person says that the upgrade was completed by hand.
        estate.data["version"] = record["to"]
        for service in estate.data["services"].values():
            service.update({"version": record["to"], "state": "Running"})
    leave(estate, record)
    return record


def complete(estate, key):
    """Complete: the version upgrade is finalised, with its time."""
    record = get(estate, key)
    if record["status"] == "Succeeded":
        raise Refused(409, "ALREADY_COMPLETE", "the upgrade was completed already")
    record = get(estate, key, ["verify"])
    record.update({"status": "Succeeded", "stage": "done"})
    record["times"]["completed"] = clock()
    log(record, "completed")
    return record


def log(record, text):
    record["log"].append(f"{clock()} {text}")


def shown(estate, record):
    """A record as the history shows it, newest facts first."""
    keys = ("id", "from", "to", "mode", "status", "stage", "operator", "times", "announcement", "outcome")
    return {**{key: record[key] for key in keys}, "can_stop": can_stop(estate, record), "backup_skipped": record["operations"].get("backup_skipped", False)}
