//! The folder of a run in a store that other machines reach: brought there, brought here, and brought in line before a run goes on.
//!
//! The store's journal is the one that counts: an action begins only once its beginning stands there. What a machine has written
//! besides, and nobody has seen, is put aside where another machine went on without it.
#![expect(clippy::disallowed_methods, reason = "a door to the folder of a run")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::folder;
use super::journal::{raw, sync_folder};
use crate::model::name::RunId;
use crate::source::{Diagnostic, Fault};
use crate::state::{Lease, RunFiles, StateError, Store, durable};

/// Says that no process of this machine has written a run's folder: it was only brought here.
const FETCHED: &str = "fetched";
/// What every run has.
const PLAN: &str = "plan.json";
const BASE: &str = "base.json";

/// Puts plan and lockfiles of a new run into the store.
pub(super) async fn publish(dir: &Path, run: &RunId, store: &dyn Store, lease: Option<&Lease>) -> Result<(), Diagnostic> {
    let (Some(files), Some(lease)) = (store.run_files(), lease) else { return Ok(()) };
    for name in [BASE, PLAN] {
        let path = dir.join(name);
        let content = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        files.put_file(run, name, &content, lease).await.map_err(|error| {
            let problem = Diagnostic::error("the run cannot be kept in the store").fault(Fault::Platform).detail(error.to_string());
            problem.help("nothing was begun: see to the store and try again")
        })?;
    }
    Ok(())
}

/// Brings the folder of a run here, where the store has it and no process of this machine writes it: to look at it, or to go on. What
/// a process of this machine has written is put aside where another machine has gone on since.
///
/// # Errors
/// The store cannot be reached, or the folder cannot be written.
pub async fn fetch(dir: &Path, run: &RunId, store: &dyn Store) -> Result<(), Diagnostic> {
    let Some(files) = store.run_files() else { return Ok(()) };
    let journal = folder::journal(dir);
    if journal.exists() && !dir.join(FETCHED).exists() {
        // The store first: whoever writes here is ahead of it. What is damaged is told by who reads it.
        let there = files.journal(run).await.map_err(|error| away(&error))?.concat();
        if raw(&journal).is_ok_and(|here| !here.starts_with(&there)) {
            put_aside(&journal, &there)?;
            write(&dir.join(FETCHED), b"")?;
        }
        return fetch_files(dir, run, files).await;
    }
    let names = files.file_names(run).await.map_err(|error| away(&error))?;
    if !names.iter().any(|name| name == PLAN) {
        return Ok(());
    }
    write(&dir.join(FETCHED), b"")?;
    fetch_files(dir, run, files).await?;
    let journal = files.journal(run).await.map_err(|error| away(&error))?.concat();
    write(&folder::journal(dir).join("000001.log"), &journal)
}

/// Brings the files here that are not.
async fn fetch_files(dir: &Path, run: &RunId, files: &dyn RunFiles) -> Result<(), Diagnostic> {
    for name in files.file_names(run).await.map_err(|error| away(&error))? {
        let Some(path) = place(dir, &name) else { continue };
        if name.ends_with('/') {
            super::journal::make_folder(&path).map_err(|error| unwritable(&path, &error))?;
        } else if !path.exists()
            && let Some(content) = files.file(run, &name).await.map_err(|error| away(&error))?
        {
            write(&path, &content)?;
        }
    }
    Ok(())
}

/// Brings the folder here in line with the store, for a process that goes on with the run and holds it. Answers the number of the
/// journal's next chunk.
pub(super) async fn take_up(dir: &Path, run: &RunId, store: &dyn Store, lease: Option<&Lease>) -> Result<u64, Diagnostic> {
    let (Some(files), Some(lease)) = (store.run_files(), lease) else { return Ok(1) };
    let names: BTreeSet<String> = files.file_names(run).await.map_err(|error| away(&error))?.into_iter().collect();
    if !names.contains(PLAN) && dir.join(PLAN).exists() {
        // It was killed before anything came to the store, or began when state was local.
        publish(dir, run, store, Some(lease)).await?;
    }
    fetch(dir, run, store).await?;
    let chunks = files.journal(run).await.map_err(|error| away(&error))?;
    let next = chunks.len() as u64 + 1;
    let (there, journal) = (chunks.concat(), folder::journal(dir));
    let here = raw(&journal).map_err(|error| {
        let problem = Diagnostic::error("the journal cannot be read").fault(Fault::Platform).detail(error.to_string());
        problem.help("remove the run's folder here: the store has what counts")
    })?;
    let next = match here.strip_prefix(there.as_slice()) {
        Some([]) => next,
        Some(rest) => {
            // Results that the store could not take when they came.
            files.append(run, next, rest, lease).await.map_err(|error| away(&error))?;
            next + 1
        }
        None => {
            put_aside(&journal, &there)?;
            next
        }
    };
    let marker = dir.join(FETCHED);
    match fs::remove_file(&marker) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unwritable(&marker, &error)),
        _ => Ok(next),
    }
}

/// Replaces the journal here by the store's. What stood here stays beside it.
fn put_aside(journal: &Path, there: &[u8]) -> Result<(), Diagnostic> {
    let fresh = journal.with_extension("new");
    write(&fresh.join("000001.log"), there)?;
    let free = |number: &u32| !journal.with_extension(format!("aside-{number}")).exists();
    let aside = journal.with_extension(format!("aside-{}", (1..).find(free).unwrap_or(0)));
    let renamed = match fs::rename(journal, &aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => fs::rename(&fresh, journal).and_then(|()| sync_folder(journal.parent().unwrap_or(journal))),
    };
    renamed.map_err(|error| unwritable(journal, &error))
}

/// Where a file of the store belongs. `None`: nowhere in the folder.
fn place(dir: &Path, name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let is_below = !name.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)));
    is_below.then(|| dir.join(path))
}

/// Private: it may hold what was in files of the platform.
fn write(path: &Path, content: &[u8]) -> Result<(), Diagnostic> {
    durable::replace(path, content, 0o600).map_err(|error| unwritable(path, &error))
}

fn away(error: &StateError) -> Diagnostic {
    Diagnostic::error("the run cannot be brought here")
        .fault(Fault::Platform)
        .detail(error.to_string())
        .help("nothing was done: see to the store and try again")
}

fn unwritable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error("the run's folder cannot be written")
        .fault(Fault::Platform)
        .detail(format!("{}: {error}", path.display()))
        .help("make room, or see to its permissions; nothing was done")
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error("the run's folder cannot be read")
        .fault(Fault::Platform)
        .detail(format!("{}: {error}", path.display()))
        .help("see to its permissions; or remove it here where the store has the run: it is fetched again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_of_the_folder_are_nowhere() {
        let dir = Path::new("/run");
        assert_eq!(place(dir, "actions/a/1/kept.json"), Some(PathBuf::from("/run/actions/a/1/kept.json")));
        for bad in ["", "/etc/passwd", "../x", "actions/../../x", "./x"] {
            assert_eq!(place(dir, bad), None, "{bad}");
        }
    }
}
