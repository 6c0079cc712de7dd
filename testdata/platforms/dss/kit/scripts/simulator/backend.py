"""The backend of an instance: the public HTTP API under /dip/publicapi."""

import base64
import json
import os
import socketserver
import sys
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import home as _paths
import api
from datadir import DataDir, load
from instance import Instance, Problem


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    instance = None

    def log_message(self, template, *values):
        print(f"[{time.strftime('%Y/%m/%d-%H:%M:%S')}] {template % values}", flush=True)

    def key(self):
        """The API key of the request: the user of basic authentication, or a bearer token."""
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            return base64.b64decode(value).decode().partition(":")[0]
        return value if kind == "Bearer" else None

    def answer(self, status, value):
        raw = isinstance(value, bytes)
        body = value if raw else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if raw else "application/json;charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("DSS-Version", self.instance.version)
        self.send_header("DSS-API-Version", "1")
        self.end_headers()
        self.wfile.write(body)

    def handle_request(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        try:
            parts = urlsplit(self.path)
            if not parts.path.startswith("/dip/publicapi/"):
                raise Problem(404, "NotFound", "no such page")
            switch = self.instance.home.switch
            if switch("never_healthy") is not None or switch("never_healthy_in") == self.instance.version or switch("never_healthy_on") == str(self.instance.home.port()):
                raise Problem(503, "com.dataiku.dip.server.BackendStarting", "DSS is starting")
            keys = [key["key"] for key in load(self.instance.home.file("config", "public-apikeys.json"), [])]
            if self.key() not in keys:
                raise Problem(401, "com.dataiku.dip.exceptions.UnauthorizedException", "Invalid or missing API key")
            path = [unquote(part) for part in parts.path[len("/dip/publicapi/"):].split("/") if part]
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            if self.headers.get("Content-Type", "").startswith("multipart/"):
                value = body
            else:
                value = json.loads(body) if body else None
            self.answer(200, api.route(self.instance, self.command, path, query, value, self.headers))
        except Problem as problem:
            self.answer(problem.status, {"errorType": problem.kind, "message": problem.text, "detailedMessage": problem.text})
        except Exception as error:
            traceback.print_exc()
            self.answer(500, {"errorType": type(error).__name__, "message": str(error), "detailedMessage": str(error)})

    do_GET = do_POST = do_PUT = do_DELETE = handle_request


def main():
    home, port = DataDir(sys.argv[1]), int(sys.argv[2])
    if home.switch("start_fails") is not None:
        sys.exit("java.lang.OutOfMemoryError: Java heap space")
    time.sleep(float(home.switch("slow_start") or 0))
    Handler.instance = Instance(home)
    ThreadingHTTPServer.daemon_threads = True
    # The library's own looks the address's name up, which takes seconds where no name server answers.
    ThreadingHTTPServer.server_bind = socketserver.TCPServer.server_bind
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    open(home.file("run", "backend.ready"), "w").close()
    server.serve_forever()


main()
