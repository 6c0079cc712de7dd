//! Where applied state is kept, and who may write it.
//!
//! A [`Store`] keeps lockfiles, the providers that recorded hops were applied with, and the history of runs. One writer an
//! environment: a [`Lease`] with a fencing token that every write must carry, so that a holder that was paused for an hour and
//! has lost its lease cannot write when it wakes.

#[cfg(test)]
pub(crate) mod contract;
pub(crate) mod durable;
pub mod local;
#[cfg(test)]
mod local_tests;
mod lockfile;
pub mod postgres;
#[cfg(test)]
mod postgres_tests;
pub mod process;
pub mod s3;
#[cfg(test)]
mod s3_tests;
#[cfg(test)]
#[path = "../../tests/it/servers.rs"]
mod server;

pub use local::LocalStore;
pub use postgres::PostgresStore;
pub use s3::S3Store;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::lock::Lock;
use crate::model::name::{Digest, EnvironmentName, Lineage, RunId};

/// A place for applied state. Every implementation passes one contract suite.
#[async_trait]
pub trait Store: Send + Sync {
    /// Where it is, for people: a path or URL without credentials.
    fn describe(&self) -> String;

    /// How long a lease holds without being renewed.
    fn term(&self) -> Duration {
        LEASE_TERM
    }

    /// Makes ready what can be made ready before the first use, and sees whether the store can be used at all.
    ///
    /// # Errors
    /// Unreachable, not allowed, or not able to keep a promise that every store makes.
    async fn prepare(&self) -> Result<(), StateError> {
        Ok(())
    }

    /// Where runs are kept, so that another machine can go on with them; `None`: only this machine reaches the store.
    fn run_files(&self) -> Option<&dyn RunFiles> {
        None
    }

    /// The environment's lockfile; `None`: never written.
    ///
    /// # Errors
    /// Unreachable, unreadable, corrupt, or of a newer format.
    async fn read(&self, environment: &EnvironmentName) -> Result<Option<Lock>, StateError>;

    /// Replaces the lockfile, atomically, in the holder's name. `lock.serial` must be one more than what is there, the lineage
    /// the same.
    ///
    /// # Errors
    /// [`StateError::Moved`] where serial or lineage do not follow, [`StateError::Fenced`] where the lease is no longer the newest.
    async fn write(&self, lock: &Lock, lease: &Lease) -> Result<(), StateError>;

    /// Takes the environment for one writer.
    ///
    /// # Errors
    /// [`StateError::Held`] with the holder.
    async fn acquire(&self, environment: &EnvironmentName, holder: &Holder) -> Result<Lease, StateError>;

    /// Says that the holder is alive; to be called every third of [`Store::term`].
    ///
    /// # Errors
    /// [`StateError::Fenced`] where another has taken it.
    async fn renew(&self, lease: &Lease) -> Result<(), StateError>;

    /// Gives the environment back. Giving back what was lost is not an error.
    ///
    /// # Errors
    /// Unreachable.
    async fn release(&self, lease: &Lease) -> Result<(), StateError>;

    /// Who holds the environment, if anybody.
    ///
    /// # Errors
    /// Unreachable.
    async fn holder(&self, environment: &EnvironmentName) -> Result<Option<Holder>, StateError>;

    /// Takes the environment away from `holder`, who must still be the one who holds it.
    ///
    /// # Errors
    /// [`StateError::Moved`] where somebody else holds it by now.
    async fn break_lease(&self, environment: &EnvironmentName, holder: &Holder) -> Result<(), StateError>;

    /// Keeps content by its digest (a provider as applied). Keeping it twice is one.
    ///
    /// # Errors
    /// Unreachable.
    async fn keep(&self, digest: &Digest, content: &[u8]) -> Result<(), StateError>;

    /// Content that was kept. Whether it still has its digest is for the reader to check, who knows what the digest is over.
    ///
    /// # Errors
    /// Unreachable.
    async fn kept(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StateError>;

    /// Adds or replaces a run's entry in the history.
    ///
    /// # Errors
    /// Unreachable; [`StateError::Fenced`] where a later holder of the run has written its entry since.
    async fn put_run(&self, run: &RunRecord) -> Result<(), StateError>;

    /// The history, newest first, at most `limit`.
    ///
    /// # Errors
    /// Unreachable or corrupt.
    async fn runs(&self, limit: usize) -> Result<Vec<RunRecord>, StateError>;
}

/// The part of a store that every machine reaches: what another machine needs to go on with a run.
///
/// The journal is a log that only grows: its chunks are numbered from 1, and a number is given once. So two processes that both
/// believe to hold a run cannot both write it: the second one finds its number taken.
#[async_trait]
pub trait RunFiles: Send + Sync {
    /// Appends a chunk to a run's journal. The same chunk again is no error: an answer may have been lost.
    ///
    /// # Errors
    /// [`StateError::Fenced`] where the lease is not the newest, [`StateError::Moved`] where another chunk has the number.
    async fn append(&self, run: &RunId, number: u64, chunk: &[u8], lease: &Lease) -> Result<(), StateError>;

