//! From a session to a plan: looks at what is deployed, then lets the planner decide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::approvals::user;
use super::args::ScopeArgs;
use super::session::{Session, VERSION, on_a_deep_stack};
use crate::apply::Hosts as _;
use crate::driver::Failure;
use crate::lang::Value;
use crate::lock::Lock;
use crate::model::estate::Instance;
use crate::model::inventory::{Inventory, Observation, Observed};
use crate::model::name::{EnvironmentName, InstanceAddr, ProviderName};
use crate::observe::{Known, Target, observe};
use crate::plan::{GateKind, Plan, PlanInput, PlanOptions, Purpose, Report, check, plan, substance};
use crate::source::{Diagnostic, Diagnostics, Fault, nearest};

/// Instances looked at at once.
const LOOKS: usize = 64;

/// What planning came to.
pub(super) struct Planned {
    /// What to do.
    pub(super) plan: Plan,
    /// Why.
    pub(super) report: Report,
    /// What was seen.
    pub(super) inventory: Inventory,
}

/// How to plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Whether to look at what is deployed, or to trust the lockfile.
    pub(super) refresh: bool,
    /// Whether pinned versions may move.
    pub(super) upgrade: bool,
}

impl Session {
    /// Looks, and plans to bring everything to what is declared.
    pub(super) async fn plan(&mut self, scope: &ScopeArgs, how: How) -> Result<Planned, Diagnostics> {
        self.plan_for(Purpose::Declared, scope, how).await
    }

    /// Looks, and plans.
    pub(super) async fn plan_for(&mut self, purpose: Purpose, scope: &ScopeArgs, how: How) -> Result<Planned, Diagnostics> {
        self.plan_seen(purpose, scope, how, Inventory::default()).await
    }

