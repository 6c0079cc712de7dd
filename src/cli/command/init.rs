//! `windlass init`: prepares a folder.

use std::path::Path;

use crate::cli::args::InitArgs;
use crate::cli::exit::Exit;
use crate::cli::problem::file_problem;
use crate::cli::session::Place;
use crate::source::Diagnostics;
use crate::state::durable;
use crate::view::count;

/// Runs the command: fetches modules, checks everything that can be checked without looking, keeps `.windlass` out of git.
pub(in crate::cli) fn run(args: &InitArgs, place: &mut Place) -> Result<Exit, Diagnostics> {
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
    terminal.say(&format!(
        "Ready: {} in {}. Next: windlass plan",
        count(loaded.estate.instances.len(), "instance"),
        count(loaded.estate.environments.len(), "environment")
    ));
    Ok(Exit::Done)
}
