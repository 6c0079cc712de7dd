//! The repository of plain tars: one folder for each backup, readable without Windlass (`tar --zstd -xpf data.tar.zst`).
//!
//! A backup is the folder `ID/` with `data.tar.zst`, `manifest.jsonl` and `entry.json`. It is made as `.ID.partial` and renamed when
//! it is durable. Extended attributes and ACLs are not kept.
#![expect(clippy::disallowed_methods, reason = "a door: the repository's files, the clock that dates a backup, its random name")]

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::change::all_changes;
use super::entry::{Entry, Kind, LAYOUT, Line, encode, is_id};
use super::readback::{compare, read_back};
use super::repository::{Repository, Source, Wish};
use super::source::{check_space, fresh_id};
use crate::driver::archive::pack::{Exactly, TarWriter, threads};
use crate::driver::archive::tree::{Limits, Tree};
use crate::driver::archive::walk::Found;
use crate::driver::host::{Attributes, io_failure, local_file};
use crate::driver::transfer::{Hashing, Watch, hex};
use crate::driver::{Failure, FailureKind};

pub(super) const DATA: &str = "data.tar.zst";
pub(super) const MANIFEST: &str = "manifest.jsonl";
pub(super) const ENTRY: &str = "entry.json";
const LOCK: &str = ".lock";

/// A repository in a folder.
pub(super) struct TarRepository {
    pub(super) dir: PathBuf,
}

impl TarRepository {
    pub(super) fn folder(&self, id: &str) -> PathBuf {
        self.dir.join(id)
    }

    /// Holds the repository with all others that write to it; gives it back when dropped.
    ///
    /// Who comes when nobody else writes removes what was interrupted: then nothing unfinished is anybody's.
    fn enter(&self) -> Result<File, Failure> {
        let path = self.dir.join(LOCK);
        let gate = File::create(&path).map_err(|error| io_failure("open", &path, &error))?;
        if gate.try_lock().is_ok() {
            self.sweep()?;
            gate.unlock().map_err(|error| io_failure("unlock", &path, &error))?;
        }
        gate.lock_shared().map_err(|error| io_failure("lock", &path, &error))?;
        Ok(gate)
    }

    fn sweep(&self) -> Result<(), Failure> {
        for entry in local_file::list(&self.dir)? {
            let is_left = entry.name.ends_with(".removed") || entry.name.ends_with(".partial");
            if entry.name.starts_with('.') && is_left {
                local_file::remove(&self.dir.join(&entry.name), true)?;
            }
        }
        Ok(())
    }

    fn write_entry(&self, folder: &Path, entry: &Entry) -> Result<(), Failure> {
        let path = folder.join(ENTRY);
        let text = serde_json::to_vec_pretty(entry).map_err(|error| io_failure("write", &path, &error.into()))?;
        local_file::write(&path, &mut text.as_slice(), &Attributes { mode: Some(0o600), owner: None })
    }

    fn make(&self, source: &Source, wish: &Wish, partial: &Path, id: &str, watch: &mut Watch) -> Result<Entry, Failure> {
        let at = Timestamp::now();
        let before = source.walk()?;
        check_space(&self.dir, &before, wish)?;
        watch.expect(Some(before.bytes));
        let root = fs::metadata(&source.from).map_err(|error| io_failure("look at", &source.from, &error))?;
        let (data, manifest) = (partial.join(DATA), partial.join(MANIFEST));
        let mut writing = Writing::begin(&data, &manifest, wish.level)?;
        for found in &before.found {
            writing.add(&source.from, found, watch)?;
        }
        let mut written = writing.finish()?;
        written.changed = all_changes(source, wish, &before, written.changed)?;
        let entry = Entry {
            layout: LAYOUT,
            id: id.to_owned(),
            method: "tar".to_owned(),
            path: source.root.to_string_lossy().into_owned(),
            files: source.files.as_ref().map(|files| files.iter().map(|file| encode(file)).collect()),
            exclude: source.exclude.clone(),
            labels: wish.labels.clone(),
            at,
            entries: written.entries,
            bytes: written.bytes,
            size: written.size,
            data_sha256: written.data_sha256,
            manifest_sha256: written.manifest_sha256,
            consistent: written.changed.is_empty() && !wish.running,
            changed: written.changed,
            skipped: before.skipped.iter().map(|path| encode(path)).collect(),
            mode: root.mode() & 0o7777,
            owner: (root.uid(), root.gid()),
            verified: None,
            running: wish.running,
            set: wish.set.as_ref().map(|set| set.of(id)),
            excluded: source.excluded.clone(),
            snapshot: None,
            reference: None,
            commands: std::collections::BTreeMap::new(),
        };
        self.write_entry(partial, &entry)?;
        local_file::sync_dir(partial)?;
        Ok(entry)
    }
}

