"""The paths of the public API, as dataiku-api-client 15.2 calls them."""

import glob
import io
import json
import os
import zipfile

import govern_database
import packages
from datadir import load, random_id, store
from instance import messages, missing


def truth(text, otherwise):
    return otherwise if text is None else text.lower() == "true"


def route(instance, method, path, query, body, headers):
    """Answers a request, or raises a `Problem`."""
    home = instance.home
    match (method, *path):
        case ("GET", "instance-info"):
            return {"nodeId": home.option("general", "nodeid", home.option("general", "installid")), "nodeName": home.option("general", "nodename", ""),
                    "nodeType": home.node_type().upper(), "installId": home.option("general", "installid"), "dssVersion": instance.version}
        case ("GET", "futures"):
            return [instance.look(each, True) for each, future in list(instance.futures.items()) if not future["done"]]
        case ("GET", "futures", identity):
            return instance.look(identity, truth(query.get("peek"), False))
        case ("DELETE", "futures", identity):
            instance.futures.pop(identity, None)
            return {}
        case ("GET", "jobs", "running"):
            return instance.running_jobs()
        case ("GET", "projects"):
            return [load(file) for file in sorted(glob.glob(home.file("config", "projects", "*", "params.json")))]
        case (_, "projects", "import", *rest):
            return import_project(instance, method, rest, body, headers)
        case (_, "projects", key, *rest):
            if not os.path.isfile(home.file("config", "projects", key, "params.json")):
                raise missing(f"project {key}")
            return project(instance, method, key, rest, query, body)
        case (_, "api-deployer", *rest):
            return packages.deployer(instance, method, rest, body)
        case ("GET", "blueprints"):
            return []
        case ("GET", "artifacts"):
            return [{"id": row[0], "name": row[1]} for row in govern_database.query(home, "SELECT * FROM artifacts ORDER BY id")]
        case (_, "admin", *rest):
            return admin(instance, method, rest, query, body)
    raise missing("/".join(path))


def project(instance, method, key, path, query, body):
    home, folder = instance.home, instance.home.file("config", "projects", key)

    def listed(kind):
        return [load(file) for file in sorted(glob.glob(os.path.join(folder, kind, "*.json")))]

    def one(kind, identity):
        found = load(os.path.join(folder, kind, f"{identity}.json"))
        if found is None:
            raise missing(f"{kind} {key}.{identity}")
        return found

    match (method, *path):
        case ("GET", "scenarios"):
            return listed("scenarios")
        case ("GET", "scenarios", identity, "light"):
            scenario = one("scenarios", identity)
            return {"id": identity, "projectKey": key, "active": scenario["active"], "running": False, "nextRun": 0}
        case ("PUT", "scenarios", identity, "light"):
            store(os.path.join(folder, "scenarios", f"{identity}.json"), {**one("scenarios", identity), "active": body["active"]})
            return {"msg": "updated"}
        case ("GET", "scenarios", identity):
            return one("scenarios", identity)
        case ("PUT", "scenarios", identity):
            store(os.path.join(folder, "scenarios", f"{identity}.json"), {**one("scenarios", identity), **body})
            return {"msg": "updated"}
        case ("POST", "scenarios", identity, "run"):
            one("scenarios", identity)
            instance.run_scenario(key, identity)
            return {"projectKey": key, "scenarioId": identity, "runId": random_id(8), "trigger": {"id": "manual"}}
        case ("POST", "scenarios", identity, "abort"):
            return {"msg": f"aborted {identity}"}
        case ("GET", "jobs", "running"):
            return instance.running_jobs(key)
        case ("GET", "jobs"):
            return [load(file)["baseStatus"] for file in sorted(glob.glob(home.file("jobs", key, "*", "status.json")))]
        case ("POST", "jobs"):
            return instance.start_job(key, body)
        case ("GET", "jobs", identity):
            found = load(home.file("jobs", key, identity, "status.json"))
            if found is None:
                raise missing(f"job {identity}")
            return found
        case ("POST", "jobs", identity, "abort"):
            path = home.file("jobs", key, identity, "status.json")
            job = load(path)
            if job is not None:
                job["baseStatus"]["state"] = "ABORTED"
                store(path, job)
            for switches in (f"{home.path}.switches", os.path.join(os.path.dirname(home.path), "switches")):
                if os.path.exists(os.path.join(switches, "job_running")):
                    os.remove(os.path.join(switches, "job_running"))
            return {"msg": "aborted"}
        case ("GET", "savedmodels"):
            return listed("saved_models")
        case ("GET", "savedmodels", identity):
            return one("saved_models", identity)
        case ("GET", "savedmodels", identity, "versions"):
            model = one("saved_models", identity)
            return [{"id": "initial", "active": True, "trainedWith": model["trainedWith"], "snippet": {}}]
        case (_, "apiservices", *rest):
            return packages.services(instance, method, key, rest, query)
        case ("POST", "export"):
            return export_project(home, key)
    raise missing("/".join((key, *path)))


