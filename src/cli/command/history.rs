//! `windlass history`: the runs that were.

use crate::cli::args::{HistoryArgs, TextOrJson};
use crate::cli::exit::Exit;
use crate::cli::problem::state_problem;
use crate::cli::session::Place;
use crate::source::Diagnostics;
use crate::state::Store as _;
use crate::view::history_text;

/// Runs the command. It needs no configuration that loads.
pub(in crate::cli) async fn run(args: &HistoryArgs, place: &Place) -> Result<Exit, Diagnostics> {
    let runs = place.local_store().runs(args.limit).await.map_err(|error| state_problem(&error))?;
    match args.format {
        TextOrJson::Json => place.terminal.data(&format!("{:#}\n", serde_json::json!({ "runs": runs }))),
        TextOrJson::Human if runs.is_empty() => place.terminal.data("Nothing was applied yet.\n"),
        TextOrJson::Human => place.terminal.data(&history_text(&runs, place.terminal.out)),
    }
    Ok(Exit::Done)
}
