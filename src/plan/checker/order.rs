//! Whether instances are done in a right order: dependencies, and how many do not serve at once.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::model::estate::Rollout;
use crate::model::name::InstanceAddr;
use crate::plan::action::ActionKind;
use crate::plan::change::{Change, Decision, Hop};
use crate::plan::{Plan, PlanInput};

pub(super) fn check(plan: &Plan, input: &PlanInput<'_>, violations: &mut Vec<String>) {
    let changes: BTreeMap<&InstanceAddr, &Change> =
        plan.changes.iter().filter(|change| !change.hops.is_empty()).map(|change| (&change.instance, change)).collect();
    for change in changes.values() {
        let pairs: Vec<(&Hop, &Hop)> = change.hops.iter().zip(change.hops.iter().skip(1)).collect();
        for (before, after) in pairs {
            if !waits(plan, after, before) {
                violations.push(format!("{} can begin a hop before it has recorded the one before", change.instance));
            }
        }
        let down = matches!(change.decision, Decision::Rollback | Decision::Remove);
        for name in changing_dependencies(change, &changes, input) {
            let Some(dependency) = changes.get(name) else { continue };
            let (first, second) = if down { (*change, *dependency) } else { (*dependency, *change) };
            // Instances of one group may take each version together; then their last hops tell.
            let together = first.provider == second.provider && first.environment == second.environment;
            let begin = if together { second.hops.last() } else { second.hops.first() };
            if let (Some(end), Some(begin)) = (first.hops.last(), begin)
                && !waits(plan, begin, end)
            {
                violations.push(format!("{} can begin before {} is done", second.instance, first.instance));
            }
        }
    }
    unavailable(plan, input, violations);
    verified(plan, input, violations);
}

/// Where instances take turns, none is recorded at its last version before it was seen to be healthy.
fn verified(plan: &Plan, input: &PlanInput<'_>, violations: &mut Vec<String>) {
    for change in &plan.changes {
        let takes_turns = matches!(change.decision, Decision::Upgrade | Decision::Rollback | Decision::Reconfigure);
        let has_rules = input.estate.environments.get(&change.environment).is_some_and(|rules| rules.rollout != Rollout::default());
        let knows = input.providers.get(&change.provider).is_some_and(|provider| provider.facts.contains_key("healthy"));
        if !(takes_turns && has_rules && knows) {
            continue;
        }
        let record = change.hops.last().and_then(|hop| plan.actions.get(*hop.actions.last()? as usize));
        let asks = |need: &u32| match plan.actions.get(*need as usize).map(|action| &action.kind) {
            Some(ActionKind::Verify { instances, .. }) => *instances == [change.instance.clone()],
            _ => false,
        };
        if !record.is_some_and(|record| record.needs.iter().all(asks)) {
            violations.push(format!("{} can be recorded before it was seen to be healthy", change.instance));
        }
    }
}

/// What a change's instance depends on, directly or through instances that do not change.
fn changing_dependencies<'a>(
    change: &'a Change,
    changes: &BTreeMap<&InstanceAddr, &Change>,
    input: &'a PlanInput<'_>,
) -> BTreeSet<&'a InstanceAddr> {
    let mut found = BTreeSet::new();
    let mut seen = HashSet::from([&change.instance]);
    let mut open = vec![&change.instance];
    while let Some(name) = open.pop() {
        let declared = input.estate.instances.get(name);
        let environment = declared.map(|declared| &declared.environment);
        let locked = match environment {
            Some(environment) => input.locks.get(environment).and_then(|lock| lock.instances.get(name)),
            None => input.locks.values().find_map(|lock| lock.instances.get(name)),
        };
        let written = declared.into_iter().flat_map(|declared| {
            declared.depends_on.iter().chain(declared.requires.iter().map(|requirement| &requirement.instance))
        });
        // What the lockfile says counts for what is no longer declared.
        let recorded = locked.filter(|_| declared.is_none()).into_iter().flat_map(|locked| &locked.depends_on);
        for next in written.chain(recorded) {
            if seen.insert(next) {
                if changes.contains_key(next) {
                    found.insert(next);
                } else {
                    open.push(next);
                }
            }
        }
    }
    found
}

