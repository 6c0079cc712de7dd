//! Puts a backup back: beside the place first, checked, then into the place by renames that are undone if one fails.
#![expect(clippy::disallowed_methods, reason = "a door: moves folders")]

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use super::entry::{Entry, decode};
use super::repository::Repository;
use crate::driver::archive::unpack::sibling;
use crate::driver::archive::walk::globs;
use crate::driver::host::{Attributes, io_failure, local_file};
use crate::driver::transfer::Watch;
use crate::driver::{Failure, FailureKind};

/// What a database leaves beside its file, which belongs to that content and to no other.
pub(super) const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// Where the content before still lies.
    pub(super) previous: Vec<PathBuf>,
    /// What the backup leaves out and was taken over from the content before.
    pub(super) carried: u64,
}

/// Told, right before anything is moved, where the content before will lie.
pub(super) type Announce<'a> = &'a dyn Fn(&[PathBuf]) -> Result<(), Failure>;

/// Restores into `path`.
pub(super) fn restore(
    repository: &dyn Repository,
    entry: &Entry,
    path: &Path,
    keep_previous: bool,
    announce: Announce<'_>,
    watch: &mut Watch,
) -> Result<Restored, Failure> {
    // A link to the folder stays: what it leads to is replaced.
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(io_failure("look at", path, &error).untouched()),
    };
    if entry.files.is_some() {
        files(repository, entry, &path, keep_previous, announce, watch)
    } else {
        folder(repository, entry, &path, keep_previous, announce, watch)
    }
}

fn check_space(entry: &Entry, dir: &Path) -> Result<(), Failure> {
    let free = local_file::space(dir)?.free;
    if free >= entry.bytes {
        return Ok(());
    }
    let message = format!("the backup holds {} bytes, and there are {free} free for `{}`", entry.bytes, dir.display());
    Err(Failure::new(FailureKind::Failed, message)
        .help("the content before stays until the restore is done: free some space, then resume"))
}

/// Fills a fresh folder with the backup; it is gone again where that fails.
fn extract(repository: &dyn Repository, entry: &Entry, staging: &Path, watch: &mut Watch) -> Result<Vec<PathBuf>, Failure> {
    local_file::remove(staging, true)?;
    local_file::make_dir(staging, &Attributes { mode: Some(0o700), owner: None })?;
    repository.extract(entry, staging, watch).inspect_err(|_| drop(local_file::remove(staging, true)))
}

fn folder(
    repository: &dyn Repository,
    entry: &Entry,
    path: &Path,
    keep: bool,
    announce: Announce<'_>,
    watch: &mut Watch,
) -> Result<Restored, Failure> {
    let staging = staged(repository, entry, path, watch).map_err(Failure::untouched)?;
    let mut restored = Restored::default();
    let previous = if path.exists() { before(path, &entry.id).map(Some) } else { Ok(None) };
    let announced = previous.and_then(|previous| announce(previous.as_slice()).map(|()| previous));
    let Some(previous) = announced.map_err(|failure| {
        let _ = local_file::remove(&staging, true);
        failure.untouched()
    })?
    else {
        local_file::rename(&staging, path)?;
        return Ok(restored);
    };
    if let Err(error) = fs::rename(path, &previous) {
        let _ = local_file::remove(&staging, true);
        let failure = io_failure("move away", path, &error);
        return Err(match error.kind() {
            io::ErrorKind::ResourceBusy => {
                failure.help("it is a mount point, which cannot be moved: let the product's folder be one below it")
            }
            _ => failure,
        }
        .untouched());
    }
    if let Err(failure) = local_file::rename(&staging, path) {
        let _ = local_file::rename(&previous, path);
        return Err(failure.touched());
    }
    let lost = carry(&previous, path, &entry.exclude, &mut restored).map_err(Failure::touched)?;
    if keep || lost {
        restored.previous.push(previous);
    } else {
        local_file::remove(&previous, true).map_err(Failure::touched)?;
    }
    Ok(restored)
}

/// Fills a folder beside with the backup; what is at the path stays untouched.
fn staged(repository: &dyn Repository, entry: &Entry, path: &Path, watch: &mut Watch) -> Result<PathBuf, Failure> {
    let staging = sibling(path, "restore")?;
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir()) {
        return Err(Failure::new(FailureKind::Failed, format!("`{}` is there and is no directory", path.display())));
    }
    local_file::make_dir(local_file::parent(path), &Attributes::default())?;
    check_space(entry, local_file::parent(path))?;
    extract(repository, entry, &staging, watch)?;
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = entry.owner;
        chown(&staging, Some(uid), Some(gid)).map_err(|error| io_failure("set the owner of", &staging, &error))?;
    }
    local_file::make_dir(&staging, &Attributes { mode: Some(entry.mode), owner: None })?;
    Ok(staging)
}

/// A free name beside the path for the content before.
fn before(path: &Path, id: &str) -> Result<PathBuf, Failure> {
    names_before(path, id)?.find(|name| fs::symlink_metadata(name).is_err()).ok_or_else(|| too_many_before(path))
}

