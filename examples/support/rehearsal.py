"""What every example's `check` does: a folder of its own, free ports, running Windlass, and saying what was proved.

Environment: WINDLASS (the program; else target/debug or target/release of the repository), SCRATCH (the folder; else a new one, which
is removed at the end unless KEEP=1).
"""

import atexit
import contextlib
import fcntl
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Broken(Exception):
    """Something is not as the example promises."""


def windlass_program():
    named = os.environ.get("WINDLASS")
    places = [pathlib.Path(named)] if named else [ROOT / "target" / profile / "windlass" for profile in ("debug", "perf", "release")]
    for place in places:
        if place.exists():
            return place.resolve()
    raise SystemExit("windlass is not built: run `cargo build`, or set WINDLASS")


class Rehearsal:
    """A folder with a configuration, and Windlass run in it."""

    def __init__(self, example):
        self.example = pathlib.Path(example).resolve().parent
        self.program = windlass_program()
        given = os.environ.get("SCRATCH")
        self.folder = pathlib.Path(given) if given else pathlib.Path(tempfile.mkdtemp(prefix="windlass-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder = self.folder.resolve()
        self.folder.chmod(0o755)
        self.scratch = self.folder
        # Laid out as in the repository, so that `../../modules` leads somewhere.
        self.modules = self.scratch / "modules"
        shutil.copytree(ROOT / "modules", self.modules, dirs_exist_ok=True)
        self.folder = self.scratch / "examples" / self.example.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.values = {}
        self.running = []
        self.ok = False
        self.ending = []
        atexit.register(self._end)

    def _end(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()
        for action in reversed(self.ending):
            action()
        if self.ok and not os.environ.get("KEEP"):
            shutil.rmtree(self.scratch, ignore_errors=True)
        elif not self.ok:
            print(f"failed; everything is left in {self.scratch}", file=sys.stderr)

    def at_end(self, action):
        self.ending.append(action)

    def configure(self, *names):
        """Copies the example's files into the folder."""
        for name in names:
            shutil.copy(self.example / name, self.folder / name)

    def edit(self, name, *changes):
        """Replaces texts in a configuration file; each must be there."""
        path = self.folder / name
        text = path.read_text()
        for old, new in changes:
            if old not in text:
                raise Broken(f"{name} does not hold {old!r}")
            text = text.replace(old, new)
        path.write_text(text)

    def environment(self):
        values = {f"WINDLASS_VAR_{name}": str(value) for name, value in self.values.items()}
        return {**os.environ, **values, "WINDLASS_NO_INPUT": "true", "NO_COLOR": "1"}

    def windlass(self, *args, code=0, quiet=False):
        """Runs Windlass; gives what it printed on stdout and stderr together. Of several codes that will do, gives which one it was."""
        print(f"$ windlass {' '.join(args)}", flush=True)
        done = subprocess.run([self.program, *args], cwd=self.folder, env=self.environment(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=900)
        if isinstance(code, tuple) and done.returncode in code:
            return done.returncode
        if not quiet or done.returncode != code:
            print(done.stdout, flush=True)
        if done.returncode != code:
            raise Broken(f"windlass {' '.join(args)} ended with {done.returncode}, not {code}")
        return done.stdout

    def expect(self, what, found, wanted):
        if found != wanted:
            raise Broken(f"{what}: expected {wanted!r}, found {found!r}")
        print(f"  ok: {what}: {found}", flush=True)

    def expect_in(self, what, text, *parts):
        for part in parts:
            if part not in text:
                raise Broken(f"{what}: {part!r} is not in\n{text}")
        print(f"  ok: {what}", flush=True)

    def no_drift(self):
        self.windlass("drift", "--detailed-exitcode", quiet=True)
        print("  ok: no drift", flush=True)


def title(text):
    print(f"\n== {text}", flush=True)


BLOCK = 100
held, left = [], range(0)


def row_of_ports(count):
    """The first of so many ports in a row that are ours until this process ends: out of a block of 100 whose lock file we hold, that is
    outside the range of outgoing connections, and of which every port is free. The tests take blocks in the same way."""
    global left
    if len(left) < count:
        left = free_block()
    row, left = left[:count], left[count:]
    return row[0]


def free_ports(count):
    """Ports that are ours until this process ends."""
    return [row_of_ports(1) for _ in range(count)]


def free_block():
    folder = pathlib.Path(tempfile.gettempdir(), "windlass-test-ports")
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        folder.chmod(0o777)
    ephemeral = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
    end = int(ephemeral.read_text().split()[0]) if ephemeral.exists() else 32768
    blocks = range(10000, (60000 if end < 11000 else end) - BLOCK + 1, BLOCK)
    begin = os.getpid() % len(blocks)
    for first in [*blocks[begin:], *blocks[:begin]]:
        try:
            held.append(open(folder / str(first), "a"))
            fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            for port in range(first, first + BLOCK):
                with socket.socket() as each:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    each.bind(("0.0.0.0", port))
            return range(first, first + BLOCK)
        except OSError:
            continue
    raise SystemExit(f"no block of {BLOCK} ports is free: see the locks in {folder}")


def service_user():
    """The user that a server which refuses root can run as: somebody else where we are root, else ourselves (`None`)."""
    return "nobody" if os.geteuid() == 0 else None


def wait_until(what, holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise Broken(f"{what} did not happen within {seconds} s")
        time.sleep(0.1)


def main(example, check):
    """Runs a check: exit code 0 where it holds, 1 where it does not."""
    rehearsal = Rehearsal(example)
    try:
        check(rehearsal)
    except Broken as broken:
        print(f"BROKEN: {broken}", file=sys.stderr)
        sys.exit(1)
    rehearsal.ok = True
    print("\nAll of it holds.")


def owned_by(path, user):
    """Gives a folder to a user."""
    path.mkdir(parents=True, exist_ok=True)
    if user:
        record = pwd.getpwnam(user)
        os.chown(path, record.pw_uid, record.pw_gid)
    return path
