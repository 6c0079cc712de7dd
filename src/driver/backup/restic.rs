//! The repository in restic's format: encrypted, each content kept once, so that a backup stores only what is new. `restic` itself
//! reads, checks and restores it.
//!
//! A backup is a snapshot with the tag `windlass:ID`, and its entry `windlass/ID.json` beside restic's own folders. The entry is
//! written last: without it a snapshot is nobody's backup. What was interrupted has left `windlass/ID.partial`, by which the next
//! one finds and removes its snapshot. Extended attributes and ACLs are not kept.
#![expect(clippy::disallowed_methods, reason = "a door: looks at the source's folders, the clock that dates a backup")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use jiff::Timestamp;
use rustic_core::repofile::{SnapshotFile, SnapshotId};
use rustic_core::{BackupOptions, IndexedFullStatus, Open, ParentOptions, PruneOptions, SnapshotGroupCriterion, SnapshotOptions};

use super::change::all_changes;
use super::entry::{Entry, LAYOUT, encode};
use super::repository::{Repository, Source, Wish};
use super::source::{check_space, fresh_id};
use crate::driver::archive::walk::Walk;
use crate::driver::host::io_failure;
use crate::driver::transfer::Watch;
use crate::driver::{Failure, FailureKind};

mod extract;
mod ledger;
mod meter;
mod open;
mod readback;
mod reading;
#[cfg(test)]
mod tests;

pub(super) use ledger::Ledger;
use meter::Meter;
pub(super) use open::Password;
use open::{Opened, failed};
use readback::Contents;
use reading::Reading;

/// Tag of the snapshots that are made here, before the backup's id.
const TAG: &str = "windlass:";

/// A repository in a folder.
pub(super) struct ResticRepository {
    dir: PathBuf,
    password: Password,
    ledger: Ledger,
}

impl ResticRepository {
    pub(super) fn new(dir: PathBuf, password: Password) -> Self {
        Self { ledger: Ledger::new(&dir), dir, password }
    }

    fn open(&self, watch: &Watch) -> Result<Opened, Failure> {
        open::open(&self.dir, &self.password, Meter::of(watch))
    }

    fn indexed(&self, watch: &Watch) -> Result<rustic_core::Repository<IndexedFullStatus>, Failure> {
        self.open(watch)?.to_indexed().map_err(|error| failed(&self.dir, &error))
    }

    /// The snapshot of a backup.
    fn snapshot<S: Open>(&self, repository: &rustic_core::Repository<S>, id: &str) -> Result<SnapshotFile, Failure> {
        self.snapshots(repository, id)?.pop().ok_or_else(|| {
            Failure::new(
                FailureKind::Failed,
                format!("the backup `{id}` is damaged: its snapshot is not in `{}`", self.dir.display()),
            )
            .help("somebody removed it (`restic forget`?): use an older backup")
        })
    }

    fn snapshots<S: Open>(&self, repository: &rustic_core::Repository<S>, id: &str) -> Result<Vec<SnapshotFile>, Failure> {
        let tag = format!("{TAG}{id}");
        repository.get_matching_snapshots(|snapshot| snapshot.tags.contains(&tag)).map_err(|error| failed(&self.dir, &error))
    }

    /// Removes the snapshots of backups that were interrupted.
    fn sweep(&self, repository: &Opened) -> Result<(), Failure> {
        for id in self.ledger.abandoned()? {
            self.forget(repository, &id)?;
            self.ledger.clear(&id)?;
        }
        Ok(())
    }

