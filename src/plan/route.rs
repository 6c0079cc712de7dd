//! The way from the version that is there to the one that is wanted: least downtime, then least risk, then fewest hops.
//!
//! Takes a [`RouteQuery`], gives an [`Itinerary`] that says why it is this one, or every reason why there is none. The nodes are the
//! catalogue's versions between the two; the edges are what `edge` lets pass. Of equal ways the one with the newest stops is
//! taken, so that the same question always has the same answer. Way back by undoing an applied hop is not a route.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use petgraph::algo::dijkstra;
use petgraph::graph::{DiGraph, NodeIndex};

use super::catalogue::{Catalogue, selectable};
use super::edge::{Judge, Way, same_for_all};
use super::scope::Subject;
use super::waiver::{Standing, Waivers};
use crate::model::name::{Digest, ProviderName, StrategyName};
use crate::model::provider::Movement;
use crate::model::release::Release;
use crate::model::version::Version;

/// How many stops are looked at before the less likely ones are left aside.
const MANY: usize = 64;
/// How many stops are looked at in the end, where leaving some aside finds nothing.
const MOST: usize = 512;

/// What is asked.
pub(crate) struct RouteQuery<'a> {
    /// For whom.
    pub(crate) subject: &'a Subject<'a>,
    /// Over which versions.
    pub(crate) catalogue: &'a Catalogue<'a>,
    /// What kind of move.
    pub(crate) movement: Movement,
    /// The version that is there; `None`: nothing is.
    pub(crate) from: Option<&'a Version>,
    /// The version wanted; `None`: nothing.
    pub(crate) to: Option<&'a Version>,
    /// The strategy that the user insists on; counts for upgrades.
    pub(crate) strategy: Option<&'a StrategyName>,
    /// Exceptions.
    pub(crate) waivers: &'a Waivers<'a>,
    /// Answers found before.
    pub(crate) cache: &'a RouteCache,
}

/// A way found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Itinerary {
    /// Its hops, in order; at least one.
    pub(crate) legs: Vec<Leg>,
    /// Why this way, and what was dearer or blocked; sentences.
    pub(crate) why: Vec<String>,
    /// Blocks and risks on it that a waiver lets pass.
    pub(crate) waived: Vec<String>,
}

/// One hop of a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leg {
    /// The version before; `None`: nothing.
    pub(crate) from: Option<Version>,
    /// The version after; `None`: nothing.
    pub(crate) to: Option<Version>,
    /// The provider's route.
    pub(crate) route: Arc<str>,
    /// How it is done.
    pub(crate) strategy: StrategyName,
    /// Downtime to expect, as far as the provider says.
    pub(crate) downtime: Option<Duration>,
    /// The route's risk.
    pub(crate) risk: u32,
    /// The route's note.
    pub(crate) note: Option<String>,
}

