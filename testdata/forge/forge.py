#!/usr/bin/env python3
"""A stand-in for a forge's API, which checks every request against the forge's published description beside this file.

Usage: forge.py NAME FOLDER TOKEN [FAULT ...]

Serves on a free port of this machine under /api, writes its address to FOLDER/address, every request to FOLDER/requests (one JSON
line each, without the token), what breaks the description to FOLDER/violations, and the comments to FOLDER/comments. Each FAULT is
the answer to one request, from the first on: a status like 500, or 429 with `Retry-After: 0`; `lost` does what is asked and then
answers 502; `ok` does nothing special.
"""

import http.server
import json
import os
import pathlib
import re
import sys
import urllib.parse

NAME, FOLDER, TOKEN, *FAULTS = sys.argv[1:]
FOLDER = pathlib.Path(FOLDER)
DESCRIPTION = json.loads((pathlib.Path(__file__).parent / f"{NAME}.json").read_text())
TYPES = {"string": str, "object": dict}
COMMENTS = []


def pattern(path):
    """A path with names in braces as a regular expression."""
    parts = re.split(r"(\{\w+\})", path)
    return "^/api" + "".join(f"(?P<{p[1:-1]}>[^/]+)" if p.startswith("{") else re.escape(p) for p in parts) + "$"


OPERATIONS = [(re.compile(pattern(operation["path"])), operation) for operation in DESCRIPTION["operations"]]


def append(name, line):
    with open(FOLDER / name, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def save():
    text = json.dumps(COMMENTS, indent=1)
    (FOLDER / "comments.new").write_text(text)
    os.replace(FOLDER / "comments.new", FOLDER / "comments")


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status, message, violation=True):
        super().__init__(message)
        self.status, self.message, self.violation = status, message, violation


def checked(operation, query, headers, content):
    """The request's body, where the request is as described."""
    for name, value in DESCRIPTION["headers"].items():
        if not re.search(value, headers.get(name, "")):
            raise Refused(400, f"the header {name} is not as described")
    if TOKEN not in (headers.get("authorization", "") + headers.get("private-token", "")).split():
        raise Refused(401, "Bad credentials", violation=False)
    for name, values in query.items():
        allowed = operation.get("query", {}).get(name)
        if allowed is None or len(values) != 1 or not re.search(allowed, values[0]):
            raise Refused(400, f"the parameter {name} is not as described")
    fields = operation.get("body")
    if fields is None:
        if content:
            raise Refused(400, "there is a body, and none is described")
        return {}
    if not headers.get("content-type", "").startswith("application/json"):
        raise Refused(415, "the body is not declared as JSON")
    body = json.loads(content)
    if set(body) != set(fields):
        raise Refused(422, f"the body has {sorted(body)}, described is {sorted(fields)}")
    for name, kind in fields.items():
        if not isinstance(body[name], TYPES[kind]):
            raise Refused(422, f"the field {name} is no {kind}")
    if len(body.get("body", "x")) > DESCRIPTION["longest"] or not body.get("body", "x").strip():
        raise Refused(422, "the text is empty or too long")
    return body


def find(number):
    for comment in COMMENTS:
        if comment["id"] == int(number):
            return comment
    raise Refused(404, "Not Found", violation=False)


def done(operation, names, query, body):
    """Does what is asked; the answer's JSON, or None."""
    what = operation["does"]
    if what == "list":
        size = int(query.get("per_page", ["1000000"])[0])
        begin = (int(query.get("page", ["1"])[0]) - 1) * size
        return COMMENTS[begin : begin + size]
    if what == "create":
        number = max([comment["id"] for comment in COMMENTS], default=100) + 1
        url = f"https://forge.example.org/{names.get('repo', 'project')}/pulls/{names['number']}#comment-{number}"
        comment = {"id": number, "node_id": f"IC_{number}", "body": body["body"], "html_url": url, "hidden": False}
        COMMENTS.append(comment)
        return comment
    if what == "update":
        comment = find(names["id"])
        if comment.get("foreign"):
            raise Refused(403, "not yours", violation=False)
        comment["body"] = body["body"]
        return comment
    if what == "delete":
        COMMENTS.remove(find(names["id"]))
        return None
    for word in ("minimizeComment", "subjectId", "classifier: OUTDATED", "isMinimized"):
        if word not in body["query"]:
            raise Refused(400, f"the mutation lacks {word}")
    comment = [comment for comment in COMMENTS if comment["node_id"] == body["variables"].get("id")]
    if not comment:
        return {"errors": [{"message": "Could not resolve to a node"}]}
    comment[0]["hidden"] = True
    return {"data": {"minimizeComment": {"minimizedComment": {"isMinimized": True}}}}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def serve(self):
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        headers = {name.lower(): value for name, value in self.headers.items()}
        append("requests", json.dumps({"method": self.command, "path": url.path, "query": url.query}))
        fault = FAULTS.pop(0) if FAULTS else "ok"
        try:
            if fault.isdigit():
                raise Refused(int(fault), "a bad day", violation=False)
            for expression, operation in OPERATIONS:
                match = expression.match(url.path)
                if match and operation["method"] == self.command:
                    names = {name: urllib.parse.unquote(value) for name, value in match.groupdict().items()}
                    answer = done(operation, names, query, checked(operation, query, headers, content))
                    save()
                    if fault == "lost":
                        raise Refused(502, "the answer was lost", violation=False)
                    return self.answer(operation["status"], answer)
            raise Refused(404, f"{self.command} {url.path} is not described")
        except Refused as refused:
            if refused.violation:
                append("violations", f"{self.command} {self.path}: {refused.message}")
            self.answer(refused.status, {"message": refused.message}, {"Retry-After": "0"} if refused.status == 429 else {})
        except (ValueError, KeyError) as error:
            append("violations", f"{self.command} {self.path}: {error}")
            self.answer(400, {"message": str(error)})

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = serve

    def answer(self, status, value, headers=()):
        content = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, text in dict(headers).items():
            self.send_header(name, text)
        if content:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def main():
    if (FOLDER / "comments").exists():
        COMMENTS.extend(json.loads((FOLDER / "comments").read_text()))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    (FOLDER / "address.new").write_text(f"http://127.0.0.1:{server.server_port}/api")
    os.replace(FOLDER / "address.new", FOLDER / "address")
    server.serve_forever()


main()
