//! Reads a backup back: data and manifest side by side, every byte compared; writes it into a tree where one is given.
#![expect(clippy::disallowed_methods, reason = "a door: reads a backup's files")]

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::entry::{Entry, Kind, Line, decode};
use super::tar::{DATA, MANIFEST};
use crate::driver::archive::format::{Format, decompressed};
use crate::driver::archive::tree::{Meta, Tree, clean};
use crate::driver::archive::walk::{globs, walk};
use crate::driver::host::io_failure;
use crate::driver::transfer::{Hashing, Watch};
use crate::driver::{Failure, FailureKind};

/// A backup that is not what it was when it was made.
fn damaged(folder: &Path, what: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Failed, format!("the backup `{}` is damaged: {what}", folder.display()))
        .help("use an older backup, and check the disk that the repository lies on")
}

/// Reads all of it. Gives the manifest.
pub(super) fn read_back(
    folder: &Path,
    entry: &Entry,
    mut tree: Option<&mut Tree>,
    watch: &mut Watch,
) -> Result<Vec<(PathBuf, Line)>, Failure> {
    let lines = manifest(folder, entry)?;
    let path = folder.join(DATA);
    let file = File::open(&path).map_err(|error| io_failure("read", &path, &error))?;
    let failed = |error: io::Error| damaged(folder, error);
    let mut hashing = Hashing::new(file);
    {
        let content = decompressed(Format::TarZst, &mut hashing).map_err(failed)?;
        let mut archive = tar::Archive::new(content);
        let mut expected = lines.iter();
        for item in archive.entries().map_err(failed)? {
            let mut item = item.map_err(failed)?;
            let name = item.path().map_err(failed)?.into_owned();
            let Some((path, line)) = expected.next() else {
                return Err(damaged(folder, format_args!("`{}` is not in its manifest", name.display())));
            };
            watch.go_on().map_err(failed)?;
            if clean(&name, 0)?.as_deref() != Some(path) {
                return Err(damaged(folder, format_args!("`{}` stands where `{}` is to be", name.display(), path.display())));
            }
            one(folder, &mut item, path, line, tree.as_deref_mut(), watch)?;
        }
        if let Some((path, _)) = expected.next() {
            return Err(damaged(folder, format_args!("`{}` is missing", path.display())));
        }
        io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(failed)?;
    }
    io::copy(&mut hashing, &mut io::sink()).map_err(failed)?;
    let (_, sha256, _) = hashing.finish();
    if sha256 != entry.data_sha256 {
        return Err(damaged(folder, "its data has another SHA-256 than when it was made"));
    }
    Ok(lines)
}

fn manifest(folder: &Path, entry: &Entry) -> Result<Vec<(PathBuf, Line)>, Failure> {
    let path = folder.join(MANIFEST);
    let file = File::open(&path).map_err(|error| io_failure("read", &path, &error))?;
    let mut reader = BufReader::new(Hashing::new(file));
    let mut lines = Vec::new();
    let mut text = Vec::new();
    loop {
        text.clear();
        if reader.read_until(b'\n', &mut text).map_err(|error| io_failure("read", &path, &error))? == 0 {
            break;
        }
        let line: Line = serde_json::from_slice(&text).map_err(|error| damaged(folder, format_args!("its manifest: {error}")))?;
        let path = decode(&line.path).filter(|path| clean(path, 0).is_ok_and(|clean| clean.as_ref() == Some(path)));
        let path = path.ok_or_else(|| damaged(folder, "its manifest holds a senseless path"))?;
        lines.push((path, line));
    }
    let (_, sha256, _) = reader.into_inner().finish();
    if sha256 != entry.manifest_sha256 || lines.len() as u64 != entry.entries {
        return Err(damaged(folder, "its manifest is not what it was when it was made"));
    }
    Ok(lines)
}

