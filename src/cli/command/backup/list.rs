//! `windlass backup list`: the backups of the lockfiles and of the repositories.

use super::account;
use crate::cli::args::{BackupListArgs, TextOrJson};
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::source::Diagnostics;
use crate::view::{backups_json, backups_text};

/// Runs the command.
pub(super) async fn run(args: &BackupListArgs, session: &Session) -> Result<Exit, Diagnostics> {
    let environments = session.environments(&args.which.scope())?;
    let locks = session.locks(&environments).await?;
    let mut all = Vec::new();
    for addr in account::chosen(session, &locks, &args.which.instances)? {
        all.extend(account::of(session, &locks, &addr).await);
    }
    let terminal = session.place.terminal;
    match args.format {
        TextOrJson::Human => terminal.data(&backups_text(&all, session.place.now, terminal.out)),
        TextOrJson::Json => terminal.data(&backups_json(&all)),
    }
    Ok(Exit::Done)
}
