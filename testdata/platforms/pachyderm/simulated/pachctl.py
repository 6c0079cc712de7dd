"""`pachctl`, of the version that its wrapper says: 1.9 and above say `list repo`, older ones `list-repo`."""

import base64
import json
import os
import shutil
import socket
import sys
import threading
import time

from . import manifests
from .cluster import Cluster
from .laboratory import fail, of_kubeconfig, place
from .pachd import Pachd, Refused, minor

COMMANDS = ["version", "deploy", "undeploy", "extract", "restore", "port-forward", "create-repo", "put-file", "get-file", "list-repo",
            "list-commit", "list-pipeline", "create-pipeline", "start-pipeline", "stop-pipeline"]
VERBS = {"create", "put", "get", "list", "start", "stop"}
FLAGS = {"--client-only", "--no-objects", "--raw", "--all", "--dry-run", "--no-dashboard", "--dashboard", "--no-metrics", "--verbose"}
SHORT = {"-u": "--url", "-p": "--port", "-f": "--file", "-a": "--all", "-v": "--verbose"}


def parse(argv):
    """(words, options)."""
    words, options = [], {}
    rest = list(argv)
    while rest:
        each = rest.pop(0)
        each = SHORT.get(each, each)
        if not each.startswith("--"):
            words.append(each)
        elif "=" in each:
            name, value = each.split("=", 1)
            options[name[2:].replace("-", "_")] = value
        elif each in FLAGS:
            options[each[2:].replace("-", "_")] = True
        else:
            if not rest:
                fail(f"Error: flag needs an argument: {each}")
            options[each[2:].replace("-", "_")] = rest.pop(0)
    return words, options


def command(words, version):
    """The command as `list-repo`, and its arguments."""
    if not words:
        fail("Usage:\n  pachctl [command]", 0)
    first = words[0]
    if minor(version) >= (1, 9):
        if first in VERBS and len(words) > 1:
            return f"{first}-{words[1]}", words[2:]
        if "-" in first and first.split("-")[0] in VERBS:
            fail(f'Error: unknown command "{first}" for "pachctl"\nRun \'pachctl --help\' for usage.')
    if first not in COMMANDS:
        fail(f'Error: unknown command "{first}" for "pachctl"\nRun \'pachctl --help\' for usage.')
    return first, words[1:]


def address():
    return os.environ.get("PACHD_ADDRESS") or os.environ.get("ADDRESS") or "0.0.0.0:30650"


def ask(**request):
    """Asks the server that ADDRESS leads to."""
    where = address()
    host, port = where.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.settimeout(30)
            with connection.makefile("rw", encoding="utf-8") as stream:
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                line = stream.readline()
        if not line:
            raise OSError("transport is closing")
        reply = json.loads(line)
    except (OSError, ValueError):
        raise Refused(f"error connecting to pachd server at address ({where}): context deadline exceeded\n\n"
                      "please make sure pachd is up (`kubectl get all`) and portforwarding is enabled") from None
    if "error" in reply:
        if reply["error"] == "context deadline exceeded":
            raise Refused(f"error connecting to pachd server at address ({where}): context deadline exceeded\n\n"
                          "please make sure pachd is up (`kubectl get all`) and portforwarding is enabled")
        raise Refused(reply["error"])
    return reply["result"]


def here(options):
    laboratory, name, namespace = place(of_kubeconfig())
    return laboratory, name, options.get("namespace", namespace)


def version(argv, options, mine):
    print(f"{'COMPONENT':<20}VERSION             ")
    print(f"{'pachctl':<20}{mine:<20}", flush=True)
    if not options.get("client_only"):
        try:
            print(f"{'pachd':<20}{ask(op='version'):<20}")
        except Refused as refused:
            fail(f"{'pachd':<20}(version unknown) : {refused}")


