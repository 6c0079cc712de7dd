//! Steps taken one by one: what a crash, a hang or an impatient reader of the plan makes of them.

use super::placed;
use crate::config::provider::bracket::is_left_open;
use crate::model::provider::{CallTemplate, Provider, Step, Undo};
use crate::source::{Diagnostic, Diagnostics};

/// Drivers whose calls may take for ever.
const MAY_HANG: &[&str] = &["exec", "http", "kubernetes", "wait"];
/// Arguments by which a call limits itself.
const LIMITS: &[&str] = &["timeout", "duration"];

/// Checks every step.
pub(super) fn check(provider: &Provider, problems: &mut Diagnostics) {
    for strategy in provider.strategies.values() {
        for step in &strategy.steps {
            one(step, &format!("step `{}` of strategy `{}`", step.name, strategy.name), problems);
        }
    }
}

fn one(step: &Step, what: &str, problems: &mut Diagnostics) {
    let place = [step.span, step.call.span];
    if step.downtime && step.estimate.is_none() && !instant(&step.call) {
        problems.push(placed(
            Diagnostic::warning("downtime without an estimate")
                .detail(format!("{what} takes the product down, and nothing says for how long"))
                .help("add `estimate = \"30s\"`; recorded runs replace it with what they took"),
            &place,
        ));
    }
    if !step.repeatable && step.check.is_none() {
        problems.push(placed(
            Diagnostic::warning("outcome unknown after a crash")
                .detail(format!("{what} is neither `repeatable` nor has it a `check`: where Windlass is killed while it runs, a person must decide"))
                .help("add `repeatable = true` where doing it twice is harmless, or a `check` that asks whether it is done"),
            &place,
        ));
    }
    if step.timeout.is_none() && step.probe.is_none() && (step.poll.is_some() || unlimited(&step.call)) {
        problems.push(no_timeout(what, &step.call));
    }
    if let Some(name) = step.opens.as_ref().filter(|_| is_left_open(step)) {
        problems.push(placed(
            Diagnostic::warning("left open by a rollback")
                .detail(format!("{what} opens \"{name}\", and its way back does not close that: a failed run leaves it open"))
                .help("undo the step with a call; where another step's undo closes it, say `closes` there"),
            &place,
        ));
    }
    if let Undo::Call { call, timeout, poll, .. } = &step.undo {
        let undo = format!("`undo` of {what}");
        if call.driver.as_str() == "manual" {
            problems.push(placed(
                Diagnostic::warning("undo by hand")
                    .detail(format!("{undo} waits for a person: a failed run cannot be rolled back by itself"))
                    .help("let a driver undo it; where nothing can, move the step behind those that may fail"),
                &[call.span, step.span],
            ));
        }
        if timeout.is_none() && (poll.is_some() || unlimited(call)) {
            problems.push(no_timeout(&undo, call));
        }
    }
}

/// Whether a call is over at once: it writes or renames, and copies nothing of unknown size.
fn instant(call: &CallTemplate) -> bool {
    match call.driver.as_str() {
        "template" => true,
        "file" => !matches!(super::call::action(call), Some("copy" | "remove")),
        _ => false,
    }
}

fn unlimited(call: &CallTemplate) -> bool {
    MAY_HANG.contains(&call.driver.as_str()) && !LIMITS.iter().any(|limit| call.args.contains_key(*limit))
}

fn no_timeout(what: &str, call: &CallTemplate) -> Diagnostic {
    let problem = Diagnostic::warning("no timeout")
        .detail(format!("{what} calls `{}` and may take for ever", call.driver))
        .help("add `timeout = \"10m\"`, some times as long as it has ever taken");
    placed(problem, &[call.span])
}
