//! How long it takes, how long nobody is served, and the way back: views of a finished plan that people ask for.
//!
//! Everything here is computed from the actions alone; what nobody estimated counts as no time.

use std::time::Duration;

use crate::model::name::InstanceAddr;

use super::Plan;
use super::action::{Action, ActionKind, ActionUndo};
use super::change::Hop;
use super::spread::{DowntimeSpread, Spread};

/// The hop with the downtime to expect: what its actions say; where they do not say how long, what its route says.
pub(super) fn estimated(mut hop: Hop, actions: &[Action]) -> Hop {
    let range = hop.actions.first().zip(hop.actions.last()).map(|(first, last)| (*first, *first as usize..*last as usize + 1));
    if let Some((begin, range)) = range {
        hop.downtime = match downtime(actions.get(range.clone()).unwrap_or_default(), begin) {
            Some(Duration::ZERO) | None => hop.downtime,
            known => known,
        };
        let none = || !hop.actions.iter().filter_map(|&at| actions.get(at as usize)).any(|action| action.downtime);
        if hop.downtime.is_none() && none() {
            hop.downtime = Some(Duration::ZERO);
        }
        hop.downtime_spread = downtime_spread(actions.get(range).unwrap_or_default(), begin);
    }
    hop
}

/// The downtime to expect of a hop: the longest way through its actions from the first with downtime to the last. `None` where there
/// is downtime and nobody estimated any of it.
///
/// `actions` are the hop's, `begin` is the index of the first of them in the plan.
pub(super) fn downtime(actions: &[Action], begin: u32) -> Option<Duration> {
    longest(actions, begin, took).filter(|way| way.estimated).map(|way| way.time)
}

/// Between what that lies; `None` where nothing of it was ever measured.
fn downtime_spread(actions: &[Action], begin: u32) -> Option<DowntimeSpread> {
    let bound = |bound: fn(&Spread) -> Duration| {
        longest(actions, begin, move |action| action.spread.as_ref().map_or_else(|| took(action), bound))
    };
    let (least, most) = (bound(|spread| spread.least)?, bound(|spread| spread.most)?);
    let runs = most.runs?;
    Some(DowntimeSpread { least: least.time, most: most.time, runs, unmeasured: most.unmeasured })
}

/// The stretch of a hop's actions in which its instance does not serve.
struct Way {
    /// How long the longest way through it takes.
    time: Duration,
    /// Whether anybody says how long anything in it takes.
    estimated: bool,
    /// The fewest runs that a measured step of it was measured in; `None`: none was.
    runs: Option<u32>,
    /// Calls in it that were never measured.
    unmeasured: u32,
}

/// The longest way through a hop's actions from the first with downtime to the last; between two with downtime the instance does not
/// serve either.
fn longest(actions: &[Action], begin: u32, took: impl Fn(&Action) -> Duration) -> Option<Way> {
    let inside = |need: u32| need.checked_sub(begin).map(|place| place as usize).filter(|place| *place < actions.len());
    let mut way = Way { time: Duration::ZERO, estimated: true, runs: None, unmeasured: 0 };
    if !actions.iter().any(|action| action.downtime) {
        return Some(way);
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
    // Forwards: the longest way from the first one.
    let mut longest: Vec<Option<Duration>> = vec![None; actions.len()];
    way.estimated = false;
    for (place, action) in actions.iter().enumerate() {
        let before = action.needs.iter().filter_map(|&need| longest[inside(need)?]).max();
        if leads[place] && (action.downtime || before.is_some()) {
            way.estimated |= action.estimate.is_some();
            match action.spread {
                Some(spread) => way.runs = Some(way.runs.map_or(spread.runs, |runs| runs.min(spread.runs))),
                None if action.kind.call().is_some() => way.unmeasured += 1,
                None => {}
            }
            longest[place] = Some(before.unwrap_or_default() + took(action));
        }
    }
    way.time = longest.into_iter().flatten().max()?;
    Some(way)
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
        self.schedule().into_iter().map(|(_, end)| end).max().unwrap_or_default()
    }

    /// When each action begins and ends, counted from the start, as though everything that may run at once did.
    #[must_use]
    pub fn schedule(&self) -> Vec<(Duration, Duration)> {
        let mut schedule: Vec<(Duration, Duration)> = Vec::with_capacity(self.actions.len());
        for action in &self.actions {
            let ends = action.needs.iter().filter_map(|&need| schedule.get(need as usize)).map(|(_, end)| *end);
            let begin = ends.max().unwrap_or_default();
            schedule.push((begin, begin.saturating_add(took(action))));
        }
        schedule
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
