"""`kubectl`: the commands that people and Windlass use on Pachyderm, with its flags, tables, JSON, messages and exit codes."""

import datetime
import json
import sys
import time

from .cluster import Cluster, selector
from .laboratory import fail, of_kubeconfig, place
from .pachd import Pachd

KINDS = {
    "Pod": ("pods", "pod", "po"), "PersistentVolumeClaim": ("persistentvolumeclaims", "persistentvolumeclaim", "pvc"),
    "PersistentVolume": ("persistentvolumes", "persistentvolume", "pv"), "Deployment": ("deployments", "deployment", "deploy", "deployments.apps", "deployment.apps"),
    "StatefulSet": ("statefulsets", "statefulset", "sts", "statefulset.apps"), "Service": ("services", "service", "svc"), "Secret": ("secrets", "secret"),
    "ServiceAccount": ("serviceaccounts", "serviceaccount", "sa"), "StorageClass": ("storageclasses", "storageclass", "sc"), "Node": ("nodes", "node", "no"),
    "ConfigMap": ("configmaps", "configmap", "cm"),
}
GLOBAL = {"PersistentVolume", "StorageClass", "Node"}
VALUED = {"-n": "namespace", "--namespace": "namespace", "--context": "context", "--kubeconfig": "kubeconfig", "-o": "output", "--output": "output",
          "-l": "selector", "--selector": "selector", "-f": "filename", "--filename": "filename", "--for": "for", "--timeout": "timeout",
          "--request-timeout": "request-timeout", "--field-manager": "field-manager", "--address": "address"}
TRUTHS = {"--ignore-not-found", "--no-headers", "--wait", "--now", "--server-side", "--client", "--watch", "--all", "--force-conflicts", "--minify", "--raw"}


def parse(argv):
    words, options, rest = [], {}, list(argv)
    while rest:
        each = rest.pop(0)
        name, _, value = each.partition("=")
        if not each.startswith("-") or each == "-":
            words.append(each)
        elif name in VALUED:
            if not value and "=" not in each:
                if not rest:
                    fail(f"error: flag needs an argument: {each}")
                value = rest.pop(0)
            options[VALUED[name]] = value
        elif name in TRUTHS:
            options[name.lstrip("-")] = value or "true"
        elif each.startswith("-o"):
            options["output"] = each[2:]
        else:
            fail(f"error: unknown flag: {name}\nSee 'kubectl --help' for usage.")
    return words, options


def kind_of(text):
    for kind, names in KINDS.items():
        if text.lower() in names:
            return kind
    return fail(f'error: the server doesn\'t have a resource type "{text}"')


def plural(kind):
    return KINDS[kind][0] + (".apps" if kind in ("Deployment", "StatefulSet") else "")


def wanted(words, options):
    """[(kind, name or None)] of `pods`, `pod/etcd-0`, `pod etcd-0 etcd-1`."""
    if words and "/" in words[0]:
        return [(kind_of(each.split("/")[0]), each.split("/", 1)[1]) for each in words]
    kinds = [kind_of(each) for each in words[0].split(",")] if words else fail("error: You must specify the type of resource to get.")
    names = words[1:] or [None]
    return [(kind, name) for kind in kinds for name in names]


def found(cluster, namespace, words, options):
    """The objects that are meant; one that is named and not there is an error."""
    result, missing = [], []
    for kind, name in wanted(words, options):
        space = None if kind in GLOBAL else namespace
        if name is None:
            result += cluster.list(kind, space, selector(options.get("selector")))
        elif (each := cluster.get(kind, space, name)) is not None:
            result.append(each)
        elif options.get("ignore-not-found") != "true":
            missing.append(f'Error from server (NotFound): {plural(kind)} "{name}" not found')
    return [cluster.seen(each) for each in result], missing


