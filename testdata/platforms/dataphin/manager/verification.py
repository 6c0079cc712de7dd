"""What is looked at after an upgrade: how many instances were generated, how they stand, and which fail that did not fail before."""

import time

from . import upgrade
from .estate import Refused, clock, day


def tick(estate):
    injected = estate.fault("failing_today")
    instances = estate.data["instances"]["list"]
    if injected:
        for name in injected.get("names", ["daily_sales"]):
            for one in instances:
                if one["task_name"] == name:
                    one.update({"today": "Failed", "yesterday": "Successful", "curable": not injected.get("incurable", False), "updated_at": clock()})
    for one in instances:
        if one.get("rerun_done") and one["rerun_done"] <= time.time():
            one.pop("rerun_done")
            one.update({"today": "Successful" if one["curable"] else "Failed", "updated_at": clock()})


def generated(estate):
    """The last generation against the average of T-8 to T-2; days without any do not count."""
    counts = dict(estate.data["instances"]["generated"])
    fewer = estate.fault("instances_missing", spend=False)
    if fewer:
        counts[day(0)] = fewer.get("count", 10)
    if estate.fault("none_generated", spend=False):
        counts = {}
    past = [counts[day(-n)] for n in range(2, 9) if counts.get(day(-n))]
    last = next((day(-n) for n in range(0, 9) if counts.get(day(-n))), None)
    return {"recent": {"count": counts[last], "data_timestamp": last} if last else None, "recent_text": str(counts[last]) if last else "To be generated",
            "average_7_days": round(sum(past) / len(past), 1) if past else None, "average_text": str(round(sum(past) / len(past), 1)) if past else "NA"}


def status(estate, query):
    """How the instances of a data timestamp and tenant stand, and how many there were on each of the last seven days."""
    tenant, at = query.get("tenant"), query.get("data_timestamp") or day(-1)
    field = "today" if at == day(0) else "yesterday"
    chosen = [one for one in estate.data["instances"]["list"] if tenant in (None, one["tenant"])]
    distribution = {}
    for one in chosen:
        distribution[one[field]] = distribution.get(one[field], 0) + 1
    counts = estate.data["instances"]["generated"]
    return {"data_timestamp": at, "tenant": tenant, "distribution": distribution, "days": [{"day": day(-n), "total": counts.get(day(-n), 0)} for n in range(1, 8)]}


def failed(estate):
    """Instances that failed today and succeeded yesterday."""
    found = [one for one in estate.data["instances"]["list"] if one["yesterday"] == "Successful" and (one["today"] == "Failed" or one.get("rerun_done"))]
    keys = ("instance_id", "node_id", "task_name", "node_type", "scheduling_type", "updated_at")
    return {"instances": [{**{key: one[key] for key in keys}, "status": "Running" if one.get("rerun_done") else one["today"]} for one in found],
            "failed": sum(one["today"] == "Failed" and not one.get("rerun_done") for one in found), "running": sum(bool(one.get("rerun_done")) for one in found)}


def rerun(estate, key, body):
    upgrade.get(estate, key, ["verify"])
    started = []
    for one in estate.data["instances"]["list"]:
        if one["instance_id"] in body.get("ids", []) or body.get("all"):
            if one["today"] == "Failed" and one["yesterday"] == "Successful" and not one.get("rerun_done"):
                one["rerun_done"] = estate.after()
                started.append(one["instance_id"])
    return {"started": started}


def read_log(estate, name):
    one = next((one for one in estate.data["instances"]["list"] if one["instance_id"] == name), None)
    if one is None:
        raise Refused(404, "INSTANCE_UNKNOWN", f"there is no instance {name}")
    text = "ERROR: column \"amount\" does not exist" if one["today"] == "Failed" else "done"
    return {"instance_id": name, "lines": [f"{one['updated_at']} {text}"]}
