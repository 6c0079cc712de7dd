//! What is read into a backup: our own walk of the source, given to the library as it wants it.
//!
//! The library leaves out what it cannot read and only says so in a log. So every reader here remembers what went wrong, and
//! [`Reading::finish`] tells it.
#![expect(clippy::disallowed_methods, reason = "a door: reads the source")]

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustic_core::repofile::{self, Node, NodeType};
use rustic_core::{ErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult};
use tokio_util::sync::CancellationToken;

use super::super::entry::encode;
use super::super::repository::Source;
use crate::driver::archive::walk::{Found, Walk};
use crate::driver::host::io_failure;
use crate::driver::transfer::Watch;
use crate::driver::{Failure, FailureKind};

/// A file whose inode changed this short before the backup began (or later) may change again without looking different: its change
/// time is not kept but that of the backup stands there, which fits nothing later: so the next backup reads it again.
const RACY_SECONDS: i64 = 2;

/// One backup's reading.
pub(super) struct Reading {
    entries: Arc<[Item]>,
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Item {
    /// As it is recorded.
    path: PathBuf,
    node: Node,
    /// Where a file is read, and its path in the source.
    file: Option<(PathBuf, Arc<Found>)>,
}

struct Shared {
    stop: CancellationToken,
    changed: Mutex<Vec<String>>,
    failed: Mutex<Option<Failure>>,
}

impl Shared {
    fn change(&self, path: &Path) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).push(encode(path));
    }

    fn fail(&self, failure: Failure) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.stop.cancel();
    }
}

impl Reading {
    /// What the walk found, and the folders above, so that a restore by restic gives them their own permissions.
    pub(super) fn new(source: &Source, walk: &Walk, begun: Timestamp, watch: &Watch) -> Result<Self, Failure> {
        let mut entries = Vec::with_capacity(walk.found.len() + 8);
        let mut above: Vec<&Path> = source.root.ancestors().filter(|path| path.file_name().is_some()).collect();
        above.reverse();
        for path in above {
            let read = if path == source.root { &source.from } else { path };
            let metadata = fs::metadata(read).map_err(|error| io_failure("look at", read, &error))?;
            let name = path.file_name().unwrap_or_default();
            let node = Node::new_node(name, NodeType::Dir, meta(&metadata, begun));
            entries.push(Item { path: path.to_owned(), node, file: None });
        }
        for found in &walk.found {
            let name = found.path.file_name().unwrap_or_default();
            let kind = match &found.target {
                Some(target) => NodeType::from_link(target),
                None if found.metadata.is_dir() => NodeType::Dir,
                None => NodeType::File,
            };
            let node = Node::new_node(name, kind, meta(&found.metadata, begun));
            let file = found.metadata.is_file().then(|| (source.from.join(&found.path), Arc::new(found.clone())));
            entries.push(Item { path: source.root.join(&found.path), node, file });
        }
        let shared = Shared { stop: watch.stop().child_token(), changed: Mutex::default(), failed: Mutex::default() };
        Ok(Self { entries: entries.into(), shared: Arc::new(shared) })
    }

    /// What the library reads.
    pub(super) fn files(&self) -> Files {
        Files { entries: Arc::clone(&self.entries), shared: Arc::clone(&self.shared) }
    }

    /// Which files changed while they were read; a failure where something could not be read.
    pub(super) fn finish(self) -> Result<Vec<String>, Failure> {
        if let Some(failure) = self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(failure);
        }
        if self.shared.stop.is_cancelled() {
            return Err(Failure::new(FailureKind::Cancelled, "told to stop"));
        }
        Ok(std::mem::take(&mut *self.shared.changed.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// What restic keeps about a path. Modes are written as Go writes them.
fn meta(metadata: &Metadata, begun: Timestamp) -> repofile::Metadata {
    let time = |seconds: i64, nanos: i64| Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0)).ok();
    let racy = metadata.is_file() && metadata.ctime() >= begun.as_second() - RACY_SECONDS;
    let mtime = time(metadata.mtime(), metadata.mtime_nsec());
    let several = metadata.nlink() > 1 && !metadata.is_dir();
    repofile::Metadata {
        mode: Some(go_mode(metadata.mode())),
        mtime,
        atime: mtime,
        ctime: if racy { Some(begun) } else { time(metadata.ctime(), metadata.ctime_nsec()) },
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
        user: None,
        group: None,
        inode: metadata.ino(),
        device_id: if several { metadata.dev() } else { 0 },
        size: if metadata.is_dir() { 0 } else { metadata.len() },
        links: if metadata.is_dir() { 0 } else { metadata.nlink() },
        extended_attributes: Vec::new(),
    }
}

/// Bits of Go's `FileMode`: what restic stores instead of the system's.
const GO_BITS: [(u32, u32); 3] = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];

fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => 1 << 31,
        0o120_000 => 1 << 27,
        _ => 0,
    };
    GO_BITS.iter().filter(|(bit, _)| mode & bit != 0).fold(kind | (mode & 0o777), |mode, (_, go)| mode | go)
}

/// Permission bits of a mode as Go writes it.
pub(super) fn permissions(go: u32) -> u32 {
    GO_BITS.iter().filter(|(_, bit)| go & bit != 0).fold(go & 0o777, |mode, (bit, _)| mode | bit)
}

/// The source as the library sees it.
pub(super) struct Files {
    entries: Arc<[Item]>,
    shared: Arc<Shared>,
}

impl ReadSource for Files {
    type Open = Closed;
    type Iter = Entries;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Entries {
        Entries { entries: Arc::clone(&self.entries), shared: Arc::clone(&self.shared), next: 0 }
    }
}

/// The entries, one by one; none once told to stop.
pub(super) struct Entries {
    entries: Arc<[Item]>,
    shared: Arc<Shared>,
    next: usize,
}

impl Iterator for Entries {
    type Item = RusticResult<ReadSourceEntry<Closed>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.shared.stop.is_cancelled() {
            return None;
        }
        let Item { path, node, file } = self.entries.get(self.next)?.clone();
        self.next += 1;
        let open = file.map(|(full, found)| Closed { full, found, shared: Arc::clone(&self.shared) });
        Some(Ok(ReadSourceEntry { path, node, open }))
    }
}

/// A file that is not opened yet.
pub(super) struct Closed {
    full: PathBuf,
    found: Arc<Found>,
    shared: Arc<Shared>,
}

impl ReadSourceOpen for Closed {
    type Reader = Open;

    fn open(self) -> RusticResult<Open> {
        // Neither through a link nor into a pipe that took its place meanwhile.
        let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed();
        let opened = File::options().read(true).custom_flags(flags).open(&self.full).and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            Ok((metadata, file)) if metadata.is_file() => {
                if Found::stamp(&metadata) != Found::stamp(&self.found.metadata) {
                    self.shared.change(&self.found.path);
                }
                Ok(Open { file, left: self.found.metadata.len(), of: self })
            }
            Err(error) if !gone(&error) => {
                self.shared.fail(io_failure("back up", &self.full, &error));
                Err(RusticError::with_source(ErrorKind::InputOutput, "not readable", error))
            }
            _ => {
                self.shared.change(&self.found.path);
                Err(RusticError::new(ErrorKind::InputOutput, "gone"))
            }
        }
    }
}

/// Something else stands there by now, or nothing.
fn gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Exactly as many bytes as were promised: a file that grew is cut, one that shrank is filled up with zeros.
pub(super) struct Open {
    file: File,
    left: u64,
    of: Closed,
}

impl Read for Open {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        if self.of.shared.stop.is_cancelled() {
            return Err(io::Error::other("told to stop"));
        }
        let count = match self.file.read(&mut buffer[..most]) {
            Ok(0) => {
                self.of.shared.change(&self.of.found.path);
                buffer[..most].fill(0);
                most
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                self.of.shared.fail(io_failure("back up", &self.of.full, &error));
                return Err(error);
            }
        };
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_go_to_restic_and_back() {
        for mode in [0o644, 0o4711, 0o2755, 0o1777, 0o7000] {
            assert_eq!(permissions(go_mode(0o100_000 | mode)), mode);
            assert_eq!(permissions(go_mode(0o040_000 | mode)), mode);
        }
        assert_eq!(go_mode(0o040_755), (1 << 31) | 0o755);
    }
}
