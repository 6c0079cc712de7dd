//! How a step watches others: the `probe` block.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lang::Expr;

/// Looks beside other steps, from before they begin until they have ended. The call is given to the driver as one that only looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// A look is well where this is true, over `result`; `None`: where the call succeeds. Evaluated while applying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Expr>,
    /// From the beginning of a look to that of the next.
    pub interval: Duration,
    /// So many looks may fail.
    #[serde(default)]
    pub allow: u32,
}
