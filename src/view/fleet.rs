//! The fleet as a whole: a matrix of products and environments, and what waits for somebody.
//!
//! Takes what is declared, recorded and observed of every instance with what stands around it; gives text, data, or one HTML page.
//! Thousands of instances are shown as groups; only those that need somebody are named one by one.

mod cell;
mod html;

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::history::outcome_text;
use super::status::{brackets_text, status_text};
use super::{Palette, Table, count};
use crate::model::name::EnvironmentName;
use crate::plan::{Gate, GateKind, InstanceState};
use crate::state::{Holder, OpenBracket, RunRecord};

use cell::Cell;
pub use html::fleet_html;

/// Up to so many instances are all listed.
const LISTED: usize = 50;
/// A message for more than so many instances names these.
const NAMED: usize = 3;

/// Everything that is known of a fleet at one time.
#[derive(Debug, Clone, Copy)]
pub struct Fleet<'a> {
    /// The environments that are shown, in the order in which versions go through them.
    pub environments: &'a [EnvironmentName],
    /// Every instance.
    pub states: &'a [InstanceState],
    /// Gates that something waits for.
    pub gates: &'a [Gate],
    /// What cannot be planned, with every reason.
    pub blocked: &'a [Blocked],
    /// Brackets that runs have left open.
    pub brackets: &'a [OpenBracket],
    /// Runs that have not come to an end.
    pub runs: &'a [RunRecord],
    /// Who works on which environment now.
    pub holders: &'a [(EnvironmentName, Holder)],
    /// When all this was so.
    pub now: Timestamp,
}

/// An instance that should change and cannot.
#[derive(Debug, Clone, Serialize)]
pub struct Blocked {
    /// Which.
    pub instance: crate::model::name::InstanceAddr,
    /// Every reason.
    pub why: Vec<String>,
}

/// A gate that several instances wait for.
#[derive(Debug, Clone, Serialize)]
struct Wait<'a> {
    environment: &'a EnvironmentName,
    gate: &'static str,
    message: &'a str,
    /// From when it will be open, where that is known.
    opens: Option<Timestamp>,
    /// The block of configuration that opens it, where there is one.
    paste: Option<&'a str>,
    /// Who waits; none: the whole environment.
    instances: Vec<&'a str>,
}

impl Wait<'_> {
    /// Who waits, in a few words.
    fn who(&self) -> String {
        match self.instances.as_slice() {
            [] => "all".to_owned(),
            few if few.len() <= NAMED => few.join(", "),
            many => format!("{} and {} more", many[..NAMED].join(", "), many.len() - NAMED),
        }
    }
}

/// The closed gates, those that say the same taken together.
fn waits<'a>(fleet: &Fleet<'a>) -> Vec<Wait<'a>> {
    let mut waits: Vec<Wait<'a>> = Vec::new();
    for gate in fleet.gates.iter().filter(|gate| !gate.open) {
        let instance = gate.instance.as_ref().map(|instance| instance.as_str());
        let kind = gate.kind.as_str();
        let same = |wait: &&mut Wait<'_>| {
            *wait.environment == gate.environment && wait.gate == kind && wait.message == gate.message && wait.opens == gate.opens
        };
        match waits.iter_mut().find(same).filter(|_| gate.kind != GateKind::Acknowledgement) {
            Some(wait) => wait.instances.extend(instance),
            None => waits.push(Wait {
                environment: &gate.environment,
                gate: kind,
                message: &gate.message,
                opens: gate.opens,
                paste: gate.paste.as_deref(),
                instances: instance.into_iter().collect(),
            }),
        }
    }
    waits
}

/// A run that somebody must do something about, or wait for.
#[derive(Debug, Clone, Serialize)]
struct Open<'a> {
    run: &'a str,
    operation: &'a str,
    who: &'a str,
    began: Timestamp,
    /// `running`, `held`, …; a run that nobody carries on any more is `interrupted`.
    state: &'static str,
    message: Option<&'a str>,
    environments: Vec<&'a str>,
    /// How to go on, where nobody does.
    next: Option<String>,
}

fn open_runs<'a>(fleet: &Fleet<'a>) -> Vec<Open<'a>> {
    let open = |run: &'a RunRecord| {
        let holds = |(_, holder): &&(EnvironmentName, Holder)| holder.run.as_ref() == Some(&run.id);
        let is_carried_on = fleet.holders.iter().any(|holder| holds(&holder));
        let mut environments: Vec<&str> = run.moves.iter().map(|moved| moved.environment.as_str()).collect();
        environments.sort_unstable();
        environments.dedup();
        Open {
            run: run.id.as_str(),
            operation: &run.operation,
            who: &run.who,
            began: run.began,
            state: match (is_carried_on, run.outcome) {
                (true, _) => "running",
                (false, crate::state::Outcome::Running) => "interrupted",
                (false, crate::state::Outcome::Stopped) => "stopped",
                (false, _) => "held",
            },
            message: run.message.as_deref(),
            environments,
            next: (!is_carried_on).then(|| format!("windlass resume {}", run.id)),
        }
    };
    fleet.runs.iter().map(open).collect()
}

