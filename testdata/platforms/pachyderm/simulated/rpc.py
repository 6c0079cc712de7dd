"""pachd's gRPC interface, as the vendor's client `python-pachyderm` 2.6 (of Pachyderm 1.9) speaks it.

The messages are those that the client brings along, so it must be installed where this runs. Every call goes to the same pachd as those
of `pachctl`; methods that the simulator does not know are UNIMPLEMENTED.
"""

import base64
import enum
import hashlib
import json
from concurrent import futures

# The client makes its enumerations in a way that Python 3.11 does not know any more.
enum._EnumDict._cls_name = ""

import grpc  # noqa: E402
from google.protobuf.empty_pb2 import Empty  # noqa: E402
from google.protobuf.wrappers_pb2 import BytesValue  # noqa: E402
from python_pachyderm.proto.admin import admin_pb2 as admin  # noqa: E402
from python_pachyderm.proto.admin import admin_pb2_grpc as admin_grpc  # noqa: E402
from python_pachyderm.proto.pfs import pfs_pb2 as pfs  # noqa: E402
from python_pachyderm.proto.pfs import pfs_pb2_grpc as pfs_grpc  # noqa: E402
from python_pachyderm.proto.pps import pps_pb2 as pps  # noqa: E402
from python_pachyderm.proto.pps import pps_pb2_grpc as pps_grpc  # noqa: E402
from python_pachyderm.proto.version.versionpb import version_pb2 as version  # noqa: E402
from python_pachyderm.proto.version.versionpb import version_pb2_grpc as version_grpc  # noqa: E402

from .pachctl import reply  # noqa: E402


class Asking:
    def __init__(self, laboratory, name, namespace):
        self.where = (laboratory, name, namespace)

    def ask(self, context, op, **request):
        """Asks pachd; what it refuses is an error of the call."""
        answer = reply(*self.where, json.dumps({"op": op, **request}))
        if "error" in answer:
            unready = answer["error"] == "context deadline exceeded"
            context.abort(grpc.StatusCode.UNAVAILABLE if unready else grpc.StatusCode.UNKNOWN, answer["error"])
        return answer["result"]


class Version(Asking, version_grpc.APIServicer):
    def GetVersion(self, request, context):
        major, minor, micro = self.ask(context, "version").split(".")
        return version.Version(major=int(major), minor=int(minor), micro=int(micro))


class Pfs(Asking, pfs_grpc.APIServicer):
    def CreateRepo(self, request, context):
        self.ask(context, "create-repo", repo=request.repo.name)
        return Empty()

    def ListRepo(self, request, context):
        return pfs.ListRepoResponse(repo_info=[repo_info(each) for each in self.ask(context, "list-repo")])

    def InspectRepo(self, request, context):
        found = [each for each in self.ask(context, "list-repo") if each["repo"]["name"] == request.repo.name]
        if not found:
            context.abort(grpc.StatusCode.UNKNOWN, f"repo {request.repo.name} not found")
        return repo_info(found[0])

    def ListCommitStream(self, request, context):
        repo = pfs.Repo(name=request.repo.name)
        for each in self.ask(context, "list-commit", repo=request.repo.name):
            info = pfs.CommitInfo(commit=pfs.Commit(repo=repo, id=each["commit"]["id"]), size_bytes=int(each["size_bytes"]))
            if each["parent_commit"]:
                info.parent_commit.CopyFrom(pfs.Commit(repo=repo, id=each["parent_commit"]))
            info.finished.FromNanoseconds(int(each["finished"] * 1e9))
            yield info

    def PutFile(self, requests, context):
        file, content = None, b""
        for each in requests:
            file = file or each.file
            content += each.value
        commit = file.commit
        self.ask(context, "put-file", repo=commit.repo.name, branch=commit.id, path=file.path, content=base64.b64encode(content).decode())
        return Empty()

    def GetFile(self, request, context):
        commit = request.file.commit
        content = base64.b64decode(self.ask(context, "get-file", repo=commit.repo.name, branch=commit.id, path=request.file.path))
        for at in range(0, len(content), 1 << 20):
            yield BytesValue(value=content[at : at + (1 << 20)])


def repo_info(found):
    info = pfs.RepoInfo(repo=pfs.Repo(name=found["repo"]["name"]), size_bytes=int(found["size_bytes"]))
    info.created.FromNanoseconds(int(found["created"] * 1e9))
    return info


