//! What is undone after a failure, and what has to stay.

use super::graph::Graph;
use super::progress::{ActionState, Progress};
use crate::plan::{ActionKind, ActionUndo, Plan};

/// What to do about one environment.
#[derive(Debug, Default)]
pub(super) struct Undoing {
    /// Actions to undo, with how many others of these must be undone before.
    pub actions: Vec<(u32, u32)>,
    /// Actions that stay although something of them is there: past the point of no return, or needed by what stays.
    pub kept: Vec<u32>,
}

/// Decides what of an environment can be undone now.
///
/// A hop past its point of no return stays as a whole: undoing its first half would leave something that no version ever was.
/// What it needs stays too, and so does whatever another environment has built upon.
pub(super) fn plan_undo(plan: &Plan, graph: &Graph, progress: &Progress, environment: usize) -> Undoing {
    let count = plan.actions.len();
    let mut keep = vec![false; count];
    let past: Vec<bool> = (0..graph.hops.len()).map(|hop| progress.is_past_return(graph, hop)).collect();
    let has_effect = |index: usize| progress.states[index].has_effect() && !progress.untouched[index];
    for (index, action) in plan.actions.iter().enumerate().rev() {
        if !has_effect(index) {
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
            for need in &action.needs {
                keep[*need as usize] = true;
            }
        }
    }
    let mut undoing = Undoing::default();
    let goes = |index: usize| {
        let here = graph.environment(&plan.actions[index]) == environment;
        here && has_effect(index) && !keep[index] && progress.states[index] != ActionState::Undoing
    };
    for (index, action) in plan.actions.iter().enumerate().rev() {
        let number = super::graph::narrow(index);
        if goes(index) {
            let before = graph.dependents(number).iter().filter(|dependent| goes(**dependent as usize)).count();
            undoing.actions.push((number, super::graph::narrow(before)));
        } else if graph.environment(action) == environment && has_effect(index) && progress.states[index] != ActionState::Undoing {
            undoing.kept.push(number);
        }
    }
    undoing
}