/// Whether nothing of `after` can begin before `before` is recorded.
fn waits(plan: &Plan, after: &Hop, before: &Hop) -> bool {
    let Some(&record) = before.actions.last() else { return false };
    let own: HashSet<u32> = after.actions.iter().copied().collect();
    let mut right = HashSet::new();
    // An action is right where something that it needs is the record, or is right itself, or is behind the record.
    for &at in &after.actions {
        let Some(action) = plan.actions.get(at as usize) else { return false };
        let inside = action.needs.iter().any(|need| right.contains(need));
        let direct = action.needs.contains(&record);
        if inside || direct || behind(plan, action.needs.iter().copied().filter(|need| !own.contains(need)), record) {
            right.insert(at);
        } else if !matches!(action.kind, ActionKind::Pause(_) | ActionKind::Verify { .. }) {
            return false;
        }
        // What only waits or looks touches nothing; what waits for that alone is not behind it either.
    }
    true
}

/// Whether `target` is among what these need, however far back.
fn behind(plan: &Plan, from: impl Iterator<Item = u32>, target: u32) -> bool {
    let mut open: Vec<u32> = from.filter(|&at| at >= target).collect();
    let mut seen: HashSet<u32> = open.iter().copied().collect();
    while let Some(at) = open.pop() {
        if at == target {
            return true;
        }
        let Some(action) = plan.actions.get(at as usize) else { continue };
        if action.needs.contains(&target) {
            return true;
        }
        open.extend(action.needs.iter().copied().filter(|&need| need > target && seen.insert(need)));
    }
    false
}

/// Of a group that may lose only so many at once, each must wait for the one that went so many places before it.
fn unavailable(plan: &Plan, input: &PlanInput<'_>, violations: &mut Vec<String>) {
    let mut groups: BTreeMap<_, Vec<&Change>> = BTreeMap::new();
    for change in plan.changes.iter().filter(|change| !change.hops.is_empty()) {
        if matches!(change.decision, Decision::Upgrade | Decision::Rollback | Decision::Reconfigure) {
            groups.entry((&change.environment, &change.provider)).or_default().push(change);
        }
    }
    for ((environment, provider), members) in groups {
        let rules = input.estate.environments.get(environment).and_then(|environment| environment.rollout.max_unavailable);
        // Where all may be down at once nobody waits, however many hops each of them has.
        let Some(most) = rules.map(|share| share.of(members.len())).filter(|most| *most < members.len()) else { continue };
        let mut hops: Vec<&Hop> = members.iter().flat_map(|change| &change.hops).collect();
        hops.retain(|hop| {
            hop.actions
                .iter()
                .filter_map(|&at| plan.actions.get(at as usize))
                .any(|action| action.downtime && matches!(action.kind, ActionKind::Step { .. } | ActionKind::Revert { .. }))
        });
        hops.sort_by_key(|hop| hop.actions.first().copied());
        for (place, after) in hops.iter().enumerate().skip(most) {
            let may_be_beside = |other: &Hop| !same(plan, other, after) && !waits(plan, after, other);
            // Mostly that is all. Else what counts are instances: the hops of one follow each other anyway.
            if may_be_beside(hops[place - most]) {
                let beside = hops[..place].iter().filter(|other| may_be_beside(other)).map(|hop| owner(plan, hop));
                if beside.collect::<BTreeSet<_>>().len() >= most {
                    violations.push(format!("more than {most} instances of {provider} in {environment} may be down at once"));
                    break;
                }
            }
        }
    }
}

fn same(plan: &Plan, one: &Hop, other: &Hop) -> bool {
    owner(plan, one) == owner(plan, other)
}

/// The change of a hop.
fn owner(plan: &Plan, hop: &Hop) -> Option<u32> {
    hop.actions.first().and_then(|&at| plan.actions.get(at as usize)).map(|action| action.change)
}
