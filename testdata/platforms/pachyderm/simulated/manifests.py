"""What `pachctl deploy` sends to the cluster: the objects of its manifest, as far as the simulator needs them."""

import base64
import uuid


def labels(app):
    return {"app": app, "suite": "pachyderm"}


def workload(kind, app, images, replicas=1):
    containers = [{"name": name, "image": image} for name, image in images]
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": app, "labels": labels(app)}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels(app)},
        "template": {"metadata": {"labels": labels(app)}, "spec": {"containers": containers}}}}


def service(name, app, port, node_port=None):
    each = {"port": port, "name": f"{app}-port"} | ({"nodePort": node_port} if node_port else {})
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels(app)},
            "spec": {"type": "NodePort" if node_port else "ClusterIP", "selector": {"app": app}, "ports": [each]}}


def deployment(backend, bucket, version, options, node_port):
    """All objects, in the order in which they are made."""
    plain = lambda api, kind, name, **more: {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels("pachyderm")}, **more}
    objects = [plain("v1", "ServiceAccount", "pachyderm")]
    if options.get("dynamic_etcd_nodes"):
        objects.append(plain("storage.k8s.io/v1", "StorageClass", "etcd-storage-class", provisioner=f"kubernetes.io/{backend}-disk"))
    objects.append(service("etcd-headless", "etcd", 2380))
    objects.append(workload("StatefulSet", "etcd", [("etcd", "quay.io/coreos/etcd:v3.3.5")]))
    objects.append(service("etcd", "etcd", 2379, 32379))
    pachd = workload("Deployment", "pachd", [("pachd", f"pachyderm/pachd:{version}")])
    pachd["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "STORAGE_BACKEND", "value": backend.upper()},
                                                                 {"name": "BLOCK_CACHE_BYTES", "value": options.get("block_cache_size", "0G")}]
    objects += [service("pachd", "pachd", 650, node_port), pachd]
    if not options.get("no_dashboard"):
        dash = [("dash", f"pachyderm/dash:{version}"), ("grpc-proxy", "pachyderm/grpc-proxy:0.4.2")]
        objects += [service("dash", "dash", 8080, 30080), workload("Deployment", "dash", dash)]
    name = {"local": "local-bucket", "google": "google-bucket", "amazon": "amazon-bucket"}[backend]
    objects.append(plain("v1", "Secret", "pachyderm-storage-secret", type="Opaque", data={name: base64.b64encode(bucket.encode()).decode()}))
    return objects


def volume(backend, namespace, options):
    """The claim and the volume that etcd gets, dynamically or as named."""
    static = options.get("static_etcd_volume")
    uid = str(uuid.uuid4())
    source = {
        "google": {"gcePersistentDisk": {"pdName": static or f"kubernetes-dynamic-pvc-{uid}"}},
        "amazon": {"awsElasticBlockStore": {"volumeID": f"aws://eu-west-1a/{static or 'vol-' + uid[:8]}"}},
        "local": {"hostPath": {"path": f"/var/pachyderm/etcd-{namespace}"}},
    }[backend]
    name = f"pvc-{uid}"
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {
        "name": "etcd-storage-etcd-0" if options.get("dynamic_etcd_nodes") else "etcd-storage", "labels": labels("etcd")},
        "spec": {"accessModes": ["ReadWriteOnce"], "volumeName": name}, "status": {"phase": "Bound"}}
    bound = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name, "labels": labels("etcd")},
             "spec": {**source, "claimRef": {"name": claim["metadata"]["name"], "namespace": namespace}}, "status": {"phase": "Bound"}}
    return claim, bound
