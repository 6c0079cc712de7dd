//! What is known of drift, since when, and what each webhook was told of it. Pure; kept between looks as a file.
//!
//! A webhook that could not be reached is told later what is so then: what came and went meanwhile is nobody's business any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::lang::Value;
use crate::model::drift::{DriftClass, Severity};
use crate::model::name::{EnvironmentName, InstanceAddr};
use crate::plan::{Drift, DriftReport, InstanceState, Moving};

/// The version of the file's format.
const FORMAT: u32 = 1;

/// What is known, and who was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    format: u32,
    known: BTreeMap<String, Finding>,
    #[serde(default)]
    told: BTreeMap<Arc<str>, BTreeMap<String, Finding>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { format: FORMAT, known: BTreeMap::new(), told: BTreeMap::new() }
    }
}

/// One drift of one instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which instance.
    pub instance: InstanceAddr,
    /// Where.
    pub environment: EnvironmentName,
    /// Which kind.
    pub class: DriftClass,
    /// How bad.
    pub severity: Severity,
    /// The fact that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<Arc<str>>,
    /// What was found, in a sentence.
    pub message: String,
    /// What is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Value>,
    /// What is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Value>,
    /// Since when it is known, as it is.
    pub since: Timestamp,
}

impl Finding {
    fn of(state: &InstanceState, drift: &Drift, since: Timestamp) -> Self {
        Self {
            instance: state.instance.clone(),
            environment: state.environment.clone(),
            class: drift.class,
            severity: drift.severity,
            fact: drift.fact.clone(),
            message: drift.message.clone(),
            recorded: drift.recorded.clone(),
            observed: drift.observed.clone(),
            since,
        }
    }

    fn key(&self) -> String {
        format!("{}|{}|{}", self.instance, self.class.word(), self.fact.as_deref().unwrap_or_default())
    }

    /// Whether it says the same. The sentence may differ: a timeout says how long it was.
    fn is_same(&self, other: &Self) -> bool {
        self.severity == other.severity && self.recorded == other.recorded && self.observed == other.observed
    }
}

/// What is not as it was.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Changes {
    /// Drift that was not there before.
    pub appeared: Vec<Finding>,
    /// Drift that is another than before.
    pub changed: Vec<Changed>,
    /// Drift that is there no longer, as it was.
    pub gone: Vec<Finding>,
}

/// Drift that is another than before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changed {
    /// As it was.
    pub before: Finding,
    /// As it is.
    pub now: Finding,
}

impl Changes {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.appeared.is_empty() && self.changed.is_empty() && self.gone.is_empty()
    }

    fn between(before: &BTreeMap<String, Finding>, now: &BTreeMap<String, Finding>, floor: Severity) -> Self {
        let mut changes = Self::default();
        let counts = |finding: &&Finding| finding.severity >= floor;
        for (key, finding) in now.iter().filter(|(_, finding)| counts(finding)) {
            match before.get(key) {
                None => changes.appeared.push(finding.clone()),
                Some(old) if old.is_same(finding) => {}
                Some(old) => changes.changed.push(Changed { before: old.clone(), now: finding.clone() }),
            }
        }
        let gone = before.iter().filter(|(key, _)| !now.get(*key).is_some_and(|finding| counts(&finding)));
        changes.gone.extend(gone.map(|(_, finding)| finding.clone()));
        changes
    }
}

impl Memory {
    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn decode(text: &[u8]) -> Result<Self, String> {
        let memory: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if memory.format == FORMAT {
            Ok(memory)
        } else {
            Err(format!("it has format {}, this Windlass reads {FORMAT}", memory.format))
        }
    }

    /// As text for a file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// Everything that is known.
    pub fn known(&self) -> impl ExactSizeIterator<Item = &Finding> {
        self.known.values()
    }

