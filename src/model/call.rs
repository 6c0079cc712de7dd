//! A driver call as a plan holds it: arguments known, or an expression for what becomes known only while applying.

use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::{DriverName, HostName};
use crate::lang::{Expr, Value};

/// A driver and its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// Which driver.
    pub driver: DriverName,
    /// Its arguments by name, in the order written.
    pub args: IndexMap<Arc<str>, Arg>,
    /// On which host, by the name of its declaration; `None`: where the instance lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Arg>,
}

impl Call {
    /// The host that `on` names, as far as the plan knows.
    #[must_use]
    pub fn known_host(&self) -> Option<HostName> {
        match &self.on {
            Some(Arg::Known(Value::String(name))) => Some(HostName::new(&**name)),
            _ => None,
        }
    }

    /// Everything in it that a plan gives or leaves to apply, by name.
    pub fn given(&self) -> impl Iterator<Item = (&str, &Arg)> {
        self.args.iter().map(|(name, arg)| (&**name, arg)).chain(self.on.iter().map(|on| ("on", on)))
    }
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
