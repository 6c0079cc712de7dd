"""Starts the processes of an instance, starts them again when they end, and ends them when it is told to."""

import os
import signal
import subprocess
import sys
import time

import home as _paths
from datadir import DataDir, load, store

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = {"nginx": "nginx.py", "backend": "backend.py", "ipython": "ipython.py"}


def main():
    home = DataDir(sys.argv[1])
    services = load(home.file("install-support", "supervisord.json"))["services"]
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(home.file("run", "supervisord.pid"), "w") as file:
        file.write(str(os.getpid()))
    running, tries = {}, dict.fromkeys(services, 0)
    # Whoever takes the data directory away under a running instance, as a test may, leaves no processes behind.
    while not ending and os.path.isdir(home.path):
        for name, port in services.items():
            process = running.get(name)
            if (process is None or process.poll() is not None) and tries[name] < 3:
                tries[name] += 1
                with open(home.file("run", f"{name}.log"), "ab") as log:
                    running[name] = subprocess.Popen([sys.executable, "-B", os.path.join(HERE, PROGRAMS[name]), home.path, str(port)],
                                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                store(home.file("run", "services.json"), {name: process.pid for name, process in running.items()})
        time.sleep(0.05)
    for process in running.values():
        process.terminate()
    for process in running.values():
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for name in ("backend.ready", "supervisord.pid"):
        if os.path.exists(home.file("run", name)):
            os.remove(home.file("run", name))


main()
