//! `windlass provider`: placeholder while the family is being written.

use crate::cli::args::ProviderCommand;
use crate::cli::exit::Exit;
use crate::cli::session::Place;
use crate::source::Diagnostics;

/// Runs a command of the family.
pub(in crate::cli) fn run(_command: &ProviderCommand, _place: &mut Place) -> Result<Exit, Diagnostics> {
    Ok(Exit::Error)
}
