//! A store in memory that can fail, and the journals that other machines reach.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use crate::lock::Lock;
use crate::model::name::{Digest, EnvironmentName, RunId};
use crate::state::{Holder, Lease, RunFiles, RunRecord, StateError, Store};

/// A store in memory that can fail.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub locks: Mutex<BTreeMap<EnvironmentName, Lock>>,
    pub runs: Mutex<Vec<RunRecord>>,
    pub writes: Mutex<u32>,
    /// So many writes fail.
    pub unreachable: Mutex<u32>,
    /// The next write is done, and its answer lost.
    pub lost_answer: Mutex<bool>,
    pub fenced: Mutex<bool>,
    /// The history is not taken where a run has ended.
    pub no_history: Mutex<bool>,
    /// Where it is reached by other machines.
    pub files: Option<SharedFiles>,
}

/// Journals and files of runs that other machines reach.
#[derive(Debug, Default)]
pub(super) struct SharedFiles {
    pub chunks: Mutex<Vec<Vec<u8>>>,
    pub files: Mutex<BTreeMap<String, Vec<u8>>>,
    pub away: Mutex<bool>,
}

impl SharedFiles {
    fn reached(&self) -> Result<(), StateError> {
        let away = StateError::Unreachable { place: "memory".to_owned(), action: "written", why: "it is away".to_owned() };
        if *self.away.lock().unwrap() { Err(away) } else { Ok(()) }
    }
}

#[async_trait]
impl RunFiles for SharedFiles {
    async fn append(&self, _run: &RunId, number: u64, chunk: &[u8], lease: &Lease) -> Result<(), StateError> {
        self.reached()?;
        let mut chunks = self.chunks.lock().unwrap();
        if number != chunks.len() as u64 + 1 {
            return Err(StateError::Moved {
                environment: lease.environment.clone(),
                what: format!("{} chunks are there", chunks.len()),
            });
        }
        chunks.push(chunk.to_vec());
        Ok(())
    }

    async fn journal(&self, _run: &RunId) -> Result<Vec<Vec<u8>>, StateError> {
        self.reached()?;
        Ok(self.chunks.lock().unwrap().clone())
    }

    async fn put_file(&self, _run: &RunId, name: &str, content: &[u8], _lease: &Lease) -> Result<(), StateError> {
        self.reached()?;
        self.files.lock().unwrap().insert(name.to_owned(), content.to_vec());
        Ok(())
    }

    async fn file_names(&self, _run: &RunId) -> Result<Vec<String>, StateError> {
        self.reached()?;
        Ok(self.files.lock().unwrap().keys().cloned().collect())
    }

    async fn file(&self, _run: &RunId, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.reached()?;
        Ok(self.files.lock().unwrap().get(name).cloned())
    }

    async fn weight(&self, _run: &RunId) -> Result<u64, StateError> {
        self.reached()?;
        let (chunks, files) = (self.chunks.lock().unwrap(), self.files.lock().unwrap());
        Ok(chunks.iter().chain(files.values()).map(|content| content.len() as u64).sum())
    }

    async fn forget(&self, _run: &RunId, _lease: &Lease) -> Result<(), StateError> {
        self.reached()?;
        self.chunks.lock().unwrap().clear();
        self.files.lock().unwrap().clear();
        Ok(())
    }
}

#[async_trait]
impl Store for Memory {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn run_files(&self) -> Option<&dyn RunFiles> {
        self.files.as_ref().map(|files| files as &dyn RunFiles)
    }

    async fn read(&self, environment: &EnvironmentName) -> Result<Option<Lock>, StateError> {
        Ok(self.locks.lock().unwrap().get(environment).cloned())
    }

    async fn write(&self, lock: &Lock, _lease: &Lease) -> Result<(), StateError> {
        let environment = lock.environment.clone();
        if *self.fenced.lock().unwrap() {
            return Err(StateError::Fenced(environment));
        }
        let unreachable =
            || StateError::Unreachable { place: "memory".to_owned(), action: "written", why: "it is away".to_owned() };
        {
            let mut failures = self.unreachable.lock().unwrap();
            if *failures > 0 {
                *failures -= 1;
                return Err(unreachable());
            }
        }
        let mut locks = self.locks.lock().unwrap();
        let serial = locks.get(&environment).map_or(0, |lock| lock.serial);
        if lock.serial != serial + 1 {
            return Err(StateError::Moved { environment, what: format!("serial {serial}, not {}", lock.serial) });
        }
        *self.writes.lock().unwrap() += 1;
        // Through its text, as any real store.
        let text = serde_json::to_string(lock).unwrap();
        assert!(!text.contains("hunter22"), "a secret in the lockfile: {text}");
        locks.insert(environment, serde_json::from_str(&text).unwrap());
        if std::mem::take(&mut *self.lost_answer.lock().unwrap()) { Err(unreachable()) } else { Ok(()) }
    }

    async fn acquire(&self, environment: &EnvironmentName, holder: &Holder) -> Result<Lease, StateError> {
        Ok(Lease { environment: environment.clone(), holder: holder.clone(), token: 1 })
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StateError> {
        if *self.fenced.lock().unwrap() { Err(StateError::Fenced(lease.environment.clone())) } else { Ok(()) }
    }

    async fn release(&self, _lease: &Lease) -> Result<(), StateError> {
        Ok(())
    }

    async fn holder(&self, _environment: &EnvironmentName) -> Result<Option<Holder>, StateError> {
        Ok(None)
    }

    async fn break_lease(&self, _environment: &EnvironmentName, _holder: &Holder) -> Result<(), StateError> {
        Ok(())
    }

    async fn keep(&self, _digest: &Digest, _content: &[u8]) -> Result<(), StateError> {
        Ok(())
    }

    async fn kept(&self, _digest: &Digest) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    async fn put_run(&self, run: &RunRecord) -> Result<(), StateError> {
        if run.ended.is_some() && *self.no_history.lock().unwrap() {
            return Err(StateError::Unreachable { place: "memory".to_owned(), action: "written", why: "it is away".to_owned() });
        }
        let mut runs = self.runs.lock().unwrap();
        runs.retain(|known| known.id != run.id);
        runs.push(run.clone());
        Ok(())
    }

    async fn runs(&self, _limit: usize) -> Result<Vec<RunRecord>, StateError> {
        Ok(self.runs.lock().unwrap().clone())
    }
}
