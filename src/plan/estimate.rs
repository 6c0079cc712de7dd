//! How long it takes, how long nobody is served, and the way back: views of a finished plan that people ask for.
//!
//! Everything here is computed from the actions alone; what nobody estimated counts as no time.

use std::time::Duration;

use crate::model::name::InstanceAddr;

use super::Plan;
use super::action::{Action, ActionKind, ActionUndo};
use super::change::Hop;

/// The hop with the downtime to expect: what its actions say; where they do not say how long, what its route says.
pub(super) fn estimated(mut hop: Hop, actions: &[Action]) -> Hop {
    let range = hop.actions.first().zip(hop.actions.last()).map(|(first, last)| (*first, *first as usize..*last as usize + 1));
    if let Some((begin, range)) = range {
        hop.downtime = match downtime(actions.get(range).unwrap_or_default(), begin) {
            Some(Duration::ZERO) | None => hop.downtime,
            known => known,
        };
        let none = || !hop.actions.iter().filter_map(|&at| actions.get(at as usize)).any(|action| action.downtime);
        if hop.downtime.is_none() && none() {
            hop.downtime = Some(Duration::ZERO);
        }
    }
    hop
}

/// The downtime to expect of a hop: the longest way through its actions from the first with downtime to the last. `None` where there
/// is downtime and nobody estimated any of it.
///
/// `actions` are the hop's, `begin` is the index of the first of them in the plan.
pub(super) fn downtime(actions: &[Action], begin: u32) -> Option<Duration> {
    let inside = |need: u32| need.checked_sub(begin).map(|place| place as usize).filter(|place| *place < actions.len());
    if !actions.iter().any(|action| action.downtime) {
        return Some(Duration::ZERO);
    }
    // Backwards: what still leads to an action with downtime.
    let mut leads: Vec<bool> = actions.iter().map(|action| action.downtime).collect();
    for place in (0..actions.len()).rev() {
        if leads[place] {
            for before in actions[place].needs.iter().filter_map(|&need| inside(need)) {
                leads[before] = true;
            }
        }
    }
    // Forwards: the longest way from the first one; between two with downtime the instance does not serve either.
    let mut longest: Vec<Option<Duration>> = vec![None; actions.len()];
    let mut estimated = false;
    for (place, action) in actions.iter().enumerate() {
        let before = action.needs.iter().filter_map(|&need| longest[inside(need)?]).max();
        if leads[place] && (action.downtime || before.is_some()) {
            estimated |= action.estimate.is_some();
            longest[place] = Some(before.unwrap_or_default() + took(action));
        }
    }
    longest.into_iter().flatten().max().filter(|_| estimated)
}

fn took(action: &Action) -> Duration {
    match action.kind {
        ActionKind::Pause(pause) => pause,
        _ => action.estimate.unwrap_or_default(),
    }
}

/// One entry of the way back from a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    /// The action that is undone (index into `Plan::actions`). A record or a pause is undone by nothing, and keeps the order.
    pub action: u32,
    /// Places in the list of entries that must have been undone before.
    pub needs: Vec<u32>,
}

impl Plan {
    /// The downtime to expect of an instance, over all its hops; `None` where nobody estimated it.
    #[must_use]
    pub fn downtime(&self, instance: &InstanceAddr) -> Option<Duration> {
        let place = self.changes.binary_search_by(|change| change.instance.cmp(instance)).ok()?;
        self.changes.get(place)?.hops.iter().map(|hop| hop.downtime).sum()
    }

    /// The time of the longest way through the plan, as though everything that may run at once did.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let mut ends: Vec<Duration> = Vec::with_capacity(self.actions.len());
        for action in &self.actions {
            let begin = action.needs.iter().filter_map(|&need| ends.get(need as usize)).max().copied().unwrap_or_default();
            ends.push(begin.saturating_add(took(action)));
        }
        ends.into_iter().max().unwrap_or_default()
    }

    /// The way back from the whole plan, as far as there is one: every action that a call undoes, in an order in which it could be
    /// undone, each waiting for what was done after it.
    #[must_use]
    pub fn rollback(&self) -> Vec<WayBack> {
        let kept = |action: &Action| match action.kind {
            ActionKind::Record | ActionKind::Pause(_) | ActionKind::Verify { .. } => true,
            ActionKind::Step { .. } | ActionKind::Revert { .. } => matches!(action.undo, ActionUndo::Call { .. }),
        };
        // For every action, the entries of what comes after it; an action that needs no undo passes on what comes after it.
        let mut after: Vec<Vec<u32>> = vec![Vec::new(); self.actions.len()];
        let mut entries: Vec<WayBack> = Vec::new();
        for (place, action) in self.actions.iter().enumerate().rev() {
            let mut needs = std::mem::take(&mut after[place]);
            needs.sort_unstable();
            needs.dedup();
            let passes: Vec<u32> = if kept(action) {
                let own = super::instantiate::index(entries.len());
                entries.push(WayBack { action: super::instantiate::index(place), needs });
                vec![own]
            } else {
                needs
            };
            for &before in &action.needs {
                if let Some(after) = after.get_mut(before as usize) {
                    after.extend_from_slice(&passes);
                }
            }
        }
        entries
    }
}
