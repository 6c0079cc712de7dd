"""The HTTP interface: routes, sessions, uploads, and the switches that break connections."""

import email
import http.server
import json
import re
import secrets
import time
import traceback
import urllib.parse

from . import configuration, databases, services, tasks, updates, upgrade, verification
from .estate import Refused

BASE = "/opsconsole/v2"
SYSTEM = "/api/system"


def system(c):
    data = c.estate.data
    busy = upgrade.open_upgrade(c.estate)
    return {"version": data["version"], "switches": data["switches"], "maintenance": data["maintenance"], "values": data["values"],
            "services": list(data["services"].values()), "databases": data["databases"],
            "upgrade_in_progress": upgrade.shown(c.estate, busy) if busy else None}


def versions(c):
    return {"versions": [configuration.shown(c.estate, version) for version in c.estate.data["versions"]]}


def history(c):
    records = [c.estate.data["upgrades"][key] for key in reversed(c.estate.data["order"])]
    return {"upgrades": [upgrade.shown(c.estate, record) for record in records]}


def view(function):
    """A function that gives a record, as the interface shows it."""
    return lambda c, *rest: upgrade.shown(c.estate, function(c, *rest))


U = r"/api/upgrades/([0-9]+)"
ROUTES = [
    ("GET", SYSTEM, lambda c: system(c)),
    ("GET", "/api/versions", lambda c: versions(c)),
    ("GET", r"/api/versions/([^/]+)/modes", lambda c, v: upgrade.modes(c.estate, v)),
    ("POST", r"/api/versions/([^/]+)/configuration/validate", lambda c, v: configuration.validate_version(c.estate, v, c.upload())),
    ("PUT", r"/api/versions/([^/]+)/configuration", lambda c, v: configuration.import_version(c.estate, v, c.upload(), c.query.get("overwrite") == "true")),
    ("POST", r"/api/versions/([^/]+)/configuration-file/validate", lambda c, v: configuration.check_file(c.estate, v, c.upload(), c.query.get("kind", "standard"))),
    ("GET", "/api/upgrades", lambda c: history(c)),
    ("POST", "/api/upgrades", view(lambda c: upgrade.create(c.estate, c.json(), c.user))),
    ("GET", U, view(lambda c, u: upgrade.get(c.estate, u))),
    ("PUT", U, view(lambda c, u: upgrade.edit(c.estate, u, c.json()))),
    ("DELETE", U, lambda c, u: upgrade.discard(c.estate, u)),
    ("PUT", U + "/configuration-file", lambda c, u: upgrade.attach(c.estate, u, c.upload(), c.query.get("kind", "standard"))),
    ("POST", U + "/begin", view(lambda c, u: upgrade.enter(c.estate, u, c.json()))),
    ("POST", U + "/exit-maintenance", view(lambda c, u: upgrade.exit_maintenance(c.estate, u))),
    ("POST", U + "/stop", view(lambda c, u: upgrade.stop(c.estate, u, c.json()))),
    ("POST", U + "/force-stop", view(lambda c, u: upgrade.force_stop(c.estate, u, c.json(), c.user))),
    ("POST", U + "/complete", view(lambda c, u: upgrade.complete(c.estate, u))),
    ("GET", U + "/log", lambda c, u: {"lines": upgrade.get(c.estate, u)["log"]}),
    ("GET", U + "/running-tasks", lambda c, u: tasks.running(c.estate)),
    ("POST", U + "/running-tasks/stop", lambda c, u: tasks.stop(c.estate, u, c.json())),
    ("GET", U + "/stopped-tasks", lambda c, u: tasks.stopped(c.estate, u)),
    ("POST", U + "/stopped-tasks/run", lambda c, u: tasks.rerun(c.estate, u, c.json())),
    ("POST", U + "/stopped-tasks/stop", lambda c, u: tasks.stop_rerun(c.estate, u, c.json())),
    ("POST", U + "/shutdown", lambda c, u: services.shutdown(c.estate, u)),
    ("GET", U + "/pods", lambda c, u: services.pods(c.estate, u)),
    ("GET", U + "/databases", lambda c, u: databases.shown(c.estate, u)),
    ("POST", U + "/databases/backup", lambda c, u: databases.start(c.estate, u, c.json())),
    ("POST", U + "/databases/skip", lambda c, u: databases.skip(c.estate, u, c.json())),
    ("POST", U + "/databases/next", lambda c, u: databases.proceed(c.estate, u)),
    ("POST", U + r"/databases/([^/]+)/stop", lambda c, u, d: databases.stop(c.estate, u, d)),
    ("GET", U + r"/databases/([^/]+)/log", lambda c, u, d: databases.read_log(c.estate, u, d)),
    ("POST", U + "/pre-upgrade", lambda c, u: services.pre_upgrade(c.estate, u)),
    ("GET", U + "/pre-upgrade", lambda c, u: services.pre_upgrade_shown(c.estate, u)),
    ("POST", U + "/pre-upgrade/next", lambda c, u: services.pre_upgrade_next(c.estate, u)),
    ("POST", U + "/applications", lambda c, u: services.start(c.estate, u, c.json())),
    ("GET", U + "/applications", lambda c, u: services.shown(c.estate, u)),
    ("POST", U + r"/applications/([^/]+)/(thread-dump|restart)", lambda c, u, s, what: services.diagnose(c.estate, u, s, what)),
    ("GET", U + r"/applications/([^/]+)/(log)", lambda c, u, s, what: services.diagnose(c.estate, u, s, what)),
    ("GET", U + "/data-updates", lambda c, u: updates.shown(c.estate, u)),
    ("POST", U + "/data-updates/run", lambda c, u: updates.run(c.estate, u, c.json())),
    ("POST", U + "/data-updates/stop", lambda c, u: updates.stop(c.estate, u, c.json())),
    ("POST", U + "/data-updates/skip", lambda c, u: updates.skip(c.estate, u, c.json())),
    ("POST", U + "/data-updates/ignore-messages", lambda c, u: updates.ignore_messages(c.estate, u, c.json())),
    ("GET", U + r"/data-updates/([^/]+)/log", lambda c, u, t: updates.read_log(c.estate, u, t)),
    ("GET", U + "/verification/generated", lambda c, u: verification.generated(c.estate)),
    ("GET", U + "/verification/status", lambda c, u: verification.status(c.estate, c.query)),
    ("GET", U + "/verification/failed", lambda c, u: verification.failed(c.estate)),
    ("POST", U + "/verification/failed/rerun", lambda c, u: verification.rerun(c.estate, u, c.json())),
    ("GET", U + r"/verification/instances/([^/]+)/log", lambda c, u, i: verification.read_log(c.estate, i)),
]


