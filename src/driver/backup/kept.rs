//! Snapshots that are kept as they are, a cloud's own for instance: the repository's folder holds only what is known about them.
#![expect(clippy::disallowed_methods, reason = "a door: the clock that dates a snapshot, the folder that it is of")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::entry::{Entry, LAYOUT, encode};
use super::repository::{Repository, Source, Wish};
use super::restic::Ledger;
use super::snapshot::{Snapshot, run};
use crate::driver::host::io_failure;
use crate::driver::transfer::Watch;
use crate::driver::{Failure, FailureKind};

/// A folder of entries.
pub(super) struct KeptRepository {
    ledger: Ledger,
}

impl KeptRepository {
    pub(super) fn new(dir: &Path) -> Self {
        Self { ledger: Ledger::new(dir) }
    }
}

/// Makes a snapshot and keeps it. It is verified where a command says that it is complete.
pub(super) fn keep(
    repository: &Path,
    snapshot: &Snapshot,
    source: &Source,
    wish: &Wish,
    watch: &mut Watch,
) -> Result<Entry, Failure> {
    let kept = KeptRepository::new(repository);
    kept.ledger.make()?;
    let root = fs::metadata(&source.root).map_err(|error| io_failure("look at", &source.root, &error))?;
    let at = Timestamp::now();
    let made = snapshot.make(&source.root, watch)?;
    let entry = Entry {
        layout: LAYOUT,
        id: made.name.clone(),
        method: "snapshot".to_owned(),
        path: source.root.to_string_lossy().into_owned(),
        files: source.files.as_ref().map(|files| files.iter().map(|file| encode(file)).collect()),
        // It holds everything.
        exclude: Vec::new(),
        excluded: std::collections::BTreeMap::new(),
        labels: wish.labels.clone(),
        at,
        entries: 0,
        bytes: 0,
        size: 0,
        data_sha256: String::new(),
        manifest_sha256: String::new(),
        consistent: !wish.running,
        changed: Vec::new(),
        skipped: Vec::new(),
        mode: root.mode() & 0o7777,
        owner: (root.uid(), root.gid()),
        verified: None,
        running: wish.running,
        set: wish.set.as_ref().map(|set| set.of(&made.name)),
        snapshot: None,
        reference: Some(made.reference),
        commands: made.commands,
    };
    wish.intent.declare(&entry.value(repository))?;
    kept.ledger.write(&entry)?;
    if !wish.verify || !entry.commands.contains_key("verify") {
        return Ok(entry);
    }
    kept.verify(&entry, watch).inspect_err(|_| drop(kept.remove(&entry.id)))
}

impl Repository for KeptRepository {
    fn create(&self, _source: &Source, _wish: &Wish, _watch: &mut Watch) -> Result<Entry, Failure> {
        Err(Failure::new(FailureKind::Invalid, "backup: `snapshot` is missing: how a snapshot is made"))
    }

    fn verify(&self, entry: &Entry, watch: &mut Watch) -> Result<Entry, Failure> {
        let Some(argv) = entry.commands.get("verify") else {
            let message = format!("the snapshot `{}` cannot be verified: `snapshot.verify` was not given", entry.id);
            return Err(Failure::new(FailureKind::Failed, message));
        };
        run("snapshot.verify", argv, Some(watch))?;
        let entry = Entry { verified: Some(Timestamp::now()), ..entry.clone() };
        self.ledger.write(&entry)?;
        Ok(entry)
    }

    fn look(&self, entry: &Entry, watch: &mut Watch) -> Result<(), Failure> {
        match entry.commands.get("verify") {
            Some(argv) => run("snapshot.verify", argv, Some(watch)).map(drop),
            None => Ok(()),
        }
    }

    fn doubt(&self, entry: &Entry) -> Result<(), Failure> {
        self.ledger.write(&Entry { verified: None, ..entry.clone() })
    }

    fn extract(&self, entry: &Entry, _into: &Path, _watch: &mut Watch) -> Result<Vec<PathBuf>, Failure> {
        let reference = entry.reference.as_deref().unwrap_or(&entry.id);
        Err(Failure::new(FailureKind::Failed, format!("the snapshot `{reference}` is kept as it is and is not read here"))
            .help("make a volume of it with the tool that made it, and mount it in the place of the path"))
    }

    fn list(&self) -> Result<Vec<Entry>, Failure> {
        self.ledger.list()
    }

    fn remove(&self, id: &str) -> Result<(), Failure> {
        let Some(entry) = self.ledger.list()?.into_iter().find(|entry| entry.id == id) else { return Ok(()) };
        if let Some(argv) = entry.commands.get("delete") {
            run("snapshot.delete", argv, None)?;
        }
        self.ledger.remove(id)
    }
}
