//! The plan without a change of the configuration: as it was at another commit, over the same state and the same look at the platforms.

use std::collections::HashSet;
use std::sync::Arc;

use super::args::{ScopeArgs, VariableArgs};
use super::machines::Machines;
use super::planning::{How, Planned};
use super::session::Session;
use crate::config::{self, Past};
use crate::model::estate::{Estate, Instance};
use crate::plan::{Delta, Purpose, Revision};
use crate::source::{Diagnostics, Severity};

impl Session {
    /// What the configuration alters against that of a revision. `planned` is the plan with it.
    pub(super) async fn delta(
        &mut self,
        revision: &str,
        variables: &VariableArgs,
        scope: &ScopeArgs,
        how: How,
        planned: &Planned,
    ) -> Result<Delta, Diagnostics> {
        let past = Past::find(&self.place.root, revision)?;
        let mut base = Revision { revision: past.revision.clone(), commit: past.commit.clone(), unusable: None };
        let after = (&planned.plan, &planned.report);
        if !past.is_there() {
            // Everything is new in a folder that was not there.
            return Ok(Delta::between(base, None, after));
        }
        let loaded = self.place.load_past(variables, &past)?;
        drop(past);
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(problems) => {
                base.unusable = Some(first(&problems));
                return Ok(Delta::between(base, None, after));
            }
        };
        match self.plan_without(loaded, scope, how, planned).await {
            Ok(Some(before)) => Ok(Delta::between(base, Some((&before.plan, &before.report)), after)),
            Ok(None) => Ok(Delta::between(base, None, after)),
            Err(problems) => {
                base.unusable = Some(first(&problems));
                Ok(Delta::between(base, None, after))
            }
        }
    }

    /// Plans as if another configuration were this session's. `None`: it has nothing of what was asked for.
    async fn plan_without(
        &mut self,
        loaded: config::Loaded,
        scope: &ScopeArgs,
        how: How,
        planned: &Planned,
    ) -> Result<Option<Planned>, Diagnostics> {
        let config::Loaded { estate, providers, .. } = loaded;
        let mut narrowed = scope.clone();
        narrowed.environments.retain(|name| estate.environments.contains_key(name.trim()));
        narrowed.targets.retain(|target| estate.instances.keys().any(|addr| addr.is_within(target)));
        let lost = |before: &[String], after: &[String]| !before.is_empty() && after.is_empty();
        if lost(&scope.environments, &narrowed.environments) || lost(&scope.targets, &narrowed.targets) {
            return Ok(None);
        }
        let machines = Arc::new(Machines::new(&estate.hosts, &self.place.root));
        let now = (
            std::mem::replace(&mut self.estate, estate),
            std::mem::replace(&mut self.providers, providers),
            std::mem::replace(&mut self.machines, machines),
        );
        let same: HashSet<_> = self
            .estate
            .instances
            .iter()
            .filter(|(addr, instance)| {
                let provider = &instance.provider;
                let digest = |providers: &std::collections::BTreeMap<_, Arc<crate::model::provider::Provider>>| {
                    providers.get(provider).map(|provider| provider.digest.clone())
                };
                now.0.instances.get(*addr).is_some_and(|other| looks_alike((&self.estate, instance), (&now.0, other)))
                    && digest(&self.providers) == digest(&now.1)
            })
            .map(|(addr, _)| addr.clone())
            .collect();
        let mut seen = planned.inventory.clone();
        // What is not declared is seen as the lockfile has it, with and without the change.
        seen.instances.retain(|addr, _| {
            same.contains(addr) || !self.estate.instances.contains_key(addr) && !now.0.instances.contains_key(addr)
        });
        let result = self.plan_seen(Purpose::Declared, &narrowed, how, seen).await;
        (self.estate, self.providers, self.machines) = now;
        result.map(Some)
    }
}

/// Whether an instance is looked at in the same way in two configurations.
fn looks_alike((estate, one): (&Estate, &Instance), (others, other): (&Estate, &Instance)) -> bool {
    let place = |estate: &Estate, instance: &Instance| {
        let host = instance.host.as_ref().and_then(|name| estate.hosts.get(name));
        host.map(|host| (host.name.clone(), host.ssh.clone(), host.attributes.clone()))
    };
    (&one.provider, &one.environment, &one.host, &one.settings)
        == (&other.provider, &other.environment, &other.host, &other.settings)
        && place(estate, one) == place(others, other)
}

/// The first problem, for a line.
fn first(problems: &Diagnostics) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let first = problems.iter().find(|problem| problem.severity == Severity::Error);
    let text = first.map(ToString::to_string).unwrap_or_default();
    if errors > 1 { format!("{text} (and {} more)", errors - 1) } else { text }
}
