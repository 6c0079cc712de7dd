"""The metadata: JSON records by path, in one database that all nodes share. Nodes hold no state."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import sqlite3
import time
import uuid

from installation import JOBS_ENDED, main_version, numbers


class MigrationFailed(Exception):
    """It ended half way."""


class Metadata:
    def __init__(self, installation):
        self.installation = installation

    @contextlib.contextmanager
    def open(self, write=False):
        connection = sqlite3.connect(self.installation.database, timeout=30, isolation_level=None)
        try:
            connection.execute("CREATE TABLE IF NOT EXISTS metadata (path TEXT PRIMARY KEY, content TEXT NOT NULL)")
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            connection.close()

    def get(self, path):
        with self.open() as db:
            row = db.execute("SELECT content FROM metadata WHERE path = ?", (path,)).fetchone()
        return json.loads(row[0]) if row else None

    def under(self, folder):
        with self.open() as db:
            rows = db.execute("SELECT path, content FROM metadata WHERE path LIKE ? ORDER BY path", (folder + "/%",)).fetchall()
        return {path: json.loads(content) for path, content in rows}

    def all(self):
        with self.open() as db:
            return dict(db.execute("SELECT path, content FROM metadata ORDER BY path").fetchall())

    def put(self, path, record):
        record = {"version": self.installation.version, **record, "last_modified": int(time.time() * 1000)}
        with self.open(write=True) as db:
            db.execute("INSERT OR REPLACE INTO metadata VALUES (?, ?)", (path, json.dumps(record, sort_keys=True)))
        return record

    def drop(self, path):
        with self.open(write=True) as db:
            db.execute("DELETE FROM metadata WHERE path = ?", (path,))

    def update(self, path, change):
        """Changes a record in one transaction; `change` gives the new one, or None to leave it."""
        with self.open(write=True) as db:
            row = db.execute("SELECT content FROM metadata WHERE path = ?", (path,)).fetchone()
            changed = change(json.loads(row[0])) if row else None
            if changed is not None:
                db.execute("INSERT OR REPLACE INTO metadata VALUES (?, ?)", (path, json.dumps(changed, sort_keys=True)))
            return changed

    def replace_all(self, records):
        with self.open(write=True) as db:
            db.execute("DELETE FROM metadata")
            db.executemany("INSERT INTO metadata VALUES (?, ?)", records.items())

    def newest(self):
        """The newest version that any record is of."""
        versions = [json.loads(content).get("version", "0") for content in self.all().values()]
        return max(versions, key=numbers, default="0")

    def unfinished(self):
        return [job for job in self.under("/execute").values() if job["job_status"] not in JOBS_ENDED]

    @contextlib.contextmanager
    def alone(self):
        """One node at a time: nodes that are started together do not convert the same records."""
        with open(f"{self.installation.database}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def migrate(self, say):
        """Brings records and cube data of an older main version to this one, record by record. Only a main version changes them."""
        with self.alone():
            return self.convert_old(say)

    def convert_old(self, say):
        here = self.installation
        old = [path for path, content in self.all().items()
               if numbers(main_version(json.loads(content).get("version", "0"))) < numbers(here.main)]
        for done, path in enumerate(old):
            if done >= len(old) // 2 and here.switch("migration_fails") is not None:
                raise MigrationFailed(f"{path}: record cannot be converted ({done} of {len(old)} are converted)")
            record = self.get(path)
            if path.startswith("/cube/"):
                for segment in record["segments"]:
                    convert(segment_file(here, record, segment), here.main)
            self.update(path, lambda record: {**record, "version": here.version})
            say(f"converted {path}")
        if old:
            say("Segments have been upgraded successfully.")
        return len(old)


def segment_file(installation, cube, segment):
    folder = f"{installation.working_dir}/{cube['project']}/parquet/{cube['uuid']}/{segment['uuid']}"
    return installation.hdfs(folder) / "part-00000.snappy.parquet"


def write_segment(installation, cube, segment, rows):
    """Cube data: the format's main version, how many rows, and bytes that are the same wherever it is built."""
    path = segment_file(installation, cube, segment)
    path.parent.mkdir(parents=True, exist_ok=True)
    body = hashlib.sha256(f"{cube['name']} {segment['name']}".encode()).hexdigest()
    write_once(path, f"format={installation.main}\nrows={rows}\n{body * 64}\n")


def convert(path, main):
    if path.exists():
        _, rest = path.read_text().split("\n", 1)
        write_once(path, f"format={main}\n{rest}")


def write_once(path, text):
    """No file of HDFS is changed in place: a snapshot keeps the one of before."""
    part = path.with_name(f"_temporary.{os.getpid()}.{path.name}")
    part.write_text(text)
    part.replace(path)


