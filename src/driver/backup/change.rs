//! What changed while a backup was made: the source looked at before and after. Pure.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::entry::encode;
use super::repository::{Source, Wish};
use crate::driver::archive::walk::{Found, Walk};
use crate::driver::{Failure, FailureKind};

/// How many paths that changed are remembered.
const CHANGES: usize = 100;

/// Looks again, and gives all that changed: what was seen while reading, and what is not as it was. That is a failure, unless the
/// caller takes what is possibly inconsistent.
pub(super) fn all_changes(source: &Source, wish: &Wish, before: &Walk, mut seen: Vec<String>) -> Result<Vec<String>, Failure> {
    seen.extend(changes(before, &source.walk()?));
    seen.sort();
    seen.dedup();
    if !seen.is_empty() && !wish.allow_inconsistent && !wish.running {
        return Err(inconsistent(source, &seen));
    }
    seen.truncate(CHANGES);
    Ok(seen)
}

fn inconsistent(source: &Source, changed: &[String]) -> Failure {
    let first = changed.iter().take(10).map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
    let more = if changed.len() > 10 { " and more" } else { "" };
    let message = format!("`{}` changed while it was backed up: {first}{more}", source.root.display());
    Failure::new(FailureKind::Failed, message)
        .help("stop what writes there first, exclude what may change, or write `running = true` for a first pass")
}

/// What is not as it was.
fn changes(before: &Walk, after: &Walk) -> Vec<String> {
    let stamp = |found: &Found| {
        let content = found.metadata.is_file().then(|| Found::stamp(&found.metadata));
        (found.metadata.mode(), found.target.clone(), content)
    };
    let mut old: BTreeMap<&Path, &Found> = before.found.iter().map(|found| (found.path.as_path(), found)).collect();
    let mut changed = Vec::new();
    for found in &after.found {
        match old.remove(found.path.as_path()) {
            Some(was) if stamp(was) == stamp(found) => {}
            _ => changed.push(encode(&found.path)),
        }
    }
    changed.extend(old.into_keys().map(encode));
    changed
}