/// Compares one item with its line, and writes it.
fn one(
    folder: &Path,
    item: &mut tar::Entry<'_, impl Read>,
    path: &Path,
    line: &Line,
    tree: Option<&mut Tree>,
    watch: &mut Watch,
) -> Result<(), Failure> {
    let wrong = |what: &str| damaged(folder, format_args!("`{}` has another {what} than in its manifest", path.display()));
    let kind = item.header().entry_type();
    let same = match line.kind {
        Kind::File => kind.is_file(),
        Kind::Directory => kind.is_dir(),
        Kind::Symlink => kind.is_symlink(),
        Kind::HardLink => kind.is_hard_link(),
    };
    if !same {
        return Err(wrong("kind"));
    }
    let target = item.link_name().map_err(|error| damaged(folder, error))?.map(std::borrow::Cow::into_owned);
    if target != line.target.as_deref().and_then(decode) {
        return Err(wrong("target"));
    }
    let meta = Meta { mode: line.mode, modified: modified(line.mtime), owner: owner(line) };
    match (line.kind, tree, target) {
        (Kind::File, tree, _) => {
            let size = item.size();
            if size != line.size {
                return Err(wrong("size"));
            }
            let sha256 = match tree {
                Some(tree) => {
                    let mut noting = Noting { inner: item, failed: false };
                    let done = tree.file(path, meta, size, &mut noting, watch);
                    let unreadable = noting.failed;
                    done.map_err(|failure| if unreadable { damaged(folder, &failure.message) } else { failure })?.0
                }
                None => {
                    let mut hashing = Hashing::new(item);
                    watch.copy(&mut hashing, &mut io::sink()).map_err(|error| damaged(folder, error))?;
                    hashing.finish().1
                }
            };
            if Some(&sha256) == line.sha256.as_ref() { Ok(()) } else { Err(wrong("content")) }
        }
        (Kind::Directory, Some(tree), _) => tree.directory(path, meta),
        (Kind::Symlink, Some(tree), Some(target)) => tree.symlink(path, &target, meta.owner),
        (Kind::HardLink, Some(tree), Some(target)) => tree.hard_link(path, &target),
        (_, None, _) => Ok(()),
        (_, Some(_), None) => Err(wrong("target")),
    }
}

/// Remembers that reading failed, so that a full disk is not taken for a damaged backup.
struct Noting<R> {
    inner: R,
    failed: bool,
}

impl<R: Read> Read for Noting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|_| self.failed = true)
    }
}

fn modified((seconds, nanos): (i64, u32)) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base = if seconds < 0 { SystemTime::UNIX_EPOCH.checked_sub(whole) } else { SystemTime::UNIX_EPOCH.checked_add(whole) };
    base?.checked_add(Duration::from_nanos(nanos.into()))
}

/// Only root may give files away.
pub(super) fn owner(line: &Line) -> Option<(u32, u32)> {
    rustix::process::geteuid().is_root().then_some((line.uid, line.gid))
}

/// Compares a tree that was written with the manifest: nothing is missing, nothing is too much, attributes are right.
pub(super) fn compare(root: &Path, lines: &[(PathBuf, Line)], only_files: bool) -> Result<(), Failure> {
    let wrong =
        |path: &Path, what: &str| Failure::new(FailureKind::Failed, format!("`{}` was not restored right: {what}", path.display()));
    let nothing = globs(&[]).map_err(|error| Failure::new(FailureKind::Failed, error.to_string()))?;
    let found = walk(root, &nothing)?.found.len();
    if !only_files && found != lines.len() {
        return Err(wrong(root, &format!("it holds {found} entries, not {}", lines.len())));
    }
    for (path, line) in lines {
        let full = root.join(path);
        let metadata = fs::symlink_metadata(&full).map_err(|error| io_failure("look at", &full, &error))?;
        let attributes = metadata.is_symlink()
            || (metadata.mode() & 0o7777 == line.mode && (line.kind == Kind::HardLink || metadata.mtime() == line.mtime.0));
        if !attributes {
            return Err(wrong(path, "its permissions or its time"));
        }
        if line.kind == Kind::File && metadata.len() != line.size {
            return Err(wrong(path, "its size"));
        }
    }
    Ok(())
}