def read_segment(path):
    """The format and the number of rows of a segment's data."""
    head = path.read_text().split("\n")
    return head[0].removeprefix("format="), int(head[1].removeprefix("rows="))


def sample(installation):
    """What a new installation's `bin/sample.sh` loads: the project learn_kylin, its tables, a model and a cube with one segment."""
    meta = Metadata(installation)
    meta.put("/UUID", {"uuid": str(uuid.uuid4())})
    meta.put("/user/ADMIN", {"username": "ADMIN", "password": hashlib.sha256(b"KYLIN").hexdigest(), "authorities": ["ROLE_ADMIN", "ALL_USERS"]})
    meta.put("/project/learn_kylin.json", {
        "name": "learn_kylin", "uuid": str(uuid.uuid4()), "models": ["kylin_sales_model"],
        "realizations": [{"realization": "kylin_sales_cube", "type": "CUBE"}], "override_kylin_properties": {}})
    for name, columns in TABLES.items():
        meta.put(f"/table/DEFAULT.{name}--learn_kylin.json", {
            "name": name, "database": "DEFAULT", "project": "learn_kylin", "source_type": 0,
            "columns": [{"id": str(place + 1), "name": column, "datatype": kind} for place, (column, kind) in enumerate(columns)]})
    meta.put("/model_desc/kylin_sales_model.json", {"name": "kylin_sales_model", "uuid": str(uuid.uuid4()), "project": "learn_kylin", **MODEL})
    meta.put("/cube_desc/kylin_sales_cube.json", {"name": "kylin_sales_cube", "uuid": str(uuid.uuid4()), "model_name": "kylin_sales_model", **CUBE})
    cube = {"name": "kylin_sales_cube", "uuid": str(uuid.uuid4()), "project": "learn_kylin", "model": "kylin_sales_model",
            "descriptor": "kylin_sales_cube", "status": "READY", "segments": []}
    segment = {"uuid": str(uuid.uuid4()), "name": "20120101000000_20130101000000", "status": "READY",
               "date_range_start": 1325376000000, "date_range_end": 1356998400000, "input_records": 10000}
    write_segment(installation, cube, segment, 10000)
    cube["segments"] = [segment]
    meta.put("/cube/kylin_sales_cube.json", cube)


TABLES = {
    "KYLIN_SALES": [("TRANS_ID", "bigint"), ("PART_DT", "date"), ("LSTG_FORMAT_NAME", "varchar(4096)"), ("SELLER_ID", "bigint"),
                    ("PRICE", "decimal(19,4)"), ("ITEM_COUNT", "bigint")],
    "KYLIN_CAL_DT": [("CAL_DT", "date"), ("YEAR_BEG_DT", "date"), ("WEEK_BEG_DT", "date")],
}
MODEL = {
    "fact_table": "DEFAULT.KYLIN_SALES",
    "lookups": [{"table": "DEFAULT.KYLIN_CAL_DT", "kind": "LOOKUP", "alias": "KYLIN_CAL_DT",
                 "join": {"type": "inner", "primary_key": ["KYLIN_CAL_DT.CAL_DT"], "foreign_key": ["KYLIN_SALES.PART_DT"]}}],
    "dimensions": [{"table": "KYLIN_SALES", "columns": ["PART_DT", "LSTG_FORMAT_NAME", "SELLER_ID"]},
                   {"table": "KYLIN_CAL_DT", "columns": ["WEEK_BEG_DT"]}],
    "metrics": ["KYLIN_SALES.PRICE", "KYLIN_SALES.ITEM_COUNT"],
    "partition_desc": {"partition_date_column": "KYLIN_SALES.PART_DT", "partition_type": "APPEND"},
}
CUBE = {
    "dimensions": [{"name": "PART_DT", "table": "KYLIN_SALES", "column": "PART_DT", "derived": None},
                   {"name": "LSTG_FORMAT_NAME", "table": "KYLIN_SALES", "column": "LSTG_FORMAT_NAME", "derived": None},
                   {"name": "WEEK_BEG_DT", "table": "KYLIN_CAL_DT", "column": "{FK}", "derived": ["WEEK_BEG_DT"]}],
    "measures": [{"name": "_COUNT_", "function": {"expression": "COUNT", "parameter": {"type": "constant", "value": "1"}, "returntype": "bigint"}},
                 {"name": "GMV_SUM", "function": {"expression": "SUM", "parameter": {"type": "column", "value": "KYLIN_SALES.PRICE"},
                                                  "returntype": "decimal(19,4)"}}],
}


def export(meta, folder):
    """Writes every record into a folder, as `metastore.sh backup` does."""
    folder = pathlib.Path(folder)
    for path, content in meta.all().items():
        target = folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)


def gather(folder):
    """Reads such a folder."""
    folder = pathlib.Path(folder)
    return {"/" + str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
