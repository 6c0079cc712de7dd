"""What `bin/*.sh` call: `command.py launch | migrate | backup FOLDER | restore FOLDER | is-on SWITCH`."""

import os
import pathlib
import sys

from installation import installation, numbers
from metadata import Metadata, MigrationFailed, export, gather


def migrate(meta):
    try:
        meta.migrate(print)
    except MigrationFailed as error:
        print("Upgrade failed. Please try to run\nbin/kylin.sh io.kyligence.kap.tool.migration.ProjectDictionaryMigrationCLI FIX\nto fix.")
        raise SystemExit(f"ERROR: {error}") from error


def main():
    action, *rest = sys.argv[1:]
    # While upgrade.sh runs, the new software works with the old home's configuration.
    here = installation(pathlib.Path(os.environ["CONF_OF"]) if "CONF_OF" in os.environ else None)
    meta = Metadata(here)
    if action == "launch":
        newest = meta.newest()
        if numbers(newest)[:2] > numbers(here.main):
            raise SystemExit(f"ERROR: the metadata was written by version {newest}, this is version {here.version}")
        migrate(meta)
        if here.switch("start_fails") is not None:
            raise SystemExit("ERROR: org.apache.catalina.LifecycleException: Failed to start component")
    elif action == "migrate":
        migrate(meta)
    elif action == "is-on":
        raise SystemExit(0 if here.switch(rest[0]) is not None else 1)
    elif action == "backup":
        if here.switch("metadata_backup_fails") is not None:
            (pathlib.Path(rest[0]) / "project").mkdir(parents=True)
            raise SystemExit("java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out after 30000ms")
        export(meta, rest[0])
    elif action == "restore":
        records = gather(rest[0])
        if "/UUID" not in records:
            raise SystemExit(f"ERROR: {rest[0]} holds no metadata")
        meta.replace_all(records)
    else:
        raise SystemExit(f"unknown action {action}")


if __name__ == "__main__":
    main()
