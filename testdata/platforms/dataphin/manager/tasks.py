"""Running tasks, those that were forcibly stopped, and their rerun."""

import time

from . import upgrade
from .estate import Refused


def tick(estate):
    """Tasks come to their end by themselves."""
    for task in estate.data["running_tasks"]:
        task.setdefault("ends", time.time() + task["seconds"])
    estate.data["running_tasks"] = [task for task in estate.data["running_tasks"] if task["ends"] > time.time()]
    for record in estate.data["upgrades"].values():
        for task in record["operations"].get("stopped_tasks", []):
            if task.get("rerun") == "Running" and task["done"] <= time.time():
                task["rerun"] = "Failed" if estate.fault("rerun_fails", task["id"]) else "Successful"
        stopped = record["operations"].get("stopped_tasks", [])
        if record["status"] == "Upgrading" and record["stage"] == "rerun" and stopped and all(t.get("rerun") == "Successful" for t in stopped):
            upgrade.advance(record, "rerun")


def running(estate):
    return {"total": len(estate.data["running_tasks"]), "tasks": [{k: t[k] for k in ("id", "name", "type", "can_rerun", "state")} for t in estate.data["running_tasks"]]}


def chosen(body, tasks):
    """The tasks that a batch operation names, or all."""
    names = {task["id"] for task in tasks} if body.get("all") else set(body.get("ids", []))
    return [task for task in tasks if task["id"] in names]


def stop(estate, key, body):
    """Forcibly stops tasks; one that ended before is in neither list."""
    record = upgrade.get(estate, key, ["stop_tasks"])
    failed, stopped = [], record["operations"].setdefault("stopped_tasks", [])
    for task in chosen(body, list(estate.data["running_tasks"])):
        if estate.fault("task_unstoppable", task["id"]):
            failed.append(task["id"])
            continue
        estate.data["running_tasks"].remove(task)
        stopped.append({**task, "state": "Forcibly stopped", "rerun": "Not rerun"})
    if not estate.data["running_tasks"]:
        record["times"]["tasks_stopped"] = upgrade.clock()
    if failed:
        raise Refused(500, "STOP_FAILED", f"could not be stopped: {', '.join(failed)}; retry", {"failed": failed})
    return {"stopped": [task["id"] for task in stopped], "running": len(estate.data["running_tasks"])}


def stopped(estate, key):
    tasks = upgrade.get(estate, key)["operations"].get("stopped_tasks", [])
    return {"total": len(tasks), "tasks": [{k: t[k] for k in ("id", "name", "type", "can_rerun", "state", "rerun")} for t in tasks]}


def rerun(estate, key, body):
    """Runs stopped tasks again; those that run or have run are let be."""
    record = upgrade.get(estate, key, ["rerun", "data_update"])
    tasks = record["operations"].get("stopped_tasks", [])
    if estate.fault("rerun_refused", ""):
        raise Refused(500, "RERUN_FAILED", "some tasks could not be started; retry")
    started = [task for task in chosen(body, tasks) if task["rerun"] in ("Not rerun", "Failed", "Stopped")]
    for task in started:
        task.update({"rerun": "Running", "done": estate.after()})
    if not tasks:
        upgrade.advance(record, "rerun")
    return {"started": [task["id"] for task in started]}


def stop_rerun(estate, key, body):
    record = upgrade.get(estate, key, ["rerun", "data_update"])
    ended = [task for task in chosen(body, record["operations"].get("stopped_tasks", [])) if task["rerun"] == "Running"]
    for task in ended:
        task["rerun"] = "Stopped"
    return {"stopped": [task["id"] for task in ended]}


def require_none(estate):
    if estate.data["running_tasks"]:
        raise Refused(409, "TASKS_RUNNING", f"{len(estate.data['running_tasks'])} task(s) still run: all must be stopped or have ended",
                      {"ids": [task["id"] for task in estate.data["running_tasks"]]})
