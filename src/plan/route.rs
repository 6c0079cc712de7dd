//! The way from the version that is there to the one that is wanted: least downtime, then least risk, then fewest hops.
//!
//! Takes a [`RouteQuery`], gives an [`Itinerary`] that says why it is this one, or every reason why there is none. The nodes are the
//! catalogue's versions between the two; the edges are what `edge` lets pass. Of equal ways the one with the newest stops is
//! taken, so that the same question always has the same answer. Way back by undoing an applied hop is not a route.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::catalogue::{Catalogue, selectable};
use super::edge::{Accepted, Judge, looked_at};
use super::path::{Cost, Map, dearer, leg, listed, price};
use super::scope::{Subject, Used};
use super::waiver::{Standing, Waivers};
use crate::lang::{Object, Value};
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
    /// The strategy that every hop must go by.
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
    pub(crate) waived: Vec<Accepted>,
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

/// Answers found before: instances that agree in everything that conditions look at share them. One for a plan.
#[derive(Default)]
pub(crate) struct RouteCache {
    answers: RefCell<HashMap<Question, Result<Itinerary, Vec<String>>>>,
    /// What a provider's conditions look at.
    looked_at: RefCell<HashMap<Digest, Rc<Used>>>,
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
    /// What conditions see of the instance, as text.
    seen: String,
}

impl Question {
    /// The question, where other instances may ask the same one.
    fn shared(query: &RouteQuery<'_>) -> Option<Self> {
        let provider = query.catalogue.provider();
        let seen = Self::seen(query)?;
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
            seen,
        })
    }

    /// What conditions see of the instance. `None`: nobody else may see the same, or it may not be told from something else: a
    /// fact that is missing (the reason is the instance's own) and sensitive values (their text is the same for all).
    fn seen(query: &RouteQuery<'_>) -> Option<String> {
        let provider = query.catalogue.provider();
        let mut known = query.cache.looked_at.borrow_mut();
        let used = Rc::clone(known.entry(provider.digest.clone()).or_insert_with(|| Rc::new(looked_at(provider))));
        if used.is_empty() {
            return Some(String::new());
        }
        if used.has("instance") {
            return None;
        }
        let captured = query.subject.hop(query.catalogue, None, None).captured(&used);
        let facts = captured.get("fact").and_then(Value::as_object).map_or(0, Object::len);
        if facts < used.names("fact", &provider.facts).len() || captured.has_sensitive() || captured.has_unknown() {
            return None;
        }
        serde_json::to_string(&captured).ok()
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
        (Movement::Install | Movement::Reconfigure | Movement::Remove | Movement::Backup | Movement::Restore, from, to) => {
            in_one(&judge, from, to)
        }
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
    let (stops, mut refused) = eligible(judge, from, to);
    let likely = likely(judge, &stops);
    let mut map = Map::draw(judge, from, &likely, to);
    if map.path(Cost::of).is_none() && likely.len() < stops.len() {
        // Too many to look at all: the newest of those beyond the limit are the ones left out least gladly.
        let start = if from < to { stops.len().saturating_sub(MOST) } else { 0 };
        let end = (start + MOST).min(stops.len());
        map = Map::draw(judge, from, stops.get(start..end).unwrap_or_default(), to);
    }
    if let Some(path) = map.path(Cost::of) {
        return Ok(map.itinerary(judge, &path));
    }
    if let Some(aside) = stops.len().checked_sub(MOST).filter(|aside| *aside > 0) {
        refused.push(format!("{aside} of {} releases between {from} and {to} were not looked at", stops.len()));
    }
    Err(map.dead_end(judge, &refused))
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

fn shown(version: Option<&Version>) -> String {
    version.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
