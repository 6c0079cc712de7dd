//! What is really deployed, as far as it could be seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::InstanceAddr;
use crate::lang::Value;

/// Every instance's facts. Written into saved plans; sensitive facts are marked values and lose their content there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inventory {
    /// By address. An instance that is not here was not looked at.
    pub instances: BTreeMap<InstanceAddr, Observation>,
}

/// What was seen of one instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Observation {
    /// When the last fact was taken.
    pub at: Timestamp,
    /// Facts by name.
    pub facts: BTreeMap<Arc<str>, Observed>,
}

/// A fact, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// Seen. Null is a value: `version` null means that nothing is installed.
    Value(Value),
    /// Could not be seen, and why.
    Unseen(String),
}

impl Observation {
    /// A fact's value, where it was seen.
    #[must_use]
    pub fn value(&self, fact: &str) -> Option<&Value> {
        match self.facts.get(fact)? {
            Observed::Value(value) => Some(value),
            Observed::Unseen(_) => None,
        }
    }

    /// Why a fact is missing, where it is.
    #[must_use]
    pub fn unseen(&self, fact: &str) -> Option<&str> {
        match self.facts.get(fact)? {
            Observed::Value(_) => None,
            Observed::Unseen(why) => Some(why),
        }
    }
}
