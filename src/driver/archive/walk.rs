//! What lies below a folder, in the order of the names, without following links.
//!
//! Takes a folder and patterns to leave out. Gives metadata only; opens no file.
#![expect(clippy::disallowed_methods, reason = "a door: lists folders")]

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::driver::host::io_failure;
use crate::driver::{Args, Failure};

/// Something below the folder.
#[derive(Debug, Clone)]
pub(in crate::driver) struct Found {
    /// Relative to the folder.
    pub(in crate::driver) path: PathBuf,
    /// Its own, not that of what it leads to.
    pub(in crate::driver) metadata: Metadata,
    /// Where a symbolic link leads.
    pub(in crate::driver) target: Option<PathBuf>,
}

impl Found {
    /// A regular file's content is the same as long as this is.
    pub(in crate::driver) fn stamp(metadata: &Metadata) -> (u64, i64, i64, i64, i64, u64) {
        (metadata.size(), metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec(), metadata.ino())
    }
}

/// What a walk found.
#[derive(Debug, Default)]
pub(in crate::driver) struct Walk {
    /// Files, directories and symbolic links; what is above comes first.
    pub(in crate::driver) found: Vec<Found>,
    /// Sockets, pipes and devices, which are never kept.
    pub(in crate::driver) skipped: Vec<PathBuf>,
    /// Bytes in files.
    pub(in crate::driver) bytes: u64,
}

/// Patterns relative to the folder.
pub(in crate::driver) fn patterns(args: &Args<'_>, name: &str) -> Result<Vec<String>, Failure> {
    let patterns = args.texts(name)?;
    globs(&patterns).map_err(|error| args.invalid(format_args!("`{name}`: {error}")))?;
    Ok(patterns)
}

/// The patterns, ready. They are anchored: `logs` is the folder's own `logs`, `**/logs` is any.
pub(in crate::driver) fn globs(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let pattern = pattern.trim_start_matches("./").trim_matches('/');
        set.add(GlobBuilder::new(pattern).literal_separator(true).build()?);
    }
    set.build()
}

/// Walks a folder. What vanishes meanwhile is left out.
pub(in crate::driver) fn walk(root: &Path, exclude: &GlobSet) -> Result<Walk, Failure> {
    let mut walk = Walk::default();
    let mut open = vec![children(root, Path::new(""))?];
    while let Some(level) = open.last_mut() {
        let Some(path) = level.pop() else {
            open.pop();
            continue;
        };
        if exclude.is_match(&path) {
            continue;
        }
        let full = root.join(&path);
        let metadata = match fs::symlink_metadata(&full) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io_failure("look at", &full, &error)),
        };
        let target = if metadata.is_symlink() {
            Some(fs::read_link(&full).map_err(|error| io_failure("read the link", &full, &error))?)
        } else {
            None
        };
        if metadata.is_file() {
            walk.bytes += metadata.len();
        } else if metadata.is_dir() {
            match children(root, &path) {
                Ok(children) => open.push(children),
                Err(_) if !full.exists() => continue,
                Err(failure) => return Err(failure),
            }
        } else if !metadata.is_symlink() {
            walk.skipped.push(path);
            continue;
        }
        walk.found.push(Found { path, metadata, target });
    }
    Ok(walk)
}

/// The names in a folder as relative paths, the last first.
fn children(root: &Path, path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let full = root.join(path);
    let names =
        fs::read_dir(&full).and_then(|entries| entries.map(|entry| entry.map(|entry| path.join(entry.file_name()))).collect());
    let mut names: Vec<PathBuf> = names.map_err(|error: io::Error| io_failure("list", &full, &error))?;
    names.sort_by(|a, b| b.cmp(a));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_unless_they_say_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["logs/a", "config/logs/b", "x.tmp", "deep/y.tmp", "kept"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "1").unwrap();
        }
        let names = |patterns: &[&str]| -> Vec<String> {
            let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            let walk = walk(dir.path(), &globs(&patterns).unwrap()).unwrap();
            walk.found.iter().map(|found| found.path.to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(&["logs/", "*.tmp"]), ["config", "config/logs", "config/logs/b", "deep", "deep/y.tmp", "kept"]);
        assert_eq!(names(&["**/logs", "**/*.tmp"]), ["config", "deep", "kept"]);
    }
}
