"""The backup of the Manager's databases, one by one: Not backed up, Starting, Backing up, Backup complete, Backup failed."""

import time

from . import upgrade
from .estate import Refused


def states(estate, record):
    found = record["operations"].setdefault("databases", {})
    for database in estate.data["databases"]:
        found.setdefault(database["name"], {"state": "Not backed up", "log": []})
    return found


def tick(estate):
    for record in estate.data["upgrades"].values():
        for name, one in record["operations"].get("databases", {}).items():
            if one["state"] == "Starting" and time.time() >= one["starts"]:
                one["state"] = "Backing up"
            if one["state"] == "Backing up" and time.time() >= one["ends"] and not estate.fault("backup_stuck", name):
                if estate.fault("backup_fails", name):
                    one["state"] = "Backup failed"
                    one["log"].append(f"pg_dump: error: connection to server for {name} was lost")
                else:
                    one.update({"state": "Backup complete", "completed": upgrade.clock()})
        if record["status"] == "Upgrading" and record["stage"] == "backup" and record["mode"] == "downtime":
            known = record["operations"].get("databases", {})
            if known and all(one["state"] == "Backup complete" for one in known.values()):
                upgrade.advance(record, "backup")


def shown(estate, key):
    record = upgrade.get(estate, key)
    found = states(estate, record)
    kinds = {database["name"]: database for database in estate.data["databases"]}
    listed = [{"name": name, "state": one["state"], "engine": kinds[name]["engine"], "managed": kinds[name]["managed"], "progress": percent(one)}
              for name, one in found.items() if name in kinds]
    return {"databases": listed, "skipped": record["operations"].get("backup_skipped", False),
            "progress": round(sum(one["progress"] for one in listed) / max(len(listed), 1))}


def percent(one):
    if one["state"] == "Backup complete":
        return 100
    if one["state"] != "Backing up":
        return 0
    share = (time.time() - one["starts"]) / max(one["ends"] - one["starts"], 0.001)
    return min(99, max(0, round(100 * share)))


def start(estate, key, body):
    """Start Backup of all, or Re-backup of one, which resets its state."""
    record = upgrade.get(estate, key)
    if record["status"] != "Upgrading":
        raise Refused(409, "NOT_UPGRADING", f"the upgrade is {record['status']}")
    # A re-backup is offered as long as a semi-downtime upgrade goes on: there it holds up nothing.
    if record["stage"] != "backup" and record["mode"] == "downtime":
        raise Refused(409, "WRONG_STAGE", f"the upgrade is in the stage {record['stage']}, not in backup")
    if any(database["managed"] == "rds" for database in estate.data["databases"]):
        raise Refused(409, "BACKUP_IN_RDS", "the databases are RDS instances: back them up in the RDS console")
    if any(database["managed"] != "self" for database in estate.data["databases"]):
        raise Refused(409, "BACKUP_NOT_OFFERED", "only a self-managed PostgreSQL is backed up here: back the databases up by their own means")
    found = states(estate, record)
    names = list(found) if body.get("all") else body.get("ids", [])
    begun = []
    for name in names:
        if name not in found:
            raise Refused(404, "DATABASE_UNKNOWN", f"there is no database {name}")
        if found[name]["state"] in ("Not backed up", "Backup failed"):
            found[name].update({"state": "Starting", "starts": estate.after(), "ends": estate.after(4)})
            begun.append(name)
    if not begun and not body.get("all"):
        raise Refused(409, "BACKUP_ALREADY_STARTED", f"{', '.join(names)}: the backup runs or is complete")
    return {"started": begun}


def stop(estate, key, name):
    found = states(estate, upgrade.get(estate, key))
    if found.get(name, {}).get("state") not in ("Starting", "Backing up"):
        raise Refused(409, "NOT_BACKING_UP", f"{name} is not being backed up")
    found[name]["state"] = "Backup failed"
    found[name]["log"].append("stopped by force")
    return {"name": name, "state": found[name]["state"]}


def skip(estate, key, body):
    """Goes on without a backup, with a risk declaration."""
    record = upgrade.get(estate, key, ["backup"])
    if not body.get("risk_accepted"):
        raise Refused(422, "RISK_NOT_ACCEPTED", "the risk declaration must be selected to go on without a backup")
    record["operations"]["backup_skipped"] = True
    upgrade.log(record, "database backup skipped with a risk declaration")
    upgrade.advance(record, "backup")
    return {"skipped": True}


def proceed(estate, key):
    """Next: in semi-downtime upgrades as soon as every backup has begun (its state does not affect the upgrade), never by a click in others."""
    record = upgrade.get(estate, key, ["backup"])
    waits = [name for name, one in states(estate, record).items() if one["state"] in ("Not backed up", "Starting")]
    if waits or record["mode"] == "downtime":
        raise Refused(409, "BACKUP_NOT_READY", f"not backed up yet: {', '.join(waits) or 'the backup is not complete'}")
    upgrade.advance(record, "backup")
    return {"stage": record["stage"]}


def read_log(estate, key, name):
    found = states(estate, upgrade.get(estate, key))
    if name not in found:
        raise Refused(404, "DATABASE_UNKNOWN", f"there is no database {name}")
    return {"name": name, "lines": found[name]["log"]}