    /// A run's journal, chunk by chunk.
    ///
    /// # Errors
    /// Unreachable, or a chunk is missing.
    async fn journal(&self, run: &RunId) -> Result<Vec<Vec<u8>>, StateError>;

    /// Keeps a file of a run, in place of the one of that name. A file of a holder that was fenced since never hides a newer one.
    ///
    /// # Errors
    /// [`StateError::Fenced`] where the lease is not the newest.
    async fn put_file(&self, run: &RunId, name: &str, content: &[u8], lease: &Lease) -> Result<(), StateError>;

    /// The names of a run's files.
    ///
    /// # Errors
    /// Unreachable.
    async fn file_names(&self, run: &RunId) -> Result<Vec<String>, StateError>;

    /// A file of a run.
    ///
    /// # Errors
    /// Unreachable.
    async fn file(&self, run: &RunId, name: &str) -> Result<Option<Vec<u8>>, StateError>;

    /// How many bytes are kept of a run: its journal and its files. 0: nothing.
    ///
    /// # Errors
    /// Unreachable.
    async fn weight(&self, run: &RunId) -> Result<u64, StateError>;

    /// Removes journal and files of a run, the beginning of the journal first: what is half removed cannot be read as a run. The lease
    /// is that of an environment in which the run was.
    ///
    /// # Errors
    /// [`StateError::Fenced`] where the lease is not the newest.
    async fn forget(&self, run: &RunId, lease: &Lease) -> Result<(), StateError>;
}

/// How long a lease holds without being renewed, where nothing else was asked for.
pub const LEASE_TERM: Duration = Duration::from_secs(60);

/// Who holds an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// A nonce: two holders are never the same. Behind its first dot it may say which process of which machine it is
    /// ([`process::mark`]).
    pub id: String,
    /// `user@host`.
    pub who: String,
    /// Process id on that host.
    pub pid: u32,
    /// What it does: `apply`, `rollback`, `import`.
    pub operation: String,
    /// The run, where there is one.
    pub run: Option<RunId>,
    /// Since when.
    pub since: Timestamp,
    /// When it last said that it is alive.
    pub heartbeat: Timestamp,
}

impl Holder {
    /// Whether nobody carries on what it does: it gave no sign of life for twice the term of a lease, or its process has ended on this
    /// machine. Clocks of machines differ a little.
    #[must_use]
    pub fn has_died(&self, now: Timestamp) -> bool {
        let term = jiff::SignedDuration::try_from(LEASE_TERM * 2).unwrap_or(jiff::SignedDuration::from_secs(120));
        self.heartbeat.saturating_add(term).is_ok_and(|end| end < now) || process::is_gone(self)
    }
}

/// The right to write one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Which environment.
    pub environment: EnvironmentName,
    /// Whose.
    pub holder: Holder,
    /// Grows with every lease of this environment; a write with an older one is refused.
    pub token: u64,
}

/// One run in the history: who moved what, from where to where, when, with which outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub id: RunId,
    /// `apply`, `rollback`.
    pub operation: String,
    /// `user@host`.
    pub who: String,
    /// When it began.
    pub began: Timestamp,
    /// When it ended; `None`: it has not, or nobody told.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
    /// A sentence: why it failed, or the reason given for abandoning it.
    pub message: Option<String>,
    /// What it moved.
    pub moves: Vec<Move>,
    /// The plan's digest.
    pub plan: Digest,
    /// States that it put instances into and took them out of: when, and until when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brackets: Vec<BracketTime>,
    /// Seconds without service, in all.
    pub downtime_seconds: u64,
    /// Measured seconds of each step, by `provider/strategy/step`; of an undo that went back over an applied hop, by
    /// `provider/strategy/undo:step`.
    pub durations: std::collections::BTreeMap<String, f64>,
    /// The token of the lease that it was written under: an entry of a later holder is never replaced by one of an earlier.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub token: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl RunRecord {
    /// Whether this entry may stand in the place of the one that is there.
    ///
    /// # Errors
    /// [`StateError::Fenced`]: a later holder wrote that.
    pub(crate) fn replaces(&self, there: &Self) -> Result<(), StateError> {
        if self.token >= there.token {
            return Ok(());
        }
        let environment = self.moves.first().or(there.moves.first()).map(|moved| moved.environment.clone());
        Err(StateError::Fenced(environment.unwrap_or_else(|| EnvironmentName::new(""))))
    }
}

