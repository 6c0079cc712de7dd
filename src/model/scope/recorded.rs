//! The scope of a hop as a plan or a lockfile holds it, with the locals that could not be written down.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::lang::{Env, Scope, Value};
use crate::model::provider::Provider;

/// A scope that was written down: of a planned hop, or of an applied one. Locals that were not written down, because they hold a
/// secret or wait for a step's result, are computed again from what was.
pub(crate) struct RecordedScope<'a> {
    names: &'a Value,
    provider: &'a Provider,
    env: &'a Env<'a>,
    computing: RefCell<BTreeSet<Arc<str>>>,
}

impl<'a> RecordedScope<'a> {
    /// The scope of a hop, with the provider that applied it.
    pub(crate) fn new(names: &'a Value, provider: &'a Provider, env: &'a Env<'a>) -> Self {
        Self { names, provider, env, computing: RefCell::default() }
    }

    fn local(&self, name: &str) -> Option<Result<(Value, usize), String>> {
        if let Some(value) = self.names.get("local").and_then(|locals| locals.get(name))
            && !value.has_unknown()
        {
            return Some(Ok((value.clone(), 1)));
        }
        let (name, expr) = self.provider.locals.get_key_value(name)?;
        if !self.computing.borrow_mut().insert(name.clone()) {
            return Some(Err(format!("`local.{name}` refers to itself")));
        }
        let value = expr.eval(self, self.env);
        self.computing.borrow_mut().remove(name);
        Some(
            value
                .map(|value| (value, 1))
                .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        )
    }
}

impl Scope for RecordedScope<'_> {
    fn resolve(&self, root: &str, path: &[&str]) -> Option<Result<(Value, usize), String>> {
        if let ("local", Some(name)) = (root, path.first())
            && let Some(found) = self.local(name)
        {
            return Some(found);
        }
        self.names.get(root).map(|value| Ok((value.clone(), 0)))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.names.as_object().into_iter().flat_map(|names| names.keys().map(ToString::to_string)).collect();
        names.push("local".to_owned());
        names
    }
}
