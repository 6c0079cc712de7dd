//! `windlass init`: prepares a folder.

use std::path::Path;

use crate::cli::args::InitArgs;
use crate::cli::backend;
use crate::cli::command::migrate::migrate;
use crate::cli::exit::Exit;
use crate::cli::pins::Pins;
use crate::cli::problem::{file_problem, state_problem};
use crate::cli::session::Place;
use crate::config::Loaded;
use crate::model::estate::Estate;
use crate::source::{Diagnostic, Diagnostics};
use crate::state::durable;
use crate::view::count;

/// Runs the command: fetches modules, checks the configuration and whether state can be kept, keeps `.windlass` out of git.
pub(in crate::cli) async fn run(args: &InitArgs, place: &mut Place) -> Result<Exit, Diagnostics> {
    let loaded = place.load(&args.variables, args.upgrade)?;
    let terminal = place.terminal;
    // The folder ignores itself, so that nobody has to remember a line in the project's own list.
    let ignore = place.hidden.join(".gitignore");
    durable::replace(&ignore, b"*\n", 0o644)
        .map_err(|error| file_problem("folder cannot be prepared", Path::new(".windlass"), &error))?;
    for pin in &loaded.pins {
        terminal.say(&format!("{} is at commit {}", pin.source, pin.commit));
    }
    for provider in loaded.providers.values() {
        terminal.say(&format!("provider {} {} ({})", provider.name, provider.version, provider.digest.short()));
    }
    pin(&loaded, place)?;
    if args.backend {
        keep_state(args, &loaded.estate, place).await?;
    }
    terminal.say(&format!(
        "Ready: {} in {}. Next: windlass plan",
        count(loaded.estate.instances.len(), "instance"),
        count(loaded.estate.environments.len(), "environment")
    ));
    Ok(Exit::Done)
}

/// Writes down which content of sources from outside is used; what changed since the last time is shown.
fn pin(loaded: &Loaded, place: &Place) -> Result<(), Diagnostics> {
    let (known, now) = (Pins::read(&place.root)?, Pins::of(loaded));
    for text in known.changes(&now, &place.hidden) {
        place.terminal.data(&text);
    }
    if !known.is_as(&now) {
        now.write(&place.root, &place.hidden)?;
        place.terminal.say(&format!("{} says which content was accepted: commit it.", Pins::FILE));
    }
    Ok(())
}

/// Sees that state can be kept where the configuration says, and brings it there where that is asked for.
async fn keep_state(args: &InitArgs, estate: &Estate, place: &Place) -> Result<(), Diagnostics> {
    let is_local = estate.backend.kind == "local";
    if is_local && args.migrate_state {
        return Err(Diagnostic::error("nothing to migrate")
            .detail("the configuration names no backend but the local one, where state is already")
            .help("name the backend to move to in the `windlass` block first")
            .into());
    }
    if is_local {
        return Ok(());
    }
    let store = backend::store(estate, place)?;
    store.prepare().await.map_err(|error| state_problem(&error))?;
    place.terminal.say(&format!("state is kept in {}", store.describe()));
    if args.migrate_state {
        migrate(args, place, &*store).await?;
    }
    Ok(backend::check_left_behind(estate, place)?)
}
