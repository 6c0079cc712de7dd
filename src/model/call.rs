//! A driver call as a plan holds it: arguments known, or an expression for what becomes known only while applying.

use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::DriverName;
use crate::lang::{Expr, Value};

/// A driver and its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// Which driver.
    pub driver: DriverName,
    /// Its arguments by name, in the order written.
    pub args: IndexMap<Arc<str>, Arg>,
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arg {
    /// Known while planning, and holds nothing sensitive.
    Known(Value),
    /// Evaluated while applying, over the hop's scope and the results of earlier steps: either because a result is not known
    /// yet, or because the value is sensitive and may not stand in a plan.
    Deferred(Expr),
}
