//! Drift: what is recorded against what is there, beside what is declared.
//!
//! Pure. A difference between declaration and record is a pending change and no drift: `plan` shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::lang::{Value, render};
use crate::lock::{Lock, Locked};
use crate::model::estate::{Estate, Instance};
use crate::model::inventory::{Inventory, Observation};
use crate::model::name::{EnvironmentName, InstanceAddr, ProviderName};
use crate::model::provider::Provider;
use crate::model::version::{Version, VersionReq};

/// One instance, three ways.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceState {
    /// Which instance.
    pub instance: InstanceAddr,
    /// Whose.
    pub provider: ProviderName,
    /// Where.
    pub environment: EnvironmentName,
    /// The version that is declared, as written; `None`: not declared any more.
    pub declared: Option<Arc<str>>,
    /// The version that is recorded; `None`: never applied.
    pub recorded: Option<Arc<str>>,
    /// What was seen of the version.
    pub observed: Sight,
    /// Whether declaration and record agree; where not, `plan` has something to do.
    pub pending: bool,
    /// What is not as it was recorded.
    pub drift: Vec<Drift>,
    /// Work that people owe.
    pub follow_ups: Vec<Arc<str>>,
}

/// What was seen of an instance's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// This version is there.
    Version(Arc<str>),
    /// Nothing is there.
    Nothing,
    /// It could not be seen, and why.
    Unseen(String),
    /// Nobody looked.
    NotLooked,
}

/// One thing that is not as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// Which kind.
    pub class: DriftClass,
    /// What was found, in a sentence.
    pub message: String,
}

/// Kinds of drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftClass {
    /// Another version than recorded.
    Version,
    /// A fact that tells of configuration has another value than after the last hop.
    Configuration,
    /// Recorded, and not there.
    Missing,
    /// There and declared, and not recorded.
    Unmanaged,
    /// There, and not running or not healthy.
    Unhealthy,
    /// Could not be looked at.
    Unreachable,
}

impl DriftClass {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Configuration => "configuration",
            Self::Missing => "missing",
            Self::Unmanaged => "unmanaged",
            Self::Unhealthy => "unhealthy",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Compares every instance that is declared or recorded in these environments, in address order.
#[must_use]
pub fn compare(
    estate: &Estate,
    locks: &BTreeMap<EnvironmentName, Lock>,
    inventory: &Inventory,
    providers: &BTreeMap<ProviderName, Arc<Provider>>,
) -> Vec<InstanceState> {
    let recorded: BTreeMap<&InstanceAddr, (&EnvironmentName, &Locked)> = locks
        .iter()
        .flat_map(|(environment, lock)| lock.instances.iter().map(move |(addr, locked)| (addr, (environment, locked))))
        .collect();
    let declared = estate.instances.values().filter(|instance| locks.contains_key(&instance.environment));
    let addresses: BTreeSet<&InstanceAddr> = declared.map(|instance| &instance.addr).chain(recorded.keys().copied()).collect();
    addresses
        .into_iter()
        .filter_map(|addr| {
            let declared = estate.instances.get(addr);
            let locked = recorded.get(addr).copied();
            let environment = declared.map(|instance| &instance.environment).or(locked.map(|(environment, _)| environment))?;
            let name = declared.map(|instance| &instance.provider).or(locked.map(|(_, locked)| &locked.provider))?;
            let provider = providers.get(name).map(|provider| &**provider);
            let locked = locked.map(|(_, locked)| locked);
            let seen = inventory.instances.get(addr);
            let observed = sight(seen);
            Some(InstanceState {
                instance: addr.clone(),
                provider: name.clone(),
                environment: environment.clone(),
                declared: declared.map(|instance| Arc::clone(&instance.version)),
                recorded: locked.map(|locked| Arc::clone(&locked.version)),
                pending: is_pending(provider, declared, locked),
                drift: seen.map(|seen| drift(provider, declared, locked, seen, &observed)).unwrap_or_default(),
                observed,
                follow_ups: locked.into_iter().flat_map(|locked| &locked.follow_ups).map(|owed| Arc::clone(&owed.name)).collect(),
            })
        })
        .collect()
}

fn sight(seen: Option<&Observation>) -> Sight {
    let Some(seen) = seen else { return Sight::NotLooked };
    match seen.value("version") {
        Some(Value::Null) => Sight::Nothing,
        Some(Value::String(version)) => Sight::Version(Arc::clone(version)),
        Some(other) => Sight::Unseen(format!("the fact `version` is a {} and no text", other.kind())),
        None => Sight::Unseen(seen.unseen("version").unwrap_or("the provider did not look").to_owned()),
    }
}

fn is_pending(provider: Option<&Provider>, declared: Option<&Instance>, locked: Option<&Locked>) -> bool {
    match (declared, locked) {
        (Some(declared), Some(locked)) => {
            let fits = provider.is_none_or(|provider| {
                let wanted = VersionReq::parse(&declared.version, &provider.scheme);
                let there = Version::parse(&locked.version, &provider.scheme);
                matches!((wanted, there), (Ok(wanted), Ok(there)) if wanted.matches(&there))
            });
            !fits || declared.settings_digest != locked.settings_digest
        }
        (None, None) => false,
        _ => true,
    }
}

fn drift(
    provider: Option<&Provider>,
    declared: Option<&Instance>,
    locked: Option<&Locked>,
    seen: &Observation,
    observed: &Sight,
) -> Vec<Drift> {
    let one = |class, message: String| vec![Drift { class, message }];
    let (there, locked) = match (observed, locked) {
        (Sight::Unseen(why), _) => return one(DriftClass::Unreachable, format!("its version could not be seen: {why}")),
        (Sight::Nothing | Sight::NotLooked, None) => return Vec::new(),
        (Sight::Nothing | Sight::NotLooked, Some(locked)) => {
            return one(DriftClass::Missing, format!("{} is recorded, and nothing is there", locked.version));
        }
        (Sight::Version(there), None) => {
            let known = if declared.is_some() { "declared but not recorded" } else { "not declared" };
            return one(DriftClass::Unmanaged, format!("{there} is there, {known}"));
        }
        (Sight::Version(there), Some(locked)) => (there, locked),
    };
    let mut found = Vec::new();
    if !same_version(provider, there, &locked.version) {
        found.push(Drift { class: DriftClass::Version, message: format!("{} is recorded, {there} is there", locked.version) });
    }
    for (name, before) in &locked.observed {
        match seen.value(name) {
            Some(now) if now == before => {}
            Some(now) => found.push(Drift {
                class: DriftClass::Configuration,
                message: format!("{name} was {}, and is {}", render::text(before), render::text(now)),
            }),
            None => {
                let why = seen.unseen(name).unwrap_or("the provider does not know this fact any more");
                found.push(Drift { class: DriftClass::Unreachable, message: format!("{name} could not be seen: {why}") });
            }
        }
    }
    for (fact, word) in [("running", "not running"), ("healthy", "not healthy")] {
        if seen.value(fact) == Some(&Value::Bool(false)) {
            found.push(Drift { class: DriftClass::Unhealthy, message: format!("it is {word}") });
            break;
        }
    }
    found
}

fn same_version(provider: Option<&Provider>, left: &str, right: &str) -> bool {
    let parse = |text: &str| provider.and_then(|provider| Version::parse(text, &provider.scheme).ok());
    match (parse(left), parse(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}
