//! What is backed up, found out and checked before anything is read; and the clock by which old backups go.
#![expect(clippy::disallowed_methods, reason = "a door: looks at the source, reads the clock")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::entry::Entry;
use super::repository::{Source, Wish};
use super::restore::SIDECARS;
use crate::driver::archive::tree::clean;
use crate::driver::archive::walk::{Found, Walk, globs, walk};
use crate::driver::host::{io_failure, local_file};
use crate::driver::{Failure, FailureKind};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// The folder or file.
    pub(super) path: PathBuf,
    /// Only these files of it.
    pub(super) files: Vec<String>,
    /// Patterns of what is left out.
    pub(super) exclude: Vec<String>,
    /// More such patterns, by the name of the set that they are of.
    pub(super) sets: BTreeMap<String, Vec<String>>,
}

/// The source that a path (and perhaps files in it) means.
pub(super) fn source(asked: &Asked, repository: &Path) -> Result<Source, Failure> {
    let Asked { path, files, exclude, sets } = asked;
    let exclude: Vec<String> = exclude.iter().chain(sets.values().flatten()).cloned().collect();
    let source = found(path, files, &exclude, repository)?;
    Ok(Source { excluded: sets.clone(), ..source })
}

fn found(path: &Path, files: &[String], exclude: &[String], repository: &Path) -> Result<Source, Failure> {
    let real = fs::canonicalize(path).map_err(|error| io_failure("back up", path, &error))?;
    let invalid = |message: String| Failure::new(FailureKind::Invalid, format!("backup: {message}"));
    if !real.is_dir() {
        if !files.is_empty() || !exclude.is_empty() {
            return Err(invalid("`files` and `exclude` need a `path` that is a directory".to_owned()));
        }
        let (Some(root), Some(name)) = (real.parent(), real.file_name()) else {
            return Err(invalid(format!("`{}` cannot be backed up", path.display())));
        };
        let files = Some(with_sidecars(root, vec![name.into()]));
        return Ok(Source { files, ..Source::of(root.to_owned()) });
    }
    if !files.is_empty() {
        if !exclude.is_empty() {
            return Err(invalid("only one of `files`, `exclude` can be given".to_owned()));
        }
        let mut paths = Vec::new();
        for file in files {
            match clean(Path::new(file), 0) {
                Ok(Some(file)) => paths.push(file),
                _ => return Err(invalid(format!("`files` holds `{}`, which is not below `path`", file.escape_debug()))),
            }
        }
        return Ok(Source { files: Some(with_sidecars(&real, paths)), ..Source::of(real) });
    }
    // A backup that holds the repository would hold itself, and grow with each.
    let repository = fs::canonicalize(repository).unwrap_or_else(|_| repository.to_owned());
    if let Ok(inside) = repository.strip_prefix(&real) {
        let exclude = globs(exclude).map_err(|error| invalid(error.to_string()))?;
        if !inside.ancestors().any(|above| exclude.is_match(above)) {
            return Err(invalid("`repository` lies inside of what is backed up".to_owned())
                .help("let it lie elsewhere, best on another disk, or exclude it"));
        }
    }
    Ok(Source { exclude: exclude.to_vec(), ..Source::of(real) })
}

/// The files and what a database left beside them.
fn with_sidecars(root: &Path, files: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut all = files.clone();
    for file in &files {
        for sidecar in SIDECARS {
            let mut name = OsString::from(file);
            name.push(sidecar);
            if root.join(&name).is_file() {
                all.push(name.into());
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

/// A path of this machine without links, as far as it is there.
pub(super) fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.components().collect())
}

/// Whether a backup is one of this path, which has no link in it.
pub(super) fn is_of(real: &Path, entry: &Entry) -> bool {
    real == Path::new(&entry.path) || entry.files.iter().flatten().any(|file| real == Path::new(&entry.path).join(file))
}

impl Source {
    /// All of a folder.
    fn of(root: PathBuf) -> Self {
        Self { from: root.clone(), root, files: None, exclude: Vec::new(), excluded: BTreeMap::new() }
    }

    /// What there is now.
    pub(super) fn walk(&self) -> Result<Walk, Failure> {
        let Some(files) = &self.files else {
            let exclude = globs(&self.exclude).map_err(|error| Failure::new(FailureKind::Invalid, error.to_string()))?;
            return walk(&self.from, &exclude);
        };
        let mut walk = Walk::default();
        for path in files {
            let full = self.from.join(path);
            let metadata = fs::symlink_metadata(&full).map_err(|error| io_failure("back up", &full, &error))?;
            if !metadata.is_file() {
                return Err(Failure::new(FailureKind::Failed, format!("`{}` is not a regular file", full.display())));
            }
            walk.bytes += metadata.len();
            walk.found.push(Found { path: path.clone(), metadata, target: None });
        }
        Ok(walk)
    }
}

/// Whether the repository has room for all of it as it is.
pub(super) fn check_space(repository: &Path, walk: &Walk, wish: &Wish) -> Result<(), Failure> {
    let free = local_file::space(repository)?.free;
    if !wish.check_space || free >= walk.bytes {
        return Ok(());
    }
    let message = format!("`{}` has {free} bytes free, and what is backed up is {} bytes long", repository.display(), walk.bytes);
    Err(Failure::new(FailureKind::Failed, message)
        .help("free some space, prune old backups, or write `check_space = false` if it compresses well"))
}

/// A name for a new backup: when it was begun, and something that no other has.
pub(super) fn fresh_id() -> String {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{now}-{}", &uuid::Uuid::new_v4().simple().to_string()[..8])
}

/// The clock.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
