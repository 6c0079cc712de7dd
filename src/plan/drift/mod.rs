//! Drift: what is recorded against what is there, beside what is declared.
//!
//! Pure. [`compare`] finds what differs, [`judge`] says what counts and how much. A difference between declaration and record is a
//! pending change and no drift: `plan` shows it.

mod compare;
mod judge;
#[cfg(test)]
mod tests;

pub use compare::compare;
pub use judge::{ExpiredIgnore, Ignored, judge};

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::lang::Value;
use crate::model::drift::{DriftClass, Severity};
use crate::model::name::{EnvironmentName, HostName, InstanceAddr, ProviderName, RunId};

/// What one look at the fleet came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// When.
    pub at: Timestamp,
    /// Every instance that was looked at, in address order.
    pub instances: Vec<InstanceState>,
    /// Exceptions that have run out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expired: Vec<ExpiredIgnore>,
    /// Runs that have not come to an end, or did so while this was looked at: what they move is not compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moving: Vec<Moving>,
}

/// A run, and the instances whose drift is not told because it moves them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    /// Which run.
    pub run: RunId,
    /// `apply`, `rollback`.
    pub operation: String,
    /// `user@host`.
    pub who: String,
    /// When it began.
    pub began: Timestamp,
    /// Whether somebody carries it on; where nobody does, it waits for `windlass resume`.
    pub carried_on: bool,
    /// What it moves, of what was looked at.
    pub instances: Vec<InstanceAddr>,
}

impl DriftReport {
    /// Every drift that counts, with the instance that it is of.
    pub fn findings(&self) -> impl Iterator<Item = (&InstanceState, &Drift)> {
        self.instances.iter().flat_map(|state| state.drift.iter().map(move |drift| (state, drift)))
    }

    /// The worst severity of what counts.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings().map(|(_, drift)| drift.severity).max()
    }
}

impl Moving {
    /// Whether drift of a class is no news of an instance that the run moves. While somebody carries it on, nothing is but the age of
    /// a backup; a run that waits has left versions and configuration as they are, but nothing should be down.
    #[must_use]
    pub fn explains(&self, class: DriftClass) -> bool {
        match class {
            DriftClass::StaleBackup => false,
            DriftClass::Unhealthy | DriftClass::Unreachable => self.carried_on,
            DriftClass::Version | DriftClass::Configuration | DriftClass::Missing | DriftClass::Unmanaged => true,
        }
    }
}

/// One instance, three ways.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceState {
    /// Which instance.
    pub instance: InstanceAddr,
    /// Whose.
    pub provider: ProviderName,
    /// Where.
    pub environment: EnvironmentName,
    /// On which host; `None`: this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The version that is declared, as written; `None`: not declared any more.
    pub declared: Option<Arc<str>>,
    /// The version that is recorded; `None`: never applied.
    pub recorded: Option<Arc<str>>,
    /// What was seen of the version.
    pub observed: Sight,
    /// Whether declaration and record agree; where not, `plan` has something to do.
    pub pending: bool,
    /// What is not as it was recorded, and counts.
    pub drift: Vec<Drift>,
    /// What is not as it was recorded, and is accepted for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<Ignored>,
    /// Work that people owe.
    pub follow_ups: Vec<Arc<str>>,
}

/// What was seen of an instance's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// This version is there.
    Version(Arc<str>),
    /// Nothing is there.
    Nothing,
    /// It could not be seen, and why.
    Unseen(String),
    /// Nobody looked.
    NotLooked,
}

/// One thing that is not as it was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Which kind.
    pub class: DriftClass,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, in a sentence.
    pub message: String,
    /// The fact that it is about; `None`: the instance as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<Arc<str>>,
    /// What is recorded, for versions and facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Value>,
    /// What is declared: the version, or the setting of the fact's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Value>,
    /// What is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Value>,
}

impl Drift {
    /// Drift of a class with its default severity, about no fact.
    #[must_use]
    pub fn new(class: DriftClass, message: impl Into<String>) -> Self {
        let (severity, message) = (class.severity(), message.into());
        Self { class, severity, message, fact: None, recorded: None, desired: None, observed: None }
    }

    /// The two texts to show a difference of: what is recorded and what is there, where both have more than one line.
    #[must_use]
    pub fn diff(&self) -> Option<String> {
        let (Some(recorded), Some(observed)) = (&self.recorded, &self.observed) else { return None };
        let (before, after) = (lines(recorded), lines(observed));
        if self.class != DriftClass::Configuration || (!before.trim_end().contains('\n') && !after.trim_end().contains('\n')) {
            return None;
        }
        let diff = similar::TextDiff::from_lines(&before, &after);
        Some(diff.unified_diff().context_radius(2).header("recorded", "observed").to_string())
    }
}

/// A value as lines: a text as it is, anything else as indented JSON.
fn lines(value: &Value) -> String {
    let text = match value.as_str() {
        Some(text) => text.to_owned(),
        None => serde_json::to_string_pretty(value).unwrap_or_default(),
    };
    if text.ends_with('\n') { text } else { text + "\n" }
}
