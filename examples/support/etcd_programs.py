"""Finds the programs of etcd 3.4.23, which Debian 12 packages: those installed, else unpacked from the packages without installing."""

import pathlib
import subprocess

import rehearsal

VERSION = "3.4.23"


def folder(scratch):
    """The folder with `etcd` and `etcdctl` of 3.4.23."""
    installed = pathlib.Path("/usr/bin/etcd")
    if installed.exists() and says(installed):
        return installed.parent
    place = scratch / "debian"
    place.mkdir(exist_ok=True)
    fetch = ["apt-get", "download", "--quiet", "etcd-server", "etcd-client"]
    if subprocess.run(fetch, cwd=place, capture_output=True).returncode != 0:
        subprocess.run(["apt-get", "update", "--quiet"], capture_output=True)
        done = subprocess.run(fetch, cwd=place, capture_output=True, text=True)
        if done.returncode != 0:
            raise rehearsal.Broken(f"the Debian packages etcd-server and etcd-client cannot be fetched: {done.stderr.strip()}")
    for package in place.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, place], check=True)
    if not says(place / "usr/bin/etcd"):
        raise rehearsal.Broken(f"Debian's etcd is not {VERSION} on this machine")
    return place / "usr/bin"


def says(program):
    return f"etcd Version: {VERSION}\n" in subprocess.run([program, "--version"], capture_output=True, text=True).stdout
