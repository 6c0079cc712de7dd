//! Deciding: desired, applied and observed state in, an immutable graph of actions out.
//!
//! Pure. The same [`PlanInput`] gives the same bytes; time comes in as a value, and nothing here reads a file, asks a platform
//! or knows how an action is run.

mod action;
mod catalogue;
mod change;
mod edge;
mod gate;
mod input;
mod note;
mod preflight;
mod report;
mod requirement;
mod route;
mod stop;
mod waiver;
mod window;

pub use action::{Action, ActionCheck, ActionKind, ActionUndo};
pub use change::{Change, Decision, Hop, NoteText, PreflightOutcome, PreflightResult, SettingDiff};
pub use gate::{Gate, GateKind};
pub use input::{PlanInput, PlanOptions};
pub use report::{Report, Verdict, VerdictKind};

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::inventory::Inventory;
use crate::model::name::{Digest, EnvironmentName, Lineage, ProviderName};
use crate::model::scope::{self, object, used};

/// The version of the plan's format; a plan of another is refused.
pub const FORMAT: u32 = 1;

/// What to do, in full: nothing is left for apply to choose. Holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// The Windlass that made it.
    pub tool_version: String,
    /// When, as given in the input.
    pub created: Timestamp,
    /// The state that it was made from, per environment: refused where it has moved.
    pub bases: BTreeMap<EnvironmentName, Base>,
    /// Digest of the configuration.
    pub configuration: Digest,
    /// Digest of each provider used.
    pub providers: BTreeMap<ProviderName, Digest>,
    /// What changes, in address order.
    pub changes: Vec<Change>,
    /// Every action, topologically sorted: what an action needs stands before it.
    pub actions: Vec<Action>,
    /// What must be so before anything starts.
    pub gates: Vec<Gate>,
    /// What was seen when it was made; apply compares versions again before it starts.
    pub inventory: Inventory,
}

/// The lockfile that a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Its lineage.
    pub lineage: Lineage,
    /// Its serial.
    pub serial: u64,
}
