"""The REST API: `v2` (3.x) and `v4` (4.x) answer the same from the same records, in other words."""

import json
import re
import uuid

import jobs
from metadata import segment_file

STATUS_NUMBERS = {0: "NEW", 1: "PENDING", 2: "RUNNING", 4: "FINISHED", 8: "ERROR", 16: "DISCARDED", 32: "STOPPED"}


class Refused(Exception):
    """A request that is answered by a status and a message."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def answer(server, style, method, path, query, body, user):
    """What goes into `data`."""
    for wanted, pattern, serve in ROUTES:
        match = re.fullmatch(pattern, path.rstrip("/"))
        if match and method in wanted.split():
            return serve(Request(server, style, query, body or {}, user), *match.groups())
    raise Refused(404, f"no such endpoint: {method} {path}")


class Request:
    def __init__(self, server, style, query, body, user):
        self.here, self.meta, self.style, self.query, self.body, self.user = server.here, server.metadata, style, query, body, user

    def page(self, name, items):
        offset = int(self.query.get("pageOffset", self.query.get("page_offset", 0)))
        size = int(self.query.get("pageSize", self.query.get("page_size", 10)))
        shown = items[offset * size : (offset + 1) * size]
        if self.style == "v2":
            return {name: shown, "size": len(items)}
        return {"value": shown, "offset": offset, "limit": size, "total_size": len(items)}

    @property
    def project(self):
        return self.query.get("projectName") or self.query.get("project") or self.body.get("project")

    def records(self, folder):
        """Those of the project that was asked for, or all."""
        return [record for record in self.meta.under(folder).values() if self.project in (None, record.get("project"))]

    def cube(self, name):
        cube = self.meta.get(f"/cube/{name}.json")
        if cube is None:
            raise Refused(400, f"Can't find cube {name}")
        return cube


def authentication(r):
    return {"username": r.user["username"], "authorities": [{"authority": name} for name in r.user["authorities"]], "disabled": False,
            "locked": False, "default_password": False}


def projects(r):
    return r.page("projects", list(r.meta.under("/project").values()))


def update_project(r):
    wanted = json.loads(r.body["projectDescData"])
    name = r.body["formerProjectName"]

    def change(project):
        before = project["override_kylin_properties"].get("kylin.source.default")
        after = wanted["override_kylin_properties"].get("kylin.source.default")
        if before is not None and before != after:
            raise Refused(400, f"the default data source of {name} is set and cannot be changed")
        if after == "16":
            raise Refused(400, "RDBMS cannot be the default data source of a project with several")
        return {**project, "override_kylin_properties": wanted["override_kylin_properties"]}

    changed = r.meta.update(f"/project/{name}.json", change)
    if changed is None:
        raise Refused(400, f"Can't find project {name}")
    return changed


def list_jobs(r):
    found = list(r.meta.under("/execute").values())
    if r.query.get("projectName") or r.query.get("project"):
        found = [job for job in found if job["project_name"] == r.project]
    if "status" in r.query:
        # A list, as in Apache Kylin: the parameter may be given several times.
        wanted = {STATUS_NUMBERS.get(int(number)) for number in r.query["status"].split(",")}
        found = [job for job in found if job["job_status"] in wanted]
    if "statuses" in r.query:
        found = [job for job in found if job["job_status"] in r.query["statuses"].split(",")]
    if "key" in r.query:
        found = [job for job in found if r.query["key"] in (job["uuid"], job["related_cube"])]
    found.sort(key=lambda job: job["last_modified"], reverse=True)
    return r.page("jobs", [in_style(r, job) for job in found])


def in_style(r, job):
    if r.style == "v2":
        return job
    return {"id": job["uuid"], "job_status": job["job_status"], "job_name": "INC_BUILD", "project": job["project_name"], "submitter": job["submitter"],
            "target_subject": job["related_cube"], "target_segments": [job["related_segment"]], "step_ratio": job["progress"] / 100,
            "duration": job["duration"], "create_time": job["create_time"], "last_modified": job["last_modified"], "steps": None}


def one_job(r, job_id):
    job = r.meta.get(f"/execute/{job_id}")
    if job is None:
        raise Refused(400, f"Can't find job {job_id}")
    return in_style(r, job)


def act_on_job(r, job_id, action):
    one_job(r, job_id)
    try:
        return in_style(r, jobs.act(r.meta, job_id, action))
    except ValueError as error:
        raise Refused(400, str(error)) from error


def act_on_jobs(r):
    action = {"RESUME": "resume", "DISCARD": "cancel", "PAUSE": "pause"}[r.body["action"]]
    for job_id in r.body["job_ids"]:
        act_on_job(r, job_id, action)
    return ""


def drop_job(r, job_id):
    job = one_job(r, job_id)
    if job["job_status"] not in jobs.JOBS_ENDED:
        raise Refused(400, f"The job {job_id} is {job['job_status']} and cannot be deleted")
    r.meta.drop(f"/execute/{job_id}")
    return job


def models(r):
    found = []
    for model in r.records("/model_desc"):
        if r.query.get("model_name") not in (None, model["name"]):
            continue
        found.append(model if r.style == "v2" else v4_model(r, model))
    return r.page("models", found)


def v4_model(r, model):
    named = [(table["table"], column) for table in model["dimensions"] for column in table["columns"]]
    columns = [{"id": place, "name": column, "column": f"{table}.{column}", "status": "DIMENSION"} for place, (table, column) in enumerate(named)]
    measures = [{"id": 100000, "name": "COUNT_ALL", "function": {"expression": "COUNT", "parameters": [{"type": "constant", "value": "1"}], "returntype": "bigint"}}]
    return {"name": model["name"], "alias": model["name"], "uuid": model["uuid"], "project": model["project"], "status": "ONLINE", "fact_table": model["fact_table"],
            "join_tables": model["lookups"], "lookups": model["lookups"], "all_named_columns": columns, "all_measures": measures,
            "simplified_dimensions": columns, "simplified_measures": [{"id": m["id"], "name": m["name"], "expression": "COUNT",
                                                                     "parameter_value": [{"type": "constant", "value": "1"}]} for m in measures]}


def cubes(r):
    found = [cube for cube in r.records("/cube") if r.query.get("cubeName") in (None, cube["name"])]
    return r.page("cubes", found)


def cube_desc(r, project, name):
    desc = r.meta.get(f"/cube_desc/{name}.json")
    return {"cube": desc}


def build(r, name):
    """`startTime`, `endTime`, `buildType`: BUILD adds a segment, or builds a full one anew."""
    cube = r.cube(name)
    start, end = int(r.body["startTime"]), int(r.body["endTime"])
    there = [s for s in cube["segments"] if (s["date_range_start"], s["date_range_end"]) == (start, end)]
    if start != end and any(s["date_range_start"] < end and start < s["date_range_end"] for s in cube["segments"]):
        raise Refused(400, f"Segments overlap: {there[0]['name'] if there else 'another segment'} is in this range")
    if start == end == 0 and there:
        return jobs.submit(r.here, r.meta, cube, "BUILD", there[0], r.user["username"])
    segment = {"uuid": str(uuid.uuid4()), "name": jobs.segment_name(start, end), "status": "NEW", "date_range_start": start,
               "date_range_end": end, "input_records": 0}
    r.meta.update(f"/cube/{name}.json", lambda cube: {**cube, "segments": cube["segments"] + [segment]})
    return jobs.submit(r.here, r.meta, cube, "BUILD", segment, r.user["username"])


def change_segments(r, name):
    """`buildType` REFRESH or DROP of `segments`, by name."""
    cube = r.cube(name)
    chosen = [segment for segment in cube["segments"] if segment["name"] in r.body["segments"]]
    if len(chosen) != len(r.body["segments"]):
        raise Refused(400, f"Can't find the segments {r.body['segments']} of {name}")
    if r.body["buildType"] == "REFRESH":
        return [jobs.submit(r.here, r.meta, cube, "BUILD", segment, r.user["username"]) for segment in chosen]
    if r.body["buildType"] != "DROP":
        raise Refused(400, f"Unsupported build type: {r.body['buildType']}")
    gone = {segment["uuid"] for segment in chosen}
    r.meta.update(f"/cube/{name}.json", lambda cube: {**cube, "segments": [s for s in cube["segments"] if s["uuid"] not in gone]})
    for segment in chosen:
        segment_file(r.here, cube, segment).unlink(missing_ok=True)
    return []


def model_segments(r, name):
    """4.x builds by model; here a model has one cube."""
    cube = next((cube for cube in r.meta.under("/cube").values() if cube["model"] == name), None)
    if cube is None:
        raise Refused(400, f"Can't find model {name}")
    return cube


def list_model_segments(r, name):
    cube = model_segments(r, name)
    return r.page("value", [{"id": s["uuid"], "name": s["name"], "status": s["status"], "status_to_display": "ONLINE" if s["status"] == "READY" else "LOADING"}
                            for s in cube["segments"]])


def build_model(r, name):
    cube = model_segments(r, name)
    r.body.update(startTime=r.body["start"], endTime=r.body["end"])
    job = build(r, cube["name"])
    return {"jobs": [{"job_name": "INC_BUILD", "job_id": job["uuid"]}]}


def tables_and_columns(r):
    found = []
    for table in r.records("/table"):
        columns = [{"table_SCHEM": table["database"], "table_NAME": table["name"], "column_NAME": column["name"], "type_NAME": column["datatype"].upper(),
                    "ordinal_POSITION": int(column["id"])} for column in table["columns"]]
        found.append({"table_SCHEM": table["database"], "table_NAME": table["name"], "table_TYPE": "TABLE", "columns": columns})
    return found


def tables(r):
    found = r.records("/table")
    return found if r.style == "v2" else r.page("value", found)


def query(r):
    """Counts the rows of the project's cubes, which needs metadata and cube data that this version can read."""
    error = None
    rows = 0
    if r.here.switch("query_fails") is not None:
        error = "Error while executing SQL: No realization found for OLAPContext"
    elif r.meta.get(f"/project/{r.body.get('project')}.json") is None:
        raise Refused(500, f"Cannot find project '{r.body.get('project')}'")
    else:
        try:
            rows = sum(jobs.count_rows(r.here, cube) for cube in r.meta.under("/cube").values() if cube["project"] == r.body["project"])
        except ValueError as failure:
            error = f"Error while executing SQL: {failure}"
    return {"columnMetas": [{"label": "EXPR$0", "name": "EXPR$0", "columnType": -5, "columnTypeName": "BIGINT", "isNullable": 0}],
            "results": None if error else [[str(rows)]], "cube": "CUBE[name=kylin_sales_cube]", "affectedRowCount": 0, "isException": error is not None,
            "exceptionMessage": error, "queryId": str(uuid.uuid4()), "duration": 12, "pushDown": False, "server": f"localhost:{r.here.port}"}


ROUTES = (
    ("GET POST", "/user/authentication", authentication),
    ("GET", "/projects", projects),
    ("PUT", "/projects", update_project),
    ("GET", "/jobs", list_jobs),
    ("PUT", "/jobs/status", act_on_jobs),
    ("GET", "/jobs/([^/]+)", one_job),
    ("PUT", "/jobs/([^/]+)/(resume|pause|cancel)", act_on_job),
    ("DELETE", "/jobs/([^/]+)/drop", drop_job),
    ("GET", "/models", models),
    ("GET", "/models/([^/]+)/segments", list_model_segments),
    ("POST", "/models/([^/]+)/segments", build_model),
    ("GET", "/cubes", cubes),
    ("GET", "/cube_desc/([^/]+)/([^/]+)", cube_desc),
    ("PUT", "/cubes/([^/]+)/segments/build", build),
    ("PUT", "/cubes/([^/]+)/segments", change_segments),
    ("GET", "/tables_and_columns", tables_and_columns),
    ("GET", "/query/tables_and_columns", tables_and_columns),
    ("GET", "/tables", tables),
    ("POST", "/query", query),
)