type Compressed = zstd::stream::write::Encoder<'static, Hashing<BufWriter<File>>>;

/// The data and manifest of a backup that is being made.
struct Writing {
    tar: TarWriter<Compressed>,
    manifest: Hashing<BufWriter<File>>,
    paths: (PathBuf, PathBuf),
    entries: u64,
    bytes: u64,
    changed: Vec<String>,
}

struct Written {
    entries: u64,
    bytes: u64,
    size: u64,
    data_sha256: String,
    manifest_sha256: String,
    changed: Vec<String>,
}

impl Writing {
    fn begin(data: &Path, manifest: &Path, level: i32) -> Result<Self, Failure> {
        let create = |path: &Path| {
            let file = File::options().write(true).create_new(true).mode(0o600).open(path);
            file.map(|file| Hashing::new(BufWriter::with_capacity(256 * 1024, file)))
                .map_err(|error| io_failure("write", path, &error))
        };
        let encoder = zstd::stream::write::Encoder::new(create(data)?, level).and_then(|mut encoder| {
            encoder.multithread(threads())?;
            encoder.include_checksum(true)?;
            Ok(encoder)
        });
        Ok(Self {
            tar: TarWriter::new(encoder.map_err(|error| io_failure("write", data, &error))?),
            manifest: create(manifest)?,
            paths: (data.to_owned(), manifest.to_owned()),
            entries: 0,
            bytes: 0,
            changed: Vec::new(),
        })
    }

    fn add(&mut self, root: &Path, found: &Found, watch: &mut Watch) -> Result<(), Failure> {
        watch.go_on().map_err(|error| io_failure("write", &self.paths.0, &error))?;
        let full = root.join(&found.path);
        if !found.metadata.is_file() {
            self.tar.other(found).map_err(|error| io_failure("back up", &full, &error))?;
            let kind = if found.target.is_some() { Kind::Symlink } else { Kind::Directory };
            return self.line(found, kind, None, found.target.as_deref());
        }
        if let Some(first) = self.tar.other_name(&found.path, &found.metadata) {
            self.tar.hard_link(found, &first).map_err(|error| io_failure("back up", &full, &error))?;
            return self.line(found, Kind::HardLink, None, Some(&first));
        }
        // Neither through a link nor into a pipe that took its place meanwhile.
        let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed();
        let opened = File::options().read(true).custom_flags(flags).open(&full).and_then(|file| Ok((file.metadata()?, file)));
        let (now, file) = match opened {
            Ok((now, file)) if now.is_file() => (now, file),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(io_failure("back up", &full, &error)),
            _ => {
                self.changed.push(encode(&found.path));
                return Ok(());
            }
        };
        let found = Found { metadata: now, ..found.clone() };
        let mut content = Hashing::new(Exactly { inner: &file, left: found.metadata.len(), watch });
        self.tar.file(&found, &mut content).map_err(|error| io_failure("back up", &full, &error))?;
        let (_, sha256, bytes) = content.finish();
        self.bytes += bytes;
        let after = file.metadata().map_err(|error| io_failure("back up", &full, &error))?;
        if Found::stamp(&after) != Found::stamp(&found.metadata) {
            self.changed.push(encode(&found.path));
        }
        self.line(&found, Kind::File, Some(sha256), None)
    }

    fn line(&mut self, found: &Found, kind: Kind, sha256: Option<String>, target: Option<&Path>) -> Result<(), Failure> {
        let metadata = &found.metadata;
        let line = Line {
            path: encode(&found.path),
            kind,
            size: if kind == Kind::File { metadata.len() } else { 0 },
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mtime: (metadata.mtime(), u32::try_from(metadata.mtime_nsec()).unwrap_or(0)),
            sha256,
            target: target.map(encode),
        };
        self.entries += 1;
        let written = serde_json::to_writer(&mut self.manifest, &line).map_err(io::Error::from);
        written.and_then(|()| self.manifest.write_all(b"\n")).map_err(|error| io_failure("write", &self.paths.1, &error))
    }

    fn finish(self) -> Result<Written, Failure> {
        let Self { tar, manifest, paths: (data_path, manifest_path), entries, bytes, changed } = self;
        let durable = |hashing: Hashing<BufWriter<File>>| -> io::Result<(String, u64)> {
            let (buffered, sha256, size) = hashing.finish();
            buffered.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            Ok((sha256, size))
        };
        let data = tar.finish().and_then(Compressed::finish).and_then(durable);
        let (data_sha256, size) = data.map_err(|error| io_failure("write", &data_path, &error))?;
        let (manifest_sha256, _) = durable(manifest).map_err(|error| io_failure("write", &manifest_path, &error))?;
        Ok(Written { entries, bytes, size, data_sha256, manifest_sha256, changed })
    }
}

