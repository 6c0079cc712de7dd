//! Where backups are kept. The driver knows a repository only by this trait, so that one which stores increments can stand beside
//! the one of plain tars.
//!
//! The contract: a backup is in the list only once it is complete and durable; one that was interrupted never is; removing takes it
//! from the list before its data goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use crate::driver::Failure;
use crate::driver::transfer::Watch;

/// What is backed up.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The folder, with no symbolic link in its path.
    pub(super) root: PathBuf,
    /// Only these files, relative to it; else everything.
    pub(super) files: Option<Vec<PathBuf>>,
    /// Patterns of what is left out.
    pub(super) exclude: Vec<String>,
}

/// What the caller says about a backup that is to be made.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) labels: BTreeMap<String, String>,
    /// Strength of the compression.
    pub(super) level: i32,
    /// Whether a source that changed meanwhile is no failure.
    pub(super) allow_inconsistent: bool,
    /// Whether the repository must have room for the source as it is.
    pub(super) check_space: bool,
    /// Whether it is read back.
    pub(super) verify: bool,
}

/// Keeps backups.
pub(super) trait Repository {
    /// Makes one.
    fn create(&self, source: &Source, wish: &Wish, watch: &mut Watch) -> Result<Entry, Failure>;

    /// Reads one back fully, compares it with its manifest, and records that it was right.
    fn verify(&self, entry: &Entry, watch: &mut Watch) -> Result<Entry, Failure>;

    /// Writes one into an empty folder, checking as it writes; gives the relative paths of the files.
    fn extract(&self, entry: &Entry, into: &Path, watch: &mut Watch) -> Result<Vec<PathBuf>, Failure>;

    /// Those that are complete, oldest first.
    fn list(&self) -> Result<Vec<Entry>, Failure>;

    /// Removes one; one that is not there is fine.
    fn remove(&self, id: &str) -> Result<(), Failure>;
}