def deploy(argv, options, mine):
    backend = argv[0] if argv else None
    wanted = {"local": 0, "google": 2, "amazon": 3}
    if backend not in wanted:
        fail(f'Error: unknown command "{backend}" for "pachctl deploy"')
    if len(argv) - 1 != wanted[backend]:
        fail(f"expected {wanted[backend]} arguments, got {len(argv) - 1}")
    if backend != "local" and not (options.get("dynamic_etcd_nodes") or options.get("static_etcd_volume")):
        fail("must specify either --dynamic-etcd-nodes or --static-etcd-volume")
    laboratory, name, namespace = here(options)
    bucket = argv[1] if backend != "local" else f"local-{namespace}"
    node_port = int(laboratory.switch("node_port") or 30650)
    objects = manifests.deployment(backend, bucket, mine, options, node_port)
    if options.get("dry_run"):
        print(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        return
    if backend != "local" and not laboratory.path("buckets", bucket).is_dir():
        fail(f"storage: bucket {bucket} doesn't exist")
    collided = False
    with laboratory.locked():
        laboratory.log("pachctl", ["deploy", *argv])
        if laboratory.use_up("deploy_fails"):
            fail("Error from server (InternalError): an error on the server (\"\") has prevented the request from succeeding")
        cluster = Cluster(laboratory, name)
        claim = "etcd-storage-etcd-0" if options.get("dynamic_etcd_nodes") else "etcd-storage"
        if cluster.get("PersistentVolumeClaim", namespace, claim) is None:
            for each in manifests.volume(backend, namespace, options):
                cluster.put(each, namespace)
        for each in objects:
            kind, called = each["kind"], each["metadata"]["name"]
            if cluster.get(kind, namespace if kind != "StorageClass" else None, called):
                if kind == "StorageClass":
                    continue
                collided = True
                print(f'Error from server (AlreadyExists): error when creating "STDIN": {kind.lower()}s "{called}" already exists', file=sys.stderr)
            else:
                cluster.put(each, namespace)
                print(f'{kind.lower()} "{called}" created')
        cluster.reconcile()
        cluster.save()
    if collided:
        fail("exit status 1")
    print('\nPachyderm is launching. Check its status with "kubectl get all"\nOnce launched, access the dashboard by running "pachctl port-forward"')


def undeploy(argv, options, mine):
    laboratory, name, namespace = here(options)
    everything = options.get("all")
    if everything:
        print("\nYou are going to delete persistent volumes where metadata is stored. If your persistent volumes were dynamically provisioned, the "
              "underlying volumes will be removed, making metadata such repos, commits, pipelines, and jobs unrecoverable.\nAre you sure you "
              "want to proceed? yN")
        if sys.stdin.readline().strip() not in ("y", "Y"):
            return
    with laboratory.locked():
        laboratory.log("pachctl", ["undeploy", *(["--all"] if everything else [])])
        if laboratory.use_up("undeploy_fails"):
            fail("error: Unable to delete: the server was unable to return a response in the time allotted")
        cluster = Cluster(laboratory, name)
        kinds = ["Deployment", "StatefulSet", "Service", "Secret", "ServiceAccount"] + (["PersistentVolumeClaim", "PersistentVolume"] if everything else [])
        for kind in kinds:
            for each in cluster.list(kind, namespace if kind != "PersistentVolume" else None, [("suite", "=", "pachyderm")]):
                called = each["metadata"]["name"]
                if kind == "PersistentVolume" and each["spec"]["claimRef"]["namespace"] != namespace:
                    continue
                if kind == "Secret" and laboratory.use_up("already_exists"):
                    continue
                if kind == "PersistentVolumeClaim":
                    shutil.rmtree(Pachd(cluster, namespace).volume(), ignore_errors=True)
                cluster.drop(kind, namespace if kind != "PersistentVolume" else None, called)
                print(f'{kind.lower()} "{called}" deleted')
        cluster.save()


def reply(laboratory, name, namespace, line):
    with laboratory.locked():
        cluster = Cluster(laboratory, name)
        pachd = Pachd(cluster, namespace)
        pachd.tend()
        try:
            result = {"result": pachd.answer(json.loads(line))}
        except Refused as refused:
            result = {"error": str(refused)}
        cluster.save()
    return result


def serve(laboratory, name, namespace, where, alive):
    """Answers clients on an address as long as `alive` says so."""
    import socketserver  # slow to load, and few commands need it

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            line = self.rfile.readline()
            if line and alive():
                self.wfile.write((json.dumps(reply(laboratory, name, namespace, line)) + "\n").encode())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

    with Server(where, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        while alive():
            time.sleep(0.05)


def pod_of(laboratory, name, namespace):
    try:
        with laboratory.locked():
            pods = Cluster(laboratory, name).list("Pod", namespace, [("app", "=", "pachd")])
    except FileNotFoundError:
        return None  # the laboratory is gone
    return pods[0]["metadata"]["uid"] if pods else None


def port_forward(argv, options, mine):
    laboratory, name, namespace = here(options)
    if laboratory.use_up("port_forward_dead"):
        fail("error upgrading connection: error dialing backend: dial tcp 10.0.0.11:10250: connect: connection refused")
    port = int(options.get("port", 30650))
    mine = pod_of(laboratory, name, namespace)
    if mine is None:
        fail("Error: no pachd pods found: is pachyderm deployed in this namespace?")
    try:
        print(f"Forwarding the pachd (Pachyderm daemon) port...\nCTRL-C to exit\nNOTE: kubernetes port-forward often outputs benign error messages", flush=True)
        serve(laboratory, name, namespace, ("127.0.0.1", port), lambda: pod_of(laboratory, name, namespace) == mine)
    except OSError as error:
        fail(f"Unable to listen on port {port}: {error.strerror}")
    fail("error: lost connection to pod")


def extract(argv, options, mine):
    lines = ask(op="extract", objects=not options.get("no_objects"))
    broken = None in lines
    for line in lines:
        if line is not None:
            print(line)
    if broken:
        fail("rpc error: code = Unavailable desc = transport is closing")


def restore(argv, options, mine):
    ask(op="restore", lines=sys.stdin.read().splitlines())


def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) + 3 for i in range(len(head))]
    for row in [head, *rows]:
        print("".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())


