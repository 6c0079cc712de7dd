//! Whether a plan adds anything to one that was approved.
//!
//! A plan *adds nothing* where everything that it does was in the approved plan, in the same order and by the same calls with the same
//! undo, and where it is not riskier: no new gate that is closed, no new waiver, no check with a worse outcome, no new note, no
//! earlier point of no return. It may do less, by whole changes and by whole hops at a change's beginning: those were applied
//! meanwhile. What remains of a hop must be all of it, since a hop without its backup is not a smaller one. Times, estimates, what was
//! seen of other instances and the serials of lockfiles do not count. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::change::{Change, Hop, PreflightOutcome};
use super::gate::Gate;
use super::{Action, Plan};
use crate::model::name::InstanceAddr;

/// Something that a plan does and the approved one does not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Addition {
    /// Of which instance; `None`: of the whole plan or of an environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceAddr>,
    /// What, as a clause: `upgrade to 2.0 was not in the approved plan`.
    pub what: String,
}

/// What a plan adds to an approved one; nothing where the approval holds for it, too.
#[must_use]
pub fn additions(approved: &Plan, plan: &Plan) -> Vec<Addition> {
    let mut found = Vec::new();
    if approved.format != plan.format {
        found.push(Addition { instance: None, what: format!("the format was {} and is {}", approved.format, plan.format) });
    }
    let before: HashMap<&InstanceAddr, &Change> = approved.changes.iter().map(|change| (&change.instance, change)).collect();
    for change in &plan.changes {
        let mut add = |what: String| found.push(Addition { instance: Some(change.instance.clone()), what });
        match before.get(&change.instance) {
            None => add("it was not to change".to_owned()),
            Some(old) => differences(Side { plan: approved, change: old }, Side { plan, change }, Hops::MayBeFewer, &mut add),
        }
    }
    for gate in &plan.gates {
        let old = approved.gates.iter().find(|old| is_same(old, gate));
        let what = match (old, &gate.waived) {
            (Some(old), waived) if old.waived == *waived || waived.is_none() => continue,
            (None, None) if gate.open => continue,
            (_, Some(reason)) => format!("the gate {} of {} is waived ({reason})", gate.kind.as_str(), gate.environment),
            (_, None) => format!("the gate {} of {} is new: {}", gate.kind.as_str(), gate.environment, gate.message),
        };
        found.push(Addition { instance: gate.instance.clone(), what });
    }
    for (action, after) in lost_order(&Places::of(approved), &Places::of(plan)) {
        found.push(Addition { instance: None, what: format!("{action} does not wait for {after} any more") });
    }
    found
}

fn is_same(one: &Gate, other: &Gate) -> bool {
    (&one.environment, &one.instance, one.kind) == (&other.environment, &other.instance, other.kind)
}

/// A change and the plan that it stands in.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) plan: &'a Plan,
    pub(super) change: &'a Change,
}

/// Whether hops at the beginning may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hops {
    /// What was applied meanwhile is gone.
    MayBeFewer,
    /// Each must be there.
    All,
}

/// What one change does that another did not.
pub(super) fn differences(old: Side<'_>, new: Side<'_>, hops: Hops, add: &mut dyn FnMut(String)) {
    let (was, is) = (old.change, new.change);
    let gone = was.hops.len().saturating_sub(is.hops.len());
    let fewer = hops == Hops::MayBeFewer && gone > 0;
    if (was.decision, &was.to) != (is.decision, &is.to) || (!fewer && was.from != is.from) {
        let told = |change: &Change| {
            let version = |version: &Option<std::sync::Arc<str>>| version.as_deref().unwrap_or("nothing").to_owned();
            let word = change.decision.verb();
            format!("{word} from {} to {}", version(&change.from), version(&change.to))
        };
        return add(format!("it was to {}, and now to {}", told(was), told(is)));
    }
    if (&was.provider, &was.environment, &was.host) != (&is.provider, &is.environment, &is.host) {
        add("its product, environment or host is another".to_owned());
    }
    if was.settings_digest != is.settings_digest || was.recorded != is.recorded {
        add("its settings will be others".to_owned());
    }
    for diff in &is.settings {
        let known = was.settings.iter().find(|old| old.name == diff.name);
        if !known.is_some_and(|old| old.after == diff.after && (fewer || old.before == diff.before)) {
            add(format!("setting `{}` changes otherwise", diff.name));
        }
    }
    for note in is.notes.iter().filter(|note| !was.notes.contains(note)) {
        add(format!("the note `{}` is new or says something else", note.name));
    }
    if is.hops.len() > was.hops.len() || (hops == Hops::All && gone > 0) {
        return add(format!("it goes by {} hops, not {}", is.hops.len(), was.hops.len()));
    }
    for check in &is.preflights {
        let same = |old: &&super::PreflightResult| old.name == check.name && old.hop as usize == check.hop as usize + gone;
        let old = was.preflights.iter().find(same).map(|old| &old.outcome);
        if is_worse(old, &check.outcome) {
            add(format!("check `{}` has a worse outcome: {}", check.name, check.message));
        }
    }
    for (old_hop, new_hop) in was.hops.iter().skip(gone).zip(&is.hops) {
        hop((old.plan, old_hop), (new.plan, new_hop), add);
    }
}

