//! From a session to a report of drift: looks, compares, judges.

use std::collections::BTreeMap;

use super::args::ScopeArgs;
use super::session::{Session, on_a_deep_stack};
use crate::apply::redacted;
use crate::driver::Redactor;
use crate::lock::Lock;
use crate::model::inventory::{Inventory, Observed};
use crate::model::name::{EnvironmentName, InstanceAddr};
use crate::plan::{DriftReport, compare, judge};
use crate::source::Diagnostics;

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
        let (estate, providers, now) = (&self.estate, &self.providers, self.place.now);
        Ok(on_a_deep_stack(|| {
            let mut instances = compare(estate, &locks, &inventory, providers);
            instances.retain(|state| asked(&state.instance));
            let expired = judge(&mut instances, estate, &locks, now);
            DriftReport { at: now, instances, expired }
        }))
    }

    /// What is seen of instances, as the lockfile would have it: without any secret.
    pub(super) async fn seen_of(
        &self,
        locks: &BTreeMap<EnvironmentName, Lock>,
        asked: &(dyn Fn(&InstanceAddr) -> bool + Sync),
    ) -> Inventory {
        let mut inventory = self.inventory_of(locks, true, asked).await;
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
