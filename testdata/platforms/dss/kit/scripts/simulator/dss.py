"""DATA_DIR/bin/dss: starts, stops and shows the processes of an instance."""

import os
import signal
import socket
import subprocess
import sys
import time

import home as _paths
from datadir import DataDir, load

HERE = os.path.dirname(os.path.abspath(__file__))


def fail(text):
    print(text, file=sys.stderr)
    sys.exit(1)


def start(home, kit):
    if os.geteuid() == 0:
        fail("[-] Installing or running DSS as root is not supported.")
    if home.supervisor_pid() is not None:
        print("DSS supervisor is already running")
        return
    if home.conf_version() != conf_of(kit):
        fail(f"*** Error: the data directory is of version {home.version()}, this software of {kit.version}: run installer.sh -u")
    if os.path.exists(home.file("migration-aborted.json")):
        fail("*** Error: a migration of this data directory was aborted: restore a backup of it")
    if not home.python_belongs_here():
        fail(f"*** Error: {home.file('pyenv')} was made for another place: rebuild the Python environment")
    for port in load(home.file("install-support", "supervisord.json"))["services"].values():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                fail(f"*** Error: port {port} is in use")
    print("Waiting for DSS supervisor to start ...", flush=True)
    with open(home.file("run", "supervisord.log"), "ab") as log:
        subprocess.Popen([sys.executable, "-B", os.path.join(HERE, "supervisor.py"), home.path], cwd="/", stdin=subprocess.DEVNULL,
                         stdout=log, stderr=log, start_new_session=True)
    if not await_true(10, lambda: home.supervisor_pid() is not None):
        fail(f"*** Error: DSS supervisor did not start, see {home.file('run', 'supervisord.log')}")
    for name in load(home.file("install-support", "supervisord.json"))["services"]:
        print(f"{name:<33}STARTING")
    print(f"DSS started, pid={home.supervisor_pid()}\nWaiting for DSS backend to start ...", flush=True)
    await_true(float(home.switch("start_waits") or 3), lambda: os.path.exists(home.file("run", "backend.ready")))


def conf_of(kit):
    from datadir import conf_version
    return conf_version(kit.version)


def stop(home):
    pid = home.supervisor_pid()
    if pid is None:
        print("DSS supervisor is not running")
        return
    if home.switch("stop_hangs") is None:
        os.kill(pid, signal.SIGTERM)
    print("Waiting for DSS supervisor to stop ...", flush=True)
    if not await_true(float(home.switch("stop_hangs") or 20), lambda: home.supervisor_pid() is None):
        fail("*** Error: DSS supervisor did not stop")
    print("DSS supervisor stopped")


def status(home):
    pid = home.supervisor_pid()
    if pid is None:
        fail("DSS supervisor is not running")
    print(f"DSS supervisor is running, pid={pid}")
    for name, process in (load(home.file("run", "services.json"), {}) or {}).items():
        state = "RUNNING" if os.path.exists(f"/proc/{process}") else "EXITED"
        print(f"{name:<33}{state:<10}pid {process}")


def await_true(seconds, holds):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def main():
    home, arguments = DataDir(sys.argv[1]), sys.argv[2:]
    kit = home.installed_kit()
    if arguments == ["start"]:
        start(home, kit)
    elif arguments == ["stop"]:
        stop(home)
    elif arguments == ["restart"]:
        stop(home)
        start(home, kit)
    elif arguments == ["status"]:
        status(home)
    else:
        fail("Usage: dss {start|stop|restart|status}")


main()