/// Answers found before, for questions that do not depend on the instance. One for a plan.
#[derive(Default)]
pub(crate) struct RouteCache {
    answers: RefCell<HashMap<Question, Result<Itinerary, Vec<String>>>>,
    /// Whether a provider's conditions are the same for every instance.
    shared: RefCell<HashMap<Digest, bool>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Question {
    provider: (ProviderName, Digest),
    movement: Movement,
    from: Option<Arc<str>>,
    to: Option<Arc<str>>,
    strategy: Option<StrategyName>,
    /// Names of blocks and risks for which a waiver stands or stood.
    waived: Vec<(Arc<str>, String)>,
}

impl Question {
    /// The question, where its answer is the same for every instance that asks it.
    fn shared(query: &RouteQuery<'_>) -> Option<Self> {
        let provider = query.catalogue.provider();
        let mut shared = query.cache.shared.borrow_mut();
        if !*shared.entry(provider.digest.clone()).or_insert_with(|| same_for_all(provider)) {
            return None;
        }
        let names = provider.blocked.iter().map(|block| &block.name).chain(provider.risks.iter().map(|risk| &risk.name));
        let standing = |name: &Arc<str>| match query.waivers.standing(name, Some(&query.subject.addr), &query.subject.environment) {
            Standing::None => None,
            Standing::Waived(why) | Standing::Expired(why) => Some((Arc::clone(name), why)),
        };
        let waived = if query.waivers.is_empty() { Vec::new() } else { names.filter_map(standing).collect() };
        Some(Self {
            provider: (provider.name.clone(), provider.digest.clone()),
            movement: query.movement,
            from: query.from.map(Version::shared_text),
            to: query.to.map(Version::shared_text),
            strategy: query.strategy.cloned(),
            waived,
        })
    }
}

/// Finds the way.
///
/// # Errors
/// There is none: the reasons, most important first.
pub(crate) fn search(query: &RouteQuery<'_>) -> Result<Itinerary, Vec<String>> {
    let Some(question) = Question::shared(query) else { return find(query) };
    if let Some(answer) = query.cache.answers.borrow().get(&question) {
        return answer.clone();
    }
    let answer = find(query);
    query.cache.answers.borrow_mut().insert(question, answer.clone());
    answer
}

fn find(query: &RouteQuery<'_>) -> Result<Itinerary, Vec<String>> {
    let judge = Judge::new(query);
    match (query.movement, query.from, query.to) {
        (Movement::Upgrade, Some(from), Some(to)) if from < to => over_stops(&judge, from, to),
        (Movement::Downgrade, Some(from), Some(to)) if from > to => over_stops(&judge, from, to),
        (Movement::Upgrade, from, Some(to)) => Err(vec![format!("{to} is not higher than {}", shown(from))]),
        (Movement::Downgrade, Some(from), to) => Err(vec![format!("{} is not lower than {from}", shown(to))]),
        (Movement::Install | Movement::Reconfigure | Movement::Remove, from, to) => in_one(&judge, from, to),
        (_, from, to) => Err(vec![format!("there is no such move from {} to {}", shown(from), shown(to))]),
    }
}

/// Install, reconfigure, remove: one hop.
fn in_one(judge: &Judge<'_>, from: Option<&Version>, to: Option<&Version>) -> Result<Itinerary, Vec<String>> {
    let ways = judge.ways(from, to);
    let Some(best) = ways.first() else {
        return Err(vec![format!("no route leads from {} to {}: {}", shown(from), shown(to), listed(judge.reasons(from, to)))]);
    };
    let mut why = vec![format!("route \"{}\" by strategy \"{}\": {}", best.route.name, best.route.strategy, price(best))];
    why.extend(dearer(&ways));
    Ok(Itinerary { legs: vec![leg(best, from, to)], why, waived: best.waived.clone() })
}

/// Upgrade and downgrade: over as many stops as it takes.
fn over_stops(judge: &Judge<'_>, from: &Version, to: &Version) -> Result<Itinerary, Vec<String>> {
    let (stops, refused) = eligible(judge, from, to);
    let likely = likely(judge, &stops);
    let mut map = Map::draw(judge, from, &likely, to);
    if map.path(Cost::of).is_none() && likely.len() < stops.len() {
        // Too many to look at all: the newest of those beyond the limit are the ones left out least gladly.
        let start = if from < to { stops.len().saturating_sub(MOST) } else { 0 };
        let end = (start + MOST).min(stops.len());
        map = Map::draw(judge, from, stops.get(start..end).unwrap_or_default(), to);
    }
    match map.path(Cost::of) {
        Some(path) => Ok(map.itinerary(judge, &path)),
        None => Err(map.dead_end(judge, &refused)),
    }
}

/// Releases that may be stopped at, in the order of travel; and why others are not.
fn eligible<'q>(judge: &Judge<'q>, from: &Version, to: &Version) -> (Vec<&'q Version>, Vec<String>) {
    let (mut stops, mut refused) = (Vec::new(), Vec::new());
    for Release { version, .. } in judge.query.catalogue.between(from, to) {
        let release = judge.query.catalogue.release(version);
        match release.map(selectable) {
            Some(Err(why)) => refused.push(format!("{version} lies between but {why}")),
            _ if version.is_prerelease() => {}
            _ => stops.push(version),
        }
    }
    if from > to {
        stops.reverse();
    }
    (stops, refused)
}

/// The stops that a search over many should look at: the newest of each minor version, and the first and last of every group that
/// a route or a required stop speaks of.
fn likely<'q>(judge: &Judge<'_>, stops: &[&'q Version]) -> Vec<&'q Version> {
    if stops.len() <= MANY {
        return stops.to_vec();
    }
    let mut kept: BTreeMap<&Version, ()> = BTreeMap::new();
    let mut newest: BTreeMap<(Option<u64>, Option<u64>), &'q Version> = BTreeMap::new();
    for &version in stops {
        let line = newest.entry((version.component(0), version.component(1))).or_insert(version);
        *line = (*line).max(version);
    }
    kept.extend(newest.into_values().map(|version| (version, ())));
    for constraint in judge.constraints() {
        let mut fitting = stops.iter().copied().filter(|version| constraint.matches(version));
        let first = fitting.next();
        kept.extend(first.into_iter().chain(fitting.next_back()).map(|version| (version, ())));
    }
    let mut likely: Vec<&'q Version> = stops.iter().copied().filter(|version| kept.contains_key(version)).collect();
    likely.truncate(MOST);
    likely
}

/// What a way costs; compared in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Cost {
    downtime: Duration,
    risk: u64,
    hops: u32,
}

