"""DATA_DIR/bin/dsscli: works on the running instance."""

import argparse
import sys

import home as _paths
import api
from datadir import DataDir, load, random_id, store

parser = argparse.ArgumentParser(prog="dsscli")
commands = parser.add_subparsers(dest="command", required=True)
commands.add_parser("projects-list").add_argument("--no-header", action="store_true")
export = commands.add_parser("project-export")
export.add_argument("key")
export.add_argument("path")
commands.add_parser("project-import").add_argument("path")
create = commands.add_parser("api-key-create")
create.add_argument("--admin", default="false")
create.add_argument("--label", default="")
create.add_argument("--key")

home = DataDir(sys.argv[1])
given = parser.parse_args(sys.argv[2:])
if given.command != "api-key-create" and home.supervisor_pid() is None:
    sys.exit("*** Error: DSS is not running")
if given.command == "projects-list":
    if not given.no_header:
        print("Project_key\tName")
    import glob
    for file in sorted(glob.glob(home.file("config", "projects", "*", "params.json"))):
        project = load(file)
        print(f"{project['projectKey']}\t{project['name']}")
elif given.command == "project-export":
    if load(home.file("config", "projects", given.key, "params.json")) is None:
        sys.exit(f"*** Error: no project {given.key}")
    content = api.export_project(home, given.key)
    with open(given.path, "wb") as target:
        target.write(content)
elif given.command == "project-import":
    with open(given.path, "rb") as source:
        result = api.import_archive(home, source.read())
    if not result["success"]:
        sys.exit(result["messages"]["messages"][0]["message"])
    print(f"Imported {result['usedProjectKey']}")
else:
    key = {"id": random_id(8), "key": given.key or random_id(32), "label": given.label, "globalPermissions": {"admin": given.admin == "true"}}
    keys = load(home.file("config", "public-apikeys.json"), [])
    store(home.file("config", "public-apikeys.json"), [*keys, key])
    print(f"Key\n{key['key']}")
