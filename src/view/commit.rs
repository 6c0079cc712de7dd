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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::{Digest, InstanceAddr, RunId};

    #[test]
    fn the_message_names_the_run_and_what_it_moved() {
        let step = |name: &str, from: &str, outcome| Move {
            instance: InstanceAddr::from_text(name),
            environment: "test".into(),
            from: Some(from.into()),
            to: Some("2.0".into()),
            outcome,
        };
        let mut record = RunRecord {
            id: RunId::new("20261121T024531.417Z-7f3a"),
            operation: "apply".into(),
            who: "me@here".into(),
            began: jiff::Timestamp::UNIX_EPOCH,
            ended: None,
            outcome: Outcome::Held,
            message: None,
            moves: vec![step("app.a", "1.0", Outcome::Succeeded), step("app.b", "1.1", Outcome::Held)],
            plan: Digest::of(b"x"),
            brackets: Vec::new(),
            downtime_seconds: 0,
            durations: std::collections::BTreeMap::new(),
            token: 0,
        };
        let text = commit_message(Some(&record));
        let wanted = "windlass: app.a 1.0 → 2.0 in test\n\nRun 20261121T024531.417Z-7f3a: held.\n\n- app.a (test): 1.0 → 2.0, succeeded\n- app.b (test): \
                      1.1 → 2.0, held\n\n[skip ci]\n\nWindlass-Run: 20261121T024531.417Z-7f3a\nWindlass-Plan: sha256:";
        assert!(text.starts_with(wanted), "{text}");
        record.moves.truncate(0);
        assert!(commit_message(Some(&record)).starts_with("windlass: nothing moved in "), "{text}");
        assert!(commit_message(None).contains("[skip ci]"));
    }
}
