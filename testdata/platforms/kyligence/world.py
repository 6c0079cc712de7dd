#!/usr/bin/env python3
"""Makes kits, and a small world to upgrade them in: a cluster, nodes, jobs, and switches for what goes wrong.

    world.py kit VERSION FOLDER                     FOLDER/Kyligence-Enterprise-VERSION.tar.gz; prints its SHA-256
    world.py create WORLD VERSION NODE=PORT…        the cluster, and an installation with a sample project for each node, not started
    world.py job WORLD STATUS [SECONDS]             a build job in that state; PENDING and RUNNING ones end after so long, or never
    world.py job-status WORLD ID STATUS             changes it
    world.py source WORLD PROJECT NUMBER            a table of another data source in a project (0 Hive, 1 Kafka, 16 RDBMS), made where it is not there
    world.py cube-data WORLD BYTES                  so much cube data in HDFS
    world.py on WORLD SWITCH [VALUE…]               switches a failure on (README.md lists them)
    world.py off WORLD SWITCH
    world.py by-hand OLD_HOME UNPACK_HOME           what the vendor's page for upgrades without a script asks a person to do
    world.py stop WORLD                             ends every process of this world
"""

import hashlib
import io
import os
import pathlib
import re
import shutil
import signal
import sys
import tarfile
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "kit/lib"))
sys.dont_write_bytecode = True

from installation import Installation, numbers  # noqa: E402
from metadata import Metadata, sample  # noqa: E402


def kit(version, folder):
    """The same version always has the same bytes."""
    name = f"Kyligence-Enterprise-{version}"
    path = pathlib.Path(folder) / f"{name}.tar.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    scripted = numbers(version)[:3] > [3, 3, 0]
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        def add(path_in_kit, content, mode):
            entry = tarfile.TarInfo(f"{name}/{path_in_kit}")
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))

        product = "Kyligence Analytics Platform" if numbers(version)[0] < 3 else "Kyligence Enterprise"
        add("VERSION", f"{product} {version}\n".encode(), 0o644)
        for file in sorted((HERE / "kit").rglob("*")):
            inside = file.relative_to(HERE / "kit")
            if file.is_file() and "__pycache__" not in inside.parts and (scripted or str(inside) != "bin/upgrade.sh"):
                add(str(inside), file.read_bytes(), 0o755 if os.access(file, os.X_OK) else 0o644)
        profile = tarfile.TarInfo(f"{name}/conf/profile")
        profile.type, profile.linkname = tarfile.SYMTYPE, "profile_prod"
        archive.addfile(profile)
    import gzip
    path.write_bytes(gzip.compress(plain.getvalue(), mtime=0))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def create(world, version, *nodes):
    world = pathlib.Path(world).resolve()
    (world / "switches").mkdir(parents=True)
    (world / "hdfs/kylin").mkdir(parents=True)
    for part in ("bin", "etc"):
        shutil.copytree(HERE / "cluster" / part, world / "hadoop" / part, symlinks=True)
    # The programs of this world use the Python that made it.
    (world / "hadoop/bin/python3").symlink_to(sys.executable)
    core = world / "hadoop/etc/hadoop/core-site.xml"
    core.write_text(core.read_text().replace("WORLD", str(world)))
    kit(version, world / "kits")
    for place, node in enumerate(nodes):
        name, port = node.split("=")
        add_node(world, name, int(port), version, first=place == 0)


def add_node(world, name, port, version, first):
    """Unpacks the kit as `WORLD/NODE/kyligence`, and configures it as its administrator would."""
    folder = world / name
    shutil.copytree(HERE / "cluster/jdk", folder / "jdk")
    (folder / "jdk/version").write_text("1.8.0_292\n")
    with tarfile.open(world / f"kits/Kyligence-Enterprise-{version}.tar.gz") as archive:
        archive.extractall(folder, filter="tar")
    home = folder / "kyligence"
    (folder / f"Kyligence-Enterprise-{version}").rename(home)
    properties = home / "conf/kylin.properties"
    properties.write_text(f"kylin.metadata.url=kylin_metadata@jdbc,url=jdbc:sqlite:{world}/metadata.db,maxActive=10\n"
                          f"kylin.env.hdfs-working-dir=/kylin\nkylin.env.hadoop-conf-dir={world}/hadoop/etc/hadoop\nkylin.server.mode=all\n")
    server = home / "tomcat/conf/server.xml"
    server.write_text(server.read_text().replace('<Connector port="7070"', f'<Connector port="{port}"'))
    if first:
        sample(Installation(home))


