//! What must be so before an environment may be applied to.
//!
//! Promotion and soak hold back installs and upgrades; the window holds back everything that touches a platform. Taking a version
//! back is never held back by promotion or soak.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::acknowledgement::acknowledgements;
use super::change::{Change, Decision};
use super::input::PlanInput;
use super::risk::risks;
use super::waiver::{Standing, Waivers};
use super::window::{Opening, opening};
use crate::lock::Locked;
use crate::model::estate::Environment;
use crate::model::name::{EnvironmentName, InstanceAddr, ProviderName};
use crate::model::version::{Version, VersionReq, VersionScheme};

/// A condition of an environment. Evaluated by plan, and again by apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// Whose.
    pub environment: EnvironmentName,
    /// The instance that waits; `None`: all of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceAddr>,
    /// What it asks for.
    pub kind: GateKind,
    /// Whether it lets pass now.
    pub open: bool,
    /// Why, and what is waited for.
    pub message: String,
    /// From when it will be open, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub opens: Option<Timestamp>,
    /// Until when it is open, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub closes: Option<Timestamp>,
    /// The block of configuration that opens it, where there is one to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paste: Option<String>,
    /// A waiver's reason, where one holds it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<String>,
}

/// Kinds of gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateKind {
    /// The version must have been applied and verified in another environment.
    Promotion,
    /// It must have been there for some time.
    Soak,
    /// The environment's window. Plans are made outside it, applied inside it.
    Window,
    /// People must have agreed to the plan.
    Approval,
    /// A risk must be accepted.
    Risk,
    /// Somebody must say that a note of the provider was read. No waiver opens it: it is itself a person's word.
    Acknowledgement,
}

impl GateKind {
    /// The name that a waiver of it has.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promotion => "promotion",
            Self::Soak => "soak",
            Self::Window => "window",
            Self::Approval => "approval",
            Self::Risk => "risk",
            Self::Acknowledgement => "acknowledgement",
        }
    }
}

/// Every gate that stands before these changes, open or closed: by environment, the window first, then promotion and soak, risks, acknowledgements, each by instance.
pub(crate) fn gates(input: &PlanInput<'_>, changes: &[Change]) -> Vec<Gate> {
    let waivers = Waivers::new(&input.estate.waivers, input.now);
    let mut by_environment: BTreeMap<&EnvironmentName, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        by_environment.entry(&change.environment).or_default().push(change);
    }
    let mut gates = Vec::new();
    for (name, changes) in by_environment {
        let Some(environment) = input.estate.environments.get(name) else { continue };
        gates.extend(window(environment, &changes, &waivers, input.now));
        gates.extend(promotions(input, environment, &changes, &waivers));
        gates.extend(changes.iter().flat_map(|change| risks(input, environment, change, &waivers)));
        gates.extend(changes.iter().flat_map(|change| acknowledgements(input, change)));
    }
    gates
}

/// The window's gate, where there are windows and something is touched.
fn window(environment: &Environment, changes: &[&Change], waivers: &Waivers<'_>, now: Timestamp) -> Option<Gate> {
    let name = &environment.name;
    let touching: Vec<&&Change> = changes.iter().filter(|change| !change.hops.is_empty()).collect();
    if environment.windows.is_empty() || touching.is_empty() {
        return None;
    }
    let closed = |message: String, opens| Gate { opens, ..Gate::new(name, None, GateKind::Window, false, message) };
    let gate = match opening(&environment.windows, now) {
        Ok(Opening::Until(until)) => {
            let message = format!("the window of {name} is open until {until}");
            Gate { closes: Some(until), ..Gate::new(name, None, GateKind::Window, true, message) }
        }
        Ok(Opening::From(Some(from))) => closed(format!("the window of {name} is closed and opens at {from}"), Some(from)),
        Ok(Opening::From(None)) => {
            closed(format!("the window of {name} is closed and never opens: correct its cron expression"), None)
        }
        Err(problems) => closed(format!("the window of {name} cannot be read: {}", problems.join("; ")), None),
    };
    if gate.open {
        return Some(gate);
    }
    // Waived for the environment, or for each instance that is touched.
    let standing = waivers.standing(GateKind::Window.as_str(), None, name);
    let each = || {
        let reasons: Option<Vec<String>> = touching
            .iter()
            .map(|change| waivers.standing(GateKind::Window.as_str(), Some(&change.instance), name).waived())
            .collect();
        reasons?.into_iter().next()
    };
    Some(match standing {
        Standing::None => match each() {
            Some(reason) => gate.waived(Standing::Waived(reason)),
            None => gate,
        },
        standing => gate.waived(standing),
    })
}