/// The fleet as text for a terminal. `all`: every instance is listed, however many there are.
#[must_use]
pub fn fleet_text(fleet: &Fleet<'_>, all: bool, palette: Palette) -> String {
    if fleet.states.is_empty() {
        return status_text(fleet.states, palette);
    }
    let cells = cell::cells(fleet);
    let mut text = matrix(fleet, &cells, palette);
    text.push('\n');
    let calls = |state: &&InstanceState| cell::needs_somebody(state);
    let listed: Vec<InstanceState> = if all || fleet.states.len() <= LISTED {
        fleet.states.to_vec()
    } else {
        fleet.states.iter().filter(calls).take(LISTED).cloned().collect()
    };
    if !listed.is_empty() {
        text.push_str(&status_text(&listed, palette));
    }
    if listed.len() < fleet.states.len() {
        let more = fleet.states.iter().filter(calls).count().saturating_sub(listed.len());
        let rest = fleet.states.len() - listed.len() - more;
        if more > 0 {
            let _ =
                writeln!(text, "… and {more} more that are not as declared; `--target` or `--env` shows fewer, `--verbose` all.");
        }
        if rest > 0 {
            let _ = writeln!(text, "{} as declared.", count(rest, "other instance"));
        }
    }
    for wait in waits(fleet) {
        let opens = super::unsaid_opening(wait.message, wait.opens).map(|opens| format!(" (opens {opens})")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{} {} in {} waits for the gate {}: {}{opens}",
            palette.warn("WAITS"),
            palette.strong(&wait.who()),
            wait.environment,
            wait.gate,
            wait.message
        );
    }
    for Blocked { instance, why } in fleet.blocked {
        let _ = writeln!(text, "{} {}: {}", palette.bad("BLOCKED"), palette.strong(instance.as_str()), why.join("; "));
    }
    for state in fleet.states.iter().filter(|state| !state.follow_ups.is_empty()) {
        let owed: Vec<&str> = state.follow_ups.iter().map(|owed| &**owed).collect();
        let _ = writeln!(text, "{} {}: {}", palette.warn("OWED"), palette.strong(state.instance.as_str()), owed.join(", "));
    }
    text.push_str(&brackets_text(fleet.brackets, palette));
    for open in open_runs(fleet) {
        let state = match fleet.runs.iter().find(|run| run.id.as_str() == open.run) {
            Some(run) if open.next.is_some() && open.state != "interrupted" => outcome_text(run.outcome, palette),
            _ => palette.warn(open.state),
        };
        let next = open.next.map(|next| format!(" → `{next}`")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{} {} ({} of {}, {}) is {state}{next}",
            palette.warn("RUN"),
            palette.strong(open.run),
            open.operation,
            open.environments.join(", "),
            open.who
        );
    }
    text
}

fn matrix(fleet: &Fleet<'_>, cells: &[Vec<Option<Cell>>], palette: Palette) -> String {
    let mut table = Table::new();
    let heads = std::iter::once("PRODUCT".to_owned()).chain(fleet.environments.iter().map(ToString::to_string));
    table.row(heads.map(|head| palette.faint(&head)));
    for (product, row) in cell::products(fleet).into_iter().zip(cells) {
        let shown = row.iter().map(|cell| match cell {
            None => "-".to_owned(),
            Some(cell) => {
                let words = cell.words();
                match cell.level() {
                    cell::Level::Good => palette.good(&words),
                    cell::Level::Waits => palette.warn(&words),
                    cell::Level::Bad => palette.bad(&words),
                }
            }
        });
        table.row(std::iter::once(palette.strong(product)).chain(shown).collect::<Vec<_>>());
    }
    table.render("")
}

/// The fleet as data.
#[must_use]
pub fn fleet_json(fleet: &Fleet<'_>) -> serde_json::Value {
    let holders: Vec<_> = fleet
        .holders
        .iter()
        .map(|(environment, holder)| serde_json::json!({ "environment": environment, "holder": holder }))
        .collect();
    serde_json::json!({
        "at": fleet.now,
        "environments": fleet.environments,
        "cells": cell::cells(fleet).into_iter().flatten().flatten().collect::<Vec<_>>(),
        "instances": fleet.states,
        "gates": waits(fleet),
        "blocked": fleet.blocked,
        "brackets": fleet.brackets,
        "runs": open_runs(fleet),
        "holders": holders,
    })
}

#[cfg(test)]
mod tests;