def listing(found, options, head, row):
    if options.get("raw"):
        for each in found:
            print(json.dumps(each))
    else:
        table(head, [row(each) for each in found])


def at(argv, mine):
    """`REPO BRANCH PATH` as older versions say it, `REPO@BRANCH:PATH` as 1.9 does."""
    if minor(mine) >= (1, 9):
        repo, rest = argv[0].split("@", 1)
        branch, path = rest.split(":", 1)
        return repo, branch, path
    if len(argv) != 3:
        fail(f"expected 3 arguments, got {len(argv)}")
    return argv[0], argv[1], argv[2]


def run(argv, mine):
    words, options = parse(argv)
    name, rest = command(words, mine)
    if name in ("version", "deploy", "undeploy", "extract", "restore", "port-forward"):
        return globals()[name.replace("-", "_")](rest, options, mine)
    if name == "put-file":
        repo, branch, path = at(rest, mine)
        source = options.get("file", "-")
        content = sys.stdin.buffer.read() if source == "-" else open(source, "rb").read()
        return ask(op="put-file", repo=repo, branch=branch, path=path, content=base64.b64encode(content).decode())
    if name == "get-file":
        repo, branch, path = at(rest, mine)
        sys.stdout.buffer.write(base64.b64decode(ask(op="get-file", repo=repo, branch=branch, path=path)))
        return None
    if name == "list-repo":
        return listing(ask(op=name), options, ("NAME", "CREATED", "SIZE"), lambda each: (each["repo"]["name"], "1 minute ago", each["size_bytes"] + "B"))
    if name == "list-commit":
        return listing(ask(op=name, repo=rest[0]), options, ("REPO", "ID", "PARENT", "SIZE"),
                       lambda each: (rest[0], each["commit"]["id"], each["parent_commit"] or "<none>", each["size_bytes"] + "B"))
    if name == "list-pipeline":
        return listing(ask(op=name), options, ("NAME", "STATE"), lambda each: (each["pipeline"]["name"], each["state"]))
    if name == "create-repo":
        return ask(op=name, repo=rest[0])
    return ask(op=name, pipeline=rest[0])


def main(mine):
    try:
        run(sys.argv[1:], mine)
    except Refused as refused:
        fail(str(refused))
    except BrokenPipeError:
        pass
    except KeyboardInterrupt:
        raise SystemExit(130) from None