/// Names beside a path for the content before the restore of a backup: the first that is free is used.
pub(super) fn names_before(path: &Path, id: &str) -> Result<impl Iterator<Item = PathBuf>, Failure> {
    let name = path.file_name().ok_or_else(|| Failure::new(FailureKind::Invalid, "the root folder cannot be restored"))?;
    let mut first = name.to_owned();
    first.push(format!(".before-restore-{id}"));
    let first = path.with_file_name(first);
    Ok((1..1000).map(move |number| {
        let mut name = first.clone().into_os_string();
        if number > 1 {
            name.push(format!("-{number}"));
        }
        PathBuf::from(name)
    }))
}

pub(super) fn too_many_before(path: &Path) -> Failure {
    Failure::new(FailureKind::Failed, format!("too many earlier contents lie beside `{}`", path.display()))
}

/// Moves what the backup leaves out from the content before. True where something could not be moved.
fn carry(from: &Path, to: &Path, exclude: &[String], restored: &mut Restored) -> Result<bool, Failure> {
    let exclude = globs(exclude).map_err(|error| Failure::new(FailureKind::Invalid, error.to_string()))?;
    if exclude.is_empty() {
        return Ok(false);
    }
    let mut lost = false;
    let mut open = vec![PathBuf::new()];
    while let Some(dir) = open.pop() {
        let Ok(names) = fs::read_dir(from.join(&dir)) else {
            lost = true;
            continue;
        };
        for name in names.flatten() {
            let path = dir.join(name.file_name());
            if !exclude.is_match(&path) {
                if name.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(path);
                }
            } else if fs::symlink_metadata(to.join(&path)).is_err() && fs::rename(from.join(&path), to.join(&path)).is_ok() {
                restored.carried += 1;
            } else {
                lost = true;
            }
        }
    }
    Ok(lost)
}

/// Restores single files; all others in the folder stay.
fn files(
    repository: &dyn Repository,
    entry: &Entry,
    root: &Path,
    keep: bool,
    announce: Announce<'_>,
    watch: &mut Watch,
) -> Result<Restored, Failure> {
    let staging = root.join(format!(".windlass-restore-{}", entry.id));
    let mut prepare = || {
        local_file::make_dir(root, &Attributes::default())?;
        check_space(entry, root)?;
        let files = extract(repository, entry, &staging, watch)?;
        let files = files.into_iter().map(|file| Ok((ways(&file, entry, root)?, file))).collect::<Result<Vec<_>, Failure>>()?;
        let previous: Vec<PathBuf> = files.iter().flat_map(|(ways, _)| ways.iter().map(|(_, aside)| aside.clone())).collect();
        announce(&previous)?;
        Ok((files, previous))
    };
    let (files, previous) = prepare().map_err(|failure: Failure| {
        let _ = local_file::remove(&staging, true);
        failure.untouched()
    })?;
    let mut moves = Moves::default();
    if let Err(failure) = put(&files, root, &staging, &mut moves) {
        moves.undo();
        let _ = local_file::remove(&staging, true);
        return Err(failure.touched());
    }
    local_file::remove(&staging, true).map_err(Failure::touched)?;
    if keep {
        return Ok(Restored { previous, carried: 0 });
    }
    for path in previous {
        local_file::remove(&path, false).map_err(Failure::touched)?;
    }
    Ok(Restored::default())
}

/// What is moved, from where to where.
type Ways = Vec<(PathBuf, PathBuf)>;

/// What has to make way for a file: what is in its place, and what a database left beside that.
fn ways(file: &Path, entry: &Entry, root: &Path) -> Result<Ways, Failure> {
    let kept: Vec<PathBuf> = entry.files.iter().flatten().filter_map(|file| decode(file)).collect();
    let mut away = vec![root.join(file)];
    for sidecar in SIDECARS {
        let mut name = file.as_os_str().to_owned();
        name.push(sidecar);
        if !kept.contains(&PathBuf::from(&name)) {
            away.push(root.join(name));
        }
    }
    let mut ways = Vec::new();
    for path in away {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Failure::new(FailureKind::Failed, format!("`{}` is a directory", path.display())));
            }
            Ok(_) => {
                let aside = before(&path, &entry.id)?;
                ways.push((path, aside));
            }
            Err(_) => {}
        }
    }
    Ok(ways)
}

fn put(files: &[(Ways, PathBuf)], root: &Path, staging: &Path, moves: &mut Moves) -> Result<(), Failure> {
    for (ways, file) in files {
        let target = root.join(file);
        local_file::make_dir(local_file::parent(&target), &Attributes::default())?;
        for (path, aside) in ways {
            moves.go(path, aside)?;
        }
        moves.go(&staging.join(file), &target)?;
    }
    Ok(())
}
/// Renames that were done and can be undone.
#[derive(Default)]
struct Moves {
    done: Vec<(PathBuf, PathBuf)>,
}

impl Moves {
    fn go(&mut self, from: &Path, to: &Path) -> Result<(), Failure> {
        local_file::rename(from, to)?;
        self.done.push((from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn undo(self) {
        for (from, to) in self.done.into_iter().rev() {
            let _ = local_file::rename(&to, &from);
        }
    }
}
