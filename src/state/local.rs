//! State in files: lockfiles beside the configuration, where git keeps them; leases, history and kept content in `.windlass/state`.
#![expect(clippy::disallowed_methods, reason = "a door to the file system and to the clock")]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Holder, LEASE_TERM, Lease, RunRecord, StateError, Store};
use super::{durable, lockfile};
use crate::lock::{Lock, encode};
use crate::model::name::{Digest, EnvironmentName};

/// A lockfile larger than this is not one.
const LARGEST_LOCKFILE: u64 = 1 << 30;

/// State in files of this machine.
#[derive(Debug, Clone)]
pub struct LocalStore {
    /// Where the lockfiles are.
    lockfiles: PathBuf,
    /// Where everything else is.
    state: PathBuf,
}

/// What stands in a lease file. It is never removed, so that tokens only grow.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct LeaseFile {
    token: u64,
    holder: Option<Holder>,
}

impl LocalStore {
    /// State with lockfiles in `lockfiles`, and the rest in `state`. Nothing is made before the first write.
    #[must_use]
    pub fn new(lockfiles: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self { lockfiles: lockfiles.into(), state: state.into() }
    }

    /// The lockfile's path: `windlass.ENVIRONMENT.lock`.
    #[must_use]
    pub fn lockfile(&self, environment: &EnvironmentName) -> PathBuf {
        self.lockfiles.join(format!("windlass.{environment}.lock"))
    }

