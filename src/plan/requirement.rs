//! Which versions of one instance another needs, and versions that suit all of them.
//!
//! Takes the `requires` blocks of instances and of providers. A provider's rule is about the instances of the other provider that
//! an instance depends on. Gives the constraints for the catalogue to choose by, and sentences for what does not fit together;
//! never puts hops in an order: who does asks [`Requirements::unmet`] and [`Requirements::broken`] for the versions of each moment.

use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::{Bound, Catalogue, Resolved};
use crate::model::estate::Estate;
use crate::model::name::{InstanceAddr, ProviderName};
use crate::model::version::{Version, VersionReq};

/// One rule between two instances.
#[derive(Debug, Clone)]
pub(crate) struct Skew {
    /// Who needs it.
    pub(crate) by: InstanceAddr,
    /// Of whom.
    pub(crate) on: InstanceAddr,
    /// Only while `by` has one of these versions; `None`: always.
    pub(crate) when: Option<VersionReq>,
    /// Versions of `on` that will do.
    pub(crate) version: VersionReq,
    /// Why.
    pub(crate) reason: String,
}

impl Skew {
    /// Whether it holds `on` to anything while `by` has this version.
    pub(crate) fn applies(&self, by: &Version) -> bool {
        self.when.as_ref().is_none_or(|when| when.matches(by))
    }

    fn clause(&self, by: &Version) -> String {
        let Self { by: addr, on, version, reason, .. } = self;
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        format!("{addr} {by} needs {on} to be `{version}`{reason}")
    }
}

/// Every rule of an estate, found from both sides.
#[derive(Debug, Default)]
pub(crate) struct Requirements {
    skews: Vec<Skew>,
    by: BTreeMap<InstanceAddr, Vec<usize>>,
    on: BTreeMap<InstanceAddr, Vec<usize>>,
}

impl Requirements {
    /// Collects the rules of an estate. Beside them, by instance: what is wrong with its own.
    pub(crate) fn collect(
        estate: &Estate,
        catalogues: &BTreeMap<ProviderName, Catalogue<'_>>,
    ) -> (Self, BTreeMap<InstanceAddr, Vec<String>>) {
        let mut all = Self::default();
        let mut problems: BTreeMap<InstanceAddr, Vec<String>> = BTreeMap::new();
        for (addr, instance) in &estate.instances {
            for rule in &instance.requires {
                let on = &rule.instance;
                let scheme =
                    estate.instances.get(on).and_then(|on| catalogues.get(&on.provider)).map(|other| &other.provider().scheme);
                let version = scheme.ok_or_else(|| format!("requires {on}, which is not declared")).and_then(|scheme| {
                    VersionReq::parse(&rule.version, scheme).map_err(|error| format!("requires {on}: {error}; {}", error.help))
                });
                match version {
                    Ok(version) => {
                        all.add(Skew { by: addr.clone(), on: on.clone(), when: None, version, reason: rule.reason.clone() });
                    }
                    Err(problem) => problems.entry(addr.clone()).or_default().push(problem),
                }
            }
            let Some(catalogue) = catalogues.get(&instance.provider) else { continue };
            for rule in &catalogue.provider().requires {
                let of_provider = |on: &&InstanceAddr| estate.instances.get(*on).is_some_and(|on| on.provider == rule.provider);
                for on in instance.depends_on.iter().filter(of_provider) {
                    all.add(Skew {
                        by: addr.clone(),
                        on: on.clone(),
                        when: rule.when.clone(),
                        version: rule.version.clone(),
                        reason: rule.reason.clone(),
                    });
                }
            }
        }
        (all, problems)
    }

