"""Build jobs: records under /execute, advanced by whichever node runs."""

import time
import uuid

from installation import JOBS_ENDED
from metadata import read_segment, segment_file, write_segment

STEPS = ("Create Intermediate Flat Hive Table", "Extract Fact Table Distinct Columns", "Build Base Cuboid", "Update Cube Info")


def now():
    return int(time.time() * 1000)


def stamp(milliseconds):
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(milliseconds / 1000))


def segment_name(start, end):
    return "FULL_BUILD" if start == end == 0 else f"{stamp(start)}_{stamp(end)}"


def submit(here, meta, cube, kind, segment, user):
    """A new job that builds a segment; it takes `kylin.simulator.build-seconds` (a quarter of a second where not given)."""
    job = {
        "uuid": str(uuid.uuid4()), "name": f"{kind} CUBE - {cube['name']} - {segment['name']} - GMT+00:00 {time.strftime('%F %T', time.gmtime())}",
        "type": kind, "related_cube": cube["name"], "display_cube_name": cube["name"], "project_name": cube["project"],
        "related_segment": segment["uuid"], "submitter": user, "job_status": "PENDING", "progress": 0.0, "duration": 0, "mr_waiting": 0,
        "exec_start_time": 0, "exec_end_time": 0, "exec_interrupt_time": 0, "create_time": now(), "info": "",
        "seconds": float(here.properties.get("kylin.simulator.build-seconds", 0.25)),
        "steps": [{"name": name, "sequence_id": place, "step_status": "PENDING"} for place, name in enumerate(STEPS)],
    }
    job["steps"] = [{"id": f"{job['uuid']}-{step['sequence_id']:02}", **step} for step in job["steps"]]
    return meta.put(f"/execute/{job['uuid']}", job)


def advance(here, meta):
    """Lets every pending and running job go on. Jobs without `seconds` never end by themselves."""
    for path, job in meta.under("/execute").items():
        if job["job_status"] == "PENDING":
            meta.update(path, lambda job: {**job, "job_status": "RUNNING", "exec_start_time": now()} if job["job_status"] == "PENDING" else None)
        elif job["job_status"] == "RUNNING" and job.get("seconds") is not None:
            passed = (now() - job["exec_start_time"]) / 1000
            share = min(1.0, passed / job["seconds"]) if job["seconds"] else 1.0
            if share >= 0.5 and job["type"] == "BUILD" and here.switch("segment_build_fails") is not None:
                finish(here, meta, path, "ERROR", share)
            elif share < 1.0:
                meta.update(path, lambda job: progressed(job, "RUNNING", share) if job["job_status"] == "RUNNING" else None)
            else:
                finish(here, meta, path, "FINISHED", share)


def progressed(job, status, share):
    done = int(share * len(job["steps"]))
    steps = [{**step, "step_status": "FINISHED" if place < done else "RUNNING" if place == done else "PENDING"}
             for place, step in enumerate(job["steps"])]
    return {**job, "job_status": status, "progress": round(share * 100, 2), "duration": (now() - job["exec_start_time"]) // 1000, "steps": steps}


def finish(here, meta, path, status, share):
    job = meta.get(path)
    if status == "FINISHED" and job.get("related_segment"):
        def publish(cube):
            for segment in cube["segments"]:
                if segment["uuid"] == job["related_segment"]:
                    write_segment(here, cube, segment, 100)
                    segment.update(status="READY", input_records=100, last_build_job_id=job["uuid"], last_build_time=now())
            return cube
        meta.update(f"/cube/{job['related_cube']}.json", publish)
    info = "" if status == "FINISHED" else "org.apache.kylin.engine.mr.exception.MapReduceException: Counters: 0"
    meta.update(path, lambda job: {**progressed(job, status, share), "exec_end_time": now(), "info": info} if job["job_status"] == "RUNNING" else None)


def act(meta, job_id, action):
    """resume, pause or cancel, as far as the job's state allows."""
    wanted = {"resume": "PENDING", "pause": "STOPPED", "cancel": "DISCARDED"}[action]

    def change(job):
        if job["job_status"] in JOBS_ENDED:
            raise ValueError(f"The job {job_id} has been {job['job_status'].lower()} and cannot be changed by {action}")
        if action == "resume" and job["job_status"] not in ("ERROR", "STOPPED"):
            raise ValueError(f"The job {job_id} is {job['job_status']} and cannot be resumed")
        return {**job, "job_status": wanted, "exec_interrupt_time": now()}

    job = meta.update(f"/execute/{job_id}", change)
    if job and action == "cancel" and job.get("related_segment"):
        meta.update(f"/cube/{job['related_cube']}.json",
                    lambda cube: {**cube, "segments": [s for s in cube["segments"] if s["uuid"] != job["related_segment"] or s["status"] == "READY"]})
    return job


def count_rows(here, cube):
    """How many rows a cube has; cube data of another main version's format cannot be read."""
    total = 0
    for segment in cube["segments"]:
        if segment["status"] == "READY":
            path = segment_file(here, cube, segment)
            if not path.exists():
                raise ValueError(f"File does not exist: {path.name} of segment {segment['name']}")
            form, rows = read_segment(path)
            if form != here.main:
                raise ValueError(f"cube data of segment {segment['name']} has format {form}; this version reads {here.main}")
            total += rows
    return total
