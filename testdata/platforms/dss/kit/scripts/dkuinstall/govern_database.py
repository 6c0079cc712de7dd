"""What a Govern node keeps in its PostgreSQL, reached by psql (`simulator.psql`, else the one on the PATH) with what config/dip.properties says."""

import os
import re
import subprocess
import sys


def query(home, statement):
    """Rows as lists of texts."""
    properties = home.properties()
    url = re.fullmatch(r"jdbc:postgresql://([^:/]+):(\d+)/([^?]+)(?:\?.*)?", properties.get("psql.jdbc.url", ""))
    if url is None:
        raise RuntimeError("psql.jdbc.url is not set in config/dip.properties")
    environment = {**os.environ, "PGPASSWORD": properties.get("psql.jdbc.password", ""), "PGCONNECT_TIMEOUT": "5"}
    command = [properties.get("simulator.psql", "psql"), "--host", url[1], "--port", url[2], "--dbname", url[3], "--username", properties.get("psql.jdbc.user", ""),
               "--no-password", "--no-psqlrc", "--tuples-only", "--no-align", "--field-separator", "\t", "--quiet",
               "--set", "ON_ERROR_STOP=1", "--command", statement]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or "psql failed")
    return [line.split("\t") for line in done.stdout.splitlines()]


def initialise(home):
    """`govern-admin init-db`."""
    query(home, f"""CREATE TABLE IF NOT EXISTS govern_meta (conf_version integer NOT NULL);
        CREATE TABLE IF NOT EXISTS artifacts (id text PRIMARY KEY, name text NOT NULL, kind text NOT NULL);
        INSERT INTO govern_meta SELECT {home.conf_version()} WHERE NOT EXISTS (SELECT FROM govern_meta)""")


def version(home):
    return int(query(home, "SELECT conf_version FROM govern_meta")[0][0])


def migrate(home, wanted, say):
    """An older Govern cannot use the database afterwards: a column gets another name."""
    try:
        current = version(home)
        if current >= wanted:
            return
        column = f"name_{wanted}"
        old = query(home, "SELECT column_name FROM information_schema.columns WHERE table_name = 'artifacts' AND column_name LIKE 'name%'")[0][0]
        query(home, f"BEGIN; ALTER TABLE artifacts RENAME COLUMN {old} TO {column}; UPDATE govern_meta SET conf_version = {wanted}; COMMIT")
    except (RuntimeError, IndexError) as error:
        say(f"[-] The Govern database could not be migrated: {error}")
        sys.exit(1)
