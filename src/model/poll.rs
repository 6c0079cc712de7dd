//! How a call is made again and again until something is so: the `poll` block of a step or an undo.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lang::Expr;

/// Looks again and again. The expressions are evaluated while applying, over `result`, what the call gave this time, and the names
/// of the step. The call is given to the driver as one that only looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Poll {
    /// Over, where true.
    pub until: Expr,
    /// Failed, where true; asked before `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<Expr>,
    /// Said where it failed or took too long; a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Expr>,
    /// How far it is, in percent; null where that does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Expr>,
    /// The pause after a look.
    pub interval: Duration,
}

impl Poll {
    /// Every expression of it.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let Self { until, fail, message, progress, interval: _ } = self;
        std::iter::once(until).chain(fail).chain(message).chain(progress)
    }
}