class Front(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    estate = users = sessions = session_seconds = requests_log = None

    def do(self):
        split = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(split.query))
        self.content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = split.path.rstrip("/") or "/"
        with self.estate.lock:
            if self.breaks("drop_connections", path):
                return self.drop(path)
            status, answer = self.answer(path)
            self.estate.save()
            if self.breaks("drop_answers", path):
                return self.drop(path)
        self.note(path, status)
        self.send(status, answer)

    do_GET = do_POST = do_PUT = do_DELETE = do

    def breaks(self, name, path):
        fault = self.estate.fault(name, "", spend=False)
        return bool(fault and re.search(fault.get("path", ""), f"{self.command} {path}") and self.estate.fault(name, ""))

    def drop(self, path):
        self.estate.save()
        self.note(path, 0)
        self.close_connection = True
        self.connection.close()

    def answer(self, path):
        try:
            if path in ("/", BASE):
                return self.page(path)
            if not path.startswith(BASE + "/"):
                raise Refused(404, "NOT_FOUND", f"there is nothing at {path}")
            path = path.removeprefix(BASE)
            if path == "/login":
                return 200, {"success": True, "data": self.log_in()}
            self.user = self.session()
            self.tick()
            for method, pattern, function in ROUTES:
                match = re.fullmatch(pattern, path)
                if match and method == self.command:
                    given = function(self, *[urllib.parse.unquote(part) for part in match.groups()])
                    self.tick()
                    return 200, {"success": True, "data": given}
            raise Refused(404, "NOT_FOUND", f"there is no {self.command} {path}")
        except Refused as refused:
            return refused.status, {"success": False, "code": refused.code, "message": refused.message, "data": refused.data}
        except Exception as error:  # noqa: BLE001 - a broken stand-in says so
            traceback.print_exc()
            return 500, {"success": False, "code": "INTERNAL", "message": repr(error), "data": None}

    def page(self, path):
        closed = self.estate.data["maintenance"]
        if path == BASE:
            return 200, "<html><title>Dataphin Manager</title><form>Username Password Log on</form></html>"
        if closed:
            return 503, f"<html><title>Dataphin</title>In upgrade maintenance until {(closed['announcement'] or {}).get('estimated_completion')}</html>"
        return 200, "<html><title>Dataphin</title>Log on</html>"

    def log_in(self):
        body = self.json()
        if self.command != "POST" or self.users.get(body.get("username")) != body.get("password"):
            raise Refused(401, "LOGON_FAILED", "the username or the password is wrong")
        token = secrets.token_hex(16)
        self.sessions[token] = (body["username"], time.time() + self.session_seconds)
        return {"token": token}

    def session(self):
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        user, until = self.sessions.get(token, (None, 0))
        if until < time.time():
            raise Refused(401, "NOT_LOGGED_ON", "log on first: the session is unknown or over")
        return user

    def json(self):
        if not self.content:
            return {}
        try:
            body = json.loads(self.content)
        except ValueError:
            raise Refused(400, "NOT_JSON", "the body is no JSON") from None
        if not isinstance(body, dict):
            raise Refused(400, "NOT_JSON", "the body is no JSON object")
        return body

    def upload(self):
        """The file of an upload: of a form (`file`), or the body itself."""
        kind = self.headers.get("Content-Type") or ""
        if kind.startswith("multipart/form-data"):
            message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + self.content)
            for part in message.get_payload():
                if 'name="file"' in (part.get("Content-Disposition") or ""):
                    return part.get_payload(decode=True)
            raise Refused(400, "NO_FILE", "the form has no `file`")
        return self.content

    def send(self, status, answer):
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def note(self, path, status):
        with open(self.requests_log, "a", encoding="utf-8") as log:
            log.write(f"{self.command} {path.removeprefix(BASE)} {status or 'dropped'}\n")

    def log_message(self, *_):
        pass
