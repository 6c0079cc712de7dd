//! Every instance that is declared or recorded, and what is to become of it.
//!
//! Takes the input, gives [`Candidate`]s in address order with nothing decided yet. `decide` fills in their course; what blocks one
//! blocks what waits for it, here.

use std::collections::{BTreeMap, BTreeSet};

use crate::lock::Locked;
use crate::model::estate::Instance;
use crate::model::inventory::{Inventory, Observed};
use crate::model::name::{EnvironmentName, InstanceAddr, ProviderName};
use crate::source::Span;

use super::change::Change;
use super::decide::{Current, current};
use super::input::PlanInput;
use super::instantiate::{HopDraft, Obstacle};
use super::order::{Direction, Node, cycle, predecessors, sorted};

/// An instance, and what is to become of it.
pub(super) struct Candidate<'a> {
    /// Which.
    pub(super) addr: &'a InstanceAddr,
    /// Where it belongs.
    pub(super) environment: &'a EnvironmentName,
    /// Whose.
    pub(super) provider: &'a ProviderName,
    /// How it is known.
    pub(super) origin: Origin<'a>,
    /// The version that is there.
    pub(super) now: Current,
    /// Places of what it depends on.
    pub(super) depends_on: Vec<usize>,
    /// What is to become of it.
    pub(super) course: Course,
    /// What does not fit, although nothing is done about it.
    pub(super) warnings: Vec<String>,
}

/// How an instance is known.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// It is declared, and perhaps recorded.
    Declared(&'a Instance, Option<&'a Locked>),
    /// It is recorded, and declared no longer.
    Orphan(&'a Locked),
}

/// What is to become of an instance.
pub(super) enum Course {
    /// Nobody has thought of it yet.
    Undecided,
    /// Nobody asked: another environment, or no target. It is not reported.
    Aside,
    /// It is as declared.
    Nothing(Vec<String>),
    /// Its version could not be seen.
    Unobserved(Vec<String>),
    /// It should move this way and cannot.
    Blocked(Vec<Obstacle>, Direction),
    /// It changes.
    Change(Box<Draft>),
}

/// A change whose actions do not stand in the plan yet.
pub(super) struct Draft {
    /// The change, without hops.
    pub(super) change: Change,
    /// Its hops.
    pub(super) hops: Vec<HopDraft>,
    /// Which way it moves.
    pub(super) direction: Direction,
}

impl Course {
    /// Blocked for one reason, on the way up.
    pub(super) fn blocked(why: impl Into<String>) -> Self {
        Self::Blocked(vec![Obstacle::new(why)], Direction::Up)
    }

    /// Which way it moves, or would; `None`: nothing has to wait for it.
    fn moves(&self) -> Option<Direction> {
        match self {
            Self::Undecided | Self::Aside | Self::Nothing(_) => None,
            Self::Unobserved(_) => Some(Direction::Up),
            Self::Blocked(_, direction) => Some(*direction),
            // What only changes the lockfile has no actions that anything could wait for.
            Self::Change(draft) => (!draft.hops.is_empty()).then_some(draft.direction),
        }
    }
}

impl<'a> Candidate<'a> {
    /// As declared.
    pub(super) fn declared(&self) -> Option<&'a Instance> {
        match self.origin {
            Origin::Declared(declared, _) => Some(declared),
            Origin::Orphan(_) => None,
        }
    }

    /// As recorded.
    pub(super) fn locked(&self) -> Option<&'a Locked> {
        match self.origin {
            Origin::Declared(_, locked) => locked,
            Origin::Orphan(locked) => Some(locked),
        }
    }

    /// Whether anybody asked about it.
    pub(super) fn is_asked(&self) -> bool {
        !matches!(self.course, Course::Aside)
    }

    /// Where it is declared.
    pub(super) fn span(&self) -> Option<Span> {
        self.declared().and_then(|declared| declared.span)
    }
}

