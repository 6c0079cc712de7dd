//! What must be so before an environment may be applied to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::name::{EnvironmentName, InstanceAddr};

/// A condition of an environment. Evaluated by plan, and again by apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Whose.
    pub environment: EnvironmentName,
    /// The instance that waits; `None`: all of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceAddr>,
    /// What it asks for.
    pub kind: GateKind,
    /// Whether it lets pass now.
    pub open: bool,
    /// Why, and what is waited for.
    pub message: String,
    /// From when it will be open, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<Timestamp>,
    /// A waiver's reason, where one holds it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<String>,
}

/// Kinds of gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateKind {
    /// The version must have been applied and verified in another environment.
    Promotion,
    /// It must have been there for some time.
    Soak,
    /// The environment's window. Plans are made outside it, applied inside it.
    Window,
}