    /// Takes a report in, and tells what it changes. What could not be seen this time, or is being moved by a
    /// run, is taken to be as it was.
    pub fn update(&mut self, report: &DriftReport) -> Changes {
        let mut now: BTreeMap<String, Finding> = BTreeMap::new();
        for (state, drift) in report.findings() {
            let mut finding = Finding::of(state, drift, report.at);
            if let Some(old) = self.known.get(&finding.key()).filter(|old| old.is_same(&finding)) {
                finding.since = old.since;
            }
            now.insert(finding.key(), finding);
        }
        let hidden = hidden(report);
        let moving: BTreeMap<&InstanceAddr, &Moving> =
            report.moving.iter().flat_map(|moving| moving.instances.iter().map(move |instance| (instance, moving))).collect();
        let is_hidden = |finding: &Finding| match finding.class {
            class if moving.get(&finding.instance).is_some_and(|moving| moving.explains(class)) => true,
            DriftClass::Unreachable | DriftClass::StaleBackup => false,
            DriftClass::Configuration => {
                hidden.contains(&(&finding.instance, finding.fact.as_deref())) || hidden.contains(&(&finding.instance, None))
            }
            _ => hidden.contains(&(&finding.instance, None)),
        };
        for (key, old) in &self.known {
            if !now.contains_key(key) && is_hidden(old) {
                now.insert(key.clone(), old.clone());
            }
        }
        let changes = Changes::between(&self.known, &now, Severity::Info);
        self.known = now;
        changes
    }

    /// What a webhook was not told yet.
    #[must_use]
    pub fn untold(&self, webhook: &str, floor: Severity) -> Changes {
        let nothing = BTreeMap::new();
        Changes::between(self.told.get(webhook).unwrap_or(&nothing), &self.known, floor)
    }

    /// Remembers that a webhook was told everything.
    pub fn tell(&mut self, webhook: &Arc<str>, floor: Severity) {
        let told = self.known.iter().filter(|(_, finding)| finding.severity >= floor);
        self.told.insert(Arc::clone(webhook), told.map(|(key, finding)| (key.clone(), finding.clone())).collect());
    }

    /// Forgets webhooks that are not declared any more.
    pub fn keep_webhooks(&mut self, declared: &BTreeSet<&str>) {
        self.told.retain(|name, _| declared.contains(&**name));
    }
}

