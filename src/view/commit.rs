//! The message of the commit that brings lockfiles into git: the run, and what it moved.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::count;
use super::plan_text::versions;
use crate::state::{Move, Outcome, RunRecord};

/// The message. `None`: no run, lockfiles of earlier ones. Pipelines are asked not to run for it.
#[must_use]
pub fn commit_message(record: Option<&RunRecord>) -> String {
    let Some(record) = record else {
        return "windlass: lockfiles as recorded by earlier runs\n\n[skip ci]\n".to_owned();
    };
    let RunRecord { id, outcome, moves, plan, .. } = record;
    let environments: BTreeSet<&str> = moves.iter().map(|step| step.environment.as_str()).collect();
    let place = environments.into_iter().collect::<Vec<_>>().join(", ");
    let moved: Vec<&Move> = moves.iter().filter(|step| step.outcome == Outcome::Succeeded).collect();
    let subject = match moved.as_slice() {
        [] => format!("nothing moved in {place}"),
        [one] => format!("{} {} in {place}", one.instance, told(one)),
        several => format!("{} moved in {place}", count(several.len(), "instance")),
    };
    let mut text = format!("windlass: {subject}\n\nRun {id}: {}.\n\n", word(*outcome));
    for step in moves {
        let _ = writeln!(text, "- {} ({}): {}, {}", step.instance, step.environment, told(step), word(step.outcome));
    }
    let _ = write!(text, "\n[skip ci]\n\nWindlass-Run: {id}\nWindlass-Plan: {plan}\n");
    text
}

fn told(step: &Move) -> String {
    match (&step.from, &step.to) {
        (Some(from), None) => format!("{from} → nothing"),
        (from, to) => versions(from.as_ref(), to.as_ref()),
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Running => "running",
        Outcome::Succeeded => "succeeded",
        Outcome::RolledBack => "rolled back",
        Outcome::Held => "held",
        Outcome::Stopped => "stopped half way",
        Outcome::Abandoned => "abandoned",
    }
}
