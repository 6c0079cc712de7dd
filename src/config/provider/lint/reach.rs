//! What an expression's value is made of, through locals and through defaults of settings.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::lang::{Expr, Reference};
use crate::model::provider::Provider;
use crate::source::Span;

/// A name whose value gets into an expression's value.
pub(super) struct Reached {
    /// The name.
    pub(super) reference: Reference,
    /// Where the expression itself brings it in.
    pub(super) span: Option<Span>,
}

impl Reached {
    /// `self.password`.
    pub(super) fn text(&self) -> String {
        let Reference { root, path, .. } = &self.reference;
        std::iter::once(root).chain(path).map(|part| &**part).collect::<Vec<_>>().join(".")
    }
}

/// The names whose values get into an expression's value, except through calls of `stopped_by`. Locals give what they are made of;
/// settings count themselves and what their default is made of.
pub(super) fn reached(provider: &Provider, expr: &Expr, stopped_by: &[&str]) -> Vec<Reached> {
    let mut seen: BTreeSet<(Arc<str>, Vec<Arc<str>>)> = BTreeSet::new();
    let mut open: Vec<Reached> =
        expr.flows(&[], stopped_by).into_iter().rev().map(|reference| Reached { span: reference.span, reference }).collect();
    let mut found: Vec<Reached> = Vec::new();
    while let Some(next) = open.pop() {
        let Reference { root, path, .. } = &next.reference;
        if !seen.insert((Arc::clone(root), path.clone())) {
            continue;
        }
        let within = path.split_first().and_then(|(name, rest)| match &**root {
            "local" => Some((provider.locals.get(name)?, rest)),
            "self" => Some((provider.settings.get(name)?.default.as_ref()?, rest)),
            _ => None,
        });
        if let Some((within, rest)) = within {
            let span = next.span;
            open.extend(within.flows(rest, stopped_by).into_iter().rev().map(|reference| Reached { reference, span }));
        }
        if &**root != "local" {
            found.push(next);
        }
    }
    found
}
