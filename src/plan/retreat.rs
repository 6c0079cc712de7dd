//! Whether the state that a rollback would lead to is one that could be planned.
//!
//! Takes what would be undone, of an estate in which everything else stays; gives every reason against it, in sentences. Judges by the
//! rules of the planner: what versions need of each other, and the moves that a provider blocks. Decides nothing, and asks no checks
//! about where it starts from: who goes back may have to because they fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::lang::Env;
use crate::model::name::{InstanceAddr, ProviderName};
use crate::model::provider::Movement;
use crate::model::version::Version;

use super::catalogue::Catalogue;
use super::edge::Judge;
use super::input::PlanInput;
use super::requirement::Requirements;
use super::route::{RouteCache, RouteQuery};
use super::scope::Subject;
use super::waiver::Waivers;

/// What would be undone of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retreat {
    /// Which instance.
    pub instance: InstanceAddr,
    /// The versions on its way back: the one that is there first, the one at which it stays last; `None`: it is not there.
    pub stations: Vec<Option<Arc<str>>>,
}

/// Every reason why the planner would not plan these ways back, with the instance that it is about.
#[must_use]
pub fn objections(input: &PlanInput<'_>, retreats: &[Retreat]) -> Vec<(InstanceAddr, String)> {
    let catalogues = super::catalogues(input);
    let mut found: Vec<(InstanceAddr, String)> = unfit(input, &catalogues, retreats);
    for retreat in retreats {
        found.extend(blocked(input, &catalogues, retreat).into_iter().map(|reason| (retreat.instance.clone(), reason)));
    }
    found
}

/// What would not fit together afterwards, and does now.
fn unfit(
    input: &PlanInput<'_>,
    catalogues: &BTreeMap<ProviderName, Catalogue<'_>>,
    retreats: &[Retreat],
) -> Vec<(InstanceAddr, String)> {
    let (requirements, _) = Requirements::collect(input.estate, catalogues);
    let read = |addr: &InstanceAddr, text: &str| {
        let provider = &input.estate.instances.get(addr)?.provider;
        Version::parse(text, &catalogues.get(provider)?.provider().scheme).ok()
    };
    let mut now: BTreeMap<&InstanceAddr, Version> = BTreeMap::new();
    for (addr, locked) in input.locks.values().flat_map(|lock| &lock.instances) {
        now.extend(read(addr, &locked.version).map(|version| (addr, version)));
    }
    let mut then = now.clone();
    for Retreat { instance, stations } in retreats {
        for (versions, station) in [(&mut now, stations.first()), (&mut then, stations.last())] {
            versions.remove(instance);
            let version = station.and_then(|text| read(instance, text.as_deref()?));
            versions.extend(version.map(|version| (instance, version)));
        }
    }
    let problems = |versions: &BTreeMap<&InstanceAddr, Version>| -> BTreeSet<(InstanceAddr, String)> {
        let unmet = |(addr, version): (&&InstanceAddr, &Version)| {
            let addr: &InstanceAddr = addr;
            let reasons = requirements.unmet(addr, version, |other| versions.get(other).cloned());
            reasons.into_iter().map(|reason| (addr.clone(), reason)).collect::<Vec<_>>()
        };
        versions.iter().flat_map(unmet).collect()
    };
    problems(&then).difference(&problems(&now)).cloned().collect()
}

/// The moves on the way back that its provider blocks, however they are made. One of which that cannot be told is let pass.
fn blocked(input: &PlanInput<'_>, catalogues: &BTreeMap<ProviderName, Catalogue<'_>>, retreat: &Retreat) -> Vec<String> {
    let Some(instance) = input.estate.instances.get(&retreat.instance) else { return Vec::new() };
    let Some(catalogue) = catalogues.get(&instance.provider) else { return Vec::new() };
    let provider = catalogue.provider();
    let env = Env { files: provider, ..Env::pure(input.now) };
    let host = instance.host.as_ref().and_then(|host| input.estate.hosts.get(host));
    let subject = Subject::declared(provider, instance, host, input.inventory.instances.get(&retreat.instance), env);
    let waivers = Waivers::new(&input.estate.waivers, input.now);
    let cache = RouteCache::default();
    let read = |station: &Option<Arc<str>>| Version::parse(station.as_deref()?, &provider.scheme).ok();
    let mut reasons = Vec::new();
    for pair in retreat.stations.windows(2) {
        let [from, to] = pair else { continue };
        let (from, to) = (read(from), read(to));
        // Setting its own settings back is no move.
        if from == to {
            continue;
        }
        let query = RouteQuery {
            subject: &subject,
            catalogue,
            movement: if to.is_some() { Movement::Downgrade } else { Movement::Remove },
            from: from.as_ref(),
            to: to.as_ref(),
            strategy: None,
            waivers: &waivers,
            cache: &cache,
        };
        let refused = Judge::new(&query).known_blocks(from.as_ref(), to.as_ref());
        let name = |version: Option<&Version>| version.map_or("nothing", Version::text).to_owned();
        reasons.extend(refused.into_iter().map(|reason| format!("{} to {}: {reason}", name(from.as_ref()), name(to.as_ref()))));
    }
    reasons
}

#[cfg(test)]
#[path = "retreat_tests.rs"]
mod tests;
