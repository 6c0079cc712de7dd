//! `windlass backup`: makes, lists, verifies, restores and prunes backups, and prints their schedule.

use crate::cli::args::{BackupCommand, Command, VariableArgs};
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::source::Diagnostics;

mod account;
mod keeper;
mod list;
mod prune;
mod restore;
mod run;
mod schedule;
mod verify;

/// Where a command of the family takes variable values from.
pub(in crate::cli) fn variables(command: &Command) -> Option<&VariableArgs> {
    let Command::Backup(command) = command else { return None };
    Some(match command {
        BackupCommand::Run(args) => &args.variables,
        BackupCommand::List(args) => &args.which.variables,
        BackupCommand::Verify(args) => &args.which.variables,
        BackupCommand::Restore(args) => &args.variables,
        BackupCommand::Prune(args) => &args.which.variables,
        BackupCommand::Schedule(args) => &args.which.variables,
    })
}

/// Runs a command of the family.
pub(in crate::cli) async fn run(command: &BackupCommand, session: &mut Session) -> Result<Exit, Diagnostics> {
    match command {
        BackupCommand::Run(args) => run::run(args, session).await,
        BackupCommand::List(args) => list::run(args, session).await,
        BackupCommand::Verify(args) => verify::run(args, session).await,
        BackupCommand::Restore(args) => restore::run(args, session).await,
        BackupCommand::Prune(args) => prune::run(args, session).await,
        BackupCommand::Schedule(args) => schedule::run(args, session),
    }
}