impl Cost {
    fn of(way: &Way<'_>) -> Self {
        Self { downtime: way.weight, risk: way.route.risk.into(), hops: 1 }
    }

    /// For the way with the fewest hops, whatever it costs.
    fn hops_only(_: &Way<'_>) -> Self {
        Self { hops: 1, ..Self::default() }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            downtime: self.downtime.saturating_add(other.downtime),
            risk: self.risk.saturating_add(other.risk),
            hops: self.hops.saturating_add(other.hops),
        }
    }
}

/// The versions and hops of one search. Nodes are in the order of travel, so hops lead from lower to higher indices.
struct Map<'q> {
    nodes: Vec<Version>,
    /// The best way of each hop that can be made.
    hops: BTreeMap<(usize, usize), Way<'q>>,
    /// Whether a higher index is a newer version.
    upwards: bool,
}

impl<'q> Map<'q> {
    fn draw(judge: &Judge<'q>, from: &Version, stops: &[&Version], to: &Version) -> Self {
        let nodes: Vec<Version> = [from].into_iter().chain(stops.iter().copied()).chain([to]).cloned().collect();
        let mut hops = BTreeMap::new();
        // Only what can be reached is looked at further.
        let mut reached = vec![false; nodes.len()];
        for (start, before) in nodes.iter().enumerate() {
            if start > 0 && !reached.get(start).copied().unwrap_or_default() {
                continue;
            }
            for (end, after) in nodes.iter().enumerate().skip(start + 1) {
                if let Some(way) = judge.ways(Some(before), Some(after)).into_iter().next() {
                    hops.insert((start, end), way);
                    if let Some(reached) = reached.get_mut(end) {
                        *reached = true;
                    }
                }
            }
        }
        Self { nodes, hops, upwards: from < to }
    }

    /// The cheapest path to the last node; of equal ones the one whose stops are newest, from the first on.
    fn path(&self, cost: fn(&Way<'_>) -> Cost) -> Option<Vec<usize>> {
        let last = self.nodes.len().checked_sub(1)?;
        // Reversed, so that one search gives what is left from every node.
        let backwards: DiGraph<(), Cost> = {
            let mut graph = DiGraph::with_capacity(self.nodes.len(), self.hops.len());
            let nodes: Vec<NodeIndex> = self.nodes.iter().map(|_| graph.add_node(())).collect();
            for ((start, end), way) in &self.hops {
                graph.add_edge(*nodes.get(*end)?, *nodes.get(*start)?, cost(way));
            }
            graph
        };
        let left = dijkstra(&backwards, NodeIndex::new(last), None, |edge| *edge.weight());
        let mut path = vec![0];
        let mut at = 0;
        while at != last {
            let rest = *left.get(&NodeIndex::new(at))?;
            let onward =
                |end: usize, way: &Way<'_>| left.get(&NodeIndex::new(end)).is_some_and(|beyond| cost(way) + *beyond == rest);
            let mut next =
                self.hops.range((at, 0)..(at + 1, 0)).filter(|((_, end), way)| onward(*end, way)).map(|((_, end), _)| *end);
            at = if self.upwards { next.next_back() } else { next.next() }?;
            path.push(at);
        }
        Some(path)
    }

    fn total(&self, path: &[usize]) -> Cost {
        self.along(path).map(|(way, ..)| Cost::of(way)).fold(Cost::default(), Add::add)
    }

    /// The hops of a path.
    fn along<'m>(&'m self, path: &'m [usize]) -> impl Iterator<Item = (&'m Way<'q>, &'m Version, &'m Version)> {
        path.iter()
            .zip(path.iter().skip(1))
            .filter_map(|(start, end)| Some((self.hops.get(&(*start, *end))?, self.nodes.get(*start)?, self.nodes.get(*end)?)))
    }

    fn shown(&self, path: &[usize]) -> String {
        let stops: Vec<String> = path.iter().filter_map(|at| self.nodes.get(*at)).map(ToString::to_string).collect();
        stops.join(" → ")
    }