/// A waiver with another reason is another waiver.
fn is_worse(old: Option<&PreflightOutcome>, new: &PreflightOutcome) -> bool {
    match new {
        PreflightOutcome::Pass => false,
        PreflightOutcome::Warn => matches!(old, None | Some(PreflightOutcome::Pass)),
        PreflightOutcome::Waived { .. } | PreflightOutcome::Fail => old != Some(new),
    }
}

fn hop((old_plan, old): (&Plan, &Hop), (plan, new): (&Plan, &Hop), add: &mut dyn FnMut(String)) {
    let whole = |hop: &Hop| {
        let Hop { from, to, route, strategy, provider_digest, reverts, scope, keep, .. } = hop.clone();
        (from, to, route, strategy, provider_digest, reverts, scope, keep)
    };
    let name = format!("the hop to {}", new.to.as_deref().unwrap_or("nothing"));
    let (was, is) = (whole(old), whole(new));
    if (&was.0, &was.1, &was.2, &was.3, &was.5) != (&is.0, &is.1, &is.2, &is.3, &is.5) {
        return add(format!(
            "{name} goes by strategy {} on route {}, not {} on {}",
            new.strategy, new.route, old.strategy, old.route
        ));
    }
    if was.4 != is.4 {
        add(format!(
            "{name} is made by another state of the provider ({}, not {})",
            new.provider_digest.short(),
            old.provider_digest.short()
        ));
    }
    if (was.6, was.7) != (is.6, is.7) {
        add(format!("{name} works with other values"));
    }
    if new.risk > old.risk {
        add(format!("{name} is riskier: {} of 100, not {}", new.risk, old.risk));
    }
    let of = |plan: &'_ Plan, hop: &Hop| -> BTreeMap<String, Action> {
        let actions = hop.actions.iter().filter_map(|index| plan.actions.get(*index as usize));
        actions.map(|action| (action.id.to_string(), placeless(action))).collect()
    };
    let (was, is) = (of(old_plan, old), of(plan, new));
    for (id, action) in &is {
        match was.get(id) {
            None => add(format!("{id} is new")),
            Some(old) if old.kind != action.kind => add(format!("{id} makes another call")),
            Some(old) if old.undo != action.undo => add(format!("{id} is undone otherwise")),
            Some(old) if old != action => add(format!("{id} is done otherwise")),
            Some(_) => {}
        }
    }
    for id in was.keys().filter(|id| !is.contains_key(*id)) {
        add(format!("{id} is left out"));
    }
    let point = |plan: &Plan, hop: &Hop| {
        let index = hop.point_of_no_return?;
        Some(plan.actions.get(index as usize)?.id.clone())
    };
    let (was, is) = (point(old_plan, old), point(plan, new));
    if let Some(is) = is
        && was.as_ref() != Some(&is)
    {
        add(format!("{is} is a point of no return"));
    }
}

/// An action without what depends on where it stands, and without estimates, which move with every run.
fn placeless(action: &Action) -> Action {
    Action { change: 0, hop: 0, needs: Vec::new(), during: Vec::new(), estimate: None, spread: None, ..action.clone() }
}

/// Where each action stands, and what it waits for.
struct Places<'a> {
    plan: &'a Plan,
    by_id: HashMap<&'a str, usize>,
}

impl<'a> Places<'a> {
    fn of(plan: &'a Plan) -> Self {
        Self { plan, by_id: plan.actions.iter().enumerate().map(|(index, action)| (action.id.as_str(), index)).collect() }
    }

    fn id(&self, index: u32) -> Option<&'a str> {
        self.plan.actions.get(index as usize).map(|action| action.id.as_str())
    }

    /// What an action waits for, where what is not in `kept` stands for what it waits for itself.
    fn needs_within(&self, index: usize, kept: &Self) -> HashSet<&'a str> {
        let mut found = HashSet::new();
        let mut seen = HashSet::new();
        let mut open: Vec<u32> = self.plan.actions.get(index).map(|action| action.needs.clone()).unwrap_or_default();
        while let Some(next) = open.pop() {
            let Some(id) = self.id(next).filter(|_| seen.insert(next)) else { continue };
            if kept.by_id.contains_key(id) {
                found.insert(id);
            } else if let Some(action) = self.plan.actions.get(next as usize) {
                open.extend(&action.needs);
            }
        }
        found
    }

    /// Whether an action begins only after another has ended.
    fn waits(&self, index: usize, other: usize) -> bool {
        let mut seen = HashSet::new();
        let mut open: Vec<u32> = self.plan.actions.get(index).map(|action| action.needs.clone()).unwrap_or_default();
        while let Some(next) = open.pop() {
            let place = next as usize;
            if place == other {
                return true;
            }
            // What an action needs stands before it, so nothing before the other can need it.
            if place > other && seen.insert(place) {
                open.extend(self.plan.actions.get(place).into_iter().flat_map(|action| &action.needs));
            }
        }
        false
    }
}

/// Pairs of actions that stood one after the other and do not any more.
fn lost_order<'a>(old: &Places<'a>, new: &Places<'a>) -> Vec<(&'a str, &'a str)> {
    let mut lost = Vec::new();
    for (place, action) in old.plan.actions.iter().enumerate() {
        let Some(now) = new.by_id.get(action.id.as_str()) else { continue };
        let mut needs: Vec<&str> = old.needs_within(place, new).into_iter().collect();
        needs.sort_unstable();
        for need in needs {
            if new.by_id.get(need).is_some_and(|need| !new.waits(*now, *need)) {
                lost.push((action.id.as_str(), need));
            }
        }
    }
    lost
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
