//! `windlass history`: the runs that were.

use crate::cli::args::{HistoryArgs, TextOrJson};
use crate::cli::exit::Exit;
use crate::cli::problem::state_problem;
use crate::cli::session::Place;
use crate::source::Diagnostics;
use crate::view::history_text;

/// Runs the command. It needs no configuration that loads.
pub(in crate::cli) async fn run(args: &HistoryArgs, place: &mut Place) -> Result<Exit, Diagnostics> {
    let runs = place.store_to_look_at()?.runs(args.limit).await.map_err(|error| state_problem(&error))?;
    match args.format {
        TextOrJson::Json => place.terminal.data(&format!("{:#}\n", serde_json::json!({ "runs": runs }))),
        TextOrJson::Human if runs.is_empty() => place.terminal.data("Nothing was applied yet.\n"),
        TextOrJson::Human => place.terminal.data(&history_text(&runs, place.terminal.out)),
    }
    Ok(Exit::Done)
}
