//! A run whose state other machines reach: on which machine it is, how it comes to another, and who was paused meanwhile.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::play::{Case, PATIENCE, Stage, Taken};
use crate::apply::{Finished, fetch};
use crate::model::estate::Estate;
use crate::model::name::{EnvironmentName, RunId};
use crate::source::Diagnostics;
use crate::state::{Holder, LEASE_TERM, Lease, RunFiles as _, StateError, Store as _};

impl Stage<'_> {
    /// Waits for a process of Windlass. One that is paused is left alone, and goes on when it wakes up.
    pub(super) async fn go(&mut self, mut going: JoinHandle<Result<Finished, Diagnostics>>, kill: &CancellationToken) -> Taken {
        let generation = self.world.look().generation;
        let taken = tokio::select! {
            biased;
            () = kill.cancelled() => Taken::Killed,
            result = &mut going => match result {
                Ok(result) => result.into(),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
        };
        if self.world.look().is_paused(generation) {
            self.sleepers.push(going);
        } else {
            going.abort();
        }
        taken
    }

    /// The folder of the machine on which the run is.
    pub(super) fn home(&self) -> PathBuf {
        if self.scenario.is_shared { self.dir.join(format!("m{}", self.machine)) } else { self.dir.to_owned() }
    }

    pub(super) fn who(&self) -> String {
        format!("somebody@m{}", self.machine)
    }

    /// The run is taken up on a machine, which sees of it what the store has.
    pub(super) async fn go_elsewhere(&mut self, case: Case<'_>) {
        let Case { round, run, .. } = case;
        if !self.store.has_journal(run) {
            return;
        }
        self.machine = round.moves.machines.get(self.taken_up).copied().unwrap_or(self.machine);
        self.taken_up += 1;
        self.world.look().say(&format!("now on machine {}", self.machine));
        for _ in 0..PATIENCE {
            match fetch(&self.run_dir(run), run, &self.store).await {
                Ok(()) => return,
                Err(_) => tokio::time::sleep(Duration::from_secs(30)).await,
            }
        }
        self.world.look().accuse("the run cannot be brought to another machine");
    }

    /// A person who says what is so has looked at other machines before: what was paused there is over, and what was begun.
    pub(super) async fn see_to_others(&mut self) {
        if self.scenario.is_shared {
            for sleeper in std::mem::take(&mut self.sleepers) {
                let _ = sleeper.await;
            }
            let quiet = self.world.look().all_over();
            tokio::time::sleep_until(quiet).await;
        }
    }

    /// Brings what a person has confirmed to where other machines see it, as `windlass confirm` does.
    pub(super) async fn share(&mut self, case: Case<'_>) {
        let Case { estate, run, .. } = case;
        let confirmed = std::mem::take(&mut self.world.look().answered);
        if !self.store.has_journal(run) || confirmed.is_empty() {
            return;
        }
        let Ok(leases) = self.hold(estate, run).await else { return };
        for path in confirmed {
            let name = path.strip_prefix(self.run_dir(run)).ok().and_then(|name| name.to_str().map(str::to_owned));
            if let (Some(name), Ok(content), Some(lease)) = (name, std::fs::read(&path), leases.values().next()) {
                let _ = self.store.put_file(run, &name, &content, lease).await;
            }
        }
        for lease in leases.values() {
            let _ = self.store.release(lease).await;
        }
    }

    /// Takes every environment, as soon as it can be had.
    pub(super) async fn hold(&mut self, estate: &Estate, run: &RunId) -> Result<BTreeMap<EnvironmentName, Lease>, StateError> {
        let mut leases = BTreeMap::new();
        for environment in estate.environments.keys() {
            self.holders += 1;
            let now = self.world.look().now();
            let holder = Holder {
                id: format!("holder-{}", self.holders),
                who: self.who(),
                pid: self.holders,
                operation: "apply".to_owned(),
                run: Some(run.clone()),
                since: now,
                heartbeat: now,
            };
            let mut lease = self.store.acquire(environment, &holder).await;
            if matches!(lease, Err(StateError::Held { .. })) {
                // Who was killed holds it until the term is over; where the clock was put back, a person breaks it.
                tokio::time::sleep(LEASE_TERM).await;
                lease = self.store.acquire(environment, &holder).await;
            }
            if let Err(StateError::Held { holder: held, .. }) = &lease {
                self.store.break_lease(environment, held).await?;
                lease = self.store.acquire(environment, &holder).await;
            }
            leases.insert(environment.clone(), lease?);
        }
        Ok(leases)
    }
}