/// Gates of the instances that bring a version into an environment that takes it from another.
fn promotions(input: &PlanInput<'_>, environment: &Environment, changes: &[&Change], waivers: &Waivers<'_>) -> Vec<Gate> {
    let Some(source) = &environment.promote_from else { return Vec::new() };
    let mut found: HashMap<(&ProviderName, &str), Arrival> = HashMap::new();
    let mut gates = Vec::new();
    for change in changes {
        let (Decision::Install | Decision::Upgrade, Some(to)) = (change.decision, &change.to) else { continue };
        let arrival = found.entry((&change.provider, to)).or_insert_with(|| arrival(input, source, &change.provider, to));
        let mut add = |kind: GateKind, open: bool, message: String, opens: Option<Timestamp>| {
            let instance = Some(change.instance.clone());
            let gate = Gate { opens, ..Gate::new(&environment.name, instance, kind, open, message) };
            let asks = waivers.standing(kind.as_str(), Some(&change.instance), &environment.name);
            gates.push(if open { gate } else { gate.waived(asks) });
        };
        let (open, message) = arrival.promoted(&change.provider, to, source);
        add(GateKind::Promotion, open, message, None);
        if let Some(soak) = environment.soak {
            let (open, message, opens) = arrival.soaked(soak, input.now, &change.provider, to, source);
            add(GateKind::Soak, open, message, opens);
        }
    }
    gates
}

impl Gate {
    /// A gate of which nothing more is known.
    pub(super) fn new(
        environment: &EnvironmentName,
        instance: Option<InstanceAddr>,
        kind: GateKind,
        open: bool,
        message: String,
    ) -> Self {
        Self {
            environment: environment.clone(),
            instance,
            kind,
            open,
            message,
            opens: None,
            closes: None,
            paste: None,
            waived: None,
        }
    }

    /// With what a waiver says to it.
    pub(super) fn waived(mut self, standing: Standing) -> Self {
        match standing {
            Standing::Waived(reason) => {
                self.open = true;
                self.waived = Some(reason);
            }
            Standing::Expired(expiry) => self.message = format!("{} ({expiry})", self.message),
            Standing::None => {}
        }
        self
    }
}

/// Whether and since when a version, or a later one, is in the environment that it is promoted from.
#[derive(Debug, Clone)]
enum Arrival {
    /// It is there; `None`: since before anything was recorded.
    There { instance: InstanceAddr, since: Option<Timestamp> },
    /// It is not; the versions that are.
    NotYet(Vec<(InstanceAddr, Arc<str>)>),
    /// It is, but not on all that are declared to have it: the rollout there is not through.
    Underway(Vec<(InstanceAddr, Arc<str>)>),
}

impl Arrival {
    fn promoted(&self, provider: &ProviderName, to: &str, source: &EnvironmentName) -> (bool, String) {
        match self {
            Self::There { instance, .. } => (true, format!("{provider} {to} was applied in {source} ({instance})")),
            Self::NotYet(there) if there.is_empty() => {
                (false, format!("{provider} {to} must be applied in {source} first, where no instance of {provider} is recorded"))
            }
            Self::NotYet(there) => (false, format!("{provider} {to} must be applied in {source} first, where {}", behind(there))),
            Self::Underway(there) => (
                false,
                format!("{provider} {to} must be applied everywhere in {source} first, where it is declared and {}", behind(there)),
            ),
        }
    }

