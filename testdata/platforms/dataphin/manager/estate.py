"""What the Manager knows, kept in one JSON file so that it survives a restart, and the switches that make it fail."""

import copy
import json
import os
import pathlib
import threading
import time


class Refused(Exception):
    """An answer that is no success: its HTTP status, a code for programs, a message for people, and details."""

    def __init__(self, status, code, message, data=None):
        super().__init__(message)
        self.status, self.code, self.message, self.data = status, code, message, data


def clock(seconds=None):
    """A time as the Manager writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if seconds is None else seconds))


def day(offset):
    """A data timestamp: today is 0, T-1 is -1."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + offset * 86400))


def task(name, kind, rerunnable=True, seconds=3600.0):
    return {"id": name, "name": name, "type": kind, "can_rerun": rerunnable, "seconds": seconds, "state": "Running"}


def instance(number, name, today, yesterday, curable=True):
    return {"instance_id": f"t_{number}", "node_id": f"n_{number}", "task_name": name, "node_type": "SQL", "scheduling_type": "Daily",
            "tenant": "default", "today": today, "yesterday": yesterday, "curable": curable, "updated_at": clock()}


# The version configuration of the version that a new estate has.
TEMPLATE = """version: VERSION
product:
  dataphin:
    domain: dataphin.example.org
    storage_class: standard
    oltp:
      replicas: 2
      memory: 4Gi
    scheduler:
      slots: 200
    metadata:
      host: 127.0.0.1
      port: 5432
required:
  - product.dataphin.domain
  - product.dataphin.storage_class
  - product.dataphin.oltp.replicas
  - product.dataphin.metadata.host
  - product.dataphin.metadata.port
"""

RUNNING_VALUES = {
    "product.dataphin.domain": "dataphin.example.org", "product.dataphin.storage_class": "standard",
    "product.dataphin.oltp.replicas": "2", "product.dataphin.oltp.memory": "4Gi", "product.dataphin.scheduler.slots": "200",
    "product.dataphin.metadata.host": "127.0.0.1", "product.dataphin.metadata.port": "5432",
}

SERVICES = [("metadata", "application"), ("scheduler", "application"), ("studio", "application"), ("mgmt", "mgmt"),
            ("oltp", "data_service"), ("gateway", "data_service")]


def new_estate(version, databases, service):
    """An estate as it is after a fresh deployment, with tasks that run for an hour."""
    return {
        "version": version,
        "versions": {version: {"template": TEMPLATE.replace("VERSION", version), "imported_at": clock()}},
        "values": dict(RUNNING_VALUES),
        "switches": {"production": {"schedule": True, "execution": True}, "development": {"schedule": False, "execution": True}},
        "maintenance": None,
        "services": {name: {"name": name, "group": group, "version": version, "state": "Running"} for name, group in SERVICES},
        "databases": [{"name": name, "engine": "oceanbase" if service == "other" else "postgresql", "managed": service} for name in databases],
        "running_tasks": [task("backfill_orders", "backfill"), task("daily_sales", "auto triggered"),
                          task("query_of_lin", "ad hoc", rerunnable=False, seconds=1.0)],
        "upgrades": {},
        "order": [],
        "instances": {"generated": {day(-n): 100 for n in range(0, 9)},
                      "list": [instance(1, "daily_sales", "Successful", "Successful"), instance(2, "orders", "Running", "Successful"),
                               instance(3, "legacy", "Failed", "Failed")]},
        "used": {},
    }


class Estate:
    """The state file, the switches' file, and the lock that all of it is used under."""

    def __init__(self, home, delay, fresh):
        self.home, self.delay = pathlib.Path(home), delay
        self.lock = threading.RLock()
        self.path = self.home / "state.json"
        self.home.mkdir(parents=True, exist_ok=True)
        self.data = json.loads(self.path.read_text()) if self.path.exists() else fresh
        self.saved = None
        self.save()

    def save(self):
        if self.data != self.saved:
            part = self.path.with_suffix(".part")
            part.write_text(json.dumps(self.data, indent=1))
            os.replace(part, self.path)
            self.saved = copy.deepcopy(self.data)

    def fault(self, name, key=None, spend=True):
        """The switch's value where it is on (for this key), else None. One with `times` goes off after so many uses of each key."""
        try:
            faults = json.loads((self.home / "faults.json").read_text())
        except (OSError, ValueError):
            return None
        value = faults.get(name)
        if value is None or value is False:
            return None
        value = value if isinstance(value, dict) else {}
        if key is not None and "names" in value and key not in value["names"]:
            return None
        if "times" in value:
            count = f"{name}/{key}"
            used = self.data["used"].get(count, 0)
            if used >= value["times"]:
                return None
            if spend:
                self.data["used"][count] = used + 1
        return {"on": True, **value}

    def after(self, weight=1.0):
        """When something that begins now is done."""
        return time.time() + self.delay * weight