    fn forget<S: Open>(&self, repository: &rustic_core::Repository<S>, id: &str) -> Result<(), Failure> {
        let ids: Vec<SnapshotId> = self.snapshots(repository, id)?.into_iter().map(|snapshot| snapshot.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        repository.delete_snapshots(&ids).map_err(|error| failed(&self.dir, &error))
    }

    /// The backups of the same source whose snapshots are still there, newest first.
    fn earlier(&self, repository: &Opened, source: &Source) -> Result<Vec<(Entry, SnapshotFile)>, Failure> {
        let snapshots = repository.get_all_snapshots().map_err(|error| failed(&self.dir, &error))?;
        let root = source.root.to_string_lossy();
        let same = |entry: &Entry| entry.path == root && entry.files.is_some() == source.files.is_some();
        let with_snapshot = |entry: Entry| {
            let tag = format!("{TAG}{}", entry.id);
            let snapshot = snapshots.iter().find(|snapshot| snapshot.tags.contains(&tag))?.clone();
            Some((entry, snapshot))
        };
        Ok(self.ledger.list()?.into_iter().rev().filter(same).filter_map(with_snapshot).collect())
    }

    fn make(&self, source: &Source, wish: &Wish, id: &str, watch: &mut Watch) -> Result<Entry, Failure> {
        let at = Timestamp::now();
        let before = source.walk()?;
        watch.expect(Some(before.bytes));
        let repository = self.open(watch)?;
        self.sweep(&repository)?;
        let earlier = self.earlier(&repository, source)?;
        // What has not changed since the newest is not read again; what a verified one has is not read back again.
        let parent = earlier.first();
        let proved = earlier.iter().find(|(entry, _)| entry.verified.is_some());
        if parent.is_none() {
            check_space(&self.dir, &before, wish)?;
        }
        let root = fs::metadata(&source.from).map_err(|error| io_failure("look at", &source.from, &error))?;
        let repository = repository.to_indexed_ids().map_err(|error| failed(&self.dir, &error))?;
        let reading = Reading::new(source, &before, at, watch)?;
        let snapshot = repository
            .archive(
                &options(parent.map(|(_, snapshot)| snapshot)),
                &reading.files(),
                labelled(id, wish).map_err(|error| failed(&self.dir, &error))?,
                std::slice::from_ref(&source.root),
            )
            .map_err(|error| failed(&self.dir, &error))?;
        let seen = reading.finish()?;
        let changed = all_changes(source, wish, &before, seen)?;
        let summary = snapshot.summary.clone().unwrap_or_default();
        let entry = Entry {
            layout: LAYOUT,
            id: id.to_owned(),
            method: "restic".to_owned(),
            path: source.root.to_string_lossy().into_owned(),
            files: source.files.as_ref().map(|files| files.iter().map(|file| encode(file)).collect()),
            exclude: source.exclude.clone(),
            labels: wish.labels.clone(),
            at,
            entries: before.found.len() as u64,
            bytes: before.bytes,
            size: summary.data_added_packed,
            data_sha256: snapshot.tree.to_hex().to_string(),
            manifest_sha256: String::new(),
            consistent: changed.is_empty() && !wish.running,
            changed,
            skipped: before.skipped.iter().map(|path| encode(path)).collect(),
            mode: root.mode() & 0o7777,
            owner: (root.uid(), root.gid()),
            verified: None,
            running: wish.running,
            set: wish.set.as_ref().map(|set| set.of(id)),
            excluded: source.excluded.clone(),
            snapshot: Some(snapshot.id.to_hex().to_string()),
            reference: None,
            commands: std::collections::BTreeMap::new(),
        };
        let repository = repository.drop_index().to_indexed().map_err(|error| failed(&self.dir, &error))?;
        self.prove(&repository, (entry, &snapshot), &before, proved, wish, watch)
    }

    /// Looks that all that was found is in the backup, and reads back what no earlier backup has proved to be readable.
    fn prove(
        &self,
        repository: &rustic_core::Repository<IndexedFullStatus>,
        (entry, snapshot): (Entry, &SnapshotFile),
        before: &Walk,
        proved: Option<&(Entry, SnapshotFile)>,
        wish: &Wish,
        watch: &mut Watch,
    ) -> Result<Entry, Failure> {
        let proved = proved.map(|(entry, snapshot)| (entry, snapshot));
        let contents = Contents::of(repository, &self.dir, (&entry, snapshot), proved)?;
        contents.holds(&before.found, &entry.changed)?;
        if !wish.verify {
            return Ok(entry);
        }
        contents.check_packs(repository)?;
        contents.read_back(repository, false, watch)?;
        Ok(Entry { verified: Some(Timestamp::now()), ..entry })
    }
}

fn options(parent: Option<&SnapshotFile>) -> BackupOptions {
    let same_paths = SnapshotGroupCriterion::new().paths(true);
    let parents = parent.map(|snapshot| snapshot.id.to_hex().to_string());
    let parent_opts = ParentOptions::default().force(parents.is_none()).group_by(same_paths).parents(Vec::from_iter(parents));
    BackupOptions::default().no_scan(true).parent_opts(parent_opts)
}

/// Labels are tags, so that restic shows them and finds by them.
fn labelled(id: &str, wish: &Wish) -> rustic_core::RusticResult<SnapshotFile> {
    let mut snapshot = SnapshotOptions::default().to_snapshot()?;
    snapshot.tags.add(format!("{TAG}{id}"));
    for (name, value) in &wish.labels {
        snapshot.tags.add(format!("{name}={value}"));
    }
    if let Some(set) = &wish.set {
        snapshot.tags.add(format!("set={}", set.of(id).name));
    }
    if wish.running {
        snapshot.tags.add("possibly-inconsistent".to_owned());
    }
    Ok(snapshot)
}

impl Repository for ResticRepository {
    fn create(&self, source: &Source, wish: &Wish, watch: &mut Watch) -> Result<Entry, Failure> {
        if source.root.to_str().is_none() {
            let message = format!("`{}` is not UTF-8, which restic's format needs", source.root.display());
            return Err(Failure::new(FailureKind::Invalid, message));
        }
        let id = fresh_id();
        let enter = |watch: &mut Watch| {
            open::make(&self.dir, &self.password, &self.ledger, wish.level, watch)?;
            Ok((self.ledger.share(watch)?, self.ledger.begin(&id)?))
        };
        let (_shared, begun) = enter(watch).map_err(Failure::untouched)?;
        let made = self.make(source, wish, &id, watch).map_err(Failure::untouched).and_then(|entry| {
            wish.intent.declare(&entry.value(&self.dir))?;
            self.ledger.write(&entry)?;
            Ok(entry)
        });
        if made.is_err() {
            // What cannot be removed now is removed by the next backup, which finds the mark.
            let gone = self.open(watch).and_then(|repository| self.forget(&repository, &id));
            drop(begun);
            gone.and_then(|()| self.ledger.clear(&id)).ok();
            return made;
        }
        drop(begun);
        self.ledger.clear(&id).map_err(Failure::touched)?;
        made
    }