/// Instances (`None`) and facts that could not be seen.
fn hidden(report: &DriftReport) -> BTreeSet<(&InstanceAddr, Option<&str>)> {
    let ignored = report.instances.iter().flat_map(|state| state.ignored.iter().map(move |ignored| (state, &ignored.drift)));
    report
        .findings()
        .chain(ignored)
        .filter(|(_, drift)| drift.class == DriftClass::Unreachable)
        .map(|(state, drift)| (&state.instance, drift.fact.as_deref()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Sight;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a time")
    }

    fn report(seconds: i64, drifts: Vec<Drift>) -> DriftReport {
        let state = InstanceState {
            instance: InstanceAddr::from_text("app.main"),
            provider: "app".into(),
            environment: "test".into(),
            host: None,
            declared: None,
            recorded: None,
            observed: Sight::NotLooked,
            pending: false,
            drift: drifts,
            ignored: Vec::new(),
            follow_ups: Vec::new(),
        };
        DriftReport { at: at(seconds), instances: vec![state], expired: Vec::new(), moving: Vec::new() }
    }

    fn config(observed: &str) -> Drift {
        let fact = Some("config".into());
        Drift { fact, observed: Some(observed.into()), ..Drift::new(DriftClass::Configuration, "other") }
    }

    fn unseen(fact: Option<&str>, why: &str) -> Drift {
        Drift { fact: fact.map(Into::into), ..Drift::new(DriftClass::Unreachable, why) }
    }

    fn words(changes: &Changes) -> (usize, usize, usize) {
        (changes.appeared.len(), changes.changed.len(), changes.gone.len())
    }

    #[test]
    fn only_what_changed_is_a_change_and_the_clock_may_jump() {
        let mut memory = Memory::default();
        assert_eq!(words(&memory.update(&report(100, vec![config("a")]))), (1, 0, 0));
        assert_eq!(words(&memory.update(&report(50, vec![config("a")]))), (0, 0, 0));
        assert_eq!(memory.known().next().map(|finding| finding.since), Some(at(100)));
        assert_eq!(words(&memory.update(&report(60, vec![config("b")]))), (0, 1, 0));
        assert_eq!(memory.known().next().map(|finding| finding.since), Some(at(60)));
        assert_eq!(words(&memory.update(&report(70, vec![]))), (0, 0, 1));
    }

    #[test]
    fn what_could_not_be_seen_is_not_gone() {
        let mut memory = Memory::default();
        memory.update(&report(1, vec![config("a")]));
        assert_eq!(words(&memory.update(&report(2, vec![unseen(None, "no answer within 5 s")]))), (1, 0, 0));
        assert_eq!(words(&memory.update(&report(3, vec![unseen(None, "no answer within 6 s")]))), (0, 0, 0));
        assert_eq!(words(&memory.update(&report(4, vec![config("a")]))), (0, 0, 1), "it is reachable again");
        assert_eq!(words(&memory.update(&report(5, vec![unseen(Some("config"), "locked")]))), (1, 0, 0));
        assert_eq!(words(&memory.update(&report(6, vec![]))), (0, 0, 2));
    }

    #[test]
    fn while_a_run_moves_it_an_instance_is_taken_to_be_as_it_was() {
        let mut memory = Memory::default();
        memory.update(&report(1, vec![config("a"), unseen(None, "no answer")]));
        let moving = Moving {
            run: crate::model::name::RunId::new("r"),
            operation: "apply".to_owned(),
            who: "ann@lab".to_owned(),
            began: at(2),
            carried_on: true,
            instances: vec![InstanceAddr::from_text("app.main")],
        };
        let during = DriftReport { moving: vec![moving], ..report(2, vec![]) };
        assert!(memory.update(&during).is_empty());
        assert_eq!(words(&memory.update(&report(3, vec![]))), (0, 0, 2));
    }

    #[test]
    fn a_webhook_is_told_what_is_so_when_it_can_be_told() {
        let mut memory = Memory::default();
        let ops: Arc<str> = "ops".into();
        memory.update(&report(1, vec![config("a")]));
        assert_eq!(words(&memory.untold("ops", Severity::Info)), (1, 0, 0));
        memory.tell(&ops, Severity::Info);
        assert!(memory.untold("ops", Severity::Info).is_empty());
        // It was away while this came and went.
        memory.update(&report(2, vec![config("b")]));
        memory.update(&report(3, vec![config("a")]));
        assert!(memory.untold("ops", Severity::Info).is_empty());
        memory.update(&report(4, vec![]));
        let mut read = Memory::decode(&memory.encode()).expect("it is read back");
        assert_eq!(read, memory);
        assert_eq!(words(&read.untold("ops", Severity::Info)), (0, 0, 1));
        read.keep_webhooks(&BTreeSet::new());
        assert!(read.untold("ops", Severity::Info).is_empty(), "it was never told, and there is nothing to tell");
    }

    #[test]
    fn below_its_severity_a_webhook_is_told_nothing_and_of_what_sinks_below_that_it_is_gone() {
        let mut memory = Memory::default();
        memory.update(&report(1, vec![config("a")]));
        assert!(memory.untold("ops", Severity::Critical).is_empty());
        memory.tell(&"ops".into(), Severity::Warning);
        let sunk = Drift { severity: Severity::Info, ..config("a") };
        memory.update(&report(2, vec![sunk]));
        assert_eq!(words(&memory.untold("ops", Severity::Warning)), (0, 0, 1));
    }

    #[test]
    fn a_file_of_another_format_is_not_read() {
        assert!(Memory::decode(b"{").is_err());
        assert!(Memory::decode(br#"{"format":9,"known":{}}"#).is_err_and(|why| why.contains("format 9")));
    }
}
