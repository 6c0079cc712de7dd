"""Talks to a simulator by `kylinpy`: `conformance.py v2|v4 PORT`. Ends with an error where the client does not understand an answer."""

import datetime
import sys
import time

from kylinpy import create_kylin
from kylinpy.client import HTTPError, UnauthorizedError
from kylinpy.exceptions import KylinQueryError


def wait_for(what, holds):
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    raise SystemExit(f"{what} never happened")


def main():
    version, port = sys.argv[1:]
    dsn = f"kylin://ADMIN:{{}}@127.0.0.1:{port}/learn_kylin?version={version}"
    kylin = create_kylin(dsn.format("KYLIN"))
    user = kylin.service.get_authentication()
    assert user["username"] == "ADMIN" and {"authority": "ROLE_ADMIN"} in user["authorities"], user
    try:
        create_kylin(dsn.format("wrong")).service.get_authentication()
        raise SystemExit("a wrong password was taken")
    except UnauthorizedError:
        pass
    assert [project["name"] for project in kylin.projects()] == ["learn_kylin"]
    assert sorted(kylin.get_all_tables("DEFAULT")) == ["KYLIN_CAL_DT", "KYLIN_SALES"]
    assert kylin.get_all_schemas() == ["DEFAULT"]
    assert "TRANS_ID" in [column.name for column in kylin.get_table_source("KYLIN_SALES", "DEFAULT").columns]
    assert sorted(kylin.service.tables_in_hive()) == ["DEFAULT.KYLIN_CAL_DT", "DEFAULT.KYLIN_SALES"]

    source = kylin.get_datasource("kylin_sales_cube" if version == "v2" else "kylin_sales_model")
    assert "KYLIN_SALES.PART_DT" in [dimension.name for dimension in source.dimensions]
    assert "COUNT (1)" in [measure.expression for measure in source.measures]
    assert kylin.list_datasources() == ["kylin_sales_cube" if version == "v2" else "kylin_sales_model"]

    answer = kylin.query("select count(*) from kylin_sales")
    assert answer["results"] == [["10000"]] and answer["columnMetas"][0]["columnTypeName"] == "BIGINT", answer
    other = create_kylin(dsn.format("KYLIN").replace("learn_kylin", "no_such"))
    try:
        other.query("select 1")
        raise SystemExit("a project that is not there was queried")
    except KylinQueryError:
        pass

    start, end = datetime.datetime(2014, 1, 1), datetime.datetime(2014, 1, 2)
    if version == "v2":
        # The client has no call for 3.x that builds; this is the documented one.
        job = kylin.service.client.put("/cubes/kylin_sales_cube/segments/build", json={
            "startTime": 1388534400000, "endTime": 1388620800000, "buildType": "BUILD"}).json()["data"]["uuid"]
        finished = lambda: [j["job_status"] for j in kylin.service.jobs() if j["uuid"] == job] == ["FINISHED"]  # noqa: E731
        wait_for("the segment", finished)
        assert len(kylin.service.cubes()[0]["segments"]) == 2
        try:
            kylin.service.resume_job(job)
            raise SystemExit("a finished job was resumed")
        except HTTPError as error:
            assert error.status_code == 400, error
    else:
        job = source.build(start, end)["jobs"][0]["job_id"]
        wait_for("the segment", lambda: kylin.get_job(job).status == "FINISHED")
        assert [segment["status_to_display"] for segment in source.list_segment()] == ["ONLINE", "ONLINE"]
    assert kylin.query("select count(*) from kylin_sales")["results"] == [["10100"]]


if __name__ == "__main__":
    main()