def export_project(home, key):
    """A project without what an export does not hold: files of notebooks, results of SQL notebooks, the state of the flow."""
    archive = io.BytesIO()
    folder = home.file("config", "projects", key)
    with zipfile.ZipFile(archive, "w") as target:
        for path in sorted(glob.glob(os.path.join(folder, "**"), recursive=True)):
            name = os.path.relpath(path, folder)
            if os.path.isfile(path) and name.split(os.sep)[0] not in ("notebook_files", "sql_notebook_results", "flow_state"):
                target.write(path, os.path.join("project_config", name))
        target.writestr("export-manifest.json", '{"originalProjectKey": "%s"}' % key)
    return archive.getvalue()


def import_archive(home, content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        key = json.loads(archive.read("export-manifest.json"))["originalProjectKey"]
        folder = home.file("config", "projects", key)
        if os.path.exists(folder):
            return {"success": False, "messages": messages(("ERROR", f"project {key} exists already"))}
        for name in archive.namelist():
            if name.startswith("project_config/"):
                path = os.path.join(folder, name.partition("/")[2])
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(archive.read(name))
    return {"success": True, "usedProjectKey": key, "messages": messages()}


def import_project(instance, method, path, body, headers):
    match (method, *path):
        case ("POST", "upload"):
            boundary = headers["Content-Type"].partition("boundary=")[2].strip('"').encode()
            part = body.split(b"--" + boundary)[1]
            identity = random_id(8)
            path = instance.home.file("tmp", f"import-{identity}.zip")
            with open(path, "wb") as file:
                file.write(part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n"))
            return {"id": identity}
        case ("POST", identity, "process"):
            with open(instance.home.file("tmp", f"import-{identity}.zip"), "rb") as file:
                return import_archive(instance.home, file.read())
    raise missing("/".join(path))


def admin(instance, method, path, query, body):
    home = instance.home

    def environment_file(language, name):
        found = home.file("acode-envs", language.lower(), name, "desc.json")
        if not os.path.isfile(found):
            raise missing(f"code environment {name}")
        return found

    def rebuilt(language, name, field):
        def work():
            if name in (home.switch("code_env_fails") or "").split():
                return {"messages": messages(("ERROR", f"pip failed for the code environment {name}: no matching distribution"))}
            path = environment_file(language, name)
            # Packages that fit the specification are left as they are, by whatever version they were installed.
            if field != "builtWith" or truth(query.get("forceRebuildEnv"), False):
                store(path, {**load(path), field: instance.version})
            return {"messages": messages(("SUCCESS", f"{name} updated"))}
        return work

    match (method, *path):
        case ("GET", "code-envs"):
            return [load(file) for file in sorted(glob.glob(home.file("acode-envs", "*", "*", "desc.json")))]
        case ("GET", "code-envs", language, name):
            return load(environment_file(language, name))
        case ("GET", "code-envs", _, _, "usages"):
            return []
        case ("POST", "code-envs", language, name, "packages"):
            environment_file(language, name)
            return instance.do(rebuilt(language, name, "builtWith"), truth(query.get("wait"), True))
        case ("POST", "code-envs", language, name, "images"):
            environment_file(language, name)
            return instance.do(rebuilt(language, name, "imageBuiltWith"), truth(query.get("wait"), True))
        case ("GET", "general-settings"):
            return load(home.file("config", "general-settings.json"))
        case ("PUT", "general-settings"):
            store(home.file("config", "general-settings.json"), body)
            return {}
        case ("POST", "container-exec", "actions", "push-base-images"):
            images = load(home.file("config", "base-images.json"), {})
            if images.get("builtWith") != instance.version:
                return {"messages": messages(("ERROR", f"the base images were built with {images.get('builtWith')}: run dssadmin build-base-image"))}
            store(home.file("config", "base-images.json"), {**images, "pushedWith": instance.version})
            return {"messages": messages(("SUCCESS", "pushed"))}
        case ("GET", "sanity-check", "codes"):
            return ["WARN_MISC_CODE_ENV_OUTDATED", "WARN_MISC_SAVED_MODEL_OUTDATED"]
        case ("POST", "sanity-check", "run"):
            return instance.begin(lambda: sanity(instance))
        case ("GET", "licensing", "status"):
            return {"base": {"hasLicense": True, "valid": True}}
    raise missing("/".join(path))


def sanity(instance):
    """Warns of what was built or trained by another major version."""
    found = []
    for path in sorted(glob.glob(instance.home.file("acode-envs", "*", "*", "desc.json"))):
        environment = load(path)
        if not instance.same_major(environment["builtWith"]):
            found.append(("WARNING", f"code environment {environment['envName']} was built with {environment['builtWith']}"))
    for path in sorted(glob.glob(instance.home.file("config", "projects", "*", "saved_models", "*.json"))):
        model = load(path)
        if not instance.same_major(model["trainedWith"]):
            found.append(("WARNING", f"saved model {model['id']} was trained with {model['trainedWith']}"))
    return messages(*found)
