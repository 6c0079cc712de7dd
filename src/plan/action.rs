//! One node of the graph.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lang::{Expr, Value};
use crate::model::call::Call;
use crate::model::fan_out::FanOut;
use crate::model::name::{ActionId, InstanceAddr, StepName};
use crate::model::poll::Poll;
use crate::model::probe::Probe;
use crate::model::provider::Retry;

use super::spread::Spread;

/// A step of a strategy, for one instance on one hop; or a landmark between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// Its name, unique in the plan.
    pub id: ActionId,
    /// Index into `Plan::changes`.
    pub change: u32,
    /// Index into that change's `hops`.
    pub hop: u32,
    /// What it is.
    pub kind: ActionKind,
    /// Indices into `Plan::actions` that must have succeeded before; all are smaller than its own.
    pub needs: Vec<u32>,
    /// For people: `Back up the database`.
    pub title: Arc<str>,
    /// Item of a `for_each`: `each` in deferred expressions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Value>,
    /// Asks whether it is already done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<ActionCheck>,
    /// The way back.
    pub undo: ActionUndo,
    /// May be done twice without harm.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeatable: bool,
    /// The instance does not serve while this runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub downtime: bool,
    /// Needs root.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
    /// How often, and how long between.
    #[serde(default)]
    pub retry: Retry,
    /// How long it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Failures that count as success: any true, over `error` and the hop's scope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerate: Vec<Expr>,
    /// Calls again and again until something is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Arc<Poll>>,
    /// Looks on beside the actions of `during`, and takes no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Arc<Probe>>,
    /// (A probe) Indices into `Plan::actions`, all greater than its own: they begin after it has made its first look, and it ends
    /// after all of them have ended in whatever way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub during: Vec<u32>,
    /// Calls for each of several items that become known only while applying; `each` in its expressions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan_out: Option<Arc<FanOut>>,
    /// The bracket that it opens: `maintenance mode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<Arc<str>>,
    /// The bracket that it closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes: Option<Arc<str>>,
    /// How far it is, in percent, over `line`, a line of its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Expr>,
    /// How long it is expected to take: the usual time of earlier runs; where there are none, what the provider says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Duration>,
    /// How long the step took in earlier runs; without it, the estimate is the provider's and was never measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// What an action is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Runs a step of the hop's strategy.
    Step {
        /// Which step; its result is `step.NAME.result` for later ones (a list of results where it was fanned out).
        step: StepName,
        /// What it does.
        call: Call,
    },
    /// Runs the undo of a step of a hop that an earlier run applied.
    Revert {
        /// Whose undo.
        step: StepName,
        /// What it does.
        call: Call,
        /// Whether data goes back to an older state.
        restores_data: bool,
    },
    /// Takes the outcome of the hop into the lockfile: the hop is done. Other instances wait for this one.
    Record,
    /// Waits so long after what it needs (soak between portions of a rollout).
    Pause(Duration),
    /// Asks for the fact `healthy` of these instances, again and again until it is not false for any of them. Changes nothing.
    Verify {
        /// Whose.
        instances: Vec<InstanceAddr>,
        /// How long they may take.
        within: Duration,
    },
}

impl ActionKind {
    /// The driver call, where there is one.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        match self {
            Self::Step { call, .. } | Self::Revert { call, .. } => Some(call),
            Self::Record | Self::Pause(_) | Self::Verify { .. } => None,
        }
    }

    /// The step, where there is one.
    #[must_use]
    pub fn step(&self) -> Option<&StepName> {
        match self {
            Self::Step { step, .. } | Self::Revert { step, .. } => Some(step),
            Self::Record | Self::Pause(_) | Self::Verify { .. } => None,
        }
    }
}

/// Asks whether an action is already done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionCheck {
    /// The call that asks.
    pub call: Call,
    /// Done, where true over `result`; `None`: done where the call succeeds.
    pub done: Option<Expr>,
}

/// The way back from an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly every step is undone by a call: a box would be made for each")]
pub enum ActionUndo {
    /// Runs this call.
    Call {
        /// The call.
        call: Call,
        /// Whether data goes back to an older state.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restores_data: bool,
        /// The instance does not serve while this runs.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        downtime: bool,
        /// How often, and how long between.
        #[serde(default)]
        retry: Retry,
        /// How long it may take.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout: Option<Duration>,
        /// Calls again and again until something is so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        poll: Option<Arc<Poll>>,
        /// Calls for each of several items that become known only while applying.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fan_out: Option<Arc<FanOut>>,
        /// The bracket that it opens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opens: Option<Arc<str>>,
        /// The bracket that it closes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closes: Option<Arc<str>>,
    },
    /// Nothing to reverse.
    Harmless,
    /// Cannot be reversed: once this has begun, only a restore leads back.
    Irreversible,
}
