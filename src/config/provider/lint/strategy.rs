//! Strategies as a whole: backups, and what stands behind the point of no return.

use std::collections::{BTreeMap, BTreeSet};

use super::call::backs_up;
use super::placed;
use crate::lang::Expr;
use crate::model::name::StepName;
use crate::model::provider::{Provider, Step, Strategy, Undo};
use crate::source::{Diagnostic, Diagnostics};

/// Drivers that prepare: what they do could as well be done before.
const PREPARES: &[&str] = &["archive", "disk_space", "template"];

/// Checks every strategy.
pub(super) fn check(provider: &Provider, problems: &mut Diagnostics) {
    for strategy in provider.strategies.values() {
        let before = strategy.before();
        for step in &strategy.steps {
            backup(strategy, step, &before, problems);
            behind(strategy, step, &before, problems);
        }
    }
}

/// What cannot be undone, or is undone with older data, comes after a backup.
fn backup(strategy: &Strategy, step: &Step, before: &BTreeMap<&StepName, BTreeSet<&StepName>>, problems: &mut Diagnostics) {
    let why = match &step.undo {
        Undo::Irreversible => "cannot be undone",
        Undo::Call { restores_data: true, .. } => "is undone by restoring older data",
        _ => return,
    };
    let earlier = |other: &&Step| before.get(&step.name).is_some_and(|before| before.contains(&other.name));
    if backs_up(step) || strategy.steps.iter().filter(earlier).any(backs_up) {
        return;
    }
    let problem = Diagnostic::warning("no backup")
        .detail(format!(
            "step `{}` of strategy `{}` {why}, and no step that must end before it makes a backup",
            step.name, strategy.name
        ))
        .help("add a step with the driver `backup` (or `postgres` with `action = \"dump\"`), and let this step wait for it");
    problems.push(placed(problem, &[step.span]));
}

/// Whether a step's call uses the result of such a step: then it cannot stand before it.
fn uses(step: &Step, such: impl Fn(&StepName) -> bool) -> bool {
    let references = step.call.args.values().flat_map(Expr::references);
    let mut names =
        references.filter(|reference| &*reference.root == "step").filter_map(|reference| reference.path.first().cloned());
    names.any(|name| such(&StepName::new(&*name)))
}

/// Behind the point of no return nothing should be done that may as well be done before it.
fn behind(strategy: &Strategy, point: &Step, before: &BTreeMap<&StepName, BTreeSet<&StepName>>, problems: &mut Diagnostics) {
    if !matches!(point.undo, Undo::Irreversible) {
        return;
    }
    let precedes = |first: &StepName, second: &StepName| before.get(second).is_some_and(|before| before.contains(first));
    for step in strategy.steps.iter().filter(|step| step.name != point.name && !precedes(&step.name, &point.name)) {
        let undoable = matches!(step.undo, Undo::Call { .. });
        let why = if undoable && !precedes(&point.name, &step.name) {
            "may run before or after it: whether it can still be undone is left to chance"
        } else if matches!(step.undo, Undo::Call { restores_data: true, .. }) {
            "changes data behind it, and is undone by a restore that no longer leads back to the version before"
        } else if PREPARES.contains(&step.call.driver.as_str())
            && !step.downtime
            && !uses(step, |other| precedes(&point.name, other))
        {
            "only prepares, and where it fails behind it, there is no way back any more"
        } else {
            continue;
        };
        let problem = Diagnostic::warning("risk behind the point of no return")
            .detail(format!(
                "in strategy `{}`, step `{}` cannot be undone, and step `{}` {why}",
                strategy.name, point.name, step.name
            ))
            .help(format!("let step `{}` wait for it: `after = [step.{}]`", point.name, step.name));
        let problem = placed(problem, &[step.span]);
        problems.push(match point.span {
            Some(span) => problem.label(span, "cannot be undone"),
            None => problem,
        });
    }
}
