"""What an instance knows while it runs: long tasks ("futures") and jobs, over the files of its data directory."""

import glob
import os
import threading
import time

import govern_database
from datadir import load, random_id, store, version_key


class Problem(Exception):
    """An answer that is an error."""

    def __init__(self, status, kind, text):
        super().__init__(text)
        self.status, self.kind, self.text = status, kind, text


def missing(what):
    return Problem(404, "com.dataiku.dip.server.controllers.NotFoundException", f"{what} does not exist")


def messages(*found):
    """A list of messages as DSS gives it; each is (severity, text)."""
    severities = [severity for severity, _ in found]
    return {"anyMessage": bool(found), "success": "ERROR" not in severities, "warning": "WARNING" in severities, "error": "ERROR" in severities,
            "fatal": False, "maxSeverity": next((name for name in ("ERROR", "WARNING", "SUCCESS") if name in severities), None),
            "messages": [{"severity": severity, "isFatal": False, "code": "SIMULATED", "title": text, "message": text, "details": text} for severity, text in found]}


class Instance:
    def __init__(self, home):
        self.home, self.version = home, home.version()
        self.futures, self.lock = {}, threading.Lock()
        if home.node_type() == "govern":
            found, wanted = govern_database.version(home), home.conf_version()
            if found != wanted:
                raise SystemExit(f"the Govern database is of configuration version {found}, this software of {wanted}")
        # Jobs of a life before: whoever ran them is gone.
        for path in glob.glob(home.file("jobs", "*", "*", "status.json")):
            job = load(path)
            if job["baseStatus"]["state"] == "RUNNING":
                job["baseStatus"]["state"] = "ABORTED"
                store(path, job)
        if home.node_type() in ("design", "automation"):
            threading.Thread(target=self.trigger_scenarios, daemon=True).start()

    def same_major(self, version):
        return version_key(version)[0] == version_key(self.version)[0]

    # Long tasks

    def begin(self, work):
        """Starts a task; gives its state as the API does at once."""
        future = {"id": random_id(8), "begun": time.time(), "takes": float(self.home.switch("slow_tasks") or 0.05), "work": work, "result": None, "done": False}
        self.futures[future["id"]] = future
        return self.look(future["id"], peek=True)

    def look(self, identity, peek):
        with self.lock:
            future = self.futures.get(identity)
            if future is None:
                raise missing(f"future {identity}")
            passed = time.time() - future["begun"]
            if not future["done"] and passed >= future["takes"]:
                future["result"], future["done"] = future["work"](), True
            percent = 100 if future["done"] else int(100 * passed / future["takes"])
        state = {"jobId": identity, "alive": not future["done"], "hasResult": future["done"], "aborted": False, "unknown": False,
                 "startTime": int(future["begun"] * 1000), "progress": {"states": [{"name": "Working", "cur": percent, "target": 100}]}}
        return state if peek else {**state, "result": future["result"]}

    def do(self, work, wait):
        """A task whose caller waits for its end, or asks for it later."""
        return self.begin(work) if not wait else work()

    # Jobs

    def start_job(self, project, definition):
        identity = f"Build_{time.strftime('%Y-%m-%dT%H-%M-%S')}.{random_id(3)}"
        self.write_job(project, identity, definition, "RUNNING")
        threading.Thread(target=self.work_at_job, args=(project, identity, definition), daemon=True).start()
        return {"id": identity}

    def write_job(self, project, identity, definition, state):
        now = int(time.time() * 1000)
        store(self.home.file("jobs", project, identity, "status.json"), {
            "baseStatus": {"state": state, "def": {"id": identity, "projectKey": project, "outputs": definition.get("outputs", [])}, "jobStartTime": now},
            "globalState": {"done": 1 if state == "DONE" else 0, "failed": 1 if state == "FAILED" else 0, "running": 1 if state == "RUNNING" else 0, "total": 1}})

    def work_at_job(self, project, identity, definition):
        time.sleep(float(self.home.switch("slow_tasks") or 0.05))
        failing = (self.home.switch("job_fails") or "").split()
        state = "DONE"
        for output in definition.get("outputs", []):
            if output["id"] in failing:
                state = "FAILED"
            elif output.get("type") == "SAVED_MODEL":
                path = self.home.file("config", "projects", project, "saved_models", f"{output['id']}.json")
                model = load(path)
                if model is None:
                    state = "FAILED"
                else:
                    store(path, {**model, "trainedWith": self.version})
        self.write_job(project, identity, definition, state)

    def running_jobs(self, project=None):
        found = []
        for path in sorted(glob.glob(self.home.file("jobs", project or "*", "*", "status.json"))):
            job = load(path)
            if job["baseStatus"]["state"] == "RUNNING":
                key, identity = path.split(os.sep)[-3:-1]
                found.append({"projectKey": key, "jobId": identity, "def": job["baseStatus"]["def"], "startTime": job["baseStatus"]["jobStartTime"], "state": "RUNNING"})
        told = self.home.switch("job_running")
        if told is not None and project in (None, "SALES"):
            identity = told or "Build_orders"
            found.append({"projectKey": "SALES", "jobId": identity, "def": {"id": identity, "projectKey": "SALES"}, "startTime": int(time.time() * 1000), "state": "RUNNING"})
        return found

    # Scenarios

    def trigger_scenarios(self):
        """Runs active scenarios that have a trigger, as a scheduler does: each run leaves a line in scenarios/PROJECT/ID/runs.log."""
        while True:
            for path in glob.glob(self.home.file("config", "projects", "*", "scenarios", "*.json")):
                scenario = load(path, {})
                if scenario.get("active") and scenario.get("triggers"):
                    self.run_scenario(path.split(os.sep)[-3], scenario["id"])
            time.sleep(0.2)

    def run_scenario(self, project, identity):
        path = self.home.file("scenarios", project, identity, "runs.log")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "a") as file:
            file.write(f"{time.time()} by {self.home.option('general', 'installid')}\n")
