"""The cluster: objects as Kubernetes has them, controllers that make pods, and pods that go through their states with time."""

import datetime
import hashlib
import time
import uuid

# Simulated seconds after a pod's creation.
SCHEDULED, CREATED, READY = 0.5, 2.0, 3.0
NOT_ATTACHED = "0/3 nodes are available: 3 node(s) had volume node affinity conflict."


def stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Cluster:
    """The objects of one cluster. Use it under the laboratory's lock; `save` before it is released."""

    def __init__(self, laboratory, name):
        self.laboratory = laboratory
        self.file = f"cluster-{name}.json"
        state = laboratory.load(self.file, {"objects": {}, "pods": {}})
        self.objects, self.pods = state["objects"], state["pods"]
        self.now = time.time()
        self.reconcile()

    def save(self):
        self.laboratory.save(self.file, {"objects": self.objects, "pods": self.pods})

    @staticmethod
    def key(kind, namespace, name):
        return f"{kind}/{namespace or ''}/{name}"

    def get(self, kind, namespace, name):
        return self.objects.get(self.key(kind, namespace, name))

    def list(self, kind, namespace, labels=()):
        found = [each for key, each in sorted(self.objects.items()) if key.startswith(f"{kind}/{namespace or ''}/")]
        return [each for each in found if matches(each, labels)]

    def put(self, manifest, namespace):
        """Makes or replaces an object."""
        space = namespace if manifest["kind"] not in ("StorageClass", "PersistentVolume", "Node", "Namespace") else None
        key = self.key(manifest["kind"], space, manifest["metadata"]["name"])
        made = dict(manifest, metadata=dict(manifest["metadata"], uid=str(uuid.uuid4()), creationTimestamp=stamp(self.now)))
        if space:
            made["metadata"]["namespace"] = space
        self.objects[key] = made
        return made

    def drop(self, kind, namespace, name):
        gone = self.objects.pop(self.key(kind, namespace, name), None)
        if gone and kind in ("Deployment", "StatefulSet"):
            for pod in [pod for pod in self.list("Pod", namespace) if pod["metadata"]["ownerReferences"][0]["uid"] == gone["metadata"]["uid"]]:
                self.drop("Pod", namespace, pod["metadata"]["name"])
        if gone and kind == "Pod":
            self.pods.pop(gone["metadata"]["uid"], None)
        return gone

    def reconcile(self):
        """What the controllers do: every Deployment and StatefulSet gets its pods."""
        for key, owner in sorted(self.objects.items()):
            if owner["kind"] not in ("Deployment", "StatefulSet"):
                continue
            namespace = owner["metadata"]["namespace"]
            uid = owner["metadata"]["uid"]
            mine = [pod for pod in self.list("Pod", namespace) if pod["metadata"]["ownerReferences"][0]["uid"] == uid]
            for number in range(len(mine), owner["spec"]["replicas"]):
                self.make_pod(owner, number)

    def make_pod(self, owner, number):
        name, namespace = owner["metadata"]["name"], owner["metadata"]["namespace"]
        template = owner["spec"]["template"]
        pod_uid = str(uuid.uuid4())
        suffix = number if owner["kind"] == "StatefulSet" else f"{int(hashlib.sha1(owner['metadata']['uid'].encode()).hexdigest()[:8], 16)}-{pod_uid[:5]}"
        pod = self.put({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": f"{name}-{suffix}", "labels": template["metadata"]["labels"],
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet" if owner["kind"] == "StatefulSet" else "ReplicaSet",
                                 "name": name, "uid": owner["metadata"]["uid"], "controller": True}]},
            "spec": template["spec"]}, namespace)
        self.pods[pod["metadata"]["uid"]] = {"born": self.now, "stuck": self.laboratory.use_up(f"{name}_stuck"), "crash": None, "started": False}

    def is_ready(self, pod):
        status = self.status(pod)
        return bool(status.get("containerStatuses")) and all(each["ready"] for each in status["containerStatuses"])

    def app_ready(self, namespace, app):
        pods = self.list("Pod", namespace, [("app", "=", app)])
        return bool(pods) and all(self.is_ready(pod) for pod in pods)

    def status(self, pod):
        """What `status` of a pod is now."""
        mine = self.pods[pod["metadata"]["uid"]]
        age = (self.now - mine["born"]) / max(self.laboratory.pace, 1e-9)
        names = [each["name"] for each in pod["spec"]["containers"]]
        images = [each["image"] for each in pod["spec"]["containers"]]
        condition = lambda kind, holds, **more: {"type": kind, "status": "True" if holds else "False", "lastTransitionTime": stamp(mine["born"]), **more}
        if mine["stuck"] == "Pending":
            return {"phase": "Pending", "conditions": [condition("PodScheduled", False, reason="Unschedulable", message=NOT_ATTACHED)]}
        if age < SCHEDULED:
            return {"phase": "Pending", "conditions": [condition("PodScheduled", True)]}
        app = pod["metadata"]["labels"].get("app")
        waits = app == "pachd" and not self.app_ready(pod["metadata"]["namespace"], "etcd")
        if age < CREATED:
            state, ready, restarts, last = {"waiting": {"reason": "ContainerCreating"}}, False, 0, {}
        elif mine["stuck"] == "CrashLoopBackOff" or mine["crash"]:
            restarts = min(int(age - CREATED) + 1, 6)
            name = pod["metadata"]["name"]
            state = {"waiting": {"reason": "CrashLoopBackOff", "message": f"back-off {min(10 * 2 ** (restarts - 1), 300)}s restarting failed "
                     f"container={names[0]} pod={name}_{pod['metadata']['namespace']}({pod['metadata']['uid']})"}}
            last = {"terminated": {"exitCode": 1, "reason": "Error", "message": mine["crash"] or "etcdmain: open /var/data/etcd: input/output error",
                                   "startedAt": stamp(self.now), "finishedAt": stamp(self.now)}}
            ready = False
        else:
            ready, restarts, last = age >= READY and not waits, 0, {}
            state = {"running": {"startedAt": stamp(mine["born"])}}
        return {
            "phase": "Pending" if "waiting" in state and state["waiting"]["reason"] == "ContainerCreating" else "Running",
            "hostIP": "10.0.0.11", "podIP": "172.17.0.5", "startTime": stamp(mine["born"]),
            "conditions": [condition("PodScheduled", True), condition("Initialized", True), condition("Ready", ready), condition("ContainersReady", ready)],
            "containerStatuses": [{"name": name, "image": image, "imageID": f"docker-pullable://{image}", "ready": ready, "started": ready,
                                   "restartCount": restarts, "state": state, "lastState": last} for name, image in zip(names, images)],
        }

    def seen(self, each):
        """An object as `kubectl get -o json` prints it."""
        each = dict(each)
        if each["kind"] == "Pod":
            each["spec"] = dict(each["spec"], nodeName="node-1")
            each["status"] = self.status(each)
        if each["kind"] in ("Deployment", "StatefulSet"):
            app = each["spec"]["template"]["metadata"]["labels"]["app"]
            ready = sum(self.is_ready(pod) for pod in self.list("Pod", each["metadata"]["namespace"], [("app", "=", app)]))
            wanted = each["spec"]["replicas"]
            each["status"] = {"observedGeneration": 1, "replicas": wanted, "readyReplicas": ready, "updatedReplicas": wanted, "availableReplicas": ready}
            each["metadata"] = dict(each["metadata"], generation=1)
        return each


def matches(each, labels):
    have = each["metadata"].get("labels", {})
    return all((have.get(name) == value) == (operator == "=") for name, operator, value in labels)


def selector(text):
    """`app=etcd,component!=worker` as triples."""
    found = []
    for part in filter(None, (text or "").split(",")):
        if "!=" in part:
            name, value = part.split("!=", 1)
            found.append((name.strip(), "!=", value.strip()))
        else:
            name, value = part.split("=", 1)
            found.append((name.strip(), "=", value.lstrip("=").strip()))
    return found
