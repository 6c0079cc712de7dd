"""API services: packages made on a design node, published to an API deployer, and deployed from there."""

import base64
import glob
import json
import os
import time
import urllib.request

from datadir import load, store
from instance import Problem, messages, missing


def services(instance, method, key, path, query):
    home = instance.home

    def folder(service):
        return home.file("apinode-packages", key, service)

    match (method, *path):
        case ("GET",):
            return [load(file) for file in sorted(glob.glob(home.file("config", "projects", key, "lambda_services", "*.json")))]
        case ("GET", service, "settings"):
            found = load(home.file("config", "projects", key, "lambda_services", f"{service}.json"))
            if found is None:
                raise missing(f"API service {service}")
            return found
        case ("GET", service, "packages"):
            return [load(file) for file in sorted(glob.glob(os.path.join(folder(service), "*.json")))]
        case ("POST", service, "packages", package):
            path = os.path.join(folder(service), f"{package}.json")
            if os.path.exists(path):
                raise Problem(400, "java.lang.IllegalArgumentException", f"package {package} exists already")
            settings = services(instance, "GET", key, [service, "settings"], {})
            stale = [each for each in settings.get("models", [])
                     if not instance.same_major(load(home.file("config", "projects", key, "saved_models", f"{each}.json"))["trainedWith"])]
            store(path, {"id": package, "createdOn": int(time.time() * 1000), "builtWith": instance.version, "staleModels": stale,
                         "releaseNotes": query.get("releaseNotes")})
            return {}
        case ("POST", service, "packages", package, "publish"):
            found = load(os.path.join(folder(service), f"{package}.json"))
            if found is None:
                raise missing(f"package {package}")
            publish(instance, query.get("publishedServiceId", service), found)
            return {}
    raise missing("/".join(path))


def publish(instance, service, package):
    """To the deployer that the general settings name; a node without one is its own."""
    settings = load(instance.home.file("config", "general-settings.json"), {}).get("deployerClientSettings", {})
    if not settings.get("nodeUrl"):
        store(instance.home.file("config", "published", service, f"{package['id']}.json"), package)
        return
    request = urllib.request.Request(f"{settings['nodeUrl']}/dip/publicapi/api-deployer/services/{service}/versions", json.dumps(package).encode(), method="POST")
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{settings['apiKey']}:".encode()).decode())
    with urllib.request.urlopen(request, timeout=10):
        pass


def deployer(instance, method, path, body):
    home = instance.home

    def deployment(identity):
        found = load(home.file("config", "deployments", f"{identity}.json"))
        if found is None:
            raise missing(f"deployment {identity}")
        return found

    match (method, *path):
        case ("POST", "services", service, "versions"):
            store(home.file("config", "published", service, f"{body['id']}.json"), body)
            return {}
        case ("GET", "services"):
            return [{"serviceBasicInfo": {"id": each}} for each in sorted(os.listdir(home.file("config", "published")))] if os.path.isdir(home.file("config", "published")) else []
        case ("GET", "deployments"):
            return [{"deploymentBasicInfo": load(file)} for file in sorted(glob.glob(home.file("config", "deployments", "*.json")))]
        case ("GET", "deployments", identity):
            return {"deploymentBasicInfo": deployment(identity)}
        case ("GET", "deployments", identity, "settings"):
            return deployment(identity)
        case ("PUT", "deployments", identity, "settings"):
            store(home.file("config", "deployments", f"{identity}.json"), {**deployment(identity), **body})
            return {}
        case ("GET", "deployments", identity, "status"):
            return {"health": health(instance, deployment(identity)), "healthMessages": messages()}
        case ("POST", "deployments", identity, "actions", "update"):
            return instance.begin(lambda: update(instance, identity, deployment(identity)))
    raise missing("/".join(path))


def health(instance, deployment):
    """A package that another major version made, or whose models it trained, does not work."""
    package = load(instance.home.file("config", "published", deployment["publishedServiceId"], f"{deployment.get('deployed')}.json"))
    if package is None:
        return "UNHEALTHY"
    return "HEALTHY" if instance.same_major(package["builtWith"]) and not package["staleModels"] else "ERROR"


def update(instance, identity, deployment):
    wanted = deployment["generationsMapping"]["generation"]
    if not os.path.exists(instance.home.file("config", "published", deployment["publishedServiceId"], f"{wanted}.json")):
        return messages(("ERROR", f"version {wanted} was not published"))
    store(instance.home.file("config", "deployments", f"{identity}.json"), {**deployment, "deployed": wanted})
    return messages(("SUCCESS", f"{identity} serves {wanted}"))
