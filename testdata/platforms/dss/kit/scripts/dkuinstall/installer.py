"""installer.sh: a new installation, or the upgrade of a data directory."""

import getopt
import os
import subprocess
import sys
import time

import migrate
from datadir import NODE_TYPES, DataDir, Kit, random_id, store

USAGE = """
*** Usage:
New installation:    installer.sh -d DATADIR -p BASE_PORT [-t NODETYPE] [-l LICENSE_FILE] [-n] [-P BASE_PYTHON]
Upgrade:             installer.sh -u -d DATADIR [-y] [-n] [-P BASE_PYTHON]
Print this help:     installer.sh -h
"""


class Log:
    """Writes to the screen and to run/install.log."""

    def __init__(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.file = open(path, "a")

    def __call__(self, text, end="\n"):
        print(text, end=end, flush=True)
        self.file.write(text + end)
        self.file.flush()


def fail(text):
    print(text, file=sys.stderr, flush=True)
    sys.exit(1)


def enter_or_stop():
    """Waits for Enter; where nothing can be read any more, that is the end."""
    if not sys.stdin.readline():
        sys.exit(1)


def options(arguments):
    try:
        found, rest = getopt.getopt(arguments, "t:s:d:p:l:P:hnuy")
    except getopt.GetoptError as error:
        fail(f"[-] Bad usage: {error}\n{USAGE}")
    found = {name[1:]: value for name, value in found}
    if rest or "h" in found or "d" not in found:
        fail(f"[-] Bad usage\n{USAGE}")
    if found.get("t", "design") not in NODE_TYPES:
        fail(f"[-] Bad usage: node type (-t) must be one of {', '.join(NODE_TYPES)}\n{USAGE}")
    if "u" in found and ("p" in found or "l" in found):
        fail(f"[-] Bad usage: cannot specify port or license file while upgrading\n{USAGE}")
    if "u" not in found and "p" not in found:
        fail(f"Bad usage : -p BASE_PORT argument is mandatory\n{USAGE}")
    return found


def prepare(home, upgrade):
    """Looks whether the data directory is what it should be, and makes a new one."""
    if upgrade:
        if not home.exists():
            fail(f"[-] {home.path} does not appear to be a valid DSS installation")
        print(f"[+] {home.path} already exists and is a DSS installation")
        return
    if os.path.exists(home.file("DSS-INITIAL-INSTALL-IN-PROGRESS.txt")):
        print(f"[!] {home.path} contains a previously failed install of DSS\n[!] Moving it out of the way and proceeding", file=sys.stderr)
        os.rename(home.path, f"{home.path}.dss_failed_install.{time.strftime('%Y%m%d-%H%M%S')}")
    if os.path.exists(home.file("config", "dip.properties")):
        fail(f"[-] {home.path} appears to already contain a DSS installation\n[-] If you want to upgrade it, rerun this installer with the -u flag")
    if os.path.isdir(home.path) and os.listdir(home.path):
        fail(f"[-] Directory {home.path} already exists, but is not empty. Aborting !")
    os.makedirs(home.path, exist_ok=True)
    open(home.file("DSS-INITIAL-INSTALL-IN-PROGRESS.txt"), "w").close()


def check_running(home, say, yes):
    if home.supervisor_pid() is None:
        return
    say("[!] *********************************************************\n"
        "[!] There seem to be an already running instance of the Studio\n[!] using this data directory:\n"
        "[!] It is STRONGLY RECOMMENDED to stop it before upgrade.\n"
        "[!] If you continue, you will not be able to use bin/dss stop\n[!] and will need to kill the processes manually")
    if yes:
        say("[!] Non-interactive mode, continuing anyway")
    else:
        say("[!] Press Enter to continue at your own risk, Ctrl+C to abort")
        enter_or_stop()


def check_dependencies(kit, say):
    say("[+] Checking required dependencies")
    script = os.path.join(kit.path, "scripts", "install", "install-deps.sh")
    done = subprocess.run([script, "-check", "-without-java"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    say(done.stdout, end="")
    if done.returncode != 0:
        say(f"\n[-] Dependency check failed\n[-] You can install required dependencies with:\n[-]    sudo -i \"{script}\" -without-java\n"
            "[-] You can also disable this check with the -n installer flag\n")
        sys.exit(1)


def install(home, kit, port, kind, license_file, say):
    say("[+] Installation starting")
    home.set_version(kit.version)
    home.set_option("general", "nodetype", kind)
    home.set_option("general", "installid", random_id(24))
    home.set_option("server", "port", port)
    home.set_option("git", "mode", "project")
    home.make_folders()
    with open(home.file("bin", "env-site.sh"), "w") as file:
        file.write("# This file is sourced last by DSS startup scripts\n")
    if license_file:
        with open(license_file) as source, open(home.file("config", "license.json"), "w") as target:
            target.write(source.read())
    say("[+] Initializing Python environment using platform default")
    home.make_python()
    say("[+] Preparing data directory initial data")
    with open(home.file("config", "dip.properties"), "w") as file:
        file.write("# Internal DSS properties\n")
    store(home.file("config", "public-apikeys.json"), [])
    store(home.file("config", "general-settings.json"), {"containerSettings": {"executionConfigs": []}, "impersonation": {"enabled": False}})
    with open(home.file("install-support", "supervisord.key"), "w") as file:
        file.write(random_id(16))
    os.chmod(home.file("install-support", "supervisord.key"), 0o600)


def main():
    print("*********************************************\n*           Dataiku DSS installer           *\n*********************************************")
    kit, found = Kit(sys.argv[1]), options(sys.argv[2:])
    if os.geteuid() == 0:
        fail("[-] Installing or running DSS as root is not supported.")
    upgrade, yes = "u" in found, "y" in found
    home = DataDir(os.path.realpath(found["d"]))
    prepare(home, upgrade)
    print(f"[+] Saving installation log to {home.file('run', 'install.log')}", flush=True)
    say = Log(home.file("run", "install.log"))
    check_running(home, say, yes)
    if "n" not in found:
        check_dependencies(kit, say)
    if upgrade:
        if os.path.isdir(home.file("pyenv")):
            say("[+] Migrating Python environment")
        else:
            say("[+] Initializing Python environment using platform default")
            home.make_python()
        say("[+] Migrating data directory")
        migrate.run(home, kit, yes, say)
    else:
        install(home, kit, found["p"], found.get("t", "design"), found.get("l"), say)
    home.make_folders()
    say("[+] Generating default env file")
    home.write_environment(kit)
    home.link_binaries(kit)
    say("[+] Generating supervisor configuration\n[+] Generating nginx configuration")
    home.write_services()
    if os.path.exists(home.file("DSS-INITIAL-INSTALL-IN-PROGRESS.txt")):
        os.remove(home.file("DSS-INITIAL-INSTALL-IN-PROGRESS.txt"))
    say("***************************************************************\n"
        f"* {'Upgrade' if upgrade else 'Installation'} complete (DSS node type: {home.node_type()})\n* Next, start DSS using:\n"
        f"*         '{home.file('bin', 'dss')} start'\n* Dataiku DSS will be accessible on http://<SERVER ADDRESS>:{home.port()}\n"
        "***************************************************************")


main()
