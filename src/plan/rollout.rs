//! Taking turns: which hops wait for the records of which others.
//!
//! Takes the hops of every change and the order of the changes; gives a [`Schedule`]. Within one environment and provider, the
//! canary goes first, then portions; never more than `max_unavailable` at once, and then every instance reaches a version before any
//! goes on to the next. Where the provider knows the fact `healthy`, an instance must be healthy before its last hop is recorded, and
//! a whole portion before the next one begins. An installation or removal takes no turns: nobody is served by it yet or any more.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

use crate::model::estate::Rollout;

use super::assemble::Verify;
use super::change::{Change, Decision};
use super::input::PlanInput;
use super::order;

/// What the schedule must know of a change.
pub(super) struct Turn<'a> {
    /// Its hops, as places in one list of all hops.
    pub(super) hops: Range<usize>,
    /// The group that it takes turns in, and the group's rules; `None`: it takes none.
    pub(super) group: Option<((&'a str, &'a str), Rollout)>,
    /// Changes that must be done before.
    pub(super) before: &'a [usize],
}

/// What waits for what. Hops are places in the list of all hops.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Schedule {
    /// For every hop, the hops whose records it waits for.
    pub(super) waits: Vec<Vec<usize>>,
    /// Points that many wait for.
    pub(super) barriers: Vec<Barrier>,
}

/// Everything in `holds` waits for everything in `waits`, through one action of `owner`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Barrier {
    /// The first of those held.
    pub(super) owner: usize,
    /// Records that must be there.
    pub(super) waits: Vec<usize>,
    /// Who begins after it; the owner too.
    pub(super) holds: Vec<usize>,
    /// How long it waits after them.
    pub(super) pause: Duration,
}

/// The group that a change takes turns in: its environment and provider, where that environment has rules.
pub(super) fn group<'a>(input: &PlanInput<'_>, change: &'a Change) -> Option<((&'a str, &'a str), Rollout)> {
    let rollout = input.estate.environments.get(&change.environment)?.rollout;
    let takes_turns = matches!(change.decision, Decision::Upgrade | Decision::Rollback | Decision::Reconfigure);
    (takes_turns && rollout != Rollout::default()).then(|| ((change.environment.as_str(), change.provider.as_str()), rollout))
}

/// Who must be healthy after a hop of a change: whoever takes turns, where the provider knows the fact `healthy`.
pub(super) fn verify(input: &PlanInput<'_>, change: &Change, before_record: bool) -> Option<Verify> {
    let (_, rollout) = group(input, change)?;
    let knows = input.providers.get(&change.provider)?.facts.contains_key("healthy");
    let within = rollout.healthy_within.unwrap_or(Rollout::HEALTHY_WITHIN);
    knows.then(|| Verify { instance: change.instance.clone(), within, before_record })
}

