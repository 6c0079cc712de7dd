//! A state store in the world: leases run out by its clock, writes fail, answers are lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::disk::learn;
use super::scenario::StoreAct;
use super::world::World;
use crate::lock::{Lock, decode, encode};
use crate::model::name::{Digest, EnvironmentName, RunId};
use crate::state::{Holder, LEASE_TERM, Lease, Outcome, RunFiles, RunRecord, StateError, Store};

/// The store, as one process of Windlass sees it; clones are the same one.
#[derive(Clone)]
pub(super) struct Shared {
    world: World,
    /// `None`: whoever looks from outside.
    generation: Option<u32>,
    /// Whether other machines reach it.
    is_shared: bool,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    locks: BTreeMap<EnvironmentName, String>,
    leases: BTreeMap<EnvironmentName, (u64, Option<Holder>)>,
    contents: BTreeMap<Digest, Vec<u8>>,
    runs: BTreeMap<RunId, RunRecord>,
    journals: BTreeMap<RunId, Vec<Vec<u8>>>,
    files: BTreeMap<RunId, BTreeMap<String, Vec<u8>>>,
    away: u8,
}

impl Shared {
    pub(super) fn new(world: &World, is_shared: bool) -> Self {
        Self { world: world.clone(), generation: None, is_shared, inner: Arc::default() }
    }

    /// Whether the journal of a run has come here.
    pub(super) fn has_journal(&self, run: &RunId) -> bool {
        self.look().journals.contains_key(run)
    }

    fn look(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As the process that lives now sees it.
    pub(super) fn for_process(&self) -> Self {
        Self { generation: Some(self.world.look().generation), ..self.clone() }
    }

    /// Comes back only for a process that is alive, and where the store can be reached.
    async fn reach(&self) -> Result<(), StateError> {
        if let Some(generation) = self.generation {
            self.world.only_alive(generation).await;
        }
        if self.world.look().is_cut() { Err(away()) } else { Ok(()) }
    }

    /// How a run ended, as the history has it.
    pub(super) fn outcome(&self, run: &RunId) -> Option<Outcome> {
        self.look().runs.get(run).map(|record| record.outcome)
    }

    /// The lockfile as anybody would read it now.
    pub(super) fn lock(&self, environment: &EnvironmentName) -> Result<Option<Lock>, String> {
        let text = self.look().locks.get(environment).cloned();
        text.map(|text| decode(&text).map_err(|error| error.to_string())).transpose()
    }

    /// Takes the lease of every environment away, as `unlock` and another apply would, and gives it back.
    pub(super) fn steal(&self) {
        for (token, holder) in self.look().leases.values_mut() {
            *token += 1;
            *holder = None;
        }
    }

    /// Counts a write; answers whether its answer is to be lost.
    fn count_write(&self) -> Result<Option<StoreAct>, StateError> {
        // Faults are for the process that has the run.
        let is_current = self.generation.is_none_or(|generation| self.world.look().is_current(generation));
        let act = if is_current { self.world.look().next_write() } else { None };
        let mut inner = self.look();
        if let Some(StoreAct::Away(times)) = act {
            inner.away = times;
        }
        if inner.away > 0 {
            inner.away -= 1;
            return Err(away());
        }
        Ok(act)
    }

    async fn answer(&self, act: Option<StoreAct>) -> Result<(), StateError> {
        match act {
            Some(StoreAct::AnswerLost) => Err(away()),
            Some(StoreAct::Killed) => {
                self.world.kill(false);
                std::future::pending().await
            }
            _ => Ok(()),
        }
    }

    fn check(&self, lease: &Lease) -> Result<(), StateError> {
        match self.look().leases.get(&lease.environment) {
            Some((token, Some(holder))) if *token == lease.token && holder.id == lease.holder.id => Ok(()),
            _ => Err(StateError::Fenced(lease.environment.clone())),
        }
    }
}

fn away() -> StateError {
    StateError::Unreachable { place: "the store".to_owned(), action: "written", why: "it is away".to_owned() }
}

#[async_trait]
impl RunFiles for Shared {
    async fn append(&self, run: &RunId, number: u64, chunk: &[u8], lease: &Lease) -> Result<(), StateError> {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        self.reach().await?;
        let act = self.count_write()?;
        self.check(lease)?;
        {
            let mut inner = self.look();
            let chunks = inner.journals.entry(run.clone()).or_default();
            let place = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
            if place > chunks.len() || chunks.get(place).is_some_and(|there| there != chunk) {
                let what = format!("{} chunks are there", chunks.len());
                return Err(StateError::Moved { environment: lease.environment.clone(), what });
            }
            if place == chunks.len() {
                chunks.push(chunk.to_vec());
                drop(inner);
                learn(&mut self.world.look(), chunk);
            }
        }
        self.answer(act).await
    }

    async fn journal(&self, run: &RunId) -> Result<Vec<Vec<u8>>, StateError> {
        self.reach().await?;
        Ok(self.look().journals.get(run).cloned().unwrap_or_default())
    }

    async fn put_file(&self, run: &RunId, name: &str, content: &[u8], lease: &Lease) -> Result<(), StateError> {
        self.reach().await?;
        self.check(lease)?;
        self.look().files.entry(run.clone()).or_default().insert(name.to_owned(), content.to_vec());
        Ok(())
    }

    async fn file_names(&self, run: &RunId) -> Result<Vec<String>, StateError> {
        self.reach().await?;
        Ok(self.look().files.get(run).map(|files| files.keys().cloned().collect()).unwrap_or_default())
    }

