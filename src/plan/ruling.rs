//! What the policies of the configuration say to a plan. Data only: `policy` makes it, the report carries it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::name::{EnvironmentName, InstanceAddr};

/// One objection of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Ruling {
    /// Whether it stops an apply.
    pub effect: Effect,
    /// The policy's id: a waiver is named by it.
    pub id: String,
    /// What is objected to, in a sentence.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The instance that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceAddr>,
    /// The environment that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// The waiver that holds it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<Waived>,
}

/// What a policy's rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Apply refuses.
    Deny,
    /// It is shown.
    Warn,
}

/// Why an objection does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Waived {
    /// The reason given.
    pub reason: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<Timestamp>,
}

impl Ruling {
    /// Whether it stops an apply as things are.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.effect == Effect::Deny && self.waived.is_none()
    }
}