    fn itinerary(&self, judge: &Judge<'q>, path: &[usize]) -> Itinerary {
        let mut why = Vec::new();
        let mut waived: Vec<String> = Vec::new();
        let cost = self.total(path);
        let last = self.nodes.len().saturating_sub(1);
        if path.len() > 2 {
            why.push(format!("{} in {} hops: {}", self.shown(path), path.len() - 1, worth(cost)));
            match (self.hops.get(&(0, last)), self.nodes.first(), self.nodes.last()) {
                (Some(direct), ..) => {
                    why.push(format!("in one hop by route \"{}\" it would be {}", direct.route.name, price(direct)))
                }
                (None, from, to) => why.push(format!("not in one hop: {}", listed(judge.reasons(from, to)))),
            }
        }
        if let Some(shortest) = self.path(Cost::hops_only).filter(|shortest| shortest.len() < path.len() && shortest.len() > 2) {
            why.push(format!("{} in {} hops would be {}", self.shown(&shortest), shortest.len() - 1, worth(self.total(&shortest))));
        }
        for (way, from, to) in self.along(path) {
            why.push(format!("{from} → {to} by route \"{}\", strategy \"{}\": {}", way.route.name, way.route.strategy, price(way)));
            why.extend(dearer(&judge.ways(Some(from), Some(to))));
            waived.extend(way.waived.iter().filter(|reason| !waived.contains(reason)).cloned().collect::<Vec<_>>());
        }
        let legs = self.along(path).map(|(way, from, to)| leg(way, Some(from), Some(to))).collect();
        Itinerary { legs, why, waived }
    }

    /// Why there is no path: about the move in one hop, about the furthest stop that can be reached, about what was not looked at.
    fn dead_end(&self, judge: &Judge<'q>, refused: &[String]) -> Vec<String> {
        let (Some(from), Some(to)) = (self.nodes.first(), self.nodes.last()) else { return Vec::new() };
        let mut reasons = vec![format!("no route leads from {from} to {to}: {}", listed(judge.reasons(Some(from), Some(to))))];
        let furthest = self.hops.keys().map(|(_, end)| *end).max().unwrap_or(0);
        if let Some(stop) = self.nodes.get(furthest).filter(|_| furthest > 0) {
            reasons.push(format!("{stop} can be reached, but from there to {to}: {}", listed(judge.reasons(Some(stop), Some(to)))));
        }
        let last = self.nodes.len() - 1;
        if let Some(next) = self.nodes.get(furthest + 1).filter(|_| furthest + 1 < last) {
            let stop = self.nodes.get(furthest);
            reasons.push(format!("the next stop, {next}, cannot be reached: {}", listed(judge.reasons(stop, Some(next)))));
        }
        if last == 1 {
            reasons.push(format!(
                "no release between {from} and {to} is known to stop at; declare a `release` where the vendor has one"
            ));
        }
        reasons.extend(refused.iter().cloned());
        reasons
    }
}

fn leg(way: &Way<'_>, from: Option<&Version>, to: Option<&Version>) -> Leg {
    let route = way.route;
    Leg {
        from: from.cloned(),
        to: to.cloned(),
        route: Arc::clone(&route.name),
        strategy: route.strategy.clone(),
        downtime: way.downtime,
        risk: route.risk,
        note: route.note.clone(),
    }
}

/// What was said about the ways that come after the best.
fn dearer(ways: &[Way<'_>]) -> Vec<String> {
    let others = ways.iter().skip(1);
    others
        .map(|way| format!("route \"{}\", strategy \"{}\", would be {}", way.route.name, way.route.strategy, price(way)))
        .collect()
}

fn price(way: &Way<'_>) -> String {
    let downtime = match way.downtime {
        Some(Duration::ZERO) => "no downtime".to_owned(),
        Some(downtime) => format!("{} of downtime", length(downtime)),
        None => "downtime of unknown length".to_owned(),
    };
    if way.route.risk == 0 { downtime } else { format!("{downtime}, risk {}", way.route.risk) }
}

fn worth(cost: Cost) -> String {
    let downtime =
        if cost.downtime.is_zero() { "no downtime".to_owned() } else { format!("about {} of downtime", length(cost.downtime)) };
    if cost.risk == 0 { downtime } else { format!("{downtime}, risk {}", cost.risk) }
}

fn length(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(|_| "an endless time".to_owned(), |duration| format!("{duration:#}"))
}

fn listed(mut reasons: Vec<String>) -> String {
    const SHOWN: usize = 8;
    if reasons.len() > SHOWN {
        let more = reasons.len() - SHOWN;
        reasons.truncate(SHOWN);
        reasons.push(format!("and {more} more reasons"));
    }
    reasons.join("; ")
}

fn shown(version: Option<&Version>) -> String {
    version.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
