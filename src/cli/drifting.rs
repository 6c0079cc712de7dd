//! From a session to a report of drift: looks, compares, judges.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

use super::args::ScopeArgs;
use super::command::run::is_unfinished;
use super::problem::state_problem;
use super::session::{Session, on_a_deep_stack};
use crate::apply::redacted;
use crate::driver::Redactor;
use crate::lock::Lock;
use crate::model::inventory::{Inventory, Observed};
use crate::model::name::{EnvironmentName, InstanceAddr, RunId};
use crate::plan::{DriftReport, InstanceState, Moving, compare, judge};
use crate::source::Diagnostics;
use crate::state::RunRecord;

/// Runs that are looked through for those that have not come to an end.
const RUNS: usize = 1000;

impl Session {
    /// Looks at a part of the estate, or takes the lockfile's word where `refresh` is false.
    pub(super) async fn drift(&mut self, scope: &ScopeArgs, refresh: bool) -> Result<DriftReport, Diagnostics> {
        let environments = self.environments(scope)?;
        self.check_targets(scope)?;
        let locks = self.locks(&environments).await?;
        self.add_recorded_providers(&locks)?;
        let asked = |addr: &InstanceAddr| scope.targets.is_empty() || scope.targets.iter().any(|target| addr.is_within(target));
        let inventory = match refresh {
            true => self.seen_of(&locks, &asked).await,
            false => Inventory::default(),
        };
        let mut report = self.judged(&locks, &inventory, &asked);
        // Asked for after the look, so that none is missed that began meanwhile.
        let runs = self.store.runs(RUNS).await.map_err(|error| state_problem(&error))?;
        let mut carried_on = HashSet::new();
        for environment in &environments {
            let holder = self.store.holder(environment).await.map_err(|error| state_problem(&error))?;
            let living = holder.filter(|holder| !holder.has_died(self.place.now));
            carried_on.extend(living.and_then(|holder| holder.run));
        }
        report.moving = set_aside(&mut report.instances, &runs, &carried_on, self.place.now);
        Ok(report)
    }

    /// Compares what was seen, without any secret, with what is recorded and declared.
    pub(super) fn judged(
        &self,
        locks: &BTreeMap<EnvironmentName, Lock>,
        inventory: &Inventory,
        asked: &(dyn Fn(&InstanceAddr) -> bool + Sync),
    ) -> DriftReport {
        let (estate, providers, now) = (&self.estate, &self.providers, self.place.now);
        on_a_deep_stack(|| {
            let mut instances = compare(estate, locks, inventory, providers);
            instances.retain(|state| asked(&state.instance));
            let expired = judge(&mut instances, estate, locks, now);
            DriftReport { at: now, instances, expired, moving: Vec::new() }
        })
    }

    /// What is seen of instances, as the lockfile would have it: without any secret.
    pub(super) async fn seen_of(
        &self,
        locks: &BTreeMap<EnvironmentName, Lock>,
        asked: &(dyn Fn(&InstanceAddr) -> bool + Sync),
    ) -> Inventory {
        self.without_secrets(self.inventory_of(locks, true, asked).await)
    }

    /// What was seen, as the lockfile would have it.
    pub(super) fn without_secrets(&self, mut inventory: Inventory) -> Inventory {
        let secrets = self.estate.instances.values().flat_map(|instance| {
            let settings = instance.settings.values().chain([&instance.backup]);
            settings.flat_map(crate::lang::Value::secrets)
        });
        let redact = Redactor::new(secrets);
        let facts = inventory.instances.values_mut().flat_map(|seen| &mut seen.facts);
        // A version is recorded as it is.
        for (_, fact) in facts.filter(|(name, _)| &***name != "version") {
            if let Observed::Value(value) = fact {
                *value = redacted(value, &redact);
            }
        }
        inventory
    }
}

/// Takes away the drift that is the work of a run: of one that has not come to an end, or has since the look began.
pub(super) fn set_aside(
    instances: &mut [InstanceState],
    runs: &[RunRecord],
    carried_on: &HashSet<RunId>,
    since: Timestamp,
) -> Vec<Moving> {
    let mut moving = Vec::new();
    for record in runs.iter().filter(|record| is_unfinished(record) || record.ended.is_some_and(|ended| ended >= since)) {
        let moved: BTreeSet<&InstanceAddr> = record.moves.iter().map(|moved| &moved.instance).collect();
        let mut run = Moving {
            run: record.id.clone(),
            operation: record.operation.clone(),
            who: record.who.clone(),
            began: record.began,
            carried_on: carried_on.contains(&record.id) || !is_unfinished(record),
            instances: Vec::new(),
        };
        for state in instances.iter_mut().filter(|state| moved.contains(&state.instance)) {
            state.drift.retain(|drift| !run.explains(drift.class));
            state.ignored.retain(|ignored| !run.explains(ignored.drift.class));
            run.instances.push(state.instance.clone());
        }
        if !run.instances.is_empty() {
            moving.push(run);
        }
    }
    moving
}