    fn verify(&self, entry: &Entry, watch: &mut Watch) -> Result<Entry, Failure> {
        let _shared = self.ledger.share(watch)?;
        let repository = self.indexed(watch)?;
        let contents = Contents::of(&repository, &self.dir, (entry, &self.snapshot(&repository, &entry.id)?), None)?;
        contents.check_packs(&repository)?;
        contents.read_back(&repository, true, watch)?;
        let entry = Entry { verified: Some(Timestamp::now()), ..entry.clone() };
        self.ledger.write(&entry)?;
        Ok(entry)
    }

    fn look(&self, entry: &Entry, watch: &mut Watch) -> Result<(), Failure> {
        let _shared = self.ledger.share(watch)?;
        let repository = self.indexed(watch)?;
        Contents::of(&repository, &self.dir, (entry, &self.snapshot(&repository, &entry.id)?), None)?.check_packs(&repository)
    }

    fn doubt(&self, entry: &Entry) -> Result<(), Failure> {
        self.ledger.write(&Entry { verified: None, ..entry.clone() })
    }

    fn extract(&self, entry: &Entry, into: &Path, watch: &mut Watch) -> Result<Vec<PathBuf>, Failure> {
        let _shared = self.ledger.share(watch)?;
        let repository = self.indexed(watch)?;
        let contents = Contents::of(&repository, &self.dir, (entry, &self.snapshot(&repository, &entry.id)?), None)?;
        contents.check_packs(&repository)?;
        extract::extract(&repository, &contents, entry, into, watch)
    }

    fn list(&self) -> Result<Vec<Entry>, Failure> {
        self.ledger.list()
    }

    fn remove(&self, id: &str) -> Result<(), Failure> {
        let repository = open::open(&self.dir, &self.password, Meter::silent())?;
        self.ledger.remove(id)?;
        self.forget(&repository, id)
    }

    fn compact(&self, watch: &mut Watch) -> Result<(), Failure> {
        if !self.dir.join("config").exists() {
            return Ok(());
        }
        // Only while nobody else works with it, neither we ourselves nor restic, whose locks are files.
        let Some(_alone) = self.ledger.alone()? else {
            watch.line("the repository is in use: its space is freed by the next prune");
            return Ok(());
        };
        if fs::read_dir(self.dir.join("locks")).is_ok_and(|mut locks| locks.next().is_some()) {
            watch.line("restic has locked the repository: its space is freed by the next prune");
            return Ok(());
        }
        let repository = self.open(watch)?;
        self.sweep(&repository)?;
        let options = PruneOptions::default().instant_delete(true);
        let plan = repository.prune_plan(&options).map_err(|error| failed(&self.dir, &error))?;
        repository.prune(&options, plan).map_err(|error| failed(&self.dir, &error))
    }
}

/// A restic id as text.
fn tree_id(text: &str) -> Option<rustic_core::Id> {
    rustic_core::Id::from_str(text).ok()
}
