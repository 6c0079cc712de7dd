//! What is backed up, found out and checked before anything is read; and the clock by which old backups go.
#![expect(clippy::disallowed_methods, reason = "a door: looks at the source, reads the clock")]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::entry::Entry;
use super::repository::Source;
use super::restore::SIDECARS;
use crate::driver::archive::tree::clean;
use crate::driver::archive::walk::globs;
use crate::driver::host::io_failure;
use crate::driver::{Failure, FailureKind};

/// The source that a path (and perhaps files in it) means.
pub(super) fn source(path: &Path, files: &[String], exclude: &[String], repository: &Path) -> Result<Source, Failure> {
    let real = fs::canonicalize(path).map_err(|error| io_failure("back up", path, &error))?;
    let invalid = |message: String| Failure::new(FailureKind::Invalid, format!("backup: {message}"));
    if !real.is_dir() {
        if !files.is_empty() || !exclude.is_empty() {
            return Err(invalid("`files` and `exclude` need a `path` that is a directory".to_owned()));
        }
        let (Some(root), Some(name)) = (real.parent(), real.file_name()) else {
            return Err(invalid(format!("`{}` cannot be backed up", path.display())));
        };
        return Ok(Source { root: root.to_owned(), files: Some(with_sidecars(root, vec![name.into()])), exclude: Vec::new() });
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
        return Ok(Source { files: Some(with_sidecars(&real, paths)), root: real, exclude: Vec::new() });
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
    Ok(Source { root: real, files: None, exclude: exclude.to_vec() })
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

/// Whether a backup is one of this path.
pub(super) fn is_of(path: &Path, entry: &Entry) -> bool {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.components().collect());
    real == Path::new(&entry.path) || entry.files.iter().flatten().any(|file| real == Path::new(&entry.path).join(file))
}

/// The clock.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