/// Every instance, in address order.
pub(super) fn all<'a>(input: &PlanInput<'a>) -> Vec<Candidate<'a>> {
    let mut found: BTreeMap<&InstanceAddr, Candidate<'_>> = BTreeMap::new();
    for (addr, declared) in &input.estate.instances {
        let locked = input.locks.get(&declared.environment).and_then(|lock| lock.instances.get(addr));
        let candidate = Candidate {
            addr,
            environment: &declared.environment,
            provider: &declared.provider,
            now: current(input, addr, &declared.provider, locked),
            origin: Origin::Declared(declared, locked),
            depends_on: Vec::new(),
            warnings: Vec::new(),
            course: Course::Undecided,
        };
        found.insert(addr, candidate);
    }
    for (environment, lock) in input.locks {
        for (addr, locked) in &lock.instances {
            match found.get_mut(addr) {
                None => {
                    let candidate = Candidate {
                        addr,
                        environment,
                        provider: &locked.provider,
                        now: current(input, addr, &locked.provider, Some(locked)),
                        origin: Origin::Orphan(locked),
                        depends_on: Vec::new(),
                        warnings: Vec::new(),
                        course: Course::Undecided,
                    };
                    found.insert(addr, candidate);
                }
                Some(other) if other.environment != environment => {
                    other.course = Course::blocked(format!(
                        "{addr} belongs to {} and is also in the lockfile of {environment}: move its record with `windlass state mv`, or \
                         forget it there with `windlass state rm`",
                        other.environment
                    ));
                }
                Some(_) => {}
            }
        }
    }
    let places: BTreeMap<&InstanceAddr, usize> = found.keys().enumerate().map(|(place, addr)| (*addr, place)).collect();
    let mut all: Vec<Candidate<'_>> = found.into_values().collect();
    for candidate in &mut all {
        candidate.depends_on = dependencies(candidate).filter_map(|addr| places.get(addr).copied()).collect();
        candidate.depends_on.sort_unstable();
        candidate.depends_on.dedup();
    }
    all
}

/// What an instance depends on: as declared, or as recorded where it is declared no longer.
fn dependencies<'a>(candidate: &Candidate<'a>) -> impl Iterator<Item = &'a InstanceAddr> + use<'a> {
    let (written, required, recorded) = match candidate.origin {
        Origin::Declared(declared, _) => (&declared.depends_on[..], &declared.requires[..], &[][..]),
        Origin::Orphan(locked) => (&[][..], &[][..], &locked.depends_on[..]),
    };
    written.iter().chain(required.iter().map(|requirement| &requirement.instance)).chain(recorded)
}

