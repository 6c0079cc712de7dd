"""The vendor's client of Pachyderm 1.9, `python-pachyderm`, talks to the simulator: `conformance.py VERSION FROM_PORT TO_PORT`.

Both ports are of pachds that answer gRPC; the second one holds nothing yet.
"""

import enum
import sys

# The client makes its enumerations in a way that Python 3.11 does not know any more.
enum._EnumDict._cls_name = ""

import python_pachyderm  # noqa: E402
from python_pachyderm.proto.admin.admin_pb2 import RestoreRequest  # noqa: E402


def main(version, source, target):
    client = python_pachyderm.Client(host="127.0.0.1", port=int(source))
    told = client.get_remote_version()
    assert f"{told.major}.{told.minor}.{told.micro}" == version, told
    assert client.inspect_cluster().id
    assert [each.repo.name for each in client.list_repo()] == ["images"]
    assert client.inspect_repo("images").size_bytes == 6
    client.create_repo("more")
    client.put_file_bytes("more/master", "/deep/file", b"bytes \0 of a client")
    assert b"".join(client.get_file("more/master", "/deep/file")) == b"bytes \0 of a client"
    commits = list(client.list_commit("images"))
    assert len(commits) == 2 and commits[0].parent_commit.id == commits[1].commit.id, commits
    pipeline = lambda of: [(each.pipeline.name, each.state) for each in of.list_pipeline().pipeline_info]  # noqa: E731
    running, paused = (python_pachyderm.PipelineState[name].value for name in ("PIPELINE_RUNNING", "PIPELINE_PAUSED"))
    assert pipeline(client) == [("edges", running)], pipeline(client)
    client.stop_pipeline("edges")
    assert pipeline(client) == [("edges", paused)]
    client.start_pipeline("edges")
    for wrong in (lambda: client.inspect_repo("none"), lambda: client.create_repo("more")):
        try:
            wrong()
            raise SystemExit("it was not refused")
        except python_pachyderm.RpcError as error:
            assert "not found" in error.details() or "already exists" in error.details(), error
    # What is extracted makes the same repositories anew elsewhere.
    operations = list(client.extract())
    assert all(each.HasField("op1_9") for each in operations) and len(operations) > 6
    other = python_pachyderm.Client(host="127.0.0.1", port=int(target))
    assert list(other.list_repo()) == []
    other.restore(RestoreRequest(op=each) for each in operations)
    assert [each.repo.name for each in other.list_repo()] == ["images", "more"]
    assert [each.commit.id for each in other.list_commit("images")] == [each.commit.id for each in commits]
    assert b"".join(other.get_file("images/master", "/two.txt")) == b"two"
    assert pipeline(other) == [("edges", running)]
    assert not any(each.op1_9.HasField("object") for each in client.extract(no_objects=True, no_repos=True))


main(*sys.argv[1:])
