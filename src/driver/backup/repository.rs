//! Where backups are kept. The driver knows a repository only by this trait, so that one which stores increments can stand beside
//! the one of plain tars.
//!
//! The contract: a backup is in the list only once it is complete and durable; one that was interrupted never is; removing takes it
//! from the list before its data goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::entry::{Entry, SetPart};
use crate::driver::intent::Intent;
use crate::driver::transfer::Watch;
use crate::driver::{Args, Failure};

/// What is backed up.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The folder, with no symbolic link in its path.
    pub(super) root: PathBuf,
    /// Where it is read: the folder itself, or where a snapshot of it is mounted.
    pub(super) from: PathBuf,
    /// Only these files, relative to it; else everything.
    pub(super) files: Option<Vec<PathBuf>>,
    /// Patterns of what is left out, those of sets among them.
    pub(super) exclude: Vec<String>,
    /// The sets by name.
    pub(super) excluded: BTreeMap<String, Vec<String>>,
}

/// What the caller says about a backup that is to be made.
#[derive(Clone)]
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
    /// Whether what writes there runs: the backup is possibly inconsistent, whatever was seen.
    pub(super) running: bool,
    /// The matched set that it is a part of.
    pub(super) set: Option<Membership>,
    /// Where the backup is written down right before it counts.
    pub(super) intent: Intent,
}

/// The matched set that a backup is to be a part of.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    /// The set's name; that of the backup itself where it is the first part.
    pub(crate) name: Option<String>,
    /// Which part.
    pub(crate) part: String,
    /// All that there must be.
    pub(crate) parts: Vec<String>,
}

impl Membership {
    /// What stands on the backup of this id.
    pub(crate) fn of(&self, id: &str) -> SetPart {
        let Self { name, part, parts } = self.clone();
        SetPart { name: name.unwrap_or_else(|| id.to_owned()), part, parts }
    }

    /// The argument `set`: a name, or an object with `name`, `part` and `parts`.
    pub(crate) fn read(args: &Args<'_>) -> Result<Option<Self>, Failure> {
        let Some(value) = args.value("set") else { return Ok(None) };
        if let Some(name) = value.as_str() {
            return Ok(Some(Self { name: Some(name.to_owned()), part: "backup".to_owned(), parts: Vec::new() }));
        }
        let wrong = || args.invalid("`set` must be a name, or an object with `part`, `parts` and (but for the first part) `name`");
        let object = value.as_object().ok_or_else(wrong)?;
        if object.keys().any(|key| !["name", "part", "parts"].contains(&&**key)) {
            return Err(wrong());
        }
        let inner = Args::new("backup", object);
        let part = inner.needed_text("part").map_err(|_| wrong())?;
        let parts = inner.texts("parts").map_err(|_| wrong())?;
        if !parts.is_empty() && !parts.contains(&part) {
            return Err(args.invalid("`set.part` is not among `set.parts`"));
        }
        Ok(Some(Self { name: inner.text("name").map_err(|_| wrong())?, part, parts }))
    }
}

/// Keeps backups.
pub(super) trait Repository {
    /// Makes one. Right before it comes into the list it is written down in `wish.intent`; a failure says whether it may be there.
    fn create(&self, source: &Source, wish: &Wish, watch: &mut Watch) -> Result<Entry, Failure>;

    /// Reads one back fully, compares it with its manifest, and records that it was right.
    fn verify(&self, entry: &Entry, watch: &mut Watch) -> Result<Entry, Failure>;

    /// Looks quickly whether one that is listed is there and whole, without reading its data.
    fn look(&self, entry: &Entry, watch: &mut Watch) -> Result<(), Failure>;

    /// Records that one was not right when it was read back.
    fn doubt(&self, entry: &Entry) -> Result<(), Failure>;

    /// Writes one into an empty folder, checking as it writes; gives the relative paths of the files.
    fn extract(&self, entry: &Entry, into: &Path, watch: &mut Watch) -> Result<Vec<PathBuf>, Failure>;

    /// Those that are complete, oldest first.
    fn list(&self) -> Result<Vec<Entry>, Failure>;

    /// Removes one; one that is not there is fine.
    fn remove(&self, id: &str) -> Result<(), Failure>;

    /// Frees what only removed backups used, where removing does not do so by itself.
    fn compact(&self, _watch: &mut Watch) -> Result<(), Failure> {
        Ok(())
    }
}
