"""The server: metadata on etcd's volume, objects in the bucket, and what a client may ask. Versions read each other's metadata as they do."""

import base64
import hashlib
import json
import pathlib
import time

from .cluster import CREATED


class Refused(Exception):
    """What pachd answers instead; its text is the message."""


def minor(version):
    return tuple(int(part) for part in version.split(".")[:2])


class Pachd:
    """The pachd of a namespace."""

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace
        self.laboratory = cluster.laboratory

    @property
    def deployment(self):
        return self.cluster.get("Deployment", self.namespace, "pachd")

    @property
    def version(self):
        image = self.deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        return self.laboratory.switch("wrong_version") or image.split(":")[1]

    def volume(self):
        """The folder of etcd's volume."""
        claim = self.cluster.get("PersistentVolumeClaim", self.namespace, "etcd-storage-etcd-0") or self.cluster.get(
            "PersistentVolumeClaim", self.namespace, "etcd-storage")
        volume = self.cluster.get("PersistentVolume", None, claim["spec"]["volumeName"])
        return self.laboratory.path("volumes", disk(volume))

    def bucket(self):
        secret = self.cluster.get("Secret", self.namespace, "pachyderm-storage-secret")
        for name in ("google-bucket", "amazon-bucket", "local-bucket"):
            if name in secret["data"]:
                return self.laboratory.path("buckets", base64.b64decode(secret["data"][name]).decode())
        raise Refused("no storage")

    def metadata(self):
        try:
            return json.loads((self.volume() / "metadata.json").read_text())
        except FileNotFoundError:
            return None

    def keep(self, metadata):
        folder = self.volume()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metadata.json").write_text(json.dumps(metadata))

    def tend(self):
        """Starts every pachd pod whose time has come: it makes, reads or migrates the metadata, or crashes over it."""
        for pod in self.cluster.list("Pod", self.namespace, [("app", "=", "pachd")]):
            mine = self.cluster.pods[pod["metadata"]["uid"]]
            age = (self.cluster.now - mine["born"]) / max(self.laboratory.pace, 1e-9)
            if not mine["started"] and not mine["stuck"] and age >= CREATED and self.cluster.app_ready(self.namespace, "etcd"):
                mine["started"] = True
                mine["crash"] = self.start()

    def start(self):
        """Why it crashes, or None."""
        image = self.deployment["spec"]["template"]["spec"]["containers"][0]["image"].split(":")[1]
        metadata = self.metadata()
        if metadata is None:
            self.keep({"format": ".".join(map(str, minor(image))), "migrations": [], "repos": {}, "pipelines": {}})
            return None
        old, new = minor(metadata["format"]), minor(image)
        if old == new:
            return None
        if old > new:
            return f"error unmarshalling etcd records of version {metadata['format']}: pachd {image} is older"
        if old < (1, 8) <= new:
            return f"error unmarshalling etcd records of version {metadata['format']}: upgrading to {image} is not possible"
        if self.laboratory.switch("migration_fails") is not None:
            self.keep(dict(metadata, format=".".join(map(str, new)), migrations=[*metadata["migrations"], "broken"]))
            return f"migration from {metadata['format']} to {image} failed: etcd transaction too large"
        self.keep(dict(metadata, format=".".join(map(str, new)), migrations=[*metadata["migrations"], f"{metadata['format']}->{'.'.join(map(str, new))}"]))
        return None

    def answer(self, request):
        """One request of a client."""
        if self.deployment is None or not self.cluster.app_ready(self.namespace, "pachd"):
            raise Refused("context deadline exceeded")
        ask = getattr(self, "do_" + request["op"].replace("-", "_"), None)
        if ask is None:
            raise Refused(f"unknown method {request['op']}")
        return ask(**{name: value for name, value in request.items() if name != "op"})

    def do_version(self):
        return self.version

    def do_create_repo(self, repo):
        metadata = self.metadata()
        if repo in metadata["repos"]:
            raise Refused(f"cannot create \"{repo}\" as it already exists")
        metadata["repos"][repo] = {"created": time.time(), "commits": [], "branches": {}}
        self.keep(metadata)

    def do_put_file(self, repo, branch, path, content):
        metadata = self.metadata()
        if repo not in metadata["repos"]:
            raise Refused(f"repo {repo} not found")
        mine = metadata["repos"][repo]
        content = base64.b64decode(content)
        digest = hashlib.sha512(content).hexdigest()
        bucket = self.bucket() / "objects"
        bucket.mkdir(parents=True, exist_ok=True)
        (bucket / digest).write_bytes(content)
        parent = mine["branches"].get(branch)
        files = dict(next((each["files"] for each in mine["commits"] if each["id"] == parent), {}))
        files["/" + path.strip("/")] = {"hash": digest, "size": len(content)}
        commit = hashlib.md5(json.dumps([repo, parent, files, time.time()], sort_keys=True).encode()).hexdigest()
        mine["commits"].append({"id": commit, "parent": parent, "branch": branch, "files": files, "finished": time.time()})
        mine["branches"][branch] = commit
        self.keep(metadata)

    def do_get_file(self, repo, branch, path):
        mine = self.repo(repo)
        head = next((each for each in mine["commits"] if each["id"] == mine["branches"].get(branch)), None)
        found = (head or {"files": {}})["files"].get("/" + path.strip("/"))
        if found is None:
            raise Refused(f"file {path} not found in repo {repo} at commit {branch}")
        try:
            return base64.b64encode((self.bucket() / "objects" / found["hash"]).read_bytes()).decode()
        except FileNotFoundError:
            raise Refused(f"object {found['hash']} not found in the bucket") from None

    def repo(self, name):
        repos = self.metadata()["repos"]
        if name not in repos:
            raise Refused(f"repo {name} not found")
        return repos[name]

    def do_list_repo(self):
        repos = self.metadata()["repos"]
        size = lambda mine: sum(each["size"] for each in (mine["commits"][-1]["files"].values() if mine["commits"] else ()))
        return [{"repo": {"name": name}, "created": mine["created"], "size_bytes": str(size(mine))} for name, mine in sorted(repos.items())]

    def do_list_commit(self, repo):
        commits = reversed(self.repo(repo)["commits"])
        return [{"commit": {"repo": {"name": repo}, "id": each["id"]}, "parent_commit": each["parent"], "finished": each["finished"],
                 "size_bytes": str(sum(file["size"] for file in each["files"].values()))} for each in commits]

    def do_list_pipeline(self):
        return [{"pipeline": {"name": name}, "state": state} for name, state in sorted(self.metadata()["pipelines"].items())]

    def set_pipeline(self, pipeline, state):
        metadata = self.metadata()
        if pipeline not in metadata["pipelines"] and state != "PIPELINE_STARTING":
            raise Refused(f"pipeline {pipeline} not found")
        metadata["pipelines"][pipeline] = "PIPELINE_RUNNING" if state == "PIPELINE_STARTING" else state
        self.keep(metadata)

    def do_create_pipeline(self, pipeline):
        self.set_pipeline(pipeline, "PIPELINE_STARTING")

    def do_start_pipeline(self, pipeline):
        self.set_pipeline(pipeline, "PIPELINE_RUNNING")

    def do_stop_pipeline(self, pipeline):
        self.set_pipeline(pipeline, "PIPELINE_PAUSED")

    def do_extract(self, objects=True):
        """Operations that make the same state anew, one for each line."""
        metadata = self.metadata()
        lines = [{"op": "header", "version": self.version}]
        hashes = set()
        for name, mine in sorted(metadata["repos"].items()):
            lines.append({"op": "repo", "name": name, "created": mine["created"]})
            for each in mine["commits"]:
                hashes |= {file["hash"] for file in each["files"].values()}
                lines.append({"op": "commit", "repo": name, "commit": each})
        if objects:
            for digest in sorted(hashes):
                lines.insert(1, {"op": "object", "content": base64.b64encode((self.bucket() / "objects" / digest).read_bytes()).decode()})
        lines += [{"op": "pipeline", "name": name, "state": state} for name, state in sorted(metadata["pipelines"].items())]
        lines.append({"op": "end", "count": len(lines)})
        if self.laboratory.use_up("extract_fails"):
            return [*[json.dumps(line) for line in lines[: len(lines) // 2]], None]
        return [json.dumps(line) for line in lines]

    def do_restore(self, lines):
        operations = [json.loads(line) for line in lines]
        if not operations or operations[-1].get("op") != "end" or operations[-1]["count"] != len(operations) - 1:
            raise Refused("error unmarshalling operation: unexpected EOF")
        if self.laboratory.use_up("restore_fails"):
            raise Refused("rpc error: code = Unavailable desc = transport is closing")
        metadata = self.metadata()
        bucket = self.bucket() / "objects"
        bucket.mkdir(parents=True, exist_ok=True)
        for each in operations:
            if each["op"] == "object":
                content = base64.b64decode(each["content"])
                (bucket / hashlib.sha512(content).hexdigest()).write_bytes(content)
            elif each["op"] == "repo":
                if each["name"] in metadata["repos"]:
                    raise Refused(f"cannot create \"{each['name']}\" as it already exists")
                metadata["repos"][each["name"]] = {"created": each["created"], "commits": [], "branches": {}}
            elif each["op"] == "commit":
                mine = metadata["repos"][each["repo"]]
                mine["commits"].append(each["commit"])
                mine["branches"][each["commit"]["branch"]] = each["commit"]["id"]
            elif each["op"] == "pipeline":
                metadata["pipelines"][each["name"]] = each["state"]
        if self.laboratory.use_up("restore_loses") and metadata["repos"]:
            metadata["repos"].popitem()
        self.keep(metadata)


def disk(volume):
    """The cloud's name of a volume."""
    spec = volume["spec"]
    if "gcePersistentDisk" in spec:
        return spec["gcePersistentDisk"]["pdName"]
    if "awsElasticBlockStore" in spec:
        return pathlib.PurePath(spec["awsElasticBlockStore"]["volumeID"]).name
    return pathlib.PurePath(spec["hostPath"]["path"]).name
