//! Finds what differs: recorded against observed, beside declared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Drift, InstanceState, Sight};
use crate::lang::{Value, render};
use crate::lock::{Lock, Locked};
use crate::model::drift::DriftClass;
use crate::model::estate::{Estate, Instance};
use crate::model::inventory::{Inventory, Observation};
use crate::model::name::{EnvironmentName, InstanceAddr, ProviderName};
use crate::model::provider::Provider;
use crate::model::version::{Version, VersionReq};
use crate::plan::redact::redacted;

/// Values longer than this are not written into the sentence; the difference shows them.
const SHORT: usize = 400;

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
                host: declared.map_or_else(|| locked.and_then(|locked| locked.host.clone()), |declared| declared.host.clone()),
                declared: declared.map(|instance| Arc::clone(&instance.version)),
                recorded: locked.map(|locked| Arc::clone(&locked.version)),
                pending: is_pending(provider, declared, locked),
                drift: seen.map(|seen| drift(provider, declared, locked, seen, &observed)).unwrap_or_default(),
                observed,
                ignored: Vec::new(),
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
    let desired = declared.map(|declared| Value::String(Arc::clone(&declared.version)));
    let version = |class, locked: Option<&Locked>, message: String| Drift {
        recorded: locked.map(|locked| Value::String(Arc::clone(&locked.version))),
        desired: desired.clone(),
        observed: match observed {
            Sight::Version(there) => Some(Value::String(Arc::clone(there))),
            Sight::Nothing => Some(Value::Null),
            Sight::Unseen(_) | Sight::NotLooked => None,
        },
        ..Drift::new(class, message)
    };
    let (there, locked) = match (observed, locked) {
        (Sight::Unseen(why), _) => {
            return vec![Drift::new(DriftClass::Unreachable, format!("its version could not be seen: {why}"))];
        }
        (Sight::Nothing | Sight::NotLooked, None) => return Vec::new(),
        (Sight::Nothing | Sight::NotLooked, Some(recorded)) => {
            let message = format!("{} is recorded, and nothing is there", recorded.version);
            return vec![version(DriftClass::Missing, locked, message)];
        }
        (Sight::Version(there), None) => {
            let known = if declared.is_some() { "declared but not recorded" } else { "not declared" };
            return vec![version(DriftClass::Unmanaged, None, format!("{there} is there, {known}"))];
        }
        (Sight::Version(there), Some(locked)) => (there, locked),
    };
    let mut found = Vec::new();
    if !same_version(provider, there, &locked.version) {
        let message = format!("{} is recorded, {there} is there", locked.version);
        found.push(version(DriftClass::Version, Some(locked), message));
    }
    found.extend(locked.observed.iter().filter_map(|(name, before)| fact(name, before, declared, seen)));
    for (fact, word) in [("running", "not running"), ("healthy", "not healthy")] {
        if seen.value(fact) == Some(&Value::Bool(false)) {
            found.push(Drift { fact: Some(fact.into()), ..Drift::new(DriftClass::Unhealthy, format!("it is {word}")) });
            break;
        }
    }
    found
}

/// One fact that tells of configuration.
fn fact(name: &Arc<str>, before: &Value, declared: Option<&Instance>, seen: &Observation) -> Option<Drift> {
    let fact = Some(Arc::clone(name));
    let Some(now) = seen.value(name) else {
        let why = seen.unseen(name).unwrap_or("the provider does not know this fact any more");
        return Some(Drift { fact, ..Drift::new(DriftClass::Unreachable, format!("{name} could not be seen: {why}")) });
    };
    // A part that is sensitive has lost its content in the lockfile, and cannot be compared.
    if crate::plan::redact::same(before, now) {
        return None;
    }
    let now = redacted(now);
    let (was, is) = (render::text(before), render::text(&now));
    let message = if was.len() + is.len() > SHORT || [before, &now].iter().any(|value| has_lines(value)) {
        format!("{name} is not what it was")
    } else {
        format!("{name} was {was}, and is {is}")
    };
    Some(Drift {
        fact,
        recorded: Some(before.clone()),
        desired: declared.and_then(|declared| declared.settings.get(name)).map(redacted),
        observed: Some(now),
        ..Drift::new(DriftClass::Configuration, message)
    })
}

/// Whether it is better shown line by line.
fn has_lines(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim_end().contains('\n'))
}

fn same_version(provider: Option<&Provider>, left: &str, right: &str) -> bool {
    let parse = |text: &str| provider.and_then(|provider| Version::parse(text, &provider.scheme).ok());
    match (parse(left), parse(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}
