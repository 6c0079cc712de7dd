//! Against a `kubectl` that prints what a real one printed (1.32, shortened), and writes down how it was called.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::driver::testing::{Heard, applying, args, detail, observing};

const RUNNING: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pachd-5c4f8d9b7-9sqm0", "uid": "u-pachd", "creationTimestamp": "2018-11-20T10:00:00Z",
  "labels": {"app": "pachd", "suite": "pachyderm"}}, "spec": {"nodeName": "node-1", "containers": [{"name": "pachd", "image": "pachyderm/pachd:1.8.6"}]},
  "status": {"phase": "Running", "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
  "containerStatuses": [{"name": "pachd", "ready": true, "restartCount": 2, "state": {"running": {"startedAt": "2018-11-20T10:00:05Z"}}, "lastState": {}}]}}"#;
const CRASHING: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "etcd-0", "uid": "u-etcd", "labels": {"app": "etcd", "suite": "pachyderm"}},
  "spec": {"nodeName": "node-2", "containers": [{"name": "etcd", "image": "quay.io/coreos/etcd:v3.3.5"}]},
  "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "containers with unready status: [etcd]"}, {"type": "PodScheduled", "status": "True"}],
  "containerStatuses": [{"name": "etcd", "ready": false, "restartCount": 5, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 2m40s restarting failed container=etcd pod=etcd-0_default(u-etcd)"}},
  "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}}"#;
const UNSCHEDULED: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "etcd-0", "uid": "u-pending", "labels": {"app": "etcd"}}, "spec": {"containers": [{"name": "etcd", "image": "e"}]},
  "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available: 3 node(s) had volume node affinity conflict."}]}}"#;