class Pps(Asking, pps_grpc.APIServicer):
    def CreatePipeline(self, request, context):
        self.ask(context, "create-pipeline", pipeline=request.pipeline.name)
        return Empty()

    def ListPipeline(self, request, context):
        found = self.ask(context, "list-pipeline")
        return pps.PipelineInfos(pipeline_info=[pipeline_info(each) for each in found])

    def StartPipeline(self, request, context):
        self.ask(context, "start-pipeline", pipeline=request.pipeline.name)
        return Empty()

    def StopPipeline(self, request, context):
        self.ask(context, "stop-pipeline", pipeline=request.pipeline.name)
        return Empty()


def pipeline_info(found):
    state = found["state"]
    return pps.PipelineInfo(pipeline=pps.Pipeline(name=found["pipeline"]["name"]), state=pps.PipelineState.Value(state), stopped=state == "PIPELINE_PAUSED")


class Admin(Asking, admin_grpc.APIServicer):
    """What `extract` gives as messages: objects first, a commit's tree among them, as pachd does."""

    def InspectCluster(self, request, context):
        return admin.ClusterInfo(id=hashlib.md5(str(self.where[0].path("")).encode()).hexdigest())

    def Extract(self, request, context):
        for line in self.ask(context, "extract", objects=not request.no_objects):
            if line is None:
                context.abort(grpc.StatusCode.UNAVAILABLE, "transport is closing")
            each = json.loads(line)
            kind = each["op"]
            if kind == "object":
                yield operation(object=pfs.PutObjectRequest(value=base64.b64decode(each["content"])))
            elif kind == "repo" and not request.no_repos:
                yield operation(repo=pfs.CreateRepoRequest(repo=pfs.Repo(name=each["name"]), description=str(each["created"])))
            elif kind == "commit" and not request.no_repos:
                commit, tree = each["commit"], json.dumps(each["commit"]).encode()
                yield operation(object=pfs.PutObjectRequest(value=tree))
                parent = pfs.Commit(repo=pfs.Repo(name=each["repo"]), id=commit["parent"] or "")
                yield operation(commit=pfs.BuildCommitRequest(parent=parent, branch=commit["branch"], ID=commit["id"], tree=pfs.Object(hash=digest(tree))))
            elif kind == "pipeline" and not request.no_pipelines:
                yield operation(pipeline=pps.CreatePipelineRequest(pipeline=pps.Pipeline(name=each["name"]), description=each["state"]))

    def Restore(self, requests, context):
        objects, lines, trees = {}, [], set()
        for request in requests:
            each = request.op.op1_9
            kind = next((field.name for field, _ in each.ListFields()), None)
            if kind == "object":
                objects[digest(each.object.value)] = each.object.value
            elif kind == "repo":
                lines.append({"op": "repo", "name": each.repo.repo.name, "created": float(each.repo.description)})
            elif kind == "commit":
                if each.commit.tree.hash not in objects:
                    context.abort(grpc.StatusCode.UNKNOWN, f"object {each.commit.tree.hash} not found")
                trees.add(each.commit.tree.hash)
                lines.append({"op": "commit", "repo": each.commit.parent.repo.name, "commit": json.loads(objects[each.commit.tree.hash])})
            elif kind == "pipeline":
                lines.append({"op": "pipeline", "name": each.pipeline.pipeline.name, "state": each.pipeline.description})
            else:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"operation {kind}")
        contents = [{"op": "object", "content": base64.b64encode(value).decode()} for name, value in objects.items() if name not in trees]
        lines = [{"op": "header"}, *contents, *lines]
        lines.append({"op": "end", "count": len(lines)})
        self.ask(context, "restore", lines=[json.dumps(line) for line in lines])
        return Empty()


def operation(**what):
    return admin.Op(op1_9=admin.Op1_9(**what))


def digest(content):
    return hashlib.sha512(content).hexdigest()


def serve(laboratory, name, namespace, port):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    where = (laboratory, name, namespace)
    version_grpc.add_APIServicer_to_server(Version(*where), server)
    pfs_grpc.add_APIServicer_to_server(Pfs(*where), server)
    pps_grpc.add_APIServicer_to_server(Pps(*where), server)
    admin_grpc.add_APIServicer_to_server(Admin(*where), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()
