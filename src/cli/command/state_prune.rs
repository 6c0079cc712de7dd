//! `windlass state prune`: removes the folders of runs that nothing goes back by any more.
//!
//! A run's folder holds its plan, its journal, the logs of its commands and whatever its steps have replaced. It stays as long as
//! the run is not through, a recorded hop can be undone with it, or something that it opened is still open. Its entry in the
//! history always stays.
#![expect(clippy::disallowed_methods, reason = "a door to the folders of runs")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jiff::SignedDuration;

use super::run::is_unfinished;
use crate::cli::exit::Exit;
use crate::cli::hold::Hold;
use crate::cli::problem::{file_problem, state_problem};
use crate::cli::session::Session;
use crate::lock::{self, Lock};
use crate::model::duration::parse_duration;
use crate::model::name::RunId;
use crate::source::{Diagnostic, Diagnostics};
use crate::state::RunRecord;
use crate::view::count;

/// Runs as many as there are.
const ALL: usize = 1_000_000;

/// What a folder is called while it is removed: a run of that name never was.
const GOING: &str = ".removing-";

/// Runs the command.
pub(super) async fn run(older_than: &str, dry_run: bool, session: &Session) -> Result<Exit, Diagnostics> {
    let age = parse_duration(older_than).map_err(|why| {
        Diagnostic::error("duration cannot be read")
            .detail(format!("`--older-than {older_than}`: {why}"))
            .help("write it like `30d` or `12h`")
    })?;
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    let environments: Vec<_> = session.estate.environments.keys().cloned().collect();
    // Nobody begins to go back by a folder while it is removed.
    let hold = Hold::take(session, &environments, "state prune", None, None).await?;
    let pruned = prune(age, dry_run, session).await;
    hold.give_back(session).await;
    pruned
}

async fn prune(age: SignedDuration, dry_run: bool, session: &Session) -> Result<Exit, Diagnostics> {
    let environments: Vec<_> = session.estate.environments.keys().cloned().collect();
    let locks = session.locks(&environments).await?;
    let needed: String = locks.values().map(way_back).collect();
    let records = session.store.runs(ALL).await.map_err(|error| state_problem(&error))?;
    let open: BTreeSet<RunId> = crate::state::open_brackets(&records).into_iter().map(|open| open.run).collect();
    let folder = session.place.hidden.join("runs");
    let (mut gone, mut freed) = (0, 0);
    for record in &records {
        let path = folder.join(record.id.as_str());
        let stays = is_unfinished(record)
            || record.ended.is_none_or(|ended| session.place.now.duration_since(ended) < age)
            || needed.contains(record.id.as_str())
            || open.contains(&record.id)
            // What its lockfile says is not known here.
            || record.moves.iter().any(|moved| !locks.contains_key(&moved.environment));
        if stays || !path.is_dir() {
            continue;
        }
        let size = size_of(&path);
        if dry_run {
            session.place.terminal.data(&format!("{} {} {}\n", record.id, mebibytes(size), outcome(record)));
        } else {
            remove(&path, &folder.join(format!("{GOING}{}", record.id)))?;
        }
        (gone, freed) = (gone + 1, freed + size);
    }
    if !dry_run {
        finish_removals(&folder);
    }
    let what = if dry_run { "would be removed" } else { "removed" };
    session.place.terminal.say(&format!("{} {what}, {}.", count(gone, "run folder"), mebibytes(freed)));
    Ok(Exit::Done)
}

/// What of a lockfile names runs that it goes back by: hops with the results that their undo uses, and no backup, which lies elsewhere.
fn way_back(lock: &Lock) -> String {
    let mut lock = lock.clone();
    for locked in lock.instances.values_mut() {
        locked.backups.clear();
    }
    lock::encode(&lock)
}

fn outcome(record: &RunRecord) -> String {
    serde_json::to_value(record.outcome).ok().and_then(|outcome| outcome.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Out of the way in one go: a folder that is half removed is never taken for a run.
fn remove(path: &Path, going: &Path) -> Result<(), Diagnostic> {
    fs::rename(path, going)
        .and_then(|()| fs::remove_dir_all(going))
        .map_err(|error| file_problem("run folder cannot be removed", path, &error))
}

/// What an earlier process had begun to remove.
fn finish_removals(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(GOING)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn size_of(path: &Path) -> u64 {
    let mut size = 0;
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => size += metadata.len(),
                Err(_) => {}
            }
        }
    }
    size
}

fn mebibytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20)
}
