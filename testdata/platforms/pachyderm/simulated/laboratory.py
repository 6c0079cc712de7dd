"""The laboratory: the folder that holds the cluster's state, volumes, buckets, snapshots and switches."""

import contextlib
import fcntl
import json
import os
import pathlib
import sys


class Laboratory:
    """LAB/cluster.json, LAB/volumes/DISK, LAB/buckets/BUCKET, LAB/snapshots/NAME, LAB/switches/NAME."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def path(self, *parts):
        return self.folder.joinpath(*parts)

    @contextlib.contextmanager
    def locked(self):
        """One command at a time reads and changes the state."""
        with open(self.path("lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def load(self, name, default):
        try:
            return json.loads(self.path(name).read_text())
        except FileNotFoundError:
            return default

    def save(self, name, value):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.write_text(json.dumps(value, indent=1))
        os.replace(new, path)

    def switch(self, name):
        """The text of a switch, or None where it is off. See README.md for all of them."""
        try:
            return self.path("switches", name).read_text().strip()
        except FileNotFoundError:
            return None

    def use_up(self, name):
        """Counts a switch `N` or `WORD N` down, or leaves `always` on; whether it was on, and its word."""
        text = self.switch(name)
        if text is None:
            return None
        *word, count = text.split() or ["always"]
        if count != "always":
            left = int(count) - 1
            if left < 0:
                return None
            self.path("switches", name).write_text(" ".join([*word, str(left)]))
        return word[0] if word else "on"

    @property
    def pace(self):
        """How many seconds a simulated second takes."""
        return float(self.switch("pace") or 1)

    def log(self, program, argv):
        """Every command that was run, so that tests can see what was done and in which order."""
        with open(self.path("commands.log"), "a") as log:
            log.write(json.dumps([program, *argv]) + "\n")


def fail(message, code=1):
    print(message, file=sys.stderr)
    raise SystemExit(code)


def of_kubeconfig(named=None):
    """The laboratory and namespace that a kubeconfig's current context leads to."""
    path = named or os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")
    try:
        config = json.loads(pathlib.Path(path).read_text())
    except FileNotFoundError:
        fail("The connection to the server localhost:8080 was refused - did you specify the right host or port?")
    return config


def place(config, context=None):
    """(laboratory, cluster's name, namespace) of a context."""
    named = context or config["current-context"]
    by_name = {entry["name"]: entry["context"] for entry in config["contexts"]}
    if named not in by_name:
        fail(f'error: context "{named}" does not exist')
    cluster = {entry["name"]: entry["cluster"] for entry in config["clusters"]}[by_name[named]["cluster"]]
    folder = next(each["extension"]["folder"] for each in cluster["extensions"] if each["name"] == "simulator")
    laboratory = Laboratory(folder)
    if laboratory.switch("cluster_unreachable") is not None:
        fail(f"Unable to connect to the server: dial tcp {cluster['server'].removeprefix('https://')}: i/o timeout")
    return laboratory, by_name[named]["cluster"], by_name[named].get("namespace", "default")
