//! Waits until pods are ready. Pods that are stuck are deleted so that they are made anew: a bounded number of times, then reported.

use std::collections::BTreeMap;
use std::time::Duration;

use super::client::Client;
use super::note;
use super::pod::Pod;
use super::result;
use crate::driver::exec::seconds;
use crate::driver::host::direct::duration_text;
use crate::driver::intent::Intent;
use crate::driver::{Args, Failure, FailureKind};
use crate::lang::Value;

/// What to do about stuck pods.
struct Remedy {
    reasons: Vec<String>,
    labels: BTreeMap<String, String>,
    after: Duration,
    max: u64,
}

impl Remedy {
    fn of(args: &Args<'_>) -> Result<Option<Self>, Failure> {
        let Some(given) = args.object("remedy_delete")? else { return Ok(None) };
        let reasons = given.texts("reasons")?;
        if reasons.is_empty() {
            return Err(args.invalid("`remedy_delete.reasons` is empty: it must say which states are stuck"));
        }
        let labels = given.map("labels")?;
        let after = given.duration("after")?.unwrap_or(Duration::from_secs(60));
        Ok(Some(Self { reasons, labels, after, max: given.count("max")?.unwrap_or(3) }))
    }

    fn concerns(&self, pod: &Pod) -> bool {
        !pod.ready && !pod.done && !pod.deleting && pod.is_in(&self.reasons) && pod.bears(self.labels.iter())
    }
}

/// Waits. As long as no pod was deleted, nothing was touched.
pub(super) async fn wait_ready(args: &Args<'_>, client: &Client<'_>) -> Result<Value, Failure> {
    let mut deleted = note::read(client.ctx())?;
    let done = until_ready(args, client, &mut deleted).await;
    done.map_err(|failure| if deleted.is_empty() { failure.untouched() } else { failure.touched() })
}

async fn until_ready(args: &Args<'_>, client: &Client<'_>, deleted: &mut Vec<String>) -> Result<Value, Failure> {
    let ctx = client.ctx();
    let selector = args.text("selector")?;
    let at_least = args.count("at_least")?.unwrap_or(1);
    let remedy = Remedy::of(args)?;
    let timeout = super::patience(args, ctx)?;
    let longest = args.duration("interval")?.unwrap_or(Duration::from_secs(5)).max(Duration::from_millis(10));
    let start = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(250).min(longest);
    // Since when each pod has been seen without being ready, by its uid: one that is made anew begins anew.
    let mut waiting: BTreeMap<String, tokio::time::Instant> = BTreeMap::new();
    let mut last = "nothing was seen".to_owned();
    loop {
        match tokio::time::timeout_at(start + timeout, client.pods(selector.as_deref())).await {
            Ok(Ok(pods)) => {
                let ready = pods.iter().filter(|pod| pod.ready || pod.done).count() as u64;
                let all = (pods.len() as u64).max(at_least);
                if ready == all {
                    return Ok(result([
                        ("pods", Value::list(pods.iter().map(|pod| pod.value(ctx)))),
                        ("count", (pods.len() as u64).into()),
                        ("ready", true.into()),
                        ("deleted", Value::list(deleted.iter().map(Value::string))),
                        ("waited", seconds(start.elapsed())),
                    ]));
                }
                ctx.sink.progress(ready, Some(all), "pods");
                last = say(&pods, ready, all);
                let now = tokio::time::Instant::now();
                waiting.retain(|uid, _| pods.iter().any(|pod| pod.uid == *uid && !pod.ready));
                for pod in pods.iter().filter(|pod| !pod.ready && !pod.done) {
                    waiting.entry(pod.uid.clone()).or_insert(now);
                }
                if let Some(remedy) = &remedy {
                    for pod in pods.iter().filter(|pod| remedy.concerns(pod)) {
                        if waiting.get(&pod.uid).is_some_and(|since| now.duration_since(*since) >= remedy.after) {
                            cure(client, remedy, pod, deleted).await?;
                        }
                    }
                }
            }
            // A control plane that restarts is waited for like the rest.
            Ok(Err(failure)) if matches!(failure.kind, FailureKind::Unreachable | FailureKind::TimedOut) => last = failure.message,
            Ok(Err(failure)) => return Err(failure),
            Err(_) => {}
        }
        if start.elapsed() + pause >= timeout {
            tokio::time::sleep_until(start + timeout).await;
            let last = ctx.redact.apply(&last).into_owned();
            let message = format!("waited for {} in vain: {last}", duration_text(timeout));
            return Err(Failure::new(FailureKind::TimedOut, message)
                .help("see `kubectl describe pod` and `kubectl logs --previous` for what is not ready")
                .detail(Value::object([
                    ("last", Value::string(&last)),
                    ("deleted", Value::list(deleted.iter().map(Value::string))),
                ])));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(longest);
    }
}

/// Deletes a stuck pod, or reports it where that was done often enough.
async fn cure(client: &Client<'_>, remedy: &Remedy, pod: &Pod, deleted: &mut Vec<String>) -> Result<(), Failure> {
    let ctx = client.ctx();
    let said = ctx.redact.apply(&pod.say()).into_owned();
    if deleted.len() as u64 >= remedy.max {
        let times = match deleted.len() {
            0 => "no pod may be deleted".to_owned(),
            1 => "a pod was deleted once".to_owned(),
            times => format!("pods were deleted {times} times"),
        };
        return Err(Failure::new(FailureKind::Failed, format!("{said}, and {times}, which is the limit"))
            .help(format!(
                "see `kubectl describe pod {0}` and `kubectl logs --previous {0}`; where its volume is on another node, drain or delete that node",
                pod.name
            ))
            .detail(Value::object([
                ("pod", Value::string(&pod.name)),
                ("reason", pod.reason.as_deref().map_or(Value::Null, Value::string)),
                ("deleted", Value::list(deleted.iter().map(Value::string))),
            ])));
    }
    ctx.sink.line(&format!("{said}: it is deleted, so that it is made anew ({} of {})", deleted.len() + 1, remedy.max));
    // Noted first: a crash in between may count one deletion too many, never one too few.
    deleted.push(pod.name.clone());
    Intent::of(ctx)?.declare(&Value::Null)?;
    note::write(ctx, deleted)?;
    let words = ["delete", "pod", &pod.name, "--ignore-not-found", "--wait=false", "--output=name"].map(str::to_owned);
    client.run(&words, Vec::new()).await.map(drop)
}

/// `2 of 3 pods are ready; etcd-0 is CrashLoopBackOff (…)`.
fn say(pods: &[Pod], ready: u64, all: u64) -> String {
    let mut words = format!("{ready} of {all} pods are ready");
    for pod in pods.iter().filter(|pod| !pod.ready && !pod.done).take(5) {
        words = format!("{words}; {}", pod.say());
    }
    words
}