/// What must be done before each candidate.
fn before(candidates: &[Candidate<'_>]) -> Vec<Vec<usize>> {
    let nodes: Vec<Node> = candidates
        .iter()
        .map(|candidate| {
            let acts = matches!(&candidate.course, Course::Change(draft) if !draft.hops.is_empty());
            Node { moves: candidate.course.moves(), passes: !acts, depends_on: candidate.depends_on.clone() }
        })
        .collect();
    predecessors(&nodes)
}

/// Blocks what waits for itself and what waits for something blocked or unobserved. Says how many it blocked.
pub(super) fn spread(candidates: &mut [Candidate<'_>]) -> usize {
    let before = before(candidates);
    let mut count = 0;
    let order = match sorted(&before) {
        Ok(order) => order,
        Err((order, stuck)) => {
            let circle: Vec<&str> = cycle(&before, &stuck).iter().map(|&place| candidates[place].addr.as_str()).collect();
            let why = format!("these wait for each other: {}; take one of them out of the other's `depends_on`", circle.join(", "));
            for &place in &stuck {
                count += usize::from(block(&mut candidates[place], &why));
            }
            order
        }
    };
    // The first in order are the roots: what waits for them names them, and not what lies in between.
    let mut root: Vec<Option<usize>> = vec![None; candidates.len()];
    for place in order {
        let cause = before[place].iter().find_map(|&earlier| root[earlier]);
        let stops = matches!(candidates[place].course, Course::Blocked(..) | Course::Unobserved(_));
        root[place] = if stops { cause.or(Some(place)) } else { cause };
        if let Some(cause) = cause
            && matches!(candidates[place].course, Course::Change(_))
        {
            let why = match candidates[cause].course {
                Course::Unobserved(_) => format!("it waits for {}, which could not be observed", candidates[cause].addr),
                _ => format!("it waits for {}, which is blocked", candidates[cause].addr),
            };
            count += usize::from(block(&mut candidates[place], &why));
        }
    }
    count
}

/// Blocks a change; what is not a change stays what it is.
pub(super) fn block(candidate: &mut Candidate<'_>, why: &str) -> bool {
    match &candidate.course {
        Course::Change(draft) => {
            candidate.course = Course::Blocked(vec![Obstacle::new(why)], draft.direction);
            true
        }
        _ => false,
    }
}

/// Puts aside what belongs to environments that were not asked for.
pub(super) fn leave_out_environments(candidates: &mut [Candidate<'_>], input: &PlanInput<'_>) {
    let wanted = &input.options.environments;
    for candidate in candidates.iter_mut().filter(|candidate| !wanted.is_empty() && !wanted.contains(candidate.environment)) {
        candidate.course = Course::Aside;
    }
}

/// Puts everything aside that is no target: what a backup or restore is not asked of is not touched.
pub(super) fn only_targets(candidates: &mut [Candidate<'_>], input: &PlanInput<'_>) {
    let targets = &input.options.targets;
    for candidate in candidates.iter_mut().filter(|candidate| !targets.iter().any(|target| candidate.addr.as_str() == target)) {
        candidate.course = Course::Aside;
    }
}

/// Puts everything aside that no target needs.
pub(super) fn select(candidates: &mut [Candidate<'_>], input: &PlanInput<'_>) {
    let targets = &input.options.targets;
    if targets.is_empty() {
        return;
    }
    let before = before(candidates);
    let mut wanted: Vec<bool> =
        candidates.iter().map(|candidate| targets.iter().any(|target| candidate.addr.is_within(target))).collect();
    let mut open: Vec<usize> = (0..wanted.len()).filter(|&place| wanted[place]).collect();
    while let Some(place) = open.pop() {
        // What it depends on, and what must be done before it: on the way down that is what depends on it.
        for &next in candidates[place].depends_on.iter().chain(&before[place]) {
            if !std::mem::replace(&mut wanted[next], true) {
                open.push(next);
            }
        }
    }
    for (candidate, _) in candidates.iter_mut().zip(wanted).filter(|(_, wanted)| !wanted) {
        candidate.course = Course::Aside;
    }
}

/// The changes in address order, their predecessors among them, and one order of them all.
pub(super) fn changes<'a>(candidates: &[Candidate<'a>]) -> (Vec<Vec<usize>>, Vec<usize>) {
    let before = before(candidates);
    let mut place_of: Vec<Option<usize>> = Vec::with_capacity(candidates.len());
    let mut count = 0;
    for candidate in candidates {
        let is = matches!(candidate.course, Course::Change(_));
        place_of.push(is.then_some(count));
        count += usize::from(is);
    }
    let among: Vec<Vec<usize>> = before
        .into_iter()
        .zip(&place_of)
        .filter(|(_, place)| place.is_some())
        .map(|(before, _)| before.into_iter().filter_map(|place| place_of[place]).collect())
        .collect();
    let order = sorted(&among).unwrap_or_else(|(order, _)| order);
    (among, order)
}

/// What was seen of the candidates that were asked about, without what is sensitive.
pub(super) fn inventory(candidates: &[Candidate<'_>], seen: &Inventory) -> Inventory {
    let asked: BTreeSet<&InstanceAddr> =
        candidates.iter().filter(|candidate| !matches!(candidate.course, Course::Aside)).map(|candidate| candidate.addr).collect();
    let instances = asked.into_iter().filter_map(|addr| {
        let mut observation = seen.instances.get(addr)?.clone();
        for fact in observation.facts.values_mut() {
            if let Observed::Value(value) = fact {
                *value = super::redact::redacted(value);
            }
        }
        Some((addr.clone(), observation))
    });
    Inventory { instances: instances.collect() }
}
