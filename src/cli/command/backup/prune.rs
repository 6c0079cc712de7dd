//! `windlass backup prune`: removes old backups, and never the last good one.

use super::account;
use super::keeper::Keeper;
use crate::cli::args::BackupPruneArgs;
use crate::cli::command::state::change;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::driver::Failure;
use crate::model::backup::MANAGED;
use crate::model::duration::parse_duration;
use crate::model::name::InstanceAddr;
use crate::model::retention::{Candidate, Retention, prunable};
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::view::{Kept, Whereabouts, count};

/// Runs the command.
pub(super) async fn run(args: &BackupPruneArgs, session: &Session) -> Result<Exit, Diagnostics> {
    let environments = session.environments(&args.which.scope())?;
    let locks = session.locks(&environments).await?;
    let given = rules(args)?;
    let mut problems = Diagnostics::new();
    for addr in account::chosen(session, &locks, &args.which.instances)? {
        let rules = if given.says_something() { given.clone() } else { account::policy(session, &addr).keep };
        if !rules.says_something() {
            if !args.which.instances.is_empty() {
                problems.push(
                    Diagnostic::error("nothing says how long backups are kept")
                        .detail(format!("{addr} declares no `keep` in its `backup`"))
                        .help("declare it, or give `--keep-last` or another rule"),
                );
            }
            continue;
        }
        problems.extend(prune(session, &addr, &rules, args.include_needed, args.dry_run).await?);
    }
    if problems.is_empty() { Ok(Exit::Done) } else { Err(problems) }
}

/// The rules of the command line.
fn rules(args: &BackupPruneArgs) -> Result<Retention, Diagnostics> {
    let within = args.keep_within.as_deref().map(parse_duration).transpose().map_err(|why| {
        Diagnostics::from(Diagnostic::error("duration cannot be read").detail(why).help("write it like `30d` or `12h`"))
    })?;
    let BackupPruneArgs { keep_last: last, keep_daily: daily, keep_weekly: weekly, keep_monthly: monthly, .. } = args;
    Ok(Retention { last: *last, within, daily: *daily, weekly: *weekly, monthly: *monthly })
}

/// Removes what the rules let go, and its records. Where that is interrupted between the two, the record says that the backup is
/// missing, and the next prune removes it.
pub(super) async fn prune(
    session: &Session,
    addr: &InstanceAddr,
    rules: &Retention,
    include_needed: bool,
    dry_run: bool,
) -> Result<Diagnostics, Diagnostics> {
    let environments: Vec<_> = session.estate.environments.keys().cloned().collect();
    let locks = session.locks(&environments).await?;
    let mut backups = account::of(session, &locks, addr).await;
    backups.retain(|kept| kept.backup.method != MANAGED);
    let candidates: Vec<Candidate> = backups.iter().map(|kept| candidate(kept, include_needed)).collect();
    let gone: Vec<&Kept> = prunable(&candidates, rules, session.place.now).into_iter().map(|place| &backups[place]).collect();
    let terminal = session.place.terminal;
    let mut problems = Diagnostics::new();
    for kept in &gone {
        if dry_run {
            terminal.say(&format!("{addr}: would remove backup {} of {}.", kept.backup.id, kept.backup.at));
            continue;
        }
        match remove(session, addr, kept).await {
            Ok(()) => {
                forget(session, addr, kept).await?;
                terminal.say(&format!("{addr}: removed backup {} of {}.", kept.backup.id, kept.backup.at));
            }
            Err(failure) => problems.push(
                Diagnostic::error("backup was not removed")
                    .fault(Fault::Platform)
                    .detail(format!("{addr}: backup {} in {}: {}", kept.backup.id, kept.backup.location, failure.message))
                    .help(failure.help.unwrap_or_else(|| "prune again, or remove it by hand".to_owned())),
            ),
        }
    }
    let needed = backups.iter().filter(|kept| kept.needed).count();
    let left = backups.len() - gone.len();
    let rollback = if needed > 0 && !include_needed { format!(", {needed} of them for a rollback") } else { String::new() };
    terminal.say(&format!("{addr}: {} kept{rollback}.", count(left, "backup")));
    Ok(problems)
}

fn candidate(kept: &Kept, include_needed: bool) -> Candidate {
    Candidate {
        at: kept.backup.at,
        // What is not there any more is no good one.
        verified: kept.backup.verified && kept.whereabouts != Whereabouts::Missing,
        consistent: kept.backup.consistent,
        set: kept.backup.set.as_ref().map(|set| set.name.clone()),
        parts: kept.backup.set.as_ref().map_or(0, |set| set.parts.len()),
        needed: kept.needed && !include_needed,
    }
}

async fn forget(session: &Session, addr: &InstanceAddr, kept: &Kept) -> Result<(), Diagnostics> {
    if kept.whereabouts == Whereabouts::Repository {
        return Ok(());
    }
    let environments: Vec<_> = session.estate.environments.keys().cloned().collect();
    let locks = session.locks(&environments).await?;
    let Some((environment, _)) = account::locked(&locks, addr) else { return Ok(()) };
    change(session, environment, "backup prune", |lock| {
        if let Some(locked) = lock.instances.get_mut(addr) {
            locked.backups.retain(|backup| backup.id != kept.backup.id || backup.location != kept.backup.location);
        }
    })
    .await
}

async fn remove(session: &Session, addr: &InstanceAddr, kept: &Kept) -> Result<(), Failure> {
    let backup = &kept.backup;
    if kept.whereabouts == Whereabouts::Missing {
        return Ok(());
    }
    if Keeper::knows(&backup.method) {
        return Keeper::of(session, addr, &backup.location, Some(&backup.method))?.remove(&backup.id).await;
    }
    Keeper::remove_file(session, addr, backup).await
}
