//! What loading a provider allows, but what is dangerous or sloppy: for `windlass provider check`.
//!
//! Takes a loaded [`Provider`] and gives diagnostics, each with a place and a remedy. Pure. Errors are what may never be deployed
//! (a secret that other users of a machine can read), everything else is a warning: whether it matters, a person decides.

mod call;
mod document;
mod reach;
mod route;
mod secret;
mod step;
mod strategy;
#[cfg(test)]
mod tests;

use crate::model::provider::Provider;
use crate::source::{Diagnostic, Diagnostics, Span};

/// Everything that is dangerous or sloppy in a provider, grouped by kind and in the order written.
#[must_use]
pub fn lint(provider: &Provider) -> Diagnostics {
    let mut problems = Diagnostics::new();
    secret::check(provider, &mut problems);
    strategy::check(provider, &mut problems);
    step::check(provider, &mut problems);
    route::check(provider, &mut problems);
    document::check(provider, &mut problems);
    problems
}

/// A diagnostic at the first place that is known.
fn placed(problem: Diagnostic, places: &[Option<Span>]) -> Diagnostic {
    match places.iter().flatten().next() {
        Some(span) => problem.at(*span),
        None => problem,
    }
}
