//! Unpacks an archive into a folder that then stands complete, or not at all.
//!
//! Everything goes into a sibling of the folder first; only what passed every check is moved into place.
#![expect(clippy::disallowed_methods, reason = "a door: reads archives and moves folders")]

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::format::{Format, decompressed};
use super::tree::{Dense, Limits, Meta, Tree, Written, clean, refused, too_dense, unreadable};
use super::unpacked;
use crate::driver::host::{Attributes, io_failure, local_file};
use crate::driver::intent::Intent;
use crate::driver::transfer::{Hashing, Watch};
use crate::driver::{Failure, FailureKind};

/// What is unpacked, and how.
pub(super) struct Unpack {
    pub(super) archive: PathBuf,
    pub(super) to: PathBuf,
    pub(super) strip: usize,
    pub(super) replace: bool,
    pub(super) sha256: Option<String>,
    pub(super) max_bytes: u64,
    pub(super) max_entries: u64,
    pub(super) max_ratio: u64,
    /// Where it is written down that the folder is now put in its place.
    pub(super) intent: Intent,
}

/// Below this many bytes no ratio is absurd.
pub(super) const RATIO_FROM: u64 = 64 * 1024 * 1024;

impl Unpack {
    /// Unpacks; gives what was written and the archive's SHA-256. Until the complete folder is put in its place, nothing is touched.
    pub(super) fn run(&self, watch: &mut Watch) -> Result<(Written, String), Failure> {
        let (staging, written, sha256) = self.prepare(watch).map_err(Failure::untouched)?;
        let put = self.intent.declare(&unpacked(&self.to, written, &sha256)).and_then(|()| self.put(&staging));
        if put.is_err() {
            let _ = local_file::remove(&staging, true);
        }
        put.map(|()| (written, sha256))
    }

    /// Unpacks into a folder beside.
    fn prepare(&self, watch: &mut Watch) -> Result<(PathBuf, Written, String), Failure> {
        self.check_free()?;
        let (mut file, size) = open(&self.archive)?;
        // Of the very file that is then unpacked.
        let sha256 = digest(&mut file, &self.archive, size, watch)?;
        if let Some(wanted) = &self.sha256 {
            check_digest(&self.archive, &sha256, wanted)?;
        }
        let staging = sibling(&self.to, "unpack")?;
        local_file::remove(&staging, true)?;
        local_file::make_dir(local_file::parent(&self.to), &Attributes::default())?;
        local_file::make_dir(&staging, &Attributes { mode: Some(0o700), owner: None })?;
        let written = self.fill(file, size, &staging, watch).and_then(|written| {
            local_file::make_dir(&staging, &Attributes { mode: Some(0o755), owner: None })?;
            Ok(written)
        });
        if written.is_err() {
            // What failed matters, not that it could not be cleaned up: the next attempt does it again.
            let _ = local_file::remove(&staging, true);
        }
        written.map(|written| (staging, written, sha256))
    }

