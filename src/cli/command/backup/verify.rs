//! `windlass backup verify`: reads backups back, and records how that went.

use super::account;
use super::keeper::Keeper;
use crate::cli::args::BackupVerifyArgs;
use crate::cli::command::state::change;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::driver::{Failure, FailureKind};
use crate::model::backup::MANAGED;
use crate::model::name::InstanceAddr;
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::view::Kept;

/// Runs the command.
pub(super) async fn run(args: &BackupVerifyArgs, session: &Session) -> Result<Exit, Diagnostics> {
    let environments = session.environments(&args.which.scope())?;
    let locks = session.locks(&environments).await?;
    let mut problems = Diagnostics::new();
    let mut looked = 0;
    for addr in account::chosen(session, &locks, &args.which.instances)? {
        let mut backups = account::of(session, &locks, &addr).await;
        backups.retain(|kept| kept.backup.method != MANAGED);
        if !args.ids.is_empty() {
            backups.retain(|kept| args.ids.contains(&kept.backup.id));
        } else if !args.all {
            // The newest, and all that belongs to its set.
            let newest = backups.last().map(|kept| (kept.backup.id.clone(), kept.backup.set.as_ref().map(|set| set.name.clone())));
            backups.retain(|kept| match &newest {
                Some((_, Some(set))) => kept.backup.set.as_ref().is_some_and(|own| own.name == *set),
                Some((id, None)) => kept.backup.id == *id,
                None => false,
            });
        }
        for kept in backups {
            looked += 1;
            let result = verify(session, &addr, &kept).await;
            // Only what was looked at says something about the backup.
            let looked_at = result.as_ref().err().is_none_or(|failure| failure.kind == FailureKind::Failed);
            if looked_at {
                record(session, &addr, &kept, result.is_ok()).await?;
            }
            match result {
                Ok(()) => session.place.terminal.say(&format!("{addr}: backup {} is right.", kept.backup.id)),
                Err(failure) => problems.push(
                    Diagnostic::error("backup is not right")
                        .fault(Fault::Platform)
                        .detail(format!("{addr}: backup {}: {}", kept.backup.id, failure.message))
                        .help(failure.help.unwrap_or_else(|| "make a new one with `windlass backup run`".to_owned())),
                ),
            }
        }
    }
    if looked == 0 {
        return Err(Diagnostic::error("there is no such backup")
            .detail("nothing was found to verify")
            .help("`windlass backup list` tells which there are")
            .into());
    }
    if problems.is_empty() { Ok(Exit::Done) } else { Err(problems) }
}

async fn verify(session: &Session, addr: &InstanceAddr, kept: &Kept) -> Result<(), Failure> {
    let backup = &kept.backup;
    if Keeper::knows(&backup.method) {
        return Keeper::of(session, addr, &backup.location, Some(&backup.method))?.verify(&backup.id).await;
    }
    if Keeper::file(session, addr, backup).await? {
        return Ok(());
    }
    let message = format!("`{}` is not there, or not as long as it was", backup.location);
    Err(Failure::new(FailureKind::Failed, message))
}

/// Writes into the lockfile how it went, where that is news.
async fn record(session: &Session, addr: &InstanceAddr, kept: &Kept, right: bool) -> Result<(), Diagnostics> {
    let environments: Vec<_> = session.estate.environments.keys().cloned().collect();
    let locks = session.locks(&environments).await?;
    let Some((environment, locked)) = account::locked(&locks, addr) else { return Ok(()) };
    let same = |id: &str, location: &str| id == kept.backup.id && location == kept.backup.location;
    if !locked.backups.iter().any(|backup| same(&backup.id, &backup.location) && backup.verified != right) {
        return Ok(());
    }
    change(session, environment, "backup verify", |lock| {
        for backup in lock.instances.get_mut(addr).into_iter().flat_map(|locked| &mut locked.backups) {
            if same(&backup.id, &backup.location) {
                backup.verified = right;
            }
        }
    })
    .await
}