/// A state that a run put an instance into, such as a maintenance mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BracketTime {
    /// Which instance.
    pub instance: crate::model::name::InstanceAddr,
    /// `maintenance mode`.
    pub name: String,
    /// Since when.
    pub opened: Timestamp,
    /// Until when; `None`: it was left open.
    pub closed: Option<Timestamp>,
}

/// A bracket that a run has left open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenBracket {
    /// Which run.
    pub run: RunId,
    /// How that ended.
    pub outcome: Outcome,
    /// What is open.
    pub bracket: BracketTime,
}

/// The brackets that runs have left open, from the runs, newest first. What a later run has closed is closed.
#[must_use]
pub fn open_brackets(runs: &[RunRecord]) -> Vec<OpenBracket> {
    let mut seen = std::collections::BTreeSet::new();
    let mut open = Vec::new();
    for run in runs {
        // The last of a run is the newest.
        for bracket in run.brackets.iter().rev() {
            if seen.insert((&bracket.instance, &bracket.name)) && bracket.closed.is_none() {
                open.push(OpenBracket { run: run.id.clone(), outcome: run.outcome, bracket: bracket.clone() });
            }
        }
    }
    open
}

/// What a run did to one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Which instance.
    pub instance: crate::model::name::InstanceAddr,
    /// Where.
    pub environment: EnvironmentName,
    /// Version before.
    pub from: Option<std::sync::Arc<str>>,
    /// Version after, as planned.
    pub to: Option<std::sync::Arc<str>>,
    /// How it ended for this instance.
    pub outcome: Outcome,
}

/// How a run, or an instance in it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Still running, or killed: `resume` finds out.
    Running,
    /// All done.
    Succeeded,
    /// What it did was undone, as far as that was asked for.
    RolledBack,
    /// Failed, or not known how an action ended; a person decides.
    Held,
    /// Stopped on request before it was done; what was begun was finished.
    Stopped,
    /// Ended by a person's word.
    Abandoned,
}

impl Outcome {
    /// What people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::RolledBack => "rolled back",
            Self::Held => "held",
            Self::Stopped => "stopped",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another holds the environment.
    #[error("the state of environment `{environment}` is held by {who} ({operation}) since {since}", who = holder.who, operation = holder.operation, since = holder.since)]
    Held {
        /// Which environment.
        environment: EnvironmentName,
        /// Who.
        holder: Box<Holder>,
    },
    /// The lease is not the newest any more.
    #[error("another process has taken over the state of environment `{0}`")]
    Fenced(EnvironmentName),
    /// Serial, lineage or holder is not what was expected.
    #[error("the state of environment `{environment}` has moved: {what}")]
    Moved {
        /// Which environment.
        environment: EnvironmentName,
        /// What moved: `serial 7 is there, 5 was expected`.
        what: String,
    },
    /// Made by another history.
    #[error("the lockfile has lineage {found}, {expected} was expected")]
    Lineage {
        /// What is there.
        found: Lineage,
        /// What was expected.
        expected: Lineage,
    },
    /// Cannot be understood.
    #[error("{place} cannot be read: {why}")]
    Corrupt {
        /// Which file or key, with a line where there is one.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// Written by a newer Windlass.
    #[error("{place} has format {found}, this Windlass reads up to {known}")]
    Newer {
        /// Which file or key.
        place: String,
        /// Its format.
        found: u32,
        /// The newest format that can be read.
        known: u32,
    },
    /// The store lacks what a state store must be able to do.
    #[error("{place} cannot keep state: {why}")]
    Unfit {
        /// Which store.
        place: String,
        /// What it lacks.
        why: String,
    },
    /// The store cannot be reached or written (disk full, permission, network).
    #[error("{place} cannot be {action}: {why}")]
    Unreachable {
        /// Which file or key.
        place: String,
        /// `read`, `written`, `locked`.
        action: &'static str,
        /// The system's words.
        why: String,
    },
}
