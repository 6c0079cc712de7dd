//! What is wanted in a round of a scenario, as an estate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::play::Stage;
use super::scenario::Round;
use crate::lang::Value;
use crate::model::estate::{Environment, Estate, Host, Instance, OnFailure, Rollout, Share, Window};
use crate::model::name::{Digest, HostName, InstanceAddr, ProviderName};

impl Stage<'_> {
    pub(super) fn addr(&self, number: usize) -> (InstanceAddr, ProviderName) {
        let product = self.scenario.instances[number].product.index(self.scenario.products.len());
        let provider = ProviderName::from(format!("p{product}").as_str());
        (InstanceAddr::from_text(format!("{provider}.n{number}")), provider)
    }

    pub(super) fn estate(&self, round: &Round) -> Estate {
        let mut estate = Estate { digest: Some(Digest::of(b"simulated")), ..Estate::default() };
        for name in ["production", "test"] {
            let on_failure = if round.halt { OnFailure::Halt } else { OnFailure::Rollback };
            let environment = Environment {
                name: name.into(),
                promote_from: None,
                soak: None,
                approval: None,
                max_risk: None,
                windows: if round.windows { vec![window()] } else { Vec::new() },
                rollout: Rollout {
                    canary: some(round.rollout.canary),
                    batch: some(round.rollout.batch).map(Share::Count),
                    max_unavailable: some(round.rollout.max_unavailable).map(Share::Count),
                    soak: some(round.rollout.soak.into()).map(|soak| Duration::from_secs(soak.into())),
                    healthy_within: None,
                },
                on_failure,
                concurrency: round.concurrency,
                span: None,
            };
            estate.environments.insert(name.into(), environment);
        }
        for number in 1..3 {
            let name = host_name(number);
            let host = Host {
                name: name.clone(),
                ssh: None,
                concurrency: round.host_limit,
                attributes: Value::object::<&str>([]),
                span: None,
            };
            estate.hosts.insert(name, host);
        }
        for (number, deployed) in self.scenario.instances.iter().enumerate() {
            let wanted = round.wanted[number % round.wanted.len()];
            if wanted == 0 {
                continue;
            }
            let (addr, provider) = self.addr(number);
            let depends_on: BTreeSet<InstanceAddr> = deployed
                .depends_on
                .iter()
                .filter(|_| number > 0)
                .map(|index| self.addr(index.index(number)).0)
                .filter(|on| estate.instances.contains_key(on))
                .collect();
            let instance = Instance {
                addr: addr.clone(),
                provider,
                environment: if deployed.production { "production" } else { "test" }.into(),
                promote_from: None,
                host: (deployed.host > 0).then(|| host_name(deployed.host)),
                version: wanted.to_string().into(),
                version_span: None,
                strategy: None,
                settings: Arc::default(),
                settings_digest: Digest::of(b""),
                seals: BTreeMap::new(),
                backup: Value::Null,
                depends_on: depends_on.into_iter().collect(),
                requires: Vec::new(),
                span: None,
            };
            estate.instances.insert(addr, instance);
        }
        estate
    }
}

fn some(number: u32) -> Option<u32> {
    (number > 0).then_some(number)
}

fn host_name(number: u8) -> HostName {
    HostName::new(format!("h{number}"))
}

/// Ten minutes of each half hour.
fn window() -> Window {
    Window { cron: "*/30 * * * *".to_owned(), duration: Duration::from_secs(600), timezone: "UTC".to_owned(), span: None }
}
