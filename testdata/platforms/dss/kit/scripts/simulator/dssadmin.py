"""DATA_DIR/bin/dssadmin: integrations and other administration while the instance is stopped."""

import os
import sys

import home as _paths
from datadir import DataDir, load, store

ROOT = ("install-impersonation",)


def fail(text):
    print(text, file=sys.stderr)
    sys.exit(1)


def record(home, kit, name):
    """What an integration put into the data directory belongs to the version that did it."""
    integrations = load(home.file("install-support", "integrations.json"), {})
    store(home.file("install-support", "integrations.json"), {**integrations, name: kit.version})


def archive(name, arguments):
    if "-standaloneArchive" in arguments:
        path = arguments[arguments.index("-standaloneArchive") + 1]
        if not os.path.isfile(path):
            fail(f"*** Error: {path} not found")
        return path
    fail(f"*** Error: {name} needs -standaloneArchive where Hadoop is not on this machine")


def touch(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "w").close()


def main():
    home, arguments = DataDir(sys.argv[1]), sys.argv[2:]
    kit = home.installed_kit()
    if not arguments:
        fail("Usage: dssadmin COMMAND ...")
    command, rest = arguments[0], arguments[1:]
    if (command in ROOT) != (os.geteuid() == 0):
        fail("[-] FATAL: Must run as root" if command in ROOT else "[-] FATAL: must not run as root")
    if (home.switch("integration_fails") or "") == command:
        fail(f"*** Error: {command} failed")
    match command:
        case "regenerate-config":
            home.write_services()
        case "install-R-integration":
            touch(home.file("R.lib", "dataiku", "DESCRIPTION"))
            record(home, kit, "r")
        case "install-graphics-export":
            touch(home.file("graphics-export", "node_modules", "puppeteer", "package.json"))
            record(home, kit, "graphics_export")
        case "install-hadoop-integration":
            archive(command, rest)
            touch(home.file("hadoop-standalone-libs", "core.jar"))
            record(home, kit, "hadoop")
        case "install-spark-integration":
            archive(command, rest)
            touch(home.file("spark-standalone-home", "bin", "spark-submit"))
            record(home, kit, "spark")
        case "install-monitoring-integration":
            home.set_option("collectd", "enabled", "true")
            home.set_option("collectd", "graphite_server", rest[rest.index("-graphiteServer") + 1])
            home.set_option("collectd", "prefix", rest[rest.index("-prefix") + 1] if "-prefix" in rest else f"dss.{home.port()}")
        case "install-impersonation":
            owner = os.stat(home.path).st_uid
            folder = rest[rest.index("-securityDir") + 1] if "-securityDir" in rest else f"/etc/dataiku-security/{home.option('general', 'installid')}"
            wrapper = os.path.join(folder, "execwrapper.sh")
            touch(wrapper)
            os.chmod(wrapper, 0o700)
            home.set_option("mus", "exec_wrapper_location", wrapper)
            record(home, kit, "impersonation")
            for path in (home.file("install.ini"), home.file("install-support", "integrations.json")):
                os.chown(path, owner, -1)
        case "build-base-image":
            if "--type" not in rest:
                fail("Usage: dssadmin build-base-image --type {container-exec|spark|api-deployer|cde}")
            kinds = load(home.file("config", "base-images.json"), {}).get("types", [])
            store(home.file("config", "base-images.json"), {"builtWith": kit.version, "types": sorted({*kinds, rest[rest.index("--type") + 1]})})
        case "encrypt-password":
            print(f"e:AES:{rest[0].encode().hex()}")
        case _:
            fail(f"Unknown command {command}")
    print(f"[+] {command} done")


main()
