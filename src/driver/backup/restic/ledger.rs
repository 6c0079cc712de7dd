//! What Windlass writes beside restic's own folders, in `windlass/`: an entry for each backup, a mark for each that is being made,
//! and the lock by which removing data waits for everybody else. Knows nothing of restic's format.
#![expect(clippy::disallowed_methods, reason = "a door: the repository's entries, marks and lock")]

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::entry::{Entry, LAYOUT, is_id};
use crate::driver::host::{Attributes, io_failure, local_file};
use crate::driver::transfer::Watch;
use crate::driver::{Failure, FailureKind};

const LOCK: &str = "lock";

/// The folder `windlass/` of a repository.
pub(in crate::driver::backup) struct Ledger {
    dir: PathBuf,
}

impl Ledger {
    pub(in crate::driver::backup) fn new(repository: &Path) -> Self {
        Self { dir: repository.join("windlass") }
    }

    fn entry(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    fn mark(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.partial"))
    }

    /// Makes the folder.
    pub(in crate::driver::backup) fn make(&self) -> Result<(), Failure> {
        if self.dir.is_dir() {
            return Ok(());
        }
        local_file::make_dir(&self.dir, &Attributes { mode: Some(0o700), owner: None })
    }

    /// Those that are complete, oldest first.
    pub(in crate::driver::backup) fn list(&self) -> Result<Vec<Entry>, Failure> {
        if !self.dir.is_dir() {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        for item in local_file::list(&self.dir)? {
            let Some(id) = item.name.strip_suffix(".json").filter(|id| is_id(id)) else { continue };
            let path = self.dir.join(&item.name);
            let text = match fs::read(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io_failure("read", &path, &error)),
            };
            let entry: Entry = serde_json::from_slice(&text)
                .map_err(|error| Failure::new(FailureKind::Failed, format!("`{}` is damaged: {error}", path.display())))?;
            if entry.layout != LAYOUT || entry.id != id {
                let message = format!("`{}` is not of a kind that this version knows", path.display());
                return Err(Failure::new(FailureKind::Failed, message));
            }
            entries.push(entry);
        }
        entries.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(entries)
    }

    /// From here on it is a backup.
    pub(in crate::driver::backup) fn write(&self, entry: &Entry) -> Result<(), Failure> {
        let path = self.entry(&entry.id);
        let text = serde_json::to_vec_pretty(entry).map_err(|error| io_failure("write", &path, &error.into()))?;
        local_file::write(&path, &mut text.as_slice(), &Attributes { mode: Some(0o600), owner: None })
    }

    /// From here on it is none.
    pub(in crate::driver::backup) fn remove(&self, id: &str) -> Result<(), Failure> {
        local_file::remove(&self.entry(id), false)
    }

    /// Marks that a backup is being made, as long as the file is held.
    pub(in crate::driver::backup) fn begin(&self, id: &str) -> Result<File, Failure> {
        let path = self.mark(id);
        let mark = File::create(&path).and_then(|mark| {
            mark.lock()?;
            mark.sync_all()?;
            Ok(mark)
        });
        let mark = mark.map_err(|error| io_failure("write", &path, &error))?;
        local_file::sync_dir(&self.dir)?;
        Ok(mark)
    }

    /// Takes the mark away.
    pub(in crate::driver::backup) fn clear(&self, id: &str) -> Result<(), Failure> {
        local_file::remove(&self.mark(id), false)
    }

    /// The ids of what was begun and that nobody works on any more. What has an entry is complete: only its mark goes.
    pub(in crate::driver::backup) fn abandoned(&self) -> Result<Vec<String>, Failure> {
        let mut abandoned = Vec::new();
        for item in local_file::list(&self.dir)? {
            let Some(id) = item.name.strip_suffix(".partial").filter(|id| is_id(id)) else { continue };
            if File::open(self.mark(id)).is_ok_and(|mark| mark.try_lock().is_ok()) {
                if self.entry(id).exists() {
                    self.clear(id)?;
                } else {
                    abandoned.push(id.to_owned());
                }
            }
        }
        Ok(abandoned)
    }

    fn lock_file(&self) -> Result<File, Failure> {
        let path = self.dir.join(LOCK);
        local_file::private_file(&path).map_err(|error| io_failure("lock", &path, &error))
    }

    /// Nothing is removed from the repository as long as this is held. Waits where somebody removes.
    pub(in crate::driver::backup) fn share(&self, watch: &Watch) -> Result<File, Failure> {
        let file = self.lock_file()?;
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {
                    watch.go_on().map_err(|error| io_failure("lock", &self.dir, &error))?;
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(TryLockError::Error(error)) => return Err(io_failure("lock", &self.dir, &error)),
            }
        }
    }

    /// Nobody else works with the repository as long as this is held; `None` where somebody does.
    pub(in crate::driver::backup) fn alone(&self) -> Result<Option<File>, Failure> {
        self.make()?;
        let file = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(io_failure("lock", &self.dir, &error)),
        }
    }
}
