"""The cluster's HTTP interface, as far as the real `kubectl` needs it to list, get and delete: it is a second opinion on `kubectl.py`."""

import http.server
import json
import urllib.parse

from .cluster import Cluster, selector
from .kubectl import GLOBAL, KINDS
from .pachd import Pachd

GROUPS = {"v1": ["Pod", "PersistentVolumeClaim", "PersistentVolume", "Service", "Secret", "ServiceAccount", "Node"],
          "apps/v1": ["Deployment", "StatefulSet"]}
# The table of Kubernetes' own names: what `kubectl` may call a kind.
SHORT = {"PersistentVolumeClaim": ["pvc"], "PersistentVolume": ["pv"], "Pod": ["po"], "Service": ["svc"], "Deployment": ["deploy"], "StatefulSet": ["sts"]}


def resources(version):
    each = lambda kind: {"name": KINDS[kind][0], "singularName": KINDS[kind][1], "namespaced": kind not in GLOBAL, "kind": kind,
                         "verbs": ["delete", "get", "list", "watch"], "shortNames": SHORT.get(kind, [])}
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": [each(kind) for kind in GROUPS[version]]}


def status(code, reason, message):
    return code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure" if code >= 400 else "Success", "message": message,
                  "reason": reason, "code": code}


def answer(laboratory, name, method, path, query):
    if path == "/api":
        return 200, {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        version = {"groupVersion": "apps/v1", "version": "v1"}
        return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": "apps", "versions": [version], "preferredVersion": version}]}
    if path in ("/api/v1", "/apis/apps/v1"):
        return 200, resources(path.split("/", 2)[2])
    words = path.split("/")[3 if path.startswith("/api/v1/") else 4:]
    namespace = None
    if words[:1] == ["namespaces"] and len(words) > 2:
        namespace, words = words[1], words[2:]
    kind = next((kind for kind, names in KINDS.items() if names[0] == words[0]), None) if words else None
    if kind is None:
        return status(404, "NotFound", "the server could not find the requested resource")
    with laboratory.locked():
        cluster = Cluster(laboratory, name)
        for space in {each["metadata"]["namespace"] for each in cluster.objects.values() if each["kind"] == "Deployment"}:
            Pachd(cluster, space).tend()
        try:
            if len(words) == 1:
                items = [cluster.seen(each) for each in cluster.list(kind, namespace, selector(query.get("labelSelector", [""])[0]))]
                version = "apps/v1" if kind in GROUPS["apps/v1"] else "v1"
                return 200, {"kind": f"{kind}List", "apiVersion": version, "metadata": {"resourceVersion": "1"}, "items": items}
            found = cluster.get(kind, namespace, words[1])
            if found is None:
                return status(404, "NotFound", f'{KINDS[kind][0]} "{words[1]}" not found')
            if method == "DELETE":
                laboratory.log("kubectl", ["delete", kind.lower(), words[1]])
                cluster.drop(kind, namespace, words[1])
                cluster.reconcile()
            return 200, cluster.seen(found) if method == "GET" else status(200, "", "")[1]
        finally:
            cluster.save()


def serve(laboratory, name, port):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urllib.parse.urlparse(self.path)
            code, body = answer(laboratory, name, self.command, url.path.rstrip("/"), urllib.parse.parse_qs(url.query))
            text = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_DELETE = do

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
