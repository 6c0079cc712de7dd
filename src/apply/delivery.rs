//! Brings lockfiles to the store: not with every hop, never twice at once, and without losing one.
//!
//! The journal is the truth until a lockfile is written; so a write may wait, fail and be tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::clock::Clock;
use crate::lock::Lock;
use crate::model::name::EnvironmentName;
use crate::state::{Lease, StateError, Store};

/// How long changes gather before they are written while a run lasts.
pub(super) const GATHER: Duration = Duration::from_secs(1);
/// Tries to write at the end of a run, over a network.
const LAST_TRIES: u32 = 5;
/// Tries to write at the end of a run to this machine's disk, which only a person makes room on.
const LAST_TRIES_HERE: u32 = 3;

/// The way to the store.
pub(super) struct Delivery {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    leases: BTreeMap<EnvironmentName, Lease>,
    dirty: BTreeSet<EnvironmentName>,
    in_flight: JoinSet<Written>,
    /// Staged or in flight.
    flying: BTreeSet<EnvironmentName>,
    /// To be written once the journal is durable up to the number.
    staged: Vec<(u64, Lock)>,
}

/// What became of a write.
pub(super) struct Written {
    pub environment: EnvironmentName,
    pub serial: u64,
    pub result: Result<(), StateError>,
}

impl Delivery {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, leases: BTreeMap<EnvironmentName, Lease>) -> Self {
        Self {
            store,
            clock,
            leases,
            dirty: BTreeSet::new(),
            in_flight: JoinSet::new(),
            flying: BTreeSet::new(),
            staged: Vec::new(),
        }
    }

    /// Takes in that a lockfile has changed; answers whether it is the first change since the last write.
    pub(super) fn changed(&mut self, environment: &EnvironmentName) -> bool {
        self.dirty.insert(environment.clone())
    }

    /// Environments whose lockfile has changed and is not being written.
    pub(super) fn due(&self) -> Vec<EnvironmentName> {
        self.dirty.difference(&self.flying).cloned().collect()
    }

    /// Whether something is being written.
    pub(super) fn is_flying(&self) -> bool {
        !self.in_flight.is_empty() || !self.staged.is_empty()
    }

    /// Sets a lockfile aside as it is now, to be written once the journal is durable up to `sequence`: a lockfile never says more
    /// than the journal.
    pub(super) fn stage(&mut self, lock: &Lock, sequence: u64) {
        self.dirty.remove(&lock.environment);
        self.flying.insert(lock.environment.clone());
        self.staged.push((sequence, Lock { serial: lock.serial + 1, ..lock.clone() }));
    }

    /// Starts to write what was staged for a journal that is durable so far.
    pub(super) fn release(&mut self, through: u64) {
        let (ready, staged) = std::mem::take(&mut self.staged).into_iter().partition(|(sequence, _)| *sequence <= through);
        self.staged = staged;
        let ready: Vec<(u64, Lock)> = ready;
        for (_, lock) in ready {
            self.send(lock);
        }
    }

    /// Takes back what was staged and not released.
    pub(super) fn unstage(&mut self) {
        for (_, lock) in std::mem::take(&mut self.staged) {
            self.flying.remove(&lock.environment);
            self.dirty.insert(lock.environment);
        }
    }

    fn send(&mut self, lock: Lock) {
        let environment = lock.environment.clone();
        let Some(lease) = self.leases.get(&environment).cloned() else { return };
        let store = Arc::clone(&self.store);
        self.in_flight.spawn(async move {
            crash_point!("lock.before");
            let result = write(&*store, &lock, &lease).await;
            crash_point!("lock.written");
            Written { environment, serial: lock.serial, result }
        });
    }

    /// The next write that has ended; never, where none is under way.
    pub(super) async fn landed(&mut self) -> Written {
        loop {
            match self.in_flight.join_next().await {
                Some(Ok(written)) => {
                    self.flying.remove(&written.environment);
                    if written.result.is_err() {
                        self.dirty.insert(written.environment.clone());
                    }
                    return written;
                }
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Writes a lockfile at the end of a run, with patience; says once that it takes patience.
    pub(super) async fn insist(&mut self, lock: &Lock, say: impl Fn(&StateError)) -> Written {
        let mut pause = Duration::from_secs(1);
        let mut tries = 1;
        let last = if self.store.run_files().is_some() { LAST_TRIES } else { LAST_TRIES_HERE };
        loop {
            self.stage(lock, 0);
            self.release(0);
            let written = self.landed().await;
            match written.result {
                Err(error @ StateError::Unreachable { .. }) if tries < last => {
                    if tries == 1 {
                        say(&error);
                    }
                    self.clock.sleep(pause).await;
                    pause *= 2;
                    tries += 1;
                }
                _ => return written,
            }
        }
    }
}

/// Writes; an answer that was lost on the way back is recognised by looking.
async fn write(store: &dyn Store, lock: &Lock, lease: &Lease) -> Result<(), StateError> {
    tracing::debug!(environment = %lock.environment, serial = lock.serial, instances = lock.instances.len(), "writing the lockfile");
    match store.write(lock, lease).await {
        Err(StateError::Moved { environment, what }) => match store.read(&lock.environment).await {
            Ok(Some(found)) if same(&found, lock) => Ok(()),
            _ => Err(StateError::Moved { environment, what }),
        },
        other => other,
    }
}

/// By their text: a mark loses its content when it is written.
fn same(found: &Lock, lock: &Lock) -> bool {
    matches!((serde_json::to_string(found), serde_json::to_string(lock)), (Ok(found), Ok(lock)) if found == lock)
}
