//! Runs that were: who moved what, from where to where, when, with which outcome.

use std::time::Duration;

use crate::state::{BracketTime, Move, Outcome, RunRecord};

use super::{Palette, Table, duration};

/// The history as a table, newest first, with one line for each instance that a run moved.
#[must_use]
pub fn history_text(runs: &[RunRecord], palette: Palette) -> String {
    let mut table = Table::new();
    table.row(["RUN", "BEGAN", "WHO", "WHAT", "OUTCOME", "TOOK", "DOWNTIME"].map(|title| palette.faint(title)));
    for run in runs {
        let took = run.ended.and_then(|ended| Duration::try_from(ended - run.began).ok());
        table.row([
            palette.strong(run.id.as_str()),
            run.began.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            run.who.clone(),
            run.operation.clone(),
            outcome_text(run.outcome, palette),
            took.map_or_else(|| "-".to_owned(), duration),
            duration(Duration::from_secs(run.downtime_seconds)),
        ]);
        for BracketTime { instance, name, opened, closed } in &run.brackets {
            let open_for = closed.and_then(|closed| Duration::try_from(closed - *opened).ok());
            table.row([
                format!("  {instance}"),
                String::new(),
                String::new(),
                name.clone(),
                open_for.map_or_else(|| palette.bad("left open"), |_| "closed".to_owned()),
                open_for.map_or_else(|| "-".to_owned(), duration),
            ]);
        }
        for Move { instance, environment, from, to, outcome } in &run.moves {
            let version = |version: &Option<std::sync::Arc<str>>| version.as_deref().unwrap_or("nothing").to_owned();
            table.row([
                format!("  {instance}"),
                environment.to_string(),
                String::new(),
                format!("{} → {}", version(from), version(to)),
                outcome_text(*outcome, palette),
            ]);
        }
    }
    table.render("")
}

/// An outcome in a word or two.
pub(super) fn outcome_text(outcome: Outcome, palette: Palette) -> String {
    match outcome {
        Outcome::Succeeded => palette.good(outcome.word()),
        Outcome::Held => palette.bad(outcome.word()),
        Outcome::Running | Outcome::RolledBack | Outcome::Stopped | Outcome::Abandoned => palette.warn(outcome.word()),
    }
}