def any_home(world):
    """An installation of the world that is whole."""
    for home in sorted(pathlib.Path(world).resolve().glob("*/kyligence/VERSION")):
        return Installation(home.parent)
    raise SystemExit(f"{world} has no node")


def job(world, status, seconds=None):
    here = any_home(world)
    record = {"uuid": str(uuid.uuid4()), "name": "BUILD CUBE - kylin_sales_cube - nightly", "type": "BUILD", "related_cube": "kylin_sales_cube",
              "display_cube_name": "kylin_sales_cube", "project_name": "learn_kylin", "related_segment": None, "submitter": "ADMIN", "job_status": status,
              "progress": 0.0, "duration": 0, "mr_waiting": 0, "exec_start_time": 0, "exec_end_time": 0, "exec_interrupt_time": 0, "create_time": 0,
              "info": "", "steps": [], "seconds": None if seconds is None else float(seconds)}
    if status == "RUNNING":
        import time
        record["exec_start_time"] = int(time.time() * 1000)
    Metadata(here).put(f"/execute/{record['uuid']}", record)
    print(record["uuid"])


def job_status(world, job_id, status):
    Metadata(any_home(world)).update(f"/execute/{job_id}", lambda record: {**record, "job_status": status})


def source(world, project, number):
    here = any_home(world)
    meta = Metadata(here)
    if meta.get(f"/project/{project}.json") is None:
        meta.put(f"/project/{project}.json", {"name": project, "uuid": str(uuid.uuid4()), "models": [], "realizations": [], "override_kylin_properties": {}})
    name = f"SOURCE_{number}"
    meta.put(f"/table/DEFAULT.{name}--{project}.json", {"name": name, "database": "DEFAULT", "project": project, "source_type": int(number),
                                                         "columns": [{"id": "1", "name": "ID", "datatype": "bigint"}]})


def cube_data(world, size):
    """Files of a mebibyte each, all different, in the working directory."""
    folder = any_home(world).hdfs("/kylin/learn_kylin/parquet/filling")
    folder.mkdir(parents=True, exist_ok=True)
    left, place = int(size), 0
    while left > 0:
        block = hashlib.sha256(str(place).encode()).digest() * (1 << 15)
        (folder / f"part-{place:05}.snappy.parquet").write_bytes(block[: min(left, 1 << 20)])
        left, place = left - (1 << 20), place + 1


def by_hand(old, new):
    """Configuration taken over, the old home moved away, the new one put in its place; everything else Windlass does."""
    old, new = pathlib.Path(old), pathlib.Path(new)
    (new / "conf/kylin.properties").rename(new / "conf/kylin.properties.template")
    for name in ["kylin.properties", "setenv.sh", *(path.name for path in (old / "conf").glob("kylin_*.xml"))]:
        shutil.copy2(old / "conf" / name, new / "conf" / name)
    shutil.copy2(old / "tomcat/conf/server.xml", new / "tomcat/conf/server.xml")
    shutil.rmtree(old)
    new.rename(old)


def processes(world):
    """Process ids of everything whose command line names a home of this world."""
    needle = f"-Dkylin.home={pathlib.Path(world).resolve()}/".encode()
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if any(word.startswith(needle) for word in (folder / "cmdline").read_bytes().split(b"\0")):
                    yield int(folder.name)
            except OSError:
                pass


def stop(world):
    for pid in processes(world):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def switch(world, name, value=""):
    if not re.fullmatch("[a-z_]+", name):
        raise SystemExit(f"{name} is no switch")
    (pathlib.Path(world) / "switches" / name).write_text(value)


def main():
    verb, *rest = sys.argv[1:] or ["help"]
    verbs = {"kit": lambda *a: print(kit(*a)), "create": create, "job": job, "job-status": job_status, "source": source, "cube-data": cube_data,
             "on": lambda world, name, *value: switch(world, name, " ".join(value)),
             "off": lambda world, name: (pathlib.Path(world) / "switches" / name).unlink(missing_ok=True), "by-hand": by_hand, "stop": stop}
    if verb not in verbs:
        raise SystemExit(__doc__)
    verbs[verb](*rest)


if __name__ == "__main__":
    main()
