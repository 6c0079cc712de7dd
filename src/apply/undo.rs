//! What is undone after a failure, and what has to stay.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Graph;
use super::progress::{ActionState, Progress};
use crate::plan::{ActionKind, ActionUndo, Plan};

/// What to do about one environment.
#[derive(Debug, Default)]
pub(super) struct Undoing {
    /// Actions to undo, with how many others of these must be undone before.
    pub actions: Vec<(u32, u32)>,
    /// Which of them wait for which: the key must be undone before the values.
    pub below: BTreeMap<u32, Vec<u32>>,
    /// Actions that stay although something of them is there: past the point of no return, or needed by what stays.
    pub kept: Vec<u32>,
}

/// Decides what of an environment can be undone now.
///
/// A hop past its point of no return stays as a whole: undoing its first half would leave something that no version ever was.
/// What it needs stays too, and so does whatever another environment has built upon; but where a person has said at which version an
/// instance stays, and at which the one below it, the first comes down before the second, and then does not hold it.
pub(super) fn plan_undo(plan: &Plan, graph: &Graph, progress: &Progress, environment: usize) -> Undoing {
    let count = plan.actions.len();
    let mut keep = vec![false; count];
    let past: Vec<bool> = (0..graph.hops.len()).map(|hop| progress.is_past_return(graph, hop)).collect();
    let is_there = |index: usize| progress.is_there(super::graph::narrow(index));
    // By change: it stays at a version by a person's wish, and nothing beyond that is left. Empty where there is no wish.
    let settled: Vec<bool> = if progress.stays.values().all(BTreeMap::is_empty) {
        Vec::new()
    } else {
        let is_left = |action: &u32| {
            progress.is_there(*action) && !progress.is_to_stay(plan, graph, graph.hop(&plan.actions[*action as usize]))
        };
        let has_come = |change: usize| !graph.hops_of(change).iter().flat_map(|hop| &hop.actions).any(is_left);
        (0..plan.changes.len()).map(|change| progress.has_wish(plan, super::graph::narrow(change)) && has_come(change)).collect()
    };
    for (index, action) in plan.actions.iter().enumerate().rev() {
        if !is_there(index) {
            // What stays was built upon it and upon what is below it, though it has been undone since.
            if keep[index] {
                action.needs.iter().for_each(|need| keep[*need as usize] = true);
            }
            continue;
        }
        keep[index] |= graph.environment(action) != environment
            || past[graph.hop(action)]
            || progress.is_to_stay(plan, graph, graph.hop(action))
            || progress.states[index] == ActionState::UndoHeld
            || matches!(
                (&action.kind, &action.undo),
                (ActionKind::Step { .. } | ActionKind::Revert { .. }, ActionUndo::Irreversible)
            );
        if keep[index] {
            let is_settled = settled.get(action.change as usize).copied().unwrap_or(false);
            for need in &action.needs {
                let other = plan.actions[*need as usize].change;
                // A person has said where both stay, and the one that was built upon the other is there already.
                let is_free = is_settled && other != action.change && progress.has_wish(plan, other);
                keep[*need as usize] |= !is_free;
            }
        }
    }
    let mut undoing = Undoing::default();
    let goes = |index: usize| {
        let here = graph.environment(&plan.actions[index]) == environment;
        here && is_there(index) && !keep[index] && progress.states[index] != ActionState::Undoing
    };
    let mut waits = vec![0_u32; count];
    for index in (0..count).filter(|index| goes(*index)) {
        let below = next_below(plan, index, &goes, &is_there);
        below.iter().for_each(|other| waits[*other as usize] += 1);
        undoing.below.insert(super::graph::narrow(index), below);
    }
    for (index, action) in plan.actions.iter().enumerate().rev() {
        let number = super::graph::narrow(index);
        if goes(index) {
            undoing.actions.push((number, waits[index]));
        } else if graph.environment(action) == environment && is_there(index) && progress.states[index] != ActionState::Undoing {
            undoing.kept.push(number);
        }
    }
    undoing
}

/// The actions to undo that come next below one: what it needs, and what that needs where it is undone already.
fn next_below(plan: &Plan, index: usize, goes: &impl Fn(usize) -> bool, is_there: &impl Fn(usize) -> bool) -> Vec<u32> {
    let mut below = BTreeSet::new();
    let mut passed = BTreeSet::new();
    let mut open: Vec<u32> = plan.actions[index].needs.clone();
    while let Some(need) = open.pop() {
        if goes(need as usize) {
            below.insert(need);
        } else if !is_there(need as usize) && passed.insert(need) {
            open.extend(&plan.actions[need as usize].needs);
        }
    }
    below.into_iter().collect()
}
