"""The cloud's commands that copy disks and buckets: `gcloud compute …`, `gsutil rsync`, `aws ec2 …`, `aws s3 sync`."""

import json
import shutil
import sys
import uuid

from .laboratory import Laboratory, fail


def option(argv, name):
    for number, each in enumerate(argv):
        if each == name:
            return argv[number + 1]
        if each.startswith(name + "="):
            return each.split("=", 1)[1]
    return None


def snapshot(laboratory, disk, name):
    if laboratory.use_up("snapshot_fails"):
        fail("ERROR: (gcloud.compute.disks.snapshot) Could not fetch resource:\n - Quota 'SNAPSHOTS' exceeded. Limit: 1000.0 globally.")
    source, target = laboratory.path("volumes", disk), laboratory.path("snapshots", name)
    if not source.is_dir():
        fail(f" - The resource 'projects/p/zones/z/disks/{disk}' was not found")
    if target.exists():
        fail(f" - The resource 'projects/p/global/snapshots/{name}' already exists")
    shutil.copytree(source, target)


def sync(laboratory, source, target):
    strip = lambda text: text.split("://", 1)[1].strip("/")
    if not laboratory.path("buckets", strip(source)).is_dir():
        fail(f"BucketNotFoundException: 404 {source} bucket does not exist.")
    shutil.copytree(laboratory.path("buckets", strip(source)), laboratory.path("buckets", strip(target)), dirs_exist_ok=True)


def gcloud(laboratory, argv):
    if argv[:3] == ["compute", "disks", "snapshot"]:
        snapshot(laboratory, argv[3], option(argv, "--snapshot-names"))
    elif argv[:3] == ["compute", "snapshots", "describe"]:
        if not laboratory.path("snapshots", argv[3]).is_dir():
            fail(f" - The resource 'projects/p/global/snapshots/{argv[3]}' was not found")
        print(json.dumps({"name": argv[3], "status": "READY", "diskSizeGb": "10"}))
    elif argv[:3] == ["compute", "disks", "delete"]:
        shutil.rmtree(laboratory.path("volumes", argv[3]))
    elif argv[:3] == ["compute", "disks", "create"]:
        if laboratory.path("volumes", argv[3]).exists():
            fail(f" - The resource 'projects/p/zones/z/disks/{argv[3]}' already exists")
        shutil.copytree(laboratory.path("snapshots", option(argv, "--source-snapshot")), laboratory.path("volumes", argv[3]))
    else:
        fail(f"ERROR: (gcloud) Invalid choice: {' '.join(argv)}", 2)


def aws(laboratory, argv):
    if argv[:2] == ["ec2", "create-snapshot"]:
        name = "snap-" + uuid.uuid4().hex[:17]
        snapshot(laboratory, option(argv, "--volume-id"), name)
        if option(argv, "--output") == "text":
            print(name)
        else:
            print(json.dumps({"SnapshotId": name, "State": "pending"}))
    elif argv[:2] == ["s3", "sync"]:
        sync(laboratory, argv[2], argv[3])
    else:
        fail(f"aws: error: argument command: Invalid choice: {' '.join(argv)}", 252)


def main(program, folder):
    laboratory = Laboratory(folder)
    argv = sys.argv[1:]
    with laboratory.locked():
        laboratory.log(program, argv)
        if program == "gsutil":
            sync(laboratory, *[each for each in argv if "://" in each][-2:])
        else:
            {"gcloud": gcloud, "aws": aws}[program](laboratory, argv)