    fn check_free(&self) -> Result<(), Failure> {
        match fs::symlink_metadata(&self.to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_failure("look at", &self.to, &error)),
            Ok(metadata) if !metadata.is_dir() => {
                Err(Failure::new(FailureKind::Failed, format!("`{}` is there and is no directory", self.to.display())))
            }
            Ok(_) if self.replace || local_file::list(&self.to)?.is_empty() => Ok(()),
            // Of the kind that touched nothing: an undo that removes `to` would remove what somebody else has put there.
            Ok(_) => Err(Failure::new(FailureKind::Invalid, format!("`{}` is there already and is not empty", self.to.display()))
                .help("unpack each version into a folder of its own, or write `replace = true`")),
        }
    }

    fn fill(&self, file: File, size: u64, staging: &Path, watch: &mut Watch) -> Result<Written, Failure> {
        let limits = Limits { max_bytes: self.max_bytes, max_entries: self.max_entries, trusted: false };
        let mut tree = Tree::new(staging.to_owned(), limits);
        let mut head = Vec::new();
        let failed = |error: io::Error| unreadable(&self.archive, &error);
        let mut file = file;
        file.by_ref().take(512).read_to_end(&mut head).map_err(failed)?;
        file.rewind().map_err(failed)?;
        let format = Format::of_content(&head).ok_or_else(|| unknown_format(&self.archive))?;
        watch.expect(None);
        match format {
            Format::Zip => self.unzip(file, size, &mut tree, watch)?,
            _ => {
                let limit = RATIO_FROM.saturating_add(size.saturating_mul(self.max_ratio));
                self.untar(decompressed(format, file).map_err(failed)?, limit, &mut tree, watch)?;
            }
        }
        tree.finish()
    }

    fn untar(&self, content: Box<dyn Read + '_>, limit: u64, tree: &mut Tree, watch: &mut Watch) -> Result<(), Failure> {
        let zeros = Rc::new(Cell::new(0));
        let bounded = Bounded::new(content, limit, zeros.clone());
        let failed = |error: io::Error| unreadable(&self.archive, &error);
        let mut archive = tar::Archive::new(bounded);
        for entry in archive.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            watch.go_on().map_err(failed)?;
            self.tar_entry(&mut entry, tree, watch)?;
        }
        ends_whole(&self.archive, archive.into_inner(), zeros.get())
    }

    fn tar_entry(&self, entry: &mut tar::Entry<'_, impl Read>, tree: &mut Tree, watch: &mut Watch) -> Result<(), Failure> {
        use tar::EntryType;
        let failed = |error: io::Error| unreadable(&self.archive, &error);
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let name = entry.path().map_err(failed)?.into_owned();
        let Some(path) = clean(&name, self.strip)? else { return Ok(()) };
        let modified =
            entry.header().mtime().ok().and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        let meta = Meta { mode: entry.header().mode().map_err(failed)?, modified, owner: None };
        let target = entry.link_name().map_err(failed)?.map(std::borrow::Cow::into_owned);
        match (kind, target) {
            // Old archives mark a directory only by the slash at the end of its name.
            (EntryType::Directory, _) => tree.directory(&path, meta),
            (EntryType::Regular | EntryType::Continuous, _) if name.as_os_str().as_encoded_bytes().ends_with(b"/") => {
                tree.directory(&path, meta)
            }
            (EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse, _) => {
                let declared = entry.size();
                tree.file(&path, meta, declared, entry, watch).map(drop)
            }
            (EntryType::Symlink, Some(target)) => tree.symlink(&path, &target, None),
            (EntryType::Link, Some(target)) => {
                let Some(target) = clean(&target, self.strip)? else {
                    return Err(refused(format!("`{}` is another name of the archive's root", path.display())));
                };
                tree.hard_link(&path, &target)
            }
            (EntryType::Char | EntryType::Block | EntryType::Fifo, _) => {
                Err(refused(format!("the entry `{}` is a device or pipe", path.display())))
            }
            (other, _) => Err(refused(format!(
                "the entry `{}` is of a kind that is not unpacked ({:?})",
                path.display(),
                other.as_byte() as char
            ))),
        }
    }

    fn unzip(&self, file: File, size: u64, tree: &mut Tree, watch: &mut Watch) -> Result<(), Failure> {
        let failed = |error: zip::result::ZipError| refused(format!("`{}` cannot be read: {error}", self.archive.display()));
        let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(failed)?;
        if archive.has_duplicate_names() {
            return Err(refused(format!("`{}` has a name twice", self.archive.display())));
        }
        if archive.len() as u64 > self.max_entries {
            return Err(refused(format!("the archive has more than {} entries", self.max_entries)));
        }
        let limit = RATIO_FROM.saturating_add(size.saturating_mul(self.max_ratio));
        let mut total: u64 = 0;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(failed)?;
            watch.go_on().map_err(|error| unreadable(&self.archive, &error))?;
            total = total.saturating_add(entry.size());
            if total > limit {
                return Err(too_dense());
            }
            let name = entry.name().map_err(failed)?.into_owned();
            let Some(path) = clean(Path::new(&name), self.strip)? else { continue };
            let mode = entry.unix_mode();
            let meta = |fallback| Meta { mode: mode.unwrap_or(fallback), modified: None, owner: None };
            const KIND: u32 = 0o170_000;
            match mode.map(|mode| mode & KIND) {
                _ if entry.is_dir() => tree.directory(&path, meta(0o755))?,
                Some(0o120_000) => {
                    let mut target = String::new();
                    let read = entry.by_ref().take(4097).read_to_string(&mut target);
                    if read.is_err() || target.len() > 4096 {
                        return Err(refused(format!("the link `{}` leads nowhere", path.display())));
                    }
                    tree.symlink(&path, Path::new(&target), None)?;
                }
                None | Some(0 | 0o100_000) => {
                    let declared = entry.size();
                    tree.file(&path, meta(0o644), declared, &mut entry, watch)?;
                }
                Some(_) => return Err(refused(format!("the entry `{}` is a device or pipe", path.display()))),
            }
        }
        Ok(())
    }

    /// Moves the complete folder into its place.
    fn put(&self, staging: &Path) -> Result<(), Failure> {
        if self.replace && self.to.exists() {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            // In one go: nobody ever finds nothing there.
            match renameat_with(CWD, staging, CWD, &self.to, RenameFlags::EXCHANGE) {
                Ok(()) => {
                    local_file::sync_dir(local_file::parent(&self.to))?;
                    return local_file::remove(staging, true).map_err(Failure::touched);
                }
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                    let old = sibling(&self.to, "old")?;
                    local_file::remove(&old, true)?;
                    local_file::rename(&self.to, &old)?;
                    if let Err(failure) = local_file::rename(staging, &self.to) {
                        let _ = local_file::rename(&old, &self.to);
                        return Err(failure.touched());
                    }
                    return local_file::remove(&old, true).map_err(Failure::touched);
                }
                Err(error) => return Err(io_failure("replace", &self.to, &error.into()).untouched()),
            }
        }
        local_file::rename(staging, &self.to)
    }
}

