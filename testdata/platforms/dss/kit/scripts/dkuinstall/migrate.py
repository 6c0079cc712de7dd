"""Migrates a data directory, and the database of a Govern node, to the version of a kit."""

import glob
import os
import sys
import time

import govern_database
from datadir import conf_version, load, store


def run(home, kit, yes, say):
    current, wanted = home.conf_version(), conf_version(kit.version)
    if current > wanted:
        say(f"[-] The data directory is of version {home.version()}, which is newer than {kit.version}: it cannot be downgraded")
        sys.exit(1)
    if os.path.exists(home.file("migration-aborted.json")):
        say("[!] A previous migration was aborted and left files of both versions: restore a backup of the data directory")
        sys.exit(1)
    if current == wanted:
        say("[+] No migration needed")
        return
    say(f"Executing the following migrations\n  from configuration version {current} to {wanted}")
    if not yes:
        say("Continue? (Y/[N])", end="")
        if sys.stdin.readline().strip().lower() != "y":
            say("\nAborting!")
            sys.exit(1)
        say("")
    files = sorted(glob.glob(home.file("config", "projects", "*", "params.json")) + glob.glob(home.file("config", "projects", "*", "*", "*.json")))
    store(home.file("migration-aborted.json"), {"from": home.version(), "to": kit.version})
    half = len(files) // 2
    for number, path in enumerate(files):
        if number == half:
            fail_when_told(home, say)
        value = load(path)
        if isinstance(value, dict):
            value["confVersion"] = wanted
            store(path, value)
        if number % 50 == 0:
            say(f"[+] Migrated {number} of {len(files)} files")
    if not files:
        fail_when_told(home, say)
    time.sleep(float(home.switch("slow_migration") or 0))
    if home.node_type() == "govern":
        say("[+] Migrating the Govern database")
        govern_database.migrate(home, wanted, say)
    say(f"[+] Writing version metadata conf={wanted} product={kit.version} revision=")
    home.set_version(kit.version)
    os.remove(home.file("migration-aborted.json"))


def fail_when_told(home, say):
    if home.switch("migration_fails") is not None:
        say("[-] Migration failed: java.lang.IllegalStateException: unexpected content in config/projects")
        sys.exit(1)
