//! The machine that a call is made on: that of its instance, or the one that its `on` names.

use std::sync::Arc;

use super::run::Hosts;
use crate::driver::host::Host;
use crate::driver::{Failure, FailureKind};
use crate::lang::{Expr, Value};
use crate::model::call::{Arg, Call};
use crate::model::name::HostName;
use crate::plan::Change;

/// The machine for a call of this change's instance. `eval` evaluates what became known only now; its error is a clause.
pub(super) fn machine(
    hosts: &dyn Hosts,
    change: &Change,
    call: &Call,
    eval: impl FnOnce(&Expr) -> Result<Value, String>,
) -> Result<Arc<dyn Host>, Failure> {
    let wrong = |why: &str| Failure::new(FailureKind::Invalid, format!("`on` of `{}`: {why}", call.driver));
    let value = match &call.on {
        None => return hosts.host(change.host.as_ref()),
        Some(Arg::Known(value)) => value.clone(),
        Some(Arg::Deferred(expr)) => eval(expr).map_err(|why| wrong(&why))?,
    };
    match value.revealed() {
        Value::Null => hosts.host(change.host.as_ref()),
        Value::String(name) => hosts.host(Some(&HostName::new(&*name))),
        Value::Unknown => Err(wrong("it is not known here")),
        other => Err(wrong(&format!("it must be the name of a host, and is {}", other.kind()))),
    }
}
