//! The fleet: every instance three ways, and what drifted.

use std::fmt::Write as _;

use crate::plan::{DriftClass, InstanceState, Sight};

use crate::state::{BracketTime, OpenBracket};

use super::history::outcome_text;
use super::{Palette, Table};

/// One line an instance: declared, recorded, observed, and what is to be said about it.
pub(super) fn status_text(states: &[InstanceState], palette: Palette) -> String {
    if states.is_empty() {
        return "No instance is declared or recorded.\n".to_owned();
    }
    let mut table = Table::new();
    table.row(["INSTANCE", "ENVIRONMENT", "DECLARED", "RECORDED", "OBSERVED", "STATE"].map(|title| palette.faint(title)));
    for state in states {
        let dash = || "-".to_owned();
        table.row([
            palette.strong(state.instance.as_str()),
            state.environment.to_string(),
            state.declared.as_deref().map_or_else(dash, str::to_owned),
            state.recorded.as_deref().map_or_else(dash, str::to_owned),
            sight(&state.observed),
            words(state, palette),
        ]);
    }
    table.render("")
}

/// What runs have left open: states that instances were put into and not taken out of.
pub(super) fn brackets_text(left: &[OpenBracket], palette: Palette) -> String {
    let mut text = String::new();
    for OpenBracket { run, outcome, bracket: BracketTime { instance, name, opened, closed: _ } } in left {
        let since = opened.strftime("%Y-%m-%d %H:%M:%SZ");
        let _ = writeln!(
            text,
            "{} {} is in {} since {since}, by run {run} ({})",
            palette.bad("STILL OPEN"),
            palette.strong(instance.as_str()),
            palette.bad(name),
            outcome_text(*outcome, palette)
        );
    }
    text
}

pub(super) fn sight(sight: &Sight) -> String {
    match sight {
        Sight::Version(version) => version.to_string(),
        Sight::Nothing => "nothing".to_owned(),
        Sight::Unseen(_) => "?".to_owned(),
        Sight::NotLooked => "-".to_owned(),
    }
}

fn words(state: &InstanceState, palette: Palette) -> String {
    let mut classes: Vec<DriftClass> = state.drift.iter().map(|drift| drift.class).collect();
    classes.dedup();
    let mut words: Vec<String> = classes.into_iter().map(|class| palette.bad(class.word())).collect();
    if state.pending {
        words.push(palette.warn("pending"));
    }
    if !state.follow_ups.is_empty() {
        words.push(palette.warn(&super::count(state.follow_ups.len(), "follow-up")));
    }
    if words.is_empty() { palette.good("as declared") } else { words.join(", ") }
}
