//! `windlass state prune`: removes what is kept of runs that nothing goes back by any more, here and in a shared store.
//!
//! A run's folder holds its plan, its journal, the logs of its commands and whatever its steps have replaced; a shared store has what
//! another machine would need of it. Both stay as long as the run is not through, a recorded hop can be undone with it, or something
//! that it opened is still open. Its entry in the history always stays.
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
use crate::state::{Lease, RunRecord};
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
    let pruned = prune(age, dry_run, session, &hold).await;
    hold.give_back(session).await;
    pruned
}

async fn prune(age: SignedDuration, dry_run: bool, session: &Session, hold: &Hold) -> Result<Exit, Diagnostics> {
    let folder = session.place.hidden.join("runs");
    let (mut here, mut there) = (Tally::default(), Tally::default());
    for record in prunable(age, session).await? {
        let path = folder.join(record.id.as_str());
        let local = path.is_dir().then(|| size_of(&path));
        let kept = match session.store.run_files() {
            Some(files) => files.weight(&record.id).await.map_err(|error| state_problem(&error))?,
            None => 0,
        };
        if local.is_none() && kept == 0 {
            continue;
        }
        if dry_run {
            let size = mebibytes(local.unwrap_or(0) + kept);
            session.place.terminal.data(&format!("{} {size} {}\n", record.id, outcome(&record)));
        }
        // The store first: what is removed there only may still be gone back by from here.
        if kept > 0 {
            there.add(kept);
            if let (false, Some(files), Some(lease)) = (dry_run, session.store.run_files(), lease_of(&record, hold)) {
                files.forget(&record.id, lease).await.map_err(|error| state_problem(&error))?;
            }
        }
        if let Some(size) = local {
            here.add(size);
            if !dry_run {
                remove(&path, &folder.join(format!("{GOING}{}", record.id)))?;
            }
        }
    }
    if !dry_run {
        finish_removals(&folder);
    }
    let what = if dry_run { "would be removed" } else { "removed" };
    session.place.terminal.say(&format!("{} {what}, {}.", count(here.count, "run folder"), mebibytes(here.bytes)));
    if session.store.run_files().is_some() {
        let place = session.store.describe();
        let runs = count(there.count, "run");
        session.place.terminal.say(&format!("{runs} {what} from {place}, {}.", mebibytes(there.bytes)));
    }
    Ok(Exit::Done)
}

/// How many were removed, and how large they were.
#[derive(Default)]
struct Tally {
    count: usize,
    bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// The runs that ended longer ago than that, and that nothing goes back by.
async fn prunable(age: SignedDuration, session: &Session) -> Result<Vec<RunRecord>, Diagnostics> {
    let environments: Vec<_> = session.estate.environments.keys().cloned().collect();
    let locks = session.locks(&environments).await?;
    let needed: String = locks.values().map(way_back).collect();
    let mut records = session.store.runs(ALL).await.map_err(|error| state_problem(&error))?;
    let open: BTreeSet<RunId> = crate::state::open_brackets(&records).into_iter().map(|open| open.run).collect();
    records.retain(|record| {
        let stays = is_unfinished(record)
            || record.ended.is_none_or(|ended| session.place.now.duration_since(ended) < age)
            || needed.contains(record.id.as_str())
            || open.contains(&record.id)
            // What its lockfile says is not known here.
            || record.moves.iter().any(|moved| !locks.contains_key(&moved.environment));
        !stays
    });
    Ok(records)
}

/// The lease of an environment in which a run was; of any, where it moved nothing.
fn lease_of<'a>(record: &RunRecord, hold: &'a Hold) -> Option<&'a Lease> {
    let own = record.moves.iter().find_map(|moved| hold.leases.get(&moved.environment));
    own.or_else(|| hold.leases.values().next())
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
