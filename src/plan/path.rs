//! The graph of one route search: versions, the hops between them, the cheapest path, and what to say about it.
//!
//! Takes versions in the order of travel and asks `edge` about each pair that can matter. Of equally cheap paths the one whose stops
//! are newest is taken, from the first stop on.

use std::collections::BTreeMap;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use petgraph::algo::dijkstra;
use petgraph::graph::{DiGraph, NodeIndex};

use super::edge::{Accepted, Judge, Way};
use super::route::{Itinerary, Leg};
use crate::model::version::Version;

/// What a way costs; compared in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Cost {
    downtime: Duration,
    risk: u64,
    hops: u32,
}

impl Cost {
    /// What a hop costs.
    pub(super) fn of(way: &Way<'_>) -> Self {
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
pub(super) struct Map<'q> {
    nodes: Vec<Version>,
    /// The best way of each hop that can be made.
    hops: BTreeMap<(usize, usize), Way<'q>>,
    /// Whether a higher index is a newer version.
    upwards: bool,
}

impl<'q> Map<'q> {
    /// Asks about every pair of versions that can be reached.
    pub(super) fn draw(judge: &Judge<'q>, from: &Version, stops: &[&Version], to: &Version) -> Self {
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
    pub(super) fn path(&self, cost: fn(&Way<'_>) -> Cost) -> Option<Vec<usize>> {
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

    /// A path with its reasons: what it costs, what would be dearer, what does not go in fewer hops.
    pub(super) fn itinerary(&self, judge: &Judge<'q>, path: &[usize]) -> Itinerary {
        let mut why = Vec::new();
        let mut waived: Vec<Accepted> = Vec::new();
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
            waived.extend(way.waived.iter().filter(|accepted| !waived.contains(accepted)).cloned().collect::<Vec<_>>());
        }
        let legs = self.along(path).map(|(way, from, to)| leg(way, Some(from), Some(to))).collect();
        Itinerary { legs, why, waived }
    }

    /// Why there is no path: about the move in one hop, about the furthest stop that can be reached, about what was not looked at.
    pub(super) fn dead_end(&self, judge: &Judge<'q>, refused: &[String]) -> Vec<String> {
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

/// A way as the itinerary holds it.
pub(super) fn leg(way: &Way<'_>, from: Option<&Version>, to: Option<&Version>) -> Leg {
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
pub(super) fn dearer(ways: &[Way<'_>]) -> Vec<String> {
    let others = ways.iter().skip(1);
    others
        .map(|way| format!("route \"{}\", strategy \"{}\", would be {}", way.route.name, way.route.strategy, price(way)))
        .collect()
}

/// What a way costs, for people.
pub(super) fn price(way: &Way<'_>) -> String {
    let downtime = match way.downtime {
        Some(Duration::ZERO) => "no downtime".to_owned(),
        Some(downtime) => format!("{} of downtime", length(downtime)),
        None => "downtime of a length that the provider does not state".to_owned(),
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

/// Reasons as one text; of very many the first.
pub(super) fn listed(mut reasons: Vec<String>) -> String {
    const SHOWN: usize = 8;
    if reasons.len() > SHOWN {
        let more = reasons.len() - SHOWN;
        reasons.truncate(SHOWN);
        reasons.push(format!("and {more} more reasons"));
    }
    reasons.join("; ")
}