/// `.NAME.windlass-PURPOSE` beside a path: always the same, so that a later attempt finds what an earlier one left.
pub(in crate::driver) fn sibling(path: &Path, purpose: &str) -> Result<PathBuf, Failure> {
    let Some(name) = path.file_name() else {
        return Err(Failure::new(FailureKind::Invalid, format!("`{}` has no name of its own", path.display())));
    };
    let mut sibling = std::ffi::OsString::from(".");
    sibling.push(name);
    sibling.push(format!(".windlass-{purpose}"));
    Ok(path.with_file_name(sibling))
}

/// A file whose content is that of no archive.
pub(super) fn unknown_format(archive: &Path) -> Failure {
    let message = format!("`{}` is no archive: neither tar (plain, gzip, Zstandard) nor zip", archive.display());
    Failure::new(FailureKind::Failed, message).help("was an error page downloaded in its place?")
}

/// Reads a tar to its very end, after its last entry: only there does the compression tell whether all was right.
pub(super) fn ends_whole(archive: &Path, mut rest: impl Read, zeros: u64) -> Result<(), Failure> {
    if zeros < 512 {
        return Err(refused(format!("`{}` ends in the middle", archive.display())));
    }
    io::copy(&mut rest, &mut io::sink()).map_err(|error| unreadable(archive, &error))?;
    Ok(())
}

/// Opens a regular file.
pub(super) fn open(path: &Path) -> Result<(File, u64), Failure> {
    let failed = |error: io::Error| io_failure("read", path, &error);
    // Looked at before it is opened: opening a pipe waits for ever.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Failure::new(FailureKind::Failed, format!("`{}` is not a file", path.display())));
    }
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    Ok((file, size))
}

/// The SHA-256 of a file from its beginning; rewinds it.
pub(super) fn digest(file: &mut File, path: &Path, size: u64, watch: &mut Watch) -> Result<String, Failure> {
    let failed = |error: io::Error| io_failure("read", path, &error);
    watch.expect(Some(size));
    let mut hashing = Hashing::new(&mut *file);
    watch.copy(&mut hashing, &mut io::sink()).map_err(failed)?;
    let (_, sha256, _) = hashing.finish();
    file.rewind().map_err(failed)?;
    Ok(sha256)
}

/// Compares a digest with the one that it must be.
pub(super) fn check_digest(path: &Path, found: &str, wanted: &str) -> Result<(), Failure> {
    if found == wanted {
        return Ok(());
    }
    let message = format!("`{}` is not the file that is expected: its SHA-256 is {found}, not {wanted}", path.display());
    Err(Failure::new(FailureKind::Failed, message)
        .help("fetch it anew; if it stays so, compare the digest with the vendor's: somebody may have changed the file"))
}

/// Stops when more comes out than is sensible, and counts the zeros at the end.
pub(super) struct Bounded<R> {
    inner: R,
    left: u64,
    zeros: Rc<Cell<u64>>,
}

impl<R> Bounded<R> {
    /// At most `limit` bytes of `inner`.
    pub(super) fn new(inner: R, limit: u64, zeros: Rc<Cell<u64>>) -> Self {
        Self { inner, left: limit, zeros }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(Dense))?;
        let tail = buffer[..count].iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros.set(if tail == count { self.zeros.get() + tail as u64 } else { tail as u64 });
        Ok(count)
    }
}
