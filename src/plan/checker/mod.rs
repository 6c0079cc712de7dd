//! A second reader of every finished plan.
//!
//! Takes a plan with its report and input, gives what is wrong with it in sentences: nothing, unless Windlass has a bug. Shares no
//! code with what makes plans, and asks only what a plan must be, never how it came to be.

mod graph;
mod order;
mod probe;
mod secrecy;

use std::collections::{BTreeMap, HashSet};

use super::action::{Action, ActionKind, ActionUndo};
use super::change::{Change, Decision};
use super::input::PlanInput;
use super::report::{Report, VerdictKind};
use super::{FORMAT, Plan};

/// Everything that is wrong with a plan. A violation is a bug of Windlass, and the plan must not be applied.
#[must_use]
pub fn check(plan: &Plan, report: &Report, input: &PlanInput<'_>) -> Vec<String> {
    let mut violations = Vec::new();
    header(plan, input, &mut violations);
    verdicts(plan, report, &mut violations);
    graph::check(plan, &mut violations);
    // The rest follows indices, which must be right first.
    if violations.is_empty() {
        for change in &plan.changes {
            course(plan, change, &mut violations);
        }
        probe::check(plan, &mut violations);
        order::check(plan, input, &mut violations);
        secrecy::check(plan, &mut violations);
    }
    violations
}

fn header(plan: &Plan, input: &PlanInput<'_>, violations: &mut Vec<String>) {
    if plan.format != FORMAT {
        violations.push(format!("its format is {}, not {FORMAT}", plan.format));
    }
    for (environment, base) in &plan.bases {
        match input.locks.get(environment) {
            Some(lock) if lock.lineage == base.lineage && lock.serial == base.serial => {}
            _ => violations.push(format!("its base of environment {environment} is not the lockfile that it was made from")),
        }
    }
    for change in &plan.changes {
        if !plan.bases.contains_key(&change.environment) {
            violations.push(format!("{} changes and its environment {} has no base", change.instance, change.environment));
        }
        for hop in change.hops.iter().filter(|hop| hop.reverts.is_none()) {
            if plan.providers.get(&change.provider) != Some(&hop.provider_digest) {
                violations.push(format!(
                    "{} uses a version of provider {} that the plan does not name",
                    change.instance, change.provider
                ));
            }
        }
    }
    if !plan.changes.is_sorted_by(|one, next| one.instance < next.instance) {
        violations.push("its changes are not in the order of their addresses, or one stands twice".to_owned());
    }
}

fn verdicts(plan: &Plan, report: &Report, violations: &mut Vec<String>) {
    let changes: BTreeMap<_, &Change> = plan.changes.iter().map(|change| (&change.instance, change)).collect();
    let mut told = HashSet::new();
    for verdict in &report.verdicts {
        told.insert(&verdict.instance);
        match (verdict.kind, changes.get(&verdict.instance)) {
            (VerdictKind::Blocked | VerdictKind::Unobserved | VerdictKind::Nothing, Some(_)) => {
                violations.push(format!("{} changes although nothing may be done for it", verdict.instance));
            }
            (VerdictKind::Change(decision), Some(change)) if decision != change.decision => {
                violations.push(format!("the verdict on {} is not what the plan does", verdict.instance));
            }
            (VerdictKind::Change(_) | VerdictKind::Waiting, None) => {
                violations.push(format!("{} should change and the plan does not say how", verdict.instance));
            }
            _ => {}
        }
        if verdict.why.is_empty() {
            violations.push(format!("the verdict on {} has no reason", verdict.instance));
        }
    }
    for change in plan.changes.iter().filter(|change| !told.contains(&change.instance)) {
        violations.push(format!("{} changes without a verdict", change.instance));
    }
}

/// One change by itself: its hops join, each ends in one record, and its point of no return is where it is said to be.
fn course(plan: &Plan, change: &Change, violations: &mut Vec<String>) {
    let name = &change.instance;
    let mut say = |text: String| violations.push(format!("{name}: {text}"));
    let without_hops = matches!(change.decision, Decision::Adopt | Decision::Forget);
    if change.hops.is_empty() != without_hops {
        say(format!("{:?} with {} hops", change.decision, change.hops.len()));
    }
    if let (Some(first), Some(last)) = (change.hops.first(), change.hops.last()) {
        if first.from != change.from || last.to != change.to {
            say("its hops do not lead from what is there to what will be".to_owned());
        }
        if change.hops.windows(2).any(|pair| pair[0].to != pair[1].from) {
            say("its hops do not join".to_owned());
        }
    }
    for hop in &change.hops {
        let actions: Vec<(u32, &Action)> =
            hop.actions.iter().filter_map(|&at| Some((at, plan.actions.get(at as usize)?))).collect();
        let records = actions.iter().filter(|(_, action)| action.kind == ActionKind::Record).count();
        if records != 1 || actions.last().is_none_or(|(_, action)| action.kind != ActionKind::Record) {
            say(format!("a hop has {records} records, or does not end with it"));
        }
        let needed: HashSet<u32> = actions.iter().flat_map(|(_, action)| action.needs.iter().copied()).collect();
        for (at, action) in actions.iter().filter(|(at, action)| action.kind != ActionKind::Record && !needed.contains(at)) {
            say(format!("the hop can be recorded before {} (action {at}) has ended", action.id));
        }
        let point = actions.iter().find(|(_, action)| action.undo == ActionUndo::Irreversible).map(|(at, _)| *at);
        if point != hop.point_of_no_return {
            say(format!("its point of no return is action {point:?} and not {:?}", hop.point_of_no_return));
        }
        for (_, action) in &actions {
            let reverts = matches!(action.kind, ActionKind::Revert { .. });
            if (reverts && hop.reverts.is_none()) || (matches!(action.kind, ActionKind::Step { .. }) && hop.reverts.is_some()) {
                say(format!("{} is of the wrong kind for its hop", action.id));
            }
        }
    }
}

#[cfg(test)]
mod tests;
