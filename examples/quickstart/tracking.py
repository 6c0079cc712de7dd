"""Talks to an MLflow tracking server through its REST API, with nothing but the standard library.

`tracking.py write URL` makes two experiments with fifty runs each and logs metrics; `tracking.py fingerprint URL` prints how many
experiments, runs and metrics there are, and the sum of all metrics.
"""

import json
import sys
import urllib.request

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(base, path, body):
    request = urllib.request.Request(base + "/api/2.0/mlflow/" + path, method="POST", data=json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with OPENER.open(request, timeout=30) as answer:
        return json.load(answer)


def pages(base, path, body, key):
    token = None
    while True:
        answer = call(base, path, {**body, **({"page_token": token} if token else {})})
        yield from answer.get(key, [])
        token = answer.get("next_page_token")
        if not token:
            return


def write(base, experiments=2, runs=50):
    for e in range(experiments):
        experiment = call(base, "experiments/create", {"name": f"experiment {e} of {base}"})["experiment_id"]
        for r in range(runs):
            run = call(base, "runs/create", {"experiment_id": experiment, "start_time": 1})["run"]["info"]["run_id"]
            metrics = [{"key": f"m{m}", "value": e + r * 0.5 + m * 0.25, "timestamp": 1, "step": 0} for m in range(3)]
            call(base, "runs/log-batch", {"run_id": run, "metrics": metrics})


def fingerprint(base):
    experiments = [e["experiment_id"] for e in pages(base, "experiments/search", {"max_results": 500}, "experiments")]
    runs = list(pages(base, "runs/search", {"experiment_ids": experiments, "max_results": 500}, "runs"))
    metrics = [metric["value"] for run in runs for metric in run["data"].get("metrics", [])]
    return f"{len(experiments)} experiments, {len(runs)} runs, {len(metrics)} metrics, sum {sum(metrics):.2f}"


if __name__ == "__main__":
    action, url = sys.argv[1:]
    if action == "write":
        write(url)
    print(fingerprint(url))