impl Repository for TarRepository {
    fn create(&self, source: &Source, wish: &Wish, watch: &mut Watch) -> Result<Entry, Failure> {
        let id = fresh_id();
        let partial = self.dir.join(format!(".{id}.partial"));
        let begun = || {
            if !self.dir.is_dir() {
                local_file::make_dir(&self.dir, &Attributes { mode: Some(0o700), owner: None })?;
            }
            let gate = self.enter()?;
            local_file::make_dir(&partial, &Attributes { mode: Some(0o700), owner: None })?;
            Ok(gate)
        };
        // What is half made is swept away, at the latest by the next who writes.
        let gate = begun().map_err(Failure::untouched)?;
        let made = self.make(source, wish, &partial, &id, watch).map_err(Failure::untouched).and_then(|entry| {
            wish.intent.declare(&entry.value(&self.dir))?;
            local_file::rename(&partial, &self.folder(&id))?;
            Ok(entry)
        });
        let entry = made.inspect_err(|_| drop(local_file::remove(&partial, true)))?;
        drop(gate);
        if !wish.verify {
            return Ok(entry);
        }
        watch.line(&format!("backup {id} is made; reading it back"));
        // One that cannot be read back is no backup.
        self.verify(&entry, watch).map_err(|failure| match self.remove(&id) {
            Ok(()) => failure.untouched(),
            Err(_) => failure.touched(),
        })
    }

    fn verify(&self, entry: &Entry, watch: &mut Watch) -> Result<Entry, Failure> {
        watch.expect(Some(entry.bytes));
        read_back(&self.folder(&entry.id), entry, None, watch)?;
        let entry = Entry { verified: Some(Timestamp::now()), ..entry.clone() };
        self.write_entry(&self.folder(&entry.id), &entry)?;
        Ok(entry)
    }

    fn look(&self, entry: &Entry, _watch: &mut Watch) -> Result<(), Failure> {
        let folder = self.folder(&entry.id);
        let data = local_file::stat(&folder.join(DATA), true)?.map(|stat| stat.size);
        let manifest = local_file::read(&folder.join(MANIFEST), u64::MAX - 1)?.map(|content| hex(&Sha256::digest(&content.bytes)));
        entry.check_found(&folder, data, manifest)
    }

    fn doubt(&self, entry: &Entry) -> Result<(), Failure> {
        self.write_entry(&self.folder(&entry.id), &Entry { verified: None, ..entry.clone() })
    }

    fn extract(&self, entry: &Entry, into: &Path, watch: &mut Watch) -> Result<Vec<PathBuf>, Failure> {
        watch.expect(Some(entry.bytes));
        let limits = Limits { max_bytes: u64::MAX, max_entries: u64::MAX, trusted: true };
        let mut tree = Tree::new(into.to_owned(), limits);
        let lines = read_back(&self.folder(&entry.id), entry, Some(&mut tree), watch)?;
        tree.finish()?;
        compare(into, &lines, entry.files.is_some())?;
        let files = lines.into_iter().filter(|(_, line)| line.kind == Kind::File).map(|(path, _)| path).collect();
        Ok(files)
    }

    fn list(&self) -> Result<Vec<Entry>, Failure> {
        if !self.dir.exists() {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        for item in local_file::list(&self.dir)?.into_iter().filter(|item| is_id(&item.name)) {
            let path = self.dir.join(&item.name).join(ENTRY);
            let text = match fs::read(&path) {
                Ok(text) => text,
                // Somebody's own folder.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
                Err(error) => return Err(io_failure("read", &path, &error)),
            };
            let entry: Entry = serde_json::from_slice(&text)
                .map_err(|error| Failure::new(FailureKind::Failed, format!("`{}` is damaged: {error}", path.display())))?;
            if entry.layout != LAYOUT || entry.id != item.name {
                let message = format!("`{}` is not of a kind that this version knows", path.display());
                return Err(Failure::new(FailureKind::Failed, message));
            }
            entries.push(entry);
        }
        entries.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(entries)
    }

    fn remove(&self, id: &str) -> Result<(), Failure> {
        let _gate = self.enter()?;
        let (from, to) = (self.folder(id), self.dir.join(format!(".{id}.removed")));
        if from.exists() {
            local_file::rename(&from, &to)?;
        }
        local_file::remove(&to, true)
    }
}
