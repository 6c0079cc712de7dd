//! A pod as `kubectl get pods --output=json` prints it, and what its state is in one word.
//!
//! The word is the one that `kubectl get pods` prints as STATUS, found in the same way (`printPod` of Kubernetes).

use serde_json::Value as Json;

use crate::driver::Context;
use crate::lang::Value;

/// A pod.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) phase: String,
    /// STATUS of the table.
    pub(super) status: String,
    /// Why it is not ready; `None` where it is.
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    pub(super) ready: bool,
    /// It ran to its end, as a job's pod does.
    pub(super) done: bool,
    pub(super) deleting: bool,
    ready_containers: u64,
    containers: u64,
    restarts: u64,
    node: Option<String>,
    created: Option<String>,
    labels: Vec<(String, String)>,
    images: Vec<String>,
}

fn text(json: &Json, pointer: &str) -> Option<String> {
    json.pointer(pointer).and_then(Json::as_str).filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

fn list<'a>(json: &'a Json, pointer: &str) -> &'a [Json] {
    json.pointer(pointer).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

impl Pod {
    /// Reads one; `None` where it has no name.
    pub(super) fn of(json: &Json) -> Option<Self> {
        let name = text(json, "/metadata/name")?;
        let phase = text(json, "/status/phase").unwrap_or_else(|| "Unknown".to_owned());
        let statuses = list(json, "/status/containerStatuses");
        let deleting = json.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null());
        let (word, container_message) = state(json, &phase);
        let status = match deleting {
            true if text(json, "/status/reason").as_deref() == Some("NodeLost") => "Unknown".to_owned(),
            true => "Terminating".to_owned(),
            false => word,
        };
        let containers = list(json, "/spec/containers").len() as u64;
        let ready_containers = statuses.iter().filter(|one| one.get("ready").and_then(Json::as_bool) == Some(true)).count() as u64;
        let says_ready = list(json, "/status/conditions")
            .iter()
            .any(|one| text(one, "/type").as_deref() == Some("Ready") && text(one, "/status").as_deref() == Some("True"));
        let ready = phase == "Running" && says_ready && ready_containers >= containers && !deleting;
        let unscheduled = list(json, "/status/conditions")
            .iter()
            .find(|one| text(one, "/type").as_deref() == Some("PodScheduled") && text(one, "/status").as_deref() == Some("False"));
        let (reason, message) = match (ready, unscheduled) {
            (true, _) => (None, None),
            (false, Some(why)) => (text(why, "/reason").or(Some(status.clone())), text(why, "/message")),
            (false, None) => (Some(status.clone()), container_message.or_else(|| text(json, "/status/message"))),
        };
        Some(Self {
            uid: text(json, "/metadata/uid").unwrap_or_default(),
            done: phase == "Succeeded",
            node: text(json, "/spec/nodeName"),
            created: text(json, "/metadata/creationTimestamp"),
            restarts: statuses.iter().filter_map(|one| one.get("restartCount").and_then(Json::as_u64)).max().unwrap_or(0),
            labels: json
                .pointer("/metadata/labels")
                .and_then(Json::as_object)
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            images: list(json, "/spec/containers").iter().filter_map(|one| text(one, "/image")).collect(),
            name,
            phase,
            status,
            reason,
            message,
            ready,
            deleting,
            ready_containers,
            containers,
        })
    }

    /// Whether one of these words says what state it is in.
    pub(super) fn is_in(&self, words: &[String]) -> bool {
        let Self { status, phase, reason, .. } = self;
        words.iter().any(|word| word == status || word == phase || reason.as_ref() == Some(word))
    }

    /// Whether it bears all of these labels.
    pub(super) fn bears<'a>(&self, mut labels: impl Iterator<Item = (&'a String, &'a String)>) -> bool {
        labels.all(|(name, value)| self.labels.iter().any(|(have, is)| have == name && is == value))
    }

    /// `etcd-0 is CrashLoopBackOff (back-off 10s restarting …)`.
    pub(super) fn say(&self) -> String {
        let Self { name, status, ready_containers, containers, reason, message, .. } = self;
        let state = match reason {
            Some(reason) if reason != status => format!("{status}, {reason}"),
            _ => status.clone(),
        };
        match message {
            Some(message) => format!("{name} is {state} ({message})"),
            None => format!("{name} is {state} with {ready_containers} of {containers} containers ready"),
        }
    }

    /// As an expression sees it.
    pub(super) fn value(&self, ctx: &Context) -> Value {
        let shown = |text: &str| Value::string(ctx.redact.apply(text));
        let maybe = |text: &Option<String>| text.as_deref().map_or(Value::Null, shown);
        Value::object([
            ("name", shown(&self.name)),
            ("phase", shown(&self.phase)),
            ("status", shown(&self.status)),
            ("reason", maybe(&self.reason)),
            ("message", maybe(&self.message)),
            ("ready", self.ready.into()),
            ("ready_containers", self.ready_containers.into()),
            ("containers", self.containers.into()),
            ("restarts", self.restarts.into()),
            ("node", maybe(&self.node)),
            ("uid", shown(&self.uid)),
            ("created", maybe(&self.created)),
            ("labels", Value::object(self.labels.iter().map(|(name, value)| (name.as_str(), shown(value))))),
            ("images", Value::list(self.images.iter().map(|image| shown(image)))),
        ])
    }
}

/// STATUS, and the message that goes with it.
fn state(json: &Json, phase: &str) -> (String, Option<String>) {
    let mut word = text(json, "/status/reason").unwrap_or_else(|| phase.to_owned());
    let mut message = None;
    let inits = list(json, "/status/initContainerStatuses");
    let total = list(json, "/spec/initContainers").len();
    for (index, one) in inits.iter().enumerate() {
        if one.pointer("/state/terminated/exitCode").and_then(Json::as_i64) == Some(0) {
            continue;
        }
        let waiting = text(one, "/state/waiting/reason").filter(|reason| reason != "PodInitializing");
        let why = text(one, "/state/terminated/reason").or(waiting);
        let said = text(one, "/state/waiting/message").or_else(|| text(one, "/state/terminated/message"));
        return (why.map_or_else(|| format!("Init:{index}/{total}"), |why| format!("Init:{why}")), said);
    }
    let mut running = false;
    for one in list(json, "/status/containerStatuses").iter().rev() {
        if let Some(reason) = text(one, "/state/waiting/reason") {
            word = reason;
            // What a crashed program said last tells more than that it is restarted.
            message = text(one, "/lastState/terminated/message").or_else(|| text(one, "/state/waiting/message"));
        } else if let Some(ended) = one.pointer("/state/terminated").filter(|ended| !ended.is_null()) {
            let code = ended.get("exitCode").and_then(Json::as_i64).unwrap_or_default();
            word = text(ended, "/reason").unwrap_or_else(|| format!("ExitCode:{code}"));
            message = text(ended, "/message");
        } else if one.get("ready").and_then(Json::as_bool) == Some(true) && one.pointer("/state/running").is_some() {
            running = true;
        }
    }
    if word == "Completed" && running {
        word = "Running".to_owned();
    }
    (word, message)
}