def age(each):
    then = datetime.datetime.strptime(each["metadata"]["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    seconds = max(int(time.time() - then.timestamp()), 0)
    return f"{seconds}s" if seconds < 120 else f"{seconds // 60}m"


def pod_row(each):
    status = each["status"]
    containers = status.get("containerStatuses", [])
    waiting = [state["waiting"]["reason"] for state in (one["state"] for one in containers) if "waiting" in state]
    ready = sum(one["ready"] for one in containers)
    total = len(each["spec"]["containers"])
    return [each["metadata"]["name"], f"{ready}/{total}", waiting[0] if waiting else status["phase"], str(max([one["restartCount"] for one in containers] or [0])), age(each)]


def rows(kind, items):
    if kind == "Pod":
        return ["NAME", "READY", "STATUS", "RESTARTS", "AGE"], [pod_row(each) for each in items]
    if kind in ("Deployment", "StatefulSet"):
        return ["NAME", "READY", "AGE"], [[each["metadata"]["name"], f"{each['status']['readyReplicas']}/{each['spec']['replicas']}", age(each)] for each in items]
    if kind == "PersistentVolumeClaim":
        return ["NAME", "STATUS", "VOLUME", "AGE"], [[each["metadata"]["name"], "Bound", each["spec"]["volumeName"], age(each)] for each in items]
    return ["NAME", "AGE"], [[each["metadata"]["name"], age(each)] for each in items]


def table(head, lines):
    widths = [max(len(line[i]) for line in [head, *lines]) + 3 for i in range(len(head))]
    for line in [head, *lines]:
        print("".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def get(cluster, namespace, words, options):
    if words == ["all"]:
        words = ["pods,services,deployments,statefulsets"]
    items, missing = found(cluster, namespace, words, options)
    output = options.get("output", "")
    if output == "json":
        named = len(words) == 2 or (words and "/" in words[0] and len(words) == 1)
        if named and items:
            print(json.dumps(items[0], indent=4))
        elif not named:
            print(json.dumps({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}, indent=4))
    elif output == "name":
        for each in items:
            print(f"{KINDS[each['kind']][1]}/{each['metadata']['name']}")
    elif output:
        fail(f"error: unable to match a printer suitable for the output format \"{output}\"")
    elif items:
        for number, kind in enumerate(dict.fromkeys(each["kind"] for each in items)):
            head, lines = rows(kind, [each for each in items if each["kind"] == kind])
            print("\n" * bool(number), end="")
            table(head, lines) if options.get("no-headers") != "true" else table(lines[0], lines[1:])
    elif not missing and options.get("ignore-not-found") != "true":
        print(f"No resources found in {namespace} namespace.", file=sys.stderr)
    if missing:
        fail("\n".join(missing))


def delete(cluster, namespace, words, options):
    items, missing = found(cluster, namespace, words, options)
    for each in items:
        cluster.laboratory.log("kubectl", ["delete", each["kind"].lower(), each["metadata"]["name"]])
        cluster.drop(each["kind"], None if each["kind"] in GLOBAL else namespace, each["metadata"]["name"])
        name = each["metadata"]["name"]
        print(f'{KINDS[each["kind"]][1]}/{name}' if options.get("output") == "name" else f'{KINDS[each["kind"]][1]} "{name}" deleted')
    cluster.reconcile()
    if missing:
        fail("\n".join(missing))


def describe(cluster, namespace, words, options):
    items, missing = found(cluster, namespace, words, options)
    for each in items:
        print(f"Name:         {each['metadata']['name']}\nNamespace:    {namespace}")
        if each["kind"] == "Pod":
            print(f"Node:         {each['spec']['nodeName']}\nStatus:       {pod_row(each)[2]}\nEvents:")
            for one in each["status"].get("conditions", []):
                if "message" in one:
                    print(f"  Warning  FailedScheduling  default-scheduler  {one['message']}")
            for one in each["status"].get("containerStatuses", []):
                if "waiting" in one["state"] and "message" in one["state"]["waiting"]:
                    print(f"  Warning  BackOff           kubelet            {one['state']['waiting']['message']}")
    if missing:
        fail("\n".join(missing))


def logs(cluster, namespace, words, options):
    pod = cluster.get("Pod", namespace, words[0].removeprefix("pod/")) or fail(f'Error from server (NotFound): pods "{words[0]}" not found')
    for one in cluster.status(pod).get("containerStatuses", []):
        print(one["lastState"].get("terminated", {}).get("message", "started"))


def apply(cluster, namespace, words, options):
    text = sys.stdin.read() if options.get("filename") == "-" else open(options["filename"]).read()
    try:
        manifest = json.loads(text)
    except ValueError:
        fail("error: error parsing STDIN: the simulator reads JSON manifests")
    for each in manifest["items"] if manifest.get("kind") == "List" else [manifest]:
        space = each["metadata"].get("namespace", namespace)
        there = cluster.get(each["kind"], space, each["metadata"]["name"])
        cluster.put(each, space)
        done = "serverside-applied" if options.get("server-side") == "true" else ("configured" if there else "created")
        print(f"{KINDS[each['kind']][1]}/{each['metadata']['name']}" + ("" if options.get("output") == "name" else f" {done}"))


def holds(each, condition):
    kind, _, value = condition.partition("=")
    return any(one["type"].lower() == kind.lower() and one["status"] == (value or "True") for one in each.get("status", {}).get("conditions", []))


def seconds(text):
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]] if text[-1:].isalpha() else float(text)


def run(verb, words, options):
    config = of_kubeconfig(options.get("kubeconfig"))
    if verb == "version":
        return print(json.dumps({"clientVersion": {"major": "1", "minor": "11", "gitVersion": "v1.11.5"}}))
    if verb == "config" and words[:1] == ["current-context"]:
        return print(config["current-context"])
    laboratory, name, namespace = place(config, options.get("context"))
    namespace = options.get("namespace", namespace)
    once = {"get": get, "delete": delete, "describe": describe, "logs": logs, "apply": apply, "create": apply}
    if verb in once:
        with laboratory.locked():
            cluster = Cluster(laboratory, name)
            for space in {each["metadata"]["namespace"] for each in cluster.objects.values() if each["kind"] == "Deployment"}:
                Pachd(cluster, space).tend()
            try:
                once[verb](cluster, namespace, words, options)
            finally:
                cluster.save()
        return None
    if verb == "rollout" and words[:1] == ["status"]:
        return until(laboratory, name, namespace, words[1:], options, lambda items: all(each["status"]["readyReplicas"] >= each["spec"]["replicas"] for each in items),
                     lambda each: f'{each["kind"].lower()} "{each["metadata"]["name"]}" successfully rolled out')
    if verb == "wait":
        condition = options["for"]
        if condition == "delete":
            options["ignore-not-found"] = "true"
            return until(laboratory, name, namespace, words, options, lambda items: not items, None)
        wish = condition.removeprefix("condition=")
        return until(laboratory, name, namespace, words, options, lambda items: all(holds(each, wish) for each in items),
                     lambda each: f"{KINDS[each['kind']][1]}/{each['metadata']['name']} condition met")
    return fail(f'error: unknown command "{verb}" for "kubectl"')


def until(laboratory, name, namespace, words, options, done, said):
    limit = seconds(options.get("timeout", "30s"))
    end = time.monotonic() + limit
    while True:
        with laboratory.locked():
            cluster = Cluster(laboratory, name)
            Pachd(cluster, namespace).tend()
            items, missing = found(cluster, namespace, words, options)
            cluster.save()
        if missing:
            fail("\n".join(missing))
        if not items and said:
            fail("error: no matching resources found")
        if done(items):
            for each in items if said else []:
                print(said(each))
            return
        if time.monotonic() >= end:
            fail(f"error: timed out waiting for the condition on {KINDS[items[0]['kind']][0]}/{items[0]['metadata']['name']}")
        time.sleep(0.05)


def main():
    words, options = parse(sys.argv[1:])
    if not words:
        fail("kubectl controls the Kubernetes cluster manager.", 0)
    run(words[0], words[1:], options)
