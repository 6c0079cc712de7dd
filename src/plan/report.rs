//! Why things are as they are: one verdict for every instance, changed or not.

use serde::{Deserialize, Serialize};

use crate::model::name::{EnvironmentName, InstanceAddr};
use crate::source::Span;

use super::change::Decision;

/// What the planner thought of everything. Goes with a [`Plan`](super::Plan); apply does not need it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// In address order.
    pub verdicts: Vec<Verdict>,
}

/// What the planner thought of one instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which instance.
    pub instance: InstanceAddr,
    /// Where.
    pub environment: EnvironmentName,
    /// What it came to.
    pub kind: VerdictKind,
    /// Why, in sentences; for a blocked one every reason, with its remedy.
    pub why: Vec<String>,
    /// Where the reason is written.
    #[serde(skip)]
    pub span: Option<Span>,
}

/// What a verdict came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// It is as declared.
    Nothing,
    /// It changes.
    Change(Decision),
    /// It should change and cannot: the plan is not applicable for this instance and what depends on it.
    Blocked,
    /// Its version could not be seen, so nothing is planned for it.
    Unobserved,
    /// A gate of its environment is closed: planned, and apply will refuse until it opens.
    Waiting,
}
