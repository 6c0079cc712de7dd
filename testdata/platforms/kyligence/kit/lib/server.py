"""The server: a web page to log in, and the REST API, on the port of tomcat/conf/server.xml."""

import base64
import hashlib
import http.server
import json
import os
import pathlib
import secrets
import signal
import sys
import threading
import time
import traceback
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import jobs  # noqa: E402
from api import Refused, answer  # noqa: E402
from installation import Installation  # noqa: E402
from metadata import Metadata  # noqa: E402

LOGIN_PAGE = "<!doctype html><title>Kyligence Enterprise</title><form id=login><input name=username><input name=password type=password></form>"
STYLES = {"application/vnd.apache.kylin-v2+json": "v2", "application/vnd.apache.kylin-v4-public+json": "v4"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Apache-Coyote/1.1"
    sys_version = ""

    def log_message(self, text, *args):
        sys.stderr.write(time.strftime("%Y-%m-%d %H:%M:%S ") + text % args + "\n")

    def do_GET(self):
        if self.drop_connection():
            return
        url = urllib.parse.urlsplit(self.path)
        if url.path in ("/kylin", "/kylin/", "/kylin/login"):
            self.reply(200, LOGIN_PAGE.encode(), "text/html;charset=UTF-8")
        elif url.path.startswith("/kylin/api/"):
            self.api(url)
        else:
            self.reply(404, b"", "text/html")

    do_POST = do_PUT = do_DELETE = do_GET

    def drop_connection(self):
        """The switch `drop_connections`: that many requests get no answer."""
        left = self.server.here.switch("drop_connections")
        if left is None:
            return False
        with self.server.lock:
            if self.server.dropped >= int(left or 1):
                return False
            self.server.dropped += 1
        self.close_connection = True
        return True

    def api(self, url):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        style = next((style for kind, style in STYLES.items() if kind in (self.headers.get("Accept") or "")), None)
        if style is None or (style == "v4" and int(self.server.here.version.split(".")[0]) < 4):
            return self.reply(406, b"", "text/html")
        user = self.user()
        if user is None:
            return self.say(401, {"code": "999", "data": None, "msg": "Unauthorized", "exception": "User is not authenticated"})
        query = {name: ",".join(values) if name == "status" else values[-1] for name, values in urllib.parse.parse_qs(url.query).items()}
        try:
            data = answer(self.server, style, self.command, url.path.removeprefix("/kylin/api"), query, json.loads(body or b"null"), user)
        except Refused as refused:
            return self.say(refused.status, {"code": "999", "data": None, "msg": str(refused), "exception": str(refused)})
        except Exception:
            traceback.print_exc()
            return self.say(500, {"code": "999", "data": None, "msg": "internal error", "exception": traceback.format_exc(limit=1)})
        self.say(200, {"code": "000", "data": data, "msg": ""}, user)

    def user(self):
        """Who asks: by Basic authentication, or by the session of an earlier one."""
        kind, _, encoded = (self.headers.get("Authorization") or "").partition(" ")
        if kind == "Basic":
            name, _, password = base64.b64decode(encoded).decode().partition(":")
            record = self.server.metadata.get(f"/user/{name.upper()}")
            good = record and secrets.compare_digest(record["password"], hashlib.sha256(password.encode()).hexdigest())
            return record if good else None
        cookies = dict(part.strip().partition("=")[::2] for part in (self.headers.get("Cookie") or "").split(";"))
        return self.server.sessions.get(cookies.get("JSESSIONID"))

    def say(self, status, value, user=None):
        cookie = None
        if user is not None and "JSESSIONID" not in (self.headers.get("Cookie") or ""):
            cookie = secrets.token_hex(16)
            self.server.sessions[cookie] = user
        self.reply(status, json.dumps(value).encode(), "application/json;charset=UTF-8", cookie)

    def reply(self, status, body, kind, cookie=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if cookie:
            self.send_header("Set-Cookie", f"JSESSIONID={cookie}; Path=/kylin; HttpOnly")
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, here):
        super().__init__(("127.0.0.1", here.port), Handler)
        self.here = here
        self.metadata = Metadata(here)
        self.lock = threading.Lock()
        self.dropped = 0
        self.sessions = {}

    def work(self):
        """Runs the jobs of the metadata, a step at a time."""
        while True:
            try:
                jobs.advance(self.here, self.metadata)
            except Exception:
                traceback.print_exc()
            time.sleep(0.05)


def main():
    here = Installation(os.environ["KYLIN_HOME"])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    time.sleep(float(here.switch("slow_start") or 0))
    if here.switch("ui_unreachable") is not None:
        signal.pause()
    server = Server(here)
    threading.Thread(target=server.work, daemon=True).start()
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