/// Lays out the turns. `sequence` is an order of the changes that satisfies `before`.
pub(super) fn schedule(turns: &[Turn<'_>], sequence: &[usize]) -> Schedule {
    let aligned = lay_out(turns, sequence, true);
    // Where instances of one group depend on each other through others, they cannot reach each version together.
    if emission(&aligned).is_some() { aligned } else { lay_out(turns, sequence, false) }
}

/// An order of the hops in which each stands after what it waits for; `None` where they wait for each other.
pub(super) fn emission(schedule: &Schedule) -> Option<Vec<usize>> {
    let mut before = schedule.waits.clone();
    for barrier in &schedule.barriers {
        before[barrier.owner].extend_from_slice(&barrier.waits);
        for &held in barrier.holds.iter().filter(|&&held| held != barrier.owner) {
            before[held].push(barrier.owner);
        }
    }
    order::sorted(&before).ok()
}

fn lay_out(turns: &[Turn<'_>], sequence: &[usize], align: bool) -> Schedule {
    let count = turns.iter().map(|turn| turn.hops.end).max().unwrap_or(0);
    let mut schedule = Schedule { waits: vec![Vec::new(); count], barriers: Vec::new() };
    for turn in turns {
        for hop in turn.hops.clone().skip(1) {
            schedule.waits[hop].push(hop - 1);
        }
    }
    let groups = groups(turns, sequence);
    let mut phased: HashMap<usize, (usize, usize)> = HashMap::new();
    for (number, group) in groups.iter().enumerate() {
        let longest = group.members.iter().map(|&member| turns[member].hops.len()).max().unwrap_or(0);
        let phases = if align && group.rollout.max_unavailable.is_some() { longest } else { 1 };
        if phases > 1 {
            phased.extend(group.members.iter().map(|&member| (member, (number, longest))));
        }
        group.take_turns(turns, phases, &mut schedule);
    }
    for (place, turn) in turns.iter().enumerate() {
        for &earlier in turn.before {
            let other = &turns[earlier].hops;
            match (phased.get(&place), phased.get(&earlier)) {
                (Some((mine, longest)), Some((theirs, _))) if mine == theirs => {
                    for phase in 0..*longest {
                        if let (Some(hop), Some(first)) = (hop_in(&turn.hops, phase, *longest), hop_in(other, phase, *longest)) {
                            schedule.waits[hop].push(first);
                        }
                    }
                }
                _ => {
                    if let (Some(first), Some(last)) = (turn.hops.clone().next(), other.clone().next_back()) {
                        schedule.waits[first].push(last);
                    }
                }
            }
        }
    }
    for waits in &mut schedule.waits {
        waits.sort_unstable();
        waits.dedup();
    }
    schedule
}

/// The hop of a phase, where hops are aligned at their end: the last phase is everybody's last hop.
fn hop_in(hops: &Range<usize>, phase: usize, longest: usize) -> Option<usize> {
    let missing = longest - hops.len();
    (phase >= missing).then(|| hops.start + phase - missing)
}

/// Instances that take turns.
struct Group {
    rollout: Rollout,
    /// Changes, in order.
    members: Vec<usize>,
}

fn groups(turns: &[Turn<'_>], sequence: &[usize]) -> Vec<Group> {
    let mut groups: BTreeMap<(&str, &str), Group> = BTreeMap::new();
    for &place in sequence {
        let turn = &turns[place];
        if let Some((key, rollout)) = turn.group.filter(|_| !turn.hops.is_empty()) {
            groups.entry(key).or_insert_with(|| Group { rollout, members: Vec::new() }).members.push(place);
        }
    }
    groups.into_values().collect()
}

impl Group {
    fn take_turns(&self, turns: &[Turn<'_>], phases: usize, schedule: &mut Schedule) {
        let total = self.members.len();
        let at_once = self.rollout.max_unavailable.map_or(total, |share| share.of(total));
        let mut previous: Vec<usize> = Vec::new();
        for phase in 0..phases {
            for (number, portion) in self.portions().into_iter().enumerate() {
                // First and last hop of every member of this portion that has one in this phase.
                let spans: Vec<(usize, usize)> = portion
                    .iter()
                    .filter_map(|&member| {
                        let hops = &turns[member].hops;
                        if phases == 1 {
                            return Some((hops.start, hops.end - 1));
                        }
                        hop_in(hops, phase, phases).map(|hop| (hop, hop))
                    })
                    .collect();
                let Some(&(owner, _)) = spans.first() else { continue };
                if !previous.is_empty() {
                    let pause = self.rollout.soak.filter(|_| number > 0).unwrap_or_default();
                    let holds = spans.iter().map(|(first, _)| *first).collect();
                    schedule.barriers.push(Barrier { owner, waits: previous, holds, pause });
                }
                for (ahead, behind) in spans.iter().zip(spans.iter().skip(at_once)) {
                    schedule.waits[behind.0].push(ahead.1);
                }
                previous = spans.into_iter().map(|(_, last)| last).collect();
            }
        }
    }

    fn portions(&self) -> Vec<&[usize]> {
        let (canary, rest) = self.members.split_at((self.rollout.canary.unwrap_or(0) as usize).min(self.members.len()));
        let size = self.rollout.batch.map_or(rest.len(), |share| share.of(self.members.len())).max(1);
        std::iter::once(canary).filter(|canary| !canary.is_empty()).chain(rest.chunks(size)).collect()
    }
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;
