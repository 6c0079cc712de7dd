//! `windlass init --migrate-state`: brings state from files to a shared backend.
#![expect(clippy::disallowed_methods, reason = "a door to the configuration's folder: lockfiles that were copied are put away")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::cli::args::InitArgs;
use crate::cli::backend::lockfiles_in;
use crate::cli::command::run::is_unfinished;
use crate::cli::hold::holder;
use crate::cli::problem::{file_problem, state_problem};
use crate::cli::session::Place;
use crate::lock::Lock;
use crate::model::name::EnvironmentName;
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::state::{LocalStore, Store};
use crate::view::count;

/// Copies lockfiles, kept providers and history, after asking. Lockfiles are put away once everything is there, so that nobody takes
/// them for the state.
pub(super) async fn migrate(args: &InitArgs, place: &Place, store: &dyn Store) -> Result<(), Diagnostics> {
    let folder = args.lockfiles.as_ref().map_or_else(|| place.root.clone(), |folder| place.root.join(folder));
    let local = LocalStore::new(&folder, place.hidden.join("state"));
    let problem = |error| Diagnostics::from(state_problem(&error));
    let runs = local.runs(usize::MAX).await.map_err(problem)?;
    if let Some(run) = runs.iter().find(|run| is_unfinished(run)) {
        return Err(Diagnostic::error("run is not finished")
            .fault(Fault::Refused)
            .detail(format!("run {} was begun at {} and has not ended: its files are on this machine", run.id, run.began))
            .help("end it with the local backend first: `windlass resume`, `rollback` or `abandon`")
            .into());
    }
    let mut locks = Vec::new();
    for path in lockfiles_in(&folder) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.trim_start_matches("windlass.").trim_end_matches(".lock");
        locks.extend(local.read(&EnvironmentName::new(name)).await.map_err(problem)?);
    }
    let kept = local.kept_digests().map_err(problem)?;
    if locks.is_empty() && runs.is_empty() {
        place.terminal.say(&format!("There is no local state in {}.", folder.display()));
        return Ok(());
    }
    check_free(&locks, store).await?;
    ask(args, place, &locks, runs.len(), store)?;
    for digest in &kept {
        if let Some(content) = local.kept(digest).await.map_err(problem)? {
            store.keep(digest, &content).await.map_err(problem)?;
        }
    }
    let there: BTreeSet<_> = store.runs(usize::MAX).await.map_err(problem)?.into_iter().map(|run| run.id).collect();
    for run in runs.iter().filter(|run| !there.contains(&run.id)) {
        store.put_run(run).await.map_err(problem)?;
    }
    for lock in &locks {
        copy(lock, &local, store).await?;
    }
    put_away(&folder, place)?;
    let (lockfiles, runs) = (count(locks.len(), "lockfile"), count(runs.len(), "run"));
    place.terminal.say(&format!("{lockfiles} and {runs} were copied to {}.", store.describe()));
    Ok(())
}

/// Nothing there is written over: another may have applied already.
async fn check_free(locks: &[Lock], store: &dyn Store) -> Result<(), Diagnostics> {
    let mut problems = Diagnostics::new();
    for lock in locks {
        match store.read(&lock.environment).await {
            Err(error) => problems.push(state_problem(&error)),
            Ok(Some(there)) if there != *lock => problems.push(
                Diagnostic::error("state is there already")
                    .fault(Fault::Refused)
                    .detail(format!(
                        "environment `{}` has lineage {} and serial {} in {}, here {} and {}",
                        lock.environment,
                        there.lineage,
                        there.serial,
                        store.describe(),
                        lock.lineage,
                        lock.serial
                    ))
                    .help("look which of the two is right; remove the lockfile here if it is the other"),
            ),
            Ok(_) => {}
        }
    }
    if problems.has_errors() { Err(problems) } else { Ok(()) }
}

fn ask(args: &InitArgs, place: &Place, locks: &[Lock], runs: usize, store: &dyn Store) -> Result<(), Diagnostic> {
    let terminal = place.terminal;
    terminal.say(&format!("To be copied to {}:", store.describe()));
    for lock in locks {
        let instances = count(lock.instances.len(), "instance");
        terminal.say(&format!("  the lockfile of {}: serial {}, {instances}", lock.environment, lock.serial));
    }
    terminal.say(&format!("  the history of {}", count(runs, "run")));
    if args.auto_approve || terminal.confirm("Copy it? The local lockfiles are put away afterwards.") == Some(true) {
        return Ok(());
    }
    Err(Diagnostic::error("nothing was copied")
        .fault(Fault::Refused)
        .detail("nobody said yes")
        .help("answer `yes`, or give `--auto-approve` where nobody can be asked"))
}

/// Copies one lockfile, while nobody applies, neither here nor there.
async fn copy(lock: &Lock, local: &LocalStore, store: &dyn Store) -> Result<(), Diagnostics> {
    let problem = |error| Diagnostics::from(state_problem(&error));
    if store.read(&lock.environment).await.map_err(problem)?.is_some() {
        return Ok(());
    }
    let here = local.acquire(&lock.environment, &holder("init", None)).await.map_err(problem)?;
    let copied = async {
        let there = store.acquire(&lock.environment, &holder("init", None)).await?;
        let written = store.write(lock, &there).await;
        let released = store.release(&there).await;
        written.and(released)
    }
    .await;
    local.release(&here).await.map_err(problem)?;
    copied.map_err(problem)
}

fn put_away(folder: &Path, place: &Place) -> Result<(), Diagnostic> {
    let away = place.hidden.join("state/migrated");
    let failed = |path: &Path, error: &std::io::Error| file_problem("lockfile cannot be put away", path, error);
    fs::create_dir_all(&away).map_err(|error| failed(&away, &error))?;
    for path in lockfiles_in(folder) {
        let to = away.join(path.file_name().unwrap_or_default());
        // Another file system may be in between.
        let moved = fs::rename(&path, &to).or_else(|_| fs::copy(&path, &to).and_then(|_| fs::remove_file(&path)));
        moved.map_err(|error| failed(&path, &error))?;
        place.terminal.say(&format!("{} lies in {} now; remove it from git.", path.display(), away.display()));
    }
    Ok(())
}