    async fn file(&self, run: &RunId, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.reach().await?;
        Ok(self.look().files.get(run).and_then(|files| files.get(name).cloned()))
    }

    async fn weight(&self, run: &RunId) -> Result<u64, StateError> {
        self.reach().await?;
        let inner = self.look();
        let files = inner.files.get(run).into_iter().flat_map(BTreeMap::values);
        Ok(inner.journals.get(run).into_iter().flatten().chain(files).map(|content| content.len() as u64).sum())
    }

    async fn forget(&self, run: &RunId, lease: &Lease) -> Result<(), StateError> {
        self.reach().await?;
        self.check(lease)?;
        let mut inner = self.look();
        inner.journals.remove(run);
        inner.files.remove(run);
        Ok(())
    }
}

#[async_trait]
impl Store for Shared {
    fn describe(&self) -> String {
        "simulated".to_owned()
    }

    fn run_files(&self) -> Option<&dyn RunFiles> {
        self.is_shared.then_some(self as &dyn RunFiles)
    }

    async fn read(&self, environment: &EnvironmentName) -> Result<Option<Lock>, StateError> {
        self.reach().await?;
        self.lock(environment).map_err(|why| StateError::Corrupt { place: environment.to_string(), why })
    }

    async fn write(&self, lock: &Lock, lease: &Lease) -> Result<(), StateError> {
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        self.reach().await?;
        let act = self.count_write()?;
        self.check(lease)?;
        let environment = lock.environment.clone();
        let known = self.read(&environment).await?;
        if let Some(known) = known.as_ref().filter(|known| known.lineage != lock.lineage) {
            return Err(StateError::Lineage { found: known.lineage.clone(), expected: lock.lineage.clone() });
        }
        let serial = known.map_or(0, |known| known.serial);
        if lock.serial != serial + 1 {
            return Err(StateError::Moved { environment, what: format!("serial {serial} is there, not {}", lock.serial - 1) });
        }
        let text = encode(lock);
        self.world.look().say(&format!("lockfile of {environment}, serial {}", lock.serial));
        self.look().locks.insert(environment, text);
        self.answer(act).await
    }

    async fn acquire(&self, environment: &EnvironmentName, holder: &Holder) -> Result<Lease, StateError> {
        self.reach().await?;
        let now = self.world.look().now();
        let mut inner = self.look();
        let (token, held) = inner.leases.entry(environment.clone()).or_default();
        if let Some(other) = held.as_ref().filter(|other| now.duration_since(other.heartbeat).unsigned_abs() < LEASE_TERM) {
            return Err(StateError::Held { environment: environment.clone(), holder: Box::new(other.clone()) });
        }
        *token += 1;
        *held = Some(Holder { heartbeat: now, ..holder.clone() });
        Ok(Lease { environment: environment.clone(), holder: holder.clone(), token: *token })
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StateError> {
        self.reach().await?;
        self.check(lease)?;
        let now = self.world.look().now();
        if let Some((_, Some(holder))) = self.look().leases.get_mut(&lease.environment) {
            holder.heartbeat = now;
        }
        Ok(())
    }

    async fn release(&self, lease: &Lease) -> Result<(), StateError> {
        if self.check(lease).is_ok()
            && let Some((_, holder)) = self.look().leases.get_mut(&lease.environment)
        {
            *holder = None;
        }
        Ok(())
    }

    async fn holder(&self, environment: &EnvironmentName) -> Result<Option<Holder>, StateError> {
        Ok(self.look().leases.get(environment).and_then(|(_, holder)| holder.clone()))
    }

    async fn break_lease(&self, environment: &EnvironmentName, holder: &Holder) -> Result<(), StateError> {
        let mut inner = self.look();
        let (token, held) = inner.leases.entry(environment.clone()).or_default();
        if held.as_ref().is_none_or(|held| held.id != holder.id) {
            return Err(StateError::Moved { environment: environment.clone(), what: "another holds it".to_owned() });
        }
        *token += 1;
        *held = None;
        Ok(())
    }

    async fn keep(&self, digest: &Digest, content: &[u8]) -> Result<(), StateError> {
        self.reach().await?;
        self.look().contents.insert(digest.clone(), content.to_vec());
        Ok(())
    }

    async fn kept(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StateError> {
        self.reach().await?;
        Ok(self.look().contents.get(digest).cloned())
    }

    async fn put_run(&self, run: &RunRecord) -> Result<(), StateError> {
        self.reach().await?;
        let act = self.count_write()?;
        {
            let mut inner = self.look();
            if let Some(there) = inner.runs.get(&run.id) {
                run.replaces(there)?;
            }
            inner.runs.insert(run.id.clone(), run.clone());
        }
        self.answer(act).await
    }

    async fn runs(&self, limit: usize) -> Result<Vec<RunRecord>, StateError> {
        self.reach().await?;
        let inner = self.look();
        let mut runs: Vec<RunRecord> = inner.runs.values().cloned().collect();
        runs.sort_by(|one, other| other.began.cmp(&one.began).then_with(|| other.id.cmp(&one.id)));
        runs.truncate(limit);
        Ok(runs)
    }
}

#[tokio::test(start_paused = true)]
async fn the_simulated_store_passes_the_suite_of_all_stores() {
    crate::state::contract::suite(&Shared::new(&World::new(), false)).await;
}
