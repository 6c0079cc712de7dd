//! How a call is made for each of several items that become known only while applying: the `fan_out` block of a step or an undo.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lang::Expr;

/// One call for each item, with `each.key` and `each.value`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FanOut {
    /// A list or map, evaluated when the action begins: it may use results of earlier steps.
    pub items: Expr,
    /// Names an item of a list, over `each.value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Expr>,
    /// How many at once; at least one.
    pub at_once: u32,
    /// Whether the action succeeds although items have failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tolerate_failures: bool,
}

impl FanOut {
    /// Every expression of it.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let Self { items, key, at_once: _, tolerate_failures: _ } = self;
        std::iter::once(items).chain(key)
    }
}