    /// Looks at what was not seen yet, and plans.
    pub(super) async fn plan_seen(
        &mut self,
        purpose: Purpose,
        scope: &ScopeArgs,
        how: How,
        seen: Inventory,
    ) -> Result<Planned, Diagnostics> {
        let environments = self.environments(scope)?;
        self.check_targets(scope)?;
        // Gates ask what other environments have; only the ones asked for are looked at.
        let all: Vec<EnvironmentName> = self.estate.environments.keys().cloned().collect();
        let locks = self.locks(&all).await?;
        self.add_recorded_providers(&locks)?;
        let inventory = if environments.len() == all.len() {
            self.inventory_beside(&locks, how.refresh, seen, &|_| true).await
        } else {
            let mut asked = locks.clone();
            asked.retain(|environment, _| environments.contains(environment));
            self.inventory_beside(&asked, how.refresh, seen, &|_| true).await
        };
        tracing::info!(instances = inventory.instances.len(), "looked at what is deployed");
        let applied_providers = self.applied_providers(&locks, None).await?;
        let durations = self.durations().await?;
        let mut options = PlanOptions {
            environments,
            targets: scope.targets.clone(),
            tool_version: VERSION.to_owned(),
            upgrade: how.upgrade,
            purpose,
            bring_back: self.bring_back.clone(),
            user: user(),
            approvals: Vec::new(),
        };
        let input = PlanInput {
            estate: &self.estate,
            providers: &self.providers,
            applied_providers: &applied_providers,
            inventory: &inventory,
            locks: &locks,
            durations: &durations,
            now: self.place.now,
            options: &options.clone(),
        };
        let decide = |input: &PlanInput<'_>| {
            on_a_deep_stack(|| {
                let (plan, report) = plan(input);
                let violations = check(&plan, &report, input);
                (plan, report, violations)
            })
        };
        let (mut plan, mut report, mut violations) = decide(&input);
        // What was approved shows only in what the plan does.
        if plan.gates.iter().any(|gate| gate.kind == GateKind::Approval) {
            options.approvals = self.approvals(&substance(&plan.changes, &plan.actions), None).await?;
            if !options.approvals.is_empty() {
                (plan, report, violations) = decide(&PlanInput { options: &options, ..input });
            }
        }
        tracing::info!(changes = plan.changes.len(), actions = plan.actions.len(), "planned");
        if !violations.is_empty() {
            return Err(violations.into_iter().map(violation).collect());
        }
        Ok(Planned { plan, report, inventory })
    }

    /// The facts of every instance that is declared or recorded in these environments.
    pub(super) async fn inventory(&self, locks: &BTreeMap<EnvironmentName, Lock>, refresh: bool) -> Inventory {
        self.inventory_of(locks, refresh, &|_| true).await
    }

    /// The facts of those instances of them that are asked for.
    pub(super) async fn inventory_of(
        &self,
        locks: &BTreeMap<EnvironmentName, Lock>,
        refresh: bool,
        asked: &(dyn Fn(&InstanceAddr) -> bool + Sync),
    ) -> Inventory {
        self.inventory_beside(locks, refresh, Inventory::default(), asked).await
    }

    /// The same, with what was seen before instead of another look.
    async fn inventory_beside(
        &self,
        locks: &BTreeMap<EnvironmentName, Lock>,
        refresh: bool,
        mut seen: Inventory,
        asked: &(dyn Fn(&InstanceAddr) -> bool + Sync),
    ) -> Inventory {
        let declared: Vec<&Instance> =
            self.estate.instances.values().filter(|instance| locks.contains_key(&instance.environment)).collect();
        let recorded = locks.iter().flat_map(|(environment, lock)| {
            lock.instances
                .iter()
                .filter(|(addr, _)| !self.estate.instances.contains_key(*addr))
                .map(move |entry| (environment, entry))
        });
        if !refresh {
            return trusted(&declared, locks, self.place.now);
        }
        let mut unreachable = Inventory::default();
        let mut targets = Vec::new();
        let known = declared.iter().map(|instance| (Known::Declared(instance), &instance.provider, instance.host.as_ref())).chain(
            recorded.map(|(environment, (addr, locked))| {
                (Known::Locked(addr, environment, locked), &locked.provider, locked.host.as_ref())
            }),
        );
        for (known, provider, host) in known.filter(|(known, ..)| asked(known.addr())) {
            let Some(provider) = self.providers.get(provider).filter(|_| !seen.instances.contains_key(known.addr())) else {
                continue;
            };
            match self.machines.host(host) {
                Ok(machine) => {
                    let host = host.and_then(|name| self.estate.hosts.get(name));
                    targets.push(Target { provider, known, host, machine });
                }
                Err(failure) => {
                    let observation = unseen(&failure, provider.facts.keys().cloned(), self.place.now);
                    unreachable.instances.insert(known.addr().clone(), observation);
                }
            }
        }
        #[expect(clippy::disallowed_methods, reason = "facts carry the time at which they were taken")]
        let clock = || Timestamp::now();
        let mut inventory = observe(&targets, &self.place.drivers, &*self.machines, LOOKS, &clock).await;
        inventory.instances.append(&mut unreachable.instances);
        inventory.instances.append(&mut seen.instances);
        inventory
    }

    /// Targets that mean nothing are a slip of the hand and would plan nothing.
    pub(super) fn check_targets(&self, scope: &ScopeArgs) -> Result<(), Diagnostics> {
        let known = || self.estate.instances.keys();
        let problems: Diagnostics = scope
            .targets
            .iter()
            .filter(|target| !known().any(|addr| addr.is_within(target)))
            .map(|target| {
                let unknown = Diagnostic::error("unknown target").detail(format!("no declared instance is `{target}` or in it"));
                match nearest(target, known().map(InstanceAddr::as_str)) {
                    Some(near) => unknown.help(format!("did you mean `{near}`?")),
                    None => unknown.help("`windlass status` lists the instances"),
                }
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// An instance that is only in the lockfile needs its provider to be removed.
    pub(super) fn add_recorded_providers(&mut self, locks: &BTreeMap<EnvironmentName, Lock>) -> Result<(), Diagnostics> {
        let recorded = locks.values().flat_map(|lock| lock.instances.values()).map(|locked| &locked.provider);
        let missing: BTreeSet<ProviderName> = recorded.filter(|name| !self.providers.contains_key(*name)).cloned().collect();
        let missing: Vec<ProviderName> = missing.into_iter().collect();
        let found = self.place.providers(&missing)?;
        self.providers.extend(found);
        Ok(())
    }
}

/// What the lockfile says, as if it had been seen.
fn trusted(declared: &[&Instance], locks: &BTreeMap<EnvironmentName, Lock>, now: Timestamp) -> Inventory {
    let mut inventory = Inventory::default();
    for instance in declared {
        let nothing = BTreeMap::from([(Arc::from("version"), Observed::Value(Value::Null))]);
        inventory.instances.insert(instance.addr.clone(), Observation { at: now, facts: nothing });
    }
    for (addr, locked) in locks.values().flat_map(|lock| &lock.instances) {
        let mut facts: BTreeMap<Arc<str>, Observed> =
            locked.observed.iter().map(|(name, value)| (Arc::clone(name), Observed::Value(value.clone()))).collect();
        facts.insert("version".into(), Observed::Value(Value::String(Arc::clone(&locked.version))));
        inventory.instances.insert(addr.clone(), Observation { at: now, facts });
    }
    inventory
}

fn unseen(failure: &Failure, facts: impl Iterator<Item = Arc<str>>, now: Timestamp) -> Observation {
    Observation { at: now, facts: facts.map(|fact| (fact, Observed::Unseen(failure.message.clone()))).collect() }
}

fn violation(what: String) -> Diagnostic {
    Diagnostic::error("plan is unsound")
        .fault(Fault::Bug)
        .detail(what)
        .help("this is a mistake in Windlass, found before anything was touched: please report it with the configuration")
}
