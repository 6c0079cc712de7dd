//! What `kubernetes` takes and gives.

use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

/// An argument that may be left out.
const fn arg(name: &'static str, ty: &'static str, summary: &'static str) -> ArgSchema {
    ArgSchema { name, ty, required: false, summary }
}

/// The description.
pub(super) const SCHEMA: DriverSchema = DriverSchema {
    name: "kubernetes",
    summary: "Looks at a Kubernetes cluster and acts on it, through the command `kubectl` on the instance's host. Before it applies or deletes, it asks with `kubectl version` whether the cluster answers. Certificates are checked as the kubeconfig says; no argument turns that off.",
    args: &[
        arg(
            "action",
            "string",
            "\"pods\" (where not given) and \"get\" only look. Steps also: \"wait_ready\" waits for pods, \"wait\" for a condition, \"rollout_status\" for a rollout; \"delete\"; \"apply\" (server-side, as field manager `windlass`).",
        ),
        arg("kubeconfig", "string", "Absolute path of the kubeconfig; what `kubectl` finds where not given."),
        arg("context", "string", "Context of the kubeconfig; its current one where not given."),
        arg("namespace", "string", "Namespace; the context's where not given."),
        arg("kubectl", "string", "The program: an absolute path, or a name on the PATH; `kubectl` where not given."),
        arg("environment", "map(string)", "Environment variables of `kubectl`, as in `exec`: what it needs to log in."),
        arg("secrets", "map(string)", "More environment variables, whose values are hidden in everything that is shown or kept."),
        arg("request_timeout", "string", "How long one question to the cluster may take; 30 s where not given."),
        arg(
            "kind",
            "string",
            "Get, wait, rollout_status, delete: which kind of thing (`pod`, `persistentvolumeclaim`, `deployment.apps`).",
        ),
        arg("name", "string", "Get, wait, rollout_status, delete: its name."),
        arg(
            "selector",
            "string",
            "All but rollout_status and apply: labels (`app=etcd`). Without `name` and `selector`, pods, get and wait_ready mean all in the namespace; wait and delete need one of them.",
        ),
        arg("at_least", "number", "Wait_ready: how many pods there must be; 1 where not given."),
        arg(
            "remedy_delete",
            "object({ reasons = list(string), labels = map(string), after = string, max = number })",
            "Wait_ready: pods that bear all `labels` (any, where not given), are in a state of `reasons` (a pod's status as `kubectl get pods` prints it, its phase, or its reason: `Pending`, `CrashLoopBackOff`) and have not been ready for `after` (1 min where not given) are deleted, so that they are made anew: `max` times in all (3 where not given). Then it is a failure.",
        ),
        arg("for", "string", "Wait: \"delete\", \"condition=Ready\" or \"jsonpath=…\", as `kubectl wait --for`."),
        arg("interval", "string", "Wait_ready: the longest pause between two looks; 5 s where not given."),
        arg(
            "timeout",
            "string",
            "Wait_ready, wait, rollout_status, delete: after this duration it is a failure; the step's timeout where not given, and 10 min where that has none.",
        ),
        arg("manifest", "any", "Apply: the objects, as text (YAML or JSON) or as a value."),
        arg("force_conflicts", "bool", "Apply: whether fields that another manager owns are taken over; false where not given."),
    ],
    results: &[
        ResultSchema {
            name: "pods",
            ty: "list(object({ name = string, phase = string, status = string, reason = string, message = string, ready = bool, ready_containers = number, containers = number, restarts = number, node = string, uid = string, created = string, labels = map(string), images = list(string) }))",
            summary: "Pods, wait_ready: the pods by name, as they were at the last look. `status` is what `kubectl get pods` prints (`Running`, `CrashLoopBackOff`), `reason` and `message` say why it is not ready (null where it is).",
        },
        ResultSchema { name: "ready", ty: "bool", summary: "Pods: whether there are any and each is ready or completed." },
        ResultSchema { name: "count", ty: "number", summary: "Pods, get, wait_ready: how many there are." },
        ResultSchema { name: "exists", ty: "bool", summary: "Get: whether anything is there." },
        ResultSchema { name: "object", ty: "any", summary: "Get with `name`: the object; null where it is not there." },
        ResultSchema { name: "items", ty: "list(any)", summary: "Get: the objects. What a Secret holds is left out." },
        ResultSchema {
            name: "deleted",
            ty: "list(string)",
            summary: "Delete: what was deleted (`pod/etcd-0`). Wait_ready: the pods that were deleted as a remedy, one entry each time.",
        },
        ResultSchema { name: "applied", ty: "list(string)", summary: "Apply: what is there now (`configmap/settings`)." },
        ResultSchema { name: "waited", ty: "number", summary: "Wait_ready, wait, rollout_status: seconds." },
    ],
    observes: true,
};