    fn soaked(
        &self,
        soak: Duration,
        now: Timestamp,
        provider: &ProviderName,
        to: &str,
        source: &EnvironmentName,
    ) -> (bool, String, Option<Timestamp>) {
        let long = SignedDuration::try_from(soak).unwrap_or(SignedDuration::MAX);
        match self {
            Self::NotYet(_) | Self::Underway(_) => {
                (false, format!("{provider} {to} must be in {source} for {long:#} first, and it is not there yet"), None)
            }
            Self::There { instance, since: None } => {
                (true, format!("{provider} {to} was in {source} ({instance}) before anything was recorded"), None)
            }
            Self::There { instance, since: Some(since) } => {
                let ends = since.saturating_add(long).unwrap_or(Timestamp::MAX);
                if ends <= now {
                    (true, format!("{provider} {to} is in {source} ({instance}) since {since}"), None)
                } else {
                    let message =
                        format!("{provider} {to} is in {source} ({instance}) since {since} and must be for {long:#}, until {ends}");
                    (false, message, Some(ends))
                }
            }
        }
    }
}

/// The first few that are behind, and how many more.
fn behind(there: &[(InstanceAddr, Arc<str>)]) -> String {
    let mut shown: Vec<String> = there.iter().take(3).map(|(addr, version)| format!("{addr} is at {version}")).collect();
    if there.len() > shown.len() {
        shown.push(format!("{} more are behind", there.len() - shown.len()));
    }
    shown.join(", ")
}

fn scheme<'a>(input: &PlanInput<'a>, provider: &ProviderName) -> &'a VersionScheme {
    input.providers.get(provider).map_or(&VersionScheme::Dotted, |provider| &provider.scheme)
}

/// The instance of a provider that has a version, or a later one, for longest. A recorded instance that is declared to have it too, and
/// does not, shows that a rollout there was not finished; one that is declared to stay behind counts for nothing.
fn arrival(input: &PlanInput<'_>, source: &EnvironmentName, provider: &ProviderName, to: &str) -> Arrival {
    let scheme = scheme(input, provider);
    let wanted = Version::parse(to, scheme).ok();
    let reaches = |text: &str| match (Version::parse(text, scheme), &wanted) {
        (Ok(version), Some(wanted)) => version >= *wanted,
        _ => text == to,
    };
    let is_to_reach = |addr: &InstanceAddr| {
        let declared = input.estate.instances.get(addr).filter(|instance| instance.environment == *source);
        declared.is_some_and(|instance| match (VersionReq::parse(&instance.version, scheme), &wanted) {
            (Ok(constraint), Some(wanted)) if constraint.matches(wanted) => true,
            _ => reaches(&instance.version),
        })
    };
    let recorded = input.locks.get(source).into_iter().flat_map(|lock| &lock.instances);
    let instances = recorded.filter(|(_, locked)| locked.provider == *provider);
    let (mut best, mut behind) = (None::<(Option<Timestamp>, &InstanceAddr)>, Vec::new());
    for (addr, locked) in instances {
        if reaches(&locked.version) {
            let since = since(locked, &reaches);
            // None is before every time.
            if best.is_none_or(|(other, _)| since < other) {
                best = Some((since, addr));
            }
        } else {
            behind.push((addr.clone(), Arc::clone(&locked.version)));
        }
    }
    let Some((since, addr)) = best else { return Arrival::NotYet(behind) };
    behind.retain(|(addr, _)| is_to_reach(addr));
    if behind.is_empty() { Arrival::There { instance: addr.clone(), since } } else { Arrival::Underway(behind) }
}

/// Since when an instance has had versions that will do, without a break.
fn since(locked: &Locked, reaches: &dyn Fn(&str) -> bool) -> Option<Timestamp> {
    locked.hops.iter().rev().take_while(|hop| reaches(&hop.to)).last().map(|hop| hop.at)
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