const INITIALISING: &str = r#"{"metadata": {"name": "a", "uid": "u-a"}, "spec": {"initContainers": [{"name": "i"}, {"name": "j"}], "containers": [{"name": "c"}]},
  "status": {"phase": "Pending", "initContainerStatuses": [{"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}, {"state": {"waiting": {"reason": "PodInitializing"}}}]}}"#;
const JOB: &str = r#"{"metadata": {"name": "job", "uid": "u-job"}, "spec": {"containers": [{"name": "c"}]},
  "status": {"phase": "Succeeded", "containerStatuses": [{"ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]}}"#;
const LEAVING: &str = r#"{"metadata": {"name": "old", "uid": "u-old", "deletionTimestamp": "2018-11-20T10:00:00Z"}, "spec": {"containers": [{"name": "c"}]},
  "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{"ready": true, "restartCount": 0, "state": {"running": {}}}]}}"#;

fn list(pods: &[&str]) -> String {
    format!(r#"{{"apiVersion": "v1", "items": [{}], "kind": "List", "metadata": {{"resourceVersion": ""}}}}"#, pods.join(", "))
}

/// A program that answers the first call with the first text, and so on; the last one again and again. An answer that begins with `!`
/// is a failure. Whether the cluster is there at all is asked with `version`, which says what the file `away` holds.
struct Fake {
    dir: tempfile::TempDir,
}

impl Fake {
    fn answering(answers: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (number, answer) in answers.iter().enumerate() {
            std::fs::write(dir.path().join(format!("answer-{}", number + 1)), answer).unwrap();
        }
        let script = "#!/bin/sh\ncd \"${0%/*}\"\n\
                      if [ \"$1\" = version ]; then echo asked >> versions; [ ! -e away ] || { cat away >&2; exit 1; }; echo '{}'; exit 0; fi\n\
                      printf '%s\\n' \"$*\" >> calls\ncase $1 in delete) echo pod/etcd-0; exit 0;; esac\n\
                      case \"$*\" in *filename=-*) cat > manifest;; esac\nn=$(grep -vc '^delete' calls)\n\
                      [ -e answer-$n ] || n=$(ls answer-* | sed 's/answer-//' | sort -n | tail -n 1)\n\
                      if [ \"$(head -c 1 answer-$n)\" = '!' ]; then tail -c +2 answer-$n >&2; exit 1; fi\ncat answer-$n\n";
        let program = dir.path().join("kubectl");
        // Made beside and renamed: a test that forks meanwhile would hold the file open for writing.
        let made = std::process::Command::new("/bin/sh")
            .args(["-c", "printf '%s' \"$1\" > \"$2.new\" && chmod 755 \"$2.new\" && mv \"$2.new\" \"$2\"", "sh", script])
            .arg(&program)
            .status()
            .unwrap();
        assert!(made.success());
        Self { dir }
    }

    fn call(&self, more: serde_json::Value) -> crate::lang::Object {
        let mut all = args(more);
        all.insert("kubectl".into(), Value::string(self.dir.path().join("kubectl").to_string_lossy()));
        all
    }

    /// What it says of the cluster from now on.
    fn away(self, said: &str) -> Self {
        std::fs::write(self.dir.path().join("away"), said).unwrap();
        self
    }

    fn calls(&self) -> Vec<String> {
        std::fs::read_to_string(self.dir.path().join("calls")).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

fn seen(result: &Value, pod: usize, name: &str) -> String {
    serde_json::to_value(result.get("pods").unwrap().as_list().unwrap()[pod].get(name).unwrap()).unwrap().to_string()
}

async fn look(fake: &Fake, more: serde_json::Value) -> Result<Value, Failure> {
    Kubernetes.run(&fake.call(more), &observing()).await
}

async fn act(fake: &Fake, dir: &Path, more: serde_json::Value) -> Result<Value, Failure> {
    Kubernetes.run(&fake.call(more), &applying(dir)).await
}

#[tokio::test]
async fn pods_are_told_as_kubectl_tells_them() {
    let fake = Fake::answering(&[&list(&[RUNNING, CRASHING, INITIALISING, JOB, LEAVING])]);
    let result =
        look(&fake, json!({"kubeconfig": "/etc/kube config", "namespace": "data", "context": "a", "selector": "suite=pachyderm"}))
            .await
            .unwrap();
    assert_eq!(
        fake.calls(),
        [
            "get pods --output=json --selector=suite=pachyderm --request-timeout=30s --kubeconfig=/etc/kube config --context=a --namespace=data"
        ]
    );
    assert_eq!(result.get("ready"), Some(&false.into()));
    let names: Vec<_> =
        (0..5).map(|pod| (seen(&result, pod, "name"), seen(&result, pod, "status"), seen(&result, pod, "ready"))).collect();
    let quoted = |a: &str, b: &str, c: &str| (format!("\"{a}\""), format!("\"{b}\""), c.to_owned());
    assert_eq!(
        names,
        [
            quoted("a", "Init:1/2", "false"),
            quoted("etcd-0", "CrashLoopBackOff", "false"),
            quoted("job", "Completed", "false"),
            quoted("old", "Terminating", "false"),
            quoted("pachd-5c4f8d9b7-9sqm0", "Running", "true"),
        ]
    );
    assert_eq!((seen(&result, 1, "reason"), seen(&result, 1, "restarts")), ("\"CrashLoopBackOff\"".into(), "5".into()));
    assert_eq!((seen(&result, 4, "reason"), seen(&result, 4, "images")), ("null".into(), "[\"pachyderm/pachd:1.8.6\"]".into()));
}

#[tokio::test]
async fn a_pod_without_a_place_says_why() {
    let result = look(&Fake::answering(&[&list(&[UNSCHEDULED])]), json!({})).await.unwrap();
    assert_eq!((seen(&result, 0, "phase"), seen(&result, 0, "reason")), ("\"Pending\"".into(), "\"Unschedulable\"".into()));
    assert!(seen(&result, 0, "message").contains("volume node affinity conflict"));
    let none = look(&Fake::answering(&[&list(&[])]), json!({})).await.unwrap();
    assert_eq!((none.get("ready"), none.get("count")), (Some(&false.into()), Some(&0u64.into())), "no pods are not ready ones");
}

#[tokio::test]
async fn a_thing_that_is_not_there_is_no_failure() {
    let there = look(&Fake::answering(&[RUNNING]), json!({"action": "get", "kind": "pod", "name": "x"})).await.unwrap();
    assert_eq!(there.get("exists"), Some(&true.into()));
    assert!(there.get("object").unwrap().get("spec").is_some());
    let fake = Fake::answering(&[""]);
    let gone = look(&fake, json!({"action": "get", "kind": "pod", "name": "x"})).await.unwrap();
    assert_eq!((gone.get("exists"), gone.get("object")), (Some(&false.into()), Some(&Value::Null)));
    assert!(fake.calls()[0].starts_with("get pod/x --ignore-not-found --output=json"), "{:?}", fake.calls());
}

#[tokio::test]
async fn what_a_secret_holds_is_not_kept() {
    let secret = r#"{"kind": "Secret", "metadata": {"name": "s", "annotations": {"last-applied": "aHVudGVyMg=="}}, "data": {"password": "aHVudGVyMg=="}}"#;
    for (answer, more) in [
        (secret.to_owned(), json!({"action": "get", "kind": "secret", "name": "s"})),
        (list(&[secret]), json!({"action": "get", "kind": "secret"})),
    ] {
        let result = look(&Fake::answering(&[&answer]), more).await.unwrap();
        let text = serde_json::to_string(&result).unwrap();
        assert!(text.contains("password") && !text.contains("aHVudGVyMg"), "{text}");
    }
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_unreachable_and_a_missing_right_is_named() {
    for (said, kind, help) in [
        ("!Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout", FailureKind::Unreachable, "cluster-info"),
        (
            "!The connection to the server localhost:8080 was refused - did you specify the right host or port?",
            FailureKind::Unreachable,
            "cluster-info",
        ),
        (
            "!Unable to connect to the server: x509: certificate signed by unknown authority",
            FailureKind::Unreachable,
            "certificate-authority",
        ),
        ("!Error from server (Forbidden): pods is forbidden: User \"ci\" cannot list resource", FailureKind::Failed, "right"),
        ("!error: You must be logged in to the server (Unauthorized)", FailureKind::Failed, "log in"),
    ] {
        let error = look(&Fake::answering(&[said]), json!({})).await.unwrap_err();
        assert_eq!(error.kind, kind, "{said}");
        assert!(error.help.clone().unwrap_or_default().contains(help), "{error:?}");
        assert!(error.message.starts_with("`kubectl get` ended with exit status 1: "), "{error}");
    }
}

#[tokio::test]
async fn waiting_ends_when_every_pod_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::answering(&[
        &list(&[]),
        &list(&[UNSCHEDULED, RUNNING]),
        "!The connection to the server was refused",
        &list(&[RUNNING, JOB]),
    ]);
    let result =
        act(&fake, &dir.path().join("1"), json!({"action": "wait_ready", "interval": "10ms", "at_least": 2})).await.unwrap();
    assert_eq!((result.get("ready"), result.get("count")), (Some(&true.into()), Some(&2u64.into())));
    assert_eq!(fake.calls().len(), 4);
}

#[tokio::test]
async fn too_few_pods_are_not_ready_and_the_last_state_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::answering(&[&list(&[RUNNING, CRASHING])]);
    let call = json!({"action": "wait_ready", "interval": "10ms", "timeout": "300ms", "at_least": 3});
    let error = act(&fake, dir.path(), call).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::TimedOut);
    assert!(error.message.contains("1 of 3 pods are ready; etcd-0 is CrashLoopBackOff (back-off 2m40s"), "{error}");
}

#[tokio::test]
async fn a_stuck_pod_is_deleted_a_bounded_number_of_times_and_then_reported() {
    let dir = tempfile::tempdir().unwrap();
    let remedy = json!({"reasons": ["Pending", "CrashLoopBackOff"], "labels": {"app": "etcd"}, "after": "0s", "max": 2});
    let call = json!({"action": "wait_ready", "interval": "10ms", "timeout": "20s", "remedy_delete": remedy});
    // It is cured by the second deletion.
    let fake = Fake::answering(&[&list(&[CRASHING]), &list(&[UNSCHEDULED]), &list(&[RUNNING])]);
    let result = act(&fake, &dir.path().join("1"), call.clone()).await.unwrap();
    assert_eq!(result.get("deleted").unwrap().as_list().unwrap().len(), 2);
    assert_eq!(fake.calls().iter().filter(|call| call.starts_with("delete pod etcd-0 --ignore-not-found --wait=false")).count(), 2);
    // It is never cured.
    let fake = Fake::answering(&[&list(&[RUNNING, CRASHING])]);
    let error = act(&fake, &dir.path().join("2"), call.clone()).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Failed);
    assert!(
        error.message.starts_with("etcd-0 is CrashLoopBackOff (back-off")
            && error.message.ends_with("pods were deleted 2 times, which is the limit"),
        "{error}"
    );
    assert_eq!(detail(&error, "pod").as_str(), Some("etcd-0"));
    // The same attempt, after a crash, has used up its number.
    let again = Fake::answering(&[&list(&[CRASHING])]);
    act(&again, &dir.path().join("2"), call).await.unwrap_err();
    assert!(again.calls().iter().all(|call| !call.starts_with("delete")), "{:?}", again.calls());
}

#[tokio::test]
async fn pods_that_the_remedy_does_not_mean_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for remedy in [
        json!({"reasons": ["CrashLoopBackOff"], "labels": {"app": "pachd"}, "after": "0s"}),
        json!({"reasons": ["Pending"], "after": "0s"}),
        json!({"reasons": ["CrashLoopBackOff"], "after": "1h"}),
    ] {
        let fake = Fake::answering(&[&list(&[CRASHING, LEAVING])]);
        let call = json!({"action": "wait_ready", "interval": "10ms", "timeout": "200ms", "remedy_delete": remedy});
        assert_eq!(act(&fake, dir.path(), call).await.unwrap_err().kind, FailureKind::TimedOut);
        assert!(fake.calls().iter().all(|call| call.starts_with("get")), "{:?}", fake.calls());
    }
}

#[tokio::test]
async fn the_sink_hears_how_many_pods_are_ready_and_what_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let heard = std::sync::Arc::new(Heard::default());
    let ctx = Context { sink: heard.clone(), ..applying(dir.path()) };
    let fake = Fake::answering(&[&list(&[RUNNING, CRASHING]), &list(&[RUNNING])]);
    let remedy = json!({"reasons": ["CrashLoopBackOff"], "after": "0s"});
    Kubernetes.run(&fake.call(json!({"action": "wait_ready", "interval": "10ms", "remedy_delete": remedy})), &ctx).await.unwrap();
    assert_eq!(heard.progress.lock().unwrap()[0], (1, Some(2)));
    assert!(heard.lines.lock().unwrap()[0].ends_with("it is deleted, so that it is made anew (1 of 3)"));
}

#[tokio::test]
async fn what_acts_is_called_as_it_should_be() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::answering(&["configmap/settings\n"]);
    let applied =
        act(&fake, dir.path(), json!({"action": "apply", "manifest": {"kind": "ConfigMap"}, "namespace": "n"})).await.unwrap();
    assert_eq!(applied.get("applied").unwrap().as_list().unwrap()[0].as_str(), Some("configmap/settings"));
    assert_eq!(std::fs::read_to_string(fake.dir.path().join("manifest")).unwrap(), r#"{"kind":"ConfigMap"}"#);
    act(&fake, dir.path(), json!({"action": "delete", "kind": "pod", "selector": "app=etcd", "timeout": "5s"})).await.unwrap();
    act(&fake, dir.path(), json!({"action": "wait", "kind": "pod", "name": "etcd-0", "for": "condition=Ready", "timeout": "5s"}))
        .await
        .unwrap();
    act(&fake, dir.path(), json!({"action": "rollout_status", "kind": "deployment", "name": "pachd", "timeout": "5s"}))
        .await
        .unwrap();
    assert_eq!(
        fake.calls(),
        [
            "apply --server-side --field-manager=windlass --filename=- --output=name --request-timeout=30s --namespace=n",
            "delete pod --selector=app=etcd --ignore-not-found --wait=true --output=name --timeout=5s",
            "wait pod/etcd-0 --for=condition=Ready --timeout=5s",
            "rollout status deployment/pachd --timeout=5s",
        ]
    );
}

#[tokio::test]
async fn waiting_for_the_end_of_what_is_not_there_is_over_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let call = |wanted: &str| json!({"action": "wait", "kind": "pod", "selector": "a=b", "for": wanted});
    act(&Fake::answering(&["!error: no matching resources found"]), dir.path(), call("delete")).await.unwrap();
    act(&Fake::answering(&["!error: no matching resources found"]), dir.path(), call("condition=Ready")).await.unwrap_err();
}

#[tokio::test]
async fn senseless_calls_are_refused_before_kubectl_is_run() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::answering(&["{}"]);
    for wrong in [
        json!({"action": "drain"}),
        json!({"action": "delete", "kind": "pod"}),
        json!({"action": "delete", "kind": "pod", "name": "--all"}),
        json!({"action": "delete", "kind": "pod,secret", "name": "x"}),
        json!({"action": "get"}),
        json!({"action": "get", "kind": "pod", "name": "a", "selector": "b=c"}),
        json!({"action": "wait", "kind": "pod", "name": "a", "for": "ever"}),
        json!({"action": "apply"}),
        json!({"namespace": "a b"}),
        json!({"kubeconfig": "relative"}),
        json!({"action": "wait_ready", "remedy_delete": {"max": 1}}),
    ] {
        assert_eq!(act(&fake, dir.path(), wrong.clone()).await.unwrap_err().kind, FailureKind::Invalid, "{wrong}");
    }
    for acts in ["wait_ready", "wait", "rollout_status", "delete", "apply"] {
        let error = look(&fake, json!({"action": acts, "kind": "pod", "name": "a"})).await.unwrap_err();
        assert!(error.message.contains("only look"), "{error}");
    }
    assert_eq!(fake.calls(), [""; 0]);
}

#[tokio::test]
async fn what_only_asks_has_touched_nothing_and_a_change_that_failed_may_have() {
    let dir = tempfile::tempdir().unwrap();
    let refused = "!The connection to the server localhost:8080 was refused";
    let wait = json!({"action": "wait_ready", "interval": "10ms", "timeout": "50ms"});
    let remedy = json!({"reasons": ["CrashLoopBackOff"], "after": "0s", "max": 1});
    let cure = json!({"action": "wait_ready", "interval": "10ms", "timeout": "20s", "remedy_delete": remedy});
    let apply = json!({"action": "apply", "manifest": "a: b"});
    let crashing = list(&[CRASHING]);
    for (number, (said, call, untouched)) in [
        (refused, json!({"action": "wait", "kind": "pod", "name": "a", "for": "delete"}), true),
        (refused, json!({"action": "rollout_status", "kind": "deployment", "name": "a"}), true),
        (refused, wait, true),
        (crashing.as_str(), cure, false),
        // It may have been sent more than once, so that what it says at last is no proof.
        (refused, apply.clone(), false),
    ]
    .into_iter()
    .enumerate()
    {
        let own = dir.path().join(number.to_string());
        let error = act(&Fake::answering(&[said]), &own, call.clone()).await.unwrap_err();
        assert_eq!(error.untouched, untouched, "{call}: {error:?}");
        let recalled = Kubernetes.recall(&args(call.clone()), &applying(&own)).await.unwrap();
        assert_eq!(recalled == Recalled::Untouched, untouched, "{call}");
    }
    // The program is not there.
    let mut call = args(apply);
    call.insert("kubectl".into(), Value::string("/nowhere/kubectl"));
    assert!(Kubernetes.run(&call, &applying(&dir.path().join("none"))).await.unwrap_err().untouched);
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_is_not_told_to_change_anything() {
    let dir = tempfile::tempdir().unwrap();
    let calls = [json!({"action": "apply", "manifest": "a: b"}), json!({"action": "delete", "kind": "pod", "name": "a"})];
    for (number, (said, goes_on)) in [
        ("The connection to the server localhost:8080 was refused", false),
        ("error: You must be logged in to the server (Unauthorized)", false),
        ("Error from server (Forbidden): unknown", true),
    ]
    .into_iter()
    .enumerate()
    {
        for call in &calls {
            let own = dir.path().join(format!("{number}-{}", call["action"]));
            let fake = Fake::answering(&["done"]).away(said);
            let done = act(&fake, &own, call.clone()).await;
            assert_eq!(done.is_ok(), goes_on, "{said}");
            assert!(done.is_ok() || done.unwrap_err().untouched, "{said}");
            assert_eq!(fake.calls().len(), usize::from(goes_on), "{said}");
            // Killed at that point, the next process knows it, too.
            let recalled = Kubernetes.recall(&fake.call(call.clone()), &applying(&own)).await.unwrap();
            assert_eq!(recalled == Recalled::Untouched, !goes_on, "{said}");
        }
    }
}
