//! What people and the planner are told: descriptions, facts that nobody asks for, remedies.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::call::sites;
use super::placed;
use crate::lang::Expr;
use crate::model::provider::{CallTemplate, Provider};
use crate::source::{Diagnostic, Diagnostics};

/// Facts that the planner asks for by name.
const PLANNED: &[&str] = &["version", "running", "healthy"];

/// Checks what is documented, and what is observed for nothing.
pub(super) fn check(provider: &Provider, problems: &mut Diagnostics) {
    if provider.description.trim().is_empty() {
        problems.push(
            Diagnostic::warning("provider without a description")
                .detail(format!("nothing says what provider `{}` does, and what it expects of a host", provider.name))
                .help("add `description = \"…\"` to the `provider` block"),
        );
    }
    for (name, setting) in &provider.settings {
        if setting.description.trim().is_empty() {
            let problem = Diagnostic::warning("setting without a description")
                .detail(format!("nothing says what setting `{name}` means"))
                .help("add `description = \"…\"`, with the unit, and what it is good for");
            problems.push(placed(problem, &[setting.span]));
        }
    }
    for strategy in provider.strategies.values().filter(|strategy| strategy.description.trim().is_empty()) {
        let problem = Diagnostic::warning("strategy without a description")
            .detail(format!("nothing says how strategy `{}` goes about it", strategy.name))
            .help("add `description = \"…\"`: what stays up, what stops, what is backed up");
        problems.push(placed(problem, &[strategy.span]));
    }
    facts(provider, problems);
    for preflight in provider.preflights.iter().filter(|preflight| preflight.remedy.is_none()) {
        let problem = Diagnostic::warning("preflight without a remedy")
            .detail(format!("preflight `{}` may refuse a move, and does not say what to do then", preflight.name))
            .help("add `remedy = \"…\"`: the command or page that helps");
        problems.push(placed(problem, &[preflight.span]));
    }
}

fn facts(provider: &Provider, problems: &mut Diagnostics) {
    if !provider.facts.contains_key("healthy") {
        problems.push(
            Diagnostic::warning("missing fact `healthy`")
                .detail(format!(
                    "provider `{}` does not say when an instance is well: an upgrade that broke it counts as done",
                    provider.name
                ))
                .help("add `fact \"healthy\" { … }` whose value is a bool: ask the product's API, not only whether it runs"),
        );
    }
    let used = used(provider);
    for (name, fact) in &provider.facts {
        if fact.drift || PLANNED.contains(&&**name) || used.contains(name) || !fact.description.trim().is_empty() {
            continue;
        }
        let problem = Diagnostic::warning("fact is never used")
            .detail(format!("fact `{name}` is observed on every plan, and nothing asks for it"))
            .help("use it, set `drift = true`, or say in `description` what people read it for; otherwise remove it");
        problems.push(placed(problem, &[fact.span]));
    }
}

/// Facts that some expression names.
fn used(provider: &Provider) -> BTreeSet<Arc<str>> {
    let mut exprs: Vec<&Expr> = provider.locals.values().collect();
    exprs.extend(provider.facts.values().flat_map(|fact| fact.value.iter().chain(&fact.when).chain(&fact.for_each)));
    exprs.extend(provider.routes.iter().flat_map(|route| &route.when));
    exprs.extend(provider.blocked.iter().flat_map(|blocked| &blocked.when));
    exprs.extend(provider.risks.iter().map(|risk| &risk.rule));
    exprs.extend(provider.notes.iter().flat_map(|note| note.when.iter().chain([&note.text])));
    for preflight in &provider.preflights {
        exprs.extend(preflight.when.iter().chain([&preflight.pass, &preflight.message]).chain(&preflight.remedy));
    }
    for step in provider.strategies.values().flat_map(|strategy| &strategy.steps) {
        exprs.extend(step.when.iter().chain(&step.for_each).chain(&step.tolerate));
        exprs.extend(step.check.iter().flat_map(|check| &check.done));
    }
    let sites = sites(provider);
    let calls: Vec<&CallTemplate> = sites.iter().map(|site| site.call).collect();
    exprs.extend(calls.iter().flat_map(|call| call.exprs()));
    let references = exprs.into_iter().flat_map(Expr::references).filter(|reference| &*reference.root == "fact");
    references.filter_map(|reference| reference.path.first().cloned()).collect()
}