    /// Whether there is no rule at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.skews.is_empty()
    }

    fn add(&mut self, skew: Skew) {
        self.by.entry(skew.by.clone()).or_default().push(self.skews.len());
        self.on.entry(skew.on.clone()).or_default().push(self.skews.len());
        self.skews.push(skew);
    }

    /// What an instance needs of others.
    pub(crate) fn of<'s>(&'s self, by: &InstanceAddr) -> impl Iterator<Item = &'s Skew> + 's {
        self.by.get(by).into_iter().flatten().filter_map(|at| self.skews.get(*at))
    }

    /// What others need of an instance.
    pub(crate) fn on<'s>(&'s self, on: &InstanceAddr) -> impl Iterator<Item = &'s Skew> + 's {
        self.on.get(on).into_iter().flatten().filter_map(|at| self.skews.get(*at))
    }

    /// The constraints that others, with their versions, put on an instance: for [`Catalogue::resolve`].
    pub(crate) fn bounds<'s>(&'s self, on: &InstanceAddr, version_of: impl Fn(&InstanceAddr) -> Option<Version>) -> Vec<Bound<'s>> {
        let bound = |skew: &'s Skew| {
            let by = version_of(&skew.by).filter(|by| skew.applies(by))?;
            Some(Bound { version: &skew.version, because: skew.clause(&by) })
        };
        self.on(on).filter_map(bound).collect()
    }

    /// What an instance of this version needs and does not get. A version of nothing (`None`) satisfies no rule.
    pub(crate) fn unmet(
        &self,
        by: &InstanceAddr,
        version: &Version,
        version_of: impl Fn(&InstanceAddr) -> Option<Version>,
    ) -> Vec<String> {
        let broken = |skew: &Skew| match version_of(&skew.on) {
            Some(on) if skew.version.matches(&on) => None,
            Some(on) => Some(format!("{}, and it is {on}", skew.clause(version))),
            None => Some(format!("{}, and it is not installed", skew.clause(version))),
        };
        self.of(by).filter(|skew| skew.applies(version)).filter_map(broken).collect()
    }

    /// What others need of an instance and do not get while it has this version. Others that are not there need nothing.
    pub(crate) fn broken(
        &self,
        on: &InstanceAddr,
        version: &Version,
        version_of: impl Fn(&InstanceAddr) -> Option<Version>,
    ) -> Vec<String> {
        let broken = |skew: &Skew| {
            let by = version_of(&skew.by)?;
            (skew.applies(&by) && !skew.version.matches(version)).then(|| format!("{}, and it is {version}", skew.clause(&by)))
        };
        self.on(on).filter_map(broken).collect()
    }

    /// Everything that does not fit together around one instance of this version, from both sides.
    pub(crate) fn check(
        &self,
        addr: &InstanceAddr,
        version: &Version,
        version_of: impl Fn(&InstanceAddr) -> Option<Version>,
    ) -> Vec<String> {
        let mut problems = self.unmet(addr, version, &version_of);
        problems.extend(self.broken(addr, version, &version_of));
        problems
    }

    /// Settles the version of every instance: who needs something of others first, so that ranges on the others are solved with it.
    ///
    /// A range on an instance that needs others skips versions for which another has nothing that would do. There is no further
    /// backtracking: of two ranges that only fit together at older versions of both, the first keeps its newest and the other is
    /// an error that names it.
    pub(crate) fn solve(
        &self,
        estate: &Estate,
        catalogues: &BTreeMap<ProviderName, Catalogue<'_>>,
        current: impl Fn(&InstanceAddr) -> Option<Version>,
        upgrade: bool,
    ) -> BTreeMap<InstanceAddr, Result<Resolved, Vec<String>>> {
        let mut settled: BTreeMap<InstanceAddr, Result<Resolved, Vec<String>>> = BTreeMap::new();
        for addr in self.order(estate) {
            let Some(instance) = estate.instances.get(&addr) else { continue };
            let Some(catalogue) = catalogues.get(&instance.provider) else {
                settled.insert(addr, Err(vec![format!("there is no provider {}", instance.provider)]));
                continue;
            };
            let version_of = |other: &InstanceAddr| settled.get(other)?.as_ref().ok().map(|resolved| resolved.version.clone());
            let bounds = self.bounds(&addr, version_of);
            let now = current(&addr);
            let suits = |version: &Version| {
                self.of(&addr).filter(|skew| skew.applies(version)).all(|skew| can_be(skew, estate, catalogues, &settled, &current))
            };
            let resolved = catalogue.resolve(&instance.version, now.as_ref(), &bounds, upgrade).map(|resolved| {
                let older = || {
                    let wanted = VersionReq::parse(&instance.version, &catalogue.provider().scheme)
                        .ok()
                        .filter(|req| req.is_exact().is_none())?;
                    let fits = |version: &&Version| bounds.iter().all(|bound| bound.version.matches(version)) && suits(version);
                    let version = catalogue.candidates(&wanted).find(fits)?.clone();
                    let newest = &resolved.version;
                    let why = format!(
                        "{version} is the newest release that fits `{wanted}` and what it needs of others ({newest} does not)"
                    );
                    Some(Resolved { version, why: Some(why), warnings: Vec::new() })
                };
                if suits(&resolved.version) { resolved } else { older().unwrap_or(resolved) }
            });
            settled.insert(addr, resolved);
        }
        settled
    }

    /// Every instance, those that need something before those that it is needed of; in a circle, by address.
    fn order(&self, estate: &Estate) -> Vec<InstanceAddr> {
        let mut waiting: BTreeMap<&InstanceAddr, usize> = estate.instances.keys().map(|addr| (addr, 0)).collect();
        for skew in &self.skews {
            if let Some(count) = waiting.get_mut(&skew.on) {
                *count += 1;
            }
        }
        let mut ready: BTreeSet<&InstanceAddr> = waiting.iter().filter(|(_, count)| **count == 0).map(|(addr, _)| *addr).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(next) = ready.pop_first().or_else(|| waiting.keys().next().copied()) {
            if waiting.remove(next).is_none() {
                continue;
            }
            order.push(next.clone());
            for skew in self.of(next) {
                if let Some(count) = waiting.get_mut(&skew.on) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        ready.extend(estate.instances.get_key_value(&skew.on).map(|(addr, _)| addr));
                    }
                }
            }
        }
        order
    }
}

/// Whether the instance that a rule is about can have a version that will do.
fn can_be(
    skew: &Skew,
    estate: &Estate,
    catalogues: &BTreeMap<ProviderName, Catalogue<'_>>,
    settled: &BTreeMap<InstanceAddr, Result<Resolved, Vec<String>>>,
    current: &dyn Fn(&InstanceAddr) -> Option<Version>,
) -> bool {
    match settled.get(&skew.on) {
        Some(Ok(resolved)) => return skew.version.matches(&resolved.version),
        Some(Err(_)) => return false,
        None => {}
    }
    let Some(on) = estate.instances.get(&skew.on) else { return false };
    let Some(catalogue) = catalogues.get(&on.provider) else { return false };
    let Ok(wanted) = VersionReq::parse(&on.version, &catalogue.provider().scheme) else { return false };
    match wanted.is_exact() {
        Some(exact) => skew.version.matches(exact),
        None => {
            let stays = current(&skew.on).is_some_and(|now| wanted.matches(&now) && skew.version.matches(&now));
            stays || catalogue.candidates(&wanted).any(|version| skew.version.matches(version))
        }
    }
}

#[cfg(test)]
#[path = "requirement_tests.rs"]
mod tests;