    /// Digests of everything that was kept.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn kept_digests(&self) -> Result<Vec<Digest>, StateError> {
        let dir = self.state.join("kept");
        match fs::read_dir(&dir) {
            Ok(entries) => {
                let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
                Ok(names.filter(|name| name.starts_with("sha256-")).map(|name| Digest::new(name.replacen('-', ":", 1))).collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(unreachable_at(&dir, "read", &error)),
        }
    }

    fn lease_file(&self, environment: &EnvironmentName) -> PathBuf {
        self.state.join(format!("{environment}.lease"))
    }

    /// Keeps every other process of this machine out for as long as the answer lives: for moments, not for a run.
    fn guard(&self, environment: &EnvironmentName) -> Result<File, StateError> {
        let path = self.state.join(format!("{environment}.guard"));
        let open = || -> io::Result<File> {
            durable::make_folder(&self.state)?;
            let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        open().map_err(|error| unreachable_at(&path, "locked", &error))
    }

    fn read_lease(&self, environment: &EnvironmentName) -> Result<LeaseFile, StateError> {
        let path = self.lease_file(environment);
        match durable::read(&path).map_err(|error| unreachable_at(&path, "read", &error))? {
            None => Ok(LeaseFile { token: 0, holder: None }),
            Some(content) => {
                let mut file: LeaseFile = serde_json::from_slice(&content)
                    .map_err(|error| StateError::Corrupt { place: path.display().to_string(), why: error.to_string() })?;
                // Without room for another content, a holder marks the file's time: see `renew`.
                if let (Some(holder), Some(touched)) = (&mut file.holder, touched(&path)) {
                    holder.heartbeat = holder.heartbeat.max(touched);
                }
                Ok(file)
            }
        }
    }

    fn write_lease(&self, environment: &EnvironmentName, lease: &LeaseFile) -> Result<(), StateError> {
        let path = self.lease_file(environment);
        let text = serde_json::to_vec_pretty(lease).unwrap_or_default();
        durable::replace(&path, &text, 0o644).map_err(|error| unreachable_at(&path, "written", &error))?;
        if let Some(holder) = &lease.holder {
            // The file's time is a sign of life, too: never a later one than the holder's.
            let _ = self.touch_lease(environment, holder.heartbeat);
        }
        Ok(())
    }

    /// Sets the lease file's time, for which no room is needed.
    fn touch_lease(&self, environment: &EnvironmentName, at: Timestamp) -> io::Result<()> {
        File::options().write(true).open(self.lease_file(environment))?.set_modified(at.into())
    }

    /// The lease file, if `lease` is still the newest.
    fn fenced(&self, lease: &Lease) -> Result<LeaseFile, StateError> {
        let file = self.read_lease(&lease.environment)?;
        let ours = file.token == lease.token && file.holder.as_ref().is_some_and(|holder| holder.id == lease.holder.id);
        if ours { Ok(file) } else { Err(StateError::Fenced(lease.environment.clone())) }
    }

    fn read_lockfile(&self, environment: &EnvironmentName) -> Result<Option<Lock>, StateError> {
        let path = self.lockfile(environment);
        let place = path.display().to_string();
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LARGEST_LOCKFILE) {
            return Err(StateError::Corrupt { place, why: "it is larger than 1 GiB".to_owned() });
        }
        let Some(content) = durable::read(&path).map_err(|error| unreachable_at(&path, "read", &error))? else { return Ok(None) };
        lockfile::read(&place, environment, content).map(Some)
    }

    fn runs_dir(&self) -> PathBuf {
        self.state.join("runs")
    }

    fn kept_file(&self, digest: &Digest) -> PathBuf {
        self.state.join("kept").join(digest.as_str().replace(':', "-"))
    }
}

/// Whether the holder has surely died: its term is over, or it ran on this machine and its process is gone.
fn is_dead(holder: &Holder, now: Timestamp, here: &str) -> bool {
    let term = SignedDuration::try_from(LEASE_TERM).unwrap_or(SignedDuration::from_secs(60));
    let expired = holder.heartbeat.saturating_add(term).is_ok_and(|end| end < now);
    let host = holder.who.rsplit_once('@').map_or("", |(_, host)| host);
    expired || super::process::is_gone(holder) || (host == here && !Path::new("/proc").join(holder.pid.to_string()).exists())
}

fn touched(path: &Path) -> Option<Timestamp> {
    Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok()
}

fn unreachable_at(path: &Path, action: &'static str, error: &io::Error) -> StateError {
    StateError::Unreachable { place: path.display().to_string(), action, why: error.to_string() }
}

/// The name of this machine, as the kernel knows it. A test may give it another (`WINDLASS_HOST_NAME`).
#[must_use]
pub fn host_name() -> String {
    if let Some(name) = std::env::var("WINDLASS_HOST_NAME").ok().filter(|name| !name.is_empty()) {
        return name;
    }
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[async_trait]
impl Store for LocalStore {
    fn describe(&self) -> String {
        format!("files in {}", self.lockfiles.display())
    }

    async fn read(&self, environment: &EnvironmentName) -> Result<Option<Lock>, StateError> {
        self.read_lockfile(environment)
    }

    async fn write(&self, lock: &Lock, lease: &Lease) -> Result<(), StateError> {
        let _guard = self.guard(&lock.environment)?;
        self.fenced(lease)?;
        let there = self.read_lockfile(&lock.environment)?;
        lockfile::follows(there.map(|there| (there.serial, there.lineage)), lock)?;
        let path = self.lockfile(&lock.environment);
        durable::replace(&path, encode(lock).as_bytes(), 0o644).map_err(|error| unreachable_at(&path, "written", &error))
    }

    async fn acquire(&self, environment: &EnvironmentName, holder: &Holder) -> Result<Lease, StateError> {
        let _guard = self.guard(environment)?;
        let file = self.read_lease(environment)?;
        if let Some(there) = file.holder.filter(|there| !is_dead(there, Timestamp::now(), &host_name())) {
            return Err(StateError::Held { environment: environment.clone(), holder: Box::new(there) });
        }
        let token = file.token + 1;
        self.write_lease(environment, &LeaseFile { token, holder: Some(holder.clone()) })?;
        Ok(Lease { environment: environment.clone(), holder: holder.clone(), token })
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StateError> {
        let _guard = self.guard(&lease.environment)?;
        let mut file = self.fenced(lease)?;
        if let Some(holder) = &mut file.holder {
            holder.heartbeat = Timestamp::now();
        }
        // A full disk takes no lease away.
        self.write_lease(&lease.environment, &file)
            .or_else(|error| self.touch_lease(&lease.environment, Timestamp::now()).map_err(|_| error))
    }

    async fn release(&self, lease: &Lease) -> Result<(), StateError> {
        let _guard = self.guard(&lease.environment)?;
        match self.fenced(lease) {
            Ok(file) => self.write_lease(&lease.environment, &LeaseFile { token: file.token, holder: None }),
            Err(StateError::Fenced(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn holder(&self, environment: &EnvironmentName) -> Result<Option<Holder>, StateError> {
        Ok(self.read_lease(environment)?.holder)
    }

    async fn break_lease(&self, environment: &EnvironmentName, holder: &Holder) -> Result<(), StateError> {
        let _guard = self.guard(environment)?;
        let file = self.read_lease(environment)?;
        match &file.holder {
            // The token grows, so that the one who lost it is fenced even if nobody has taken it since.
            Some(there) if there.id == holder.id => {
                self.write_lease(environment, &LeaseFile { token: file.token + 1, holder: None })
            }
            Some(there) => {
                Err(StateError::Moved { environment: environment.clone(), what: format!("{} holds it by now", there.who) })
            }
            None => Ok(()),
        }
    }

    async fn keep(&self, digest: &Digest, content: &[u8]) -> Result<(), StateError> {
        let path = self.kept_file(digest);
        if path.exists() {
            return Ok(());
        }
        durable::replace(&path, content, 0o644).map_err(|error| unreachable_at(&path, "written", &error))
    }

    async fn kept(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.kept_file(digest);
        durable::read(&path).map_err(|error| unreachable_at(&path, "read", &error))
    }

    async fn put_run(&self, run: &RunRecord) -> Result<(), StateError> {
        let path = self.runs_dir().join(format!("{}.json", run.id));
        let _guard = self.guard(&EnvironmentName::new("history"))?;
        let there = durable::read(&path).map_err(|error| unreachable_at(&path, "read", &error))?;
        if let Some(there) = there.and_then(|there| serde_json::from_slice::<RunRecord>(&there).ok()) {
            run.replaces(&there)?;
        }
        let text = serde_json::to_vec_pretty(run).unwrap_or_default();
        durable::replace(&path, &text, 0o644).map_err(|error| unreachable_at(&path, "written", &error))
    }

    async fn runs(&self, limit: usize) -> Result<Vec<RunRecord>, StateError> {
        let dir = self.runs_dir();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreachable_at(&dir, "read", &error)),
        };
        // Ids sort by the time they began.
        let mut files: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "json")).collect();
        files.sort_unstable_by(|left, right| right.cmp(left));
        files
            .into_iter()
            .take(limit)
            .map(|path| {
                let content = fs::read(&path).map_err(|error| unreachable_at(&path, "read", &error))?;
                serde_json::from_slice(&content)
                    .map_err(|error| StateError::Corrupt { place: path.display().to_string(), why: error.to_string() })
            })
            .collect()
    }
}
