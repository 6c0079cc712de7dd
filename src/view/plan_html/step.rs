//! An action on the page: what it does with which arguments, how, and the way back.

use serde::Serialize;

use super::super::estimate::action_time;
use super::super::plan_json::Previews;
use super::super::provider::line;
use super::super::schedule::shell_word;
use super::super::{count, duration};
use crate::lang::Value;
use crate::model::call::{Arg, Call};
use crate::model::duration::Human;
use crate::plan::{Action, ActionKind, ActionUndo, Hop, Plan};

/// An action.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// Index into `Plan::actions`.
    number: usize,
    id: String,
    title: String,
    /// Empty for a landmark.
    name: String,
    /// Whether it touches nothing: a record, a pause.
    landmark: bool,
    down: bool,
    /// Whether from its beginning on only a restore leads back.
    point: bool,
    time: String,
    /// Whether that was measured in earlier runs.
    measured: bool,
    /// Indices of what must be done before.
    needs: Vec<u32>,
    call: Option<CallView>,
    check: Option<CallView>,
    /// How the call is made, in a word and a text each.
    manner: Vec<(&'static str, String)>,
    back: String,
    undo: Option<CallView>,
    diffs: Vec<DiffView>,
}

/// A call with everything that is known of it.
#[derive(Debug, Serialize)]
struct CallView {
    driver: String,
    args: Vec<ArgView>,
}

#[derive(Debug, Serialize)]
struct ArgView {
    name: String,
    value: String,
    /// Whether it is an expression, whose value is known only while applying.
    later: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct DiffView {
    path: String,
    lines: Vec<DiffLine>,
}

#[derive(Debug, Serialize)]
struct DiffLine {
    /// `add`, `del`, `at` or nothing.
    kind: &'static str,
    text: String,
}

/// The actions of a hop.
pub(super) fn steps(plan: &Plan, hop: &Hop, previews: &Previews) -> Vec<Step> {
    let own = hop.actions.iter().filter_map(|at| Some((*at, plan.actions.get(*at as usize)?)));
    own.map(|(number, action)| step(number, action, hop, previews)).collect()
}

fn step(number: u32, action: &Action, hop: &Hop, previews: &Previews) -> Step {
    let point = hop.point_of_no_return == Some(number);
    let (back, undo) = way_back(action, point);
    Step {
        number: number as usize,
        id: action.id.to_string(),
        title: action.title.to_string(),
        name: action.kind.step().map(ToString::to_string).unwrap_or_default(),
        landmark: action.kind.call().is_none(),
        down: action.downtime,
        point,
        time: match &action.kind {
            ActionKind::Pause(pause) if !pause.is_zero() => duration(*pause),
            _ => action_time(action),
        },
        measured: action.spread.is_some(),
        needs: action.needs.clone(),
        call: action.kind.call().map(call),
        check: action.check.as_ref().map(|check| call(&check.call)),
        manner: manner(action),
        back,
        undo,
        diffs: previews.get(&action.id).into_iter().flatten().map(|diff| diff_view(&diff.path, &diff.text)).collect(),
    }
}

fn way_back(action: &Action, point: bool) -> (String, Option<CallView>) {
    match (&action.kind, &action.undo) {
        (ActionKind::Record | ActionKind::Pause(_) | ActionKind::Verify { .. }, _) => (String::new(), None),
        (ActionKind::Revert { restores_data: true, .. }, _) => ("Puts data back: what was written since is lost.".to_owned(), None),
        (ActionKind::Revert { .. }, _) => ("Is itself the way back.".to_owned(), None),
        (_, ActionUndo::Call { call: undo, restores_data, downtime, .. }) => {
            let mut text = "Undone by".to_owned();
            if *restores_data {
                text.push_str(" putting data back (what was written since is lost)");
            }
            if *downtime {
                text.push_str(", with downtime");
            }
            (text, Some(call(undo)))
        }
        _ if point => ("None: from here on only a restore leads back.".to_owned(), None),
        (_, ActionUndo::Harmless) => ("Needs none.".to_owned(), None),
        (_, ActionUndo::Irreversible) => ("None: it cannot be undone.".to_owned(), None),
    }
}

fn manner(action: &Action) -> Vec<(&'static str, String)> {
    let mut manner = Vec::new();
    let expr = |expr: &crate::lang::Expr| line(expr.text());
    if let Some(check) = &action.check {
        let done = check.done.as_ref().map_or_else(|| "the call succeeds".to_owned(), expr);
        manner.push(("skipped where", done));
    }
    if let Some(items) = &action.fan_out {
        manner.push(("once for each of", format!("{}, {} at once", expr(&items.items), items.at_once)));
    }
    if let Some(poll) = &action.poll {
        manner.push(("again every", format!("{} until {}", Human(poll.interval), expr(&poll.until))));
        manner.extend(poll.fail.as_ref().map(|fail| ("fails where", expr(fail))));
    }
    if let Some(probe) = &action.probe {
        let pass = probe.pass.as_ref().map_or_else(|| "the call succeeds".to_owned(), expr);
        let looks = format!("every {}; well where {pass}; {} may fail", Human(probe.interval), count(probe.allow as usize, "look"));
        manner.push(("beside others", looks));
    }
    manner.extend(action.opens.as_ref().map(|name| ("opens", line(name))));
    manner.extend(action.closes.as_ref().map(|name| ("closes", line(name))));
    if action.retry.attempts > 1 {
        let text = format!(
            "{}, {} after the first failure",
            count(action.retry.attempts as usize, "attempt"),
            Human(action.retry.backoff)
        );
        manner.push(("tries", text));
    }
    manner.extend(action.timeout.map(|timeout| ("at most", duration(timeout))));
    manner.extend(action.tolerate.iter().map(|tolerated| ("tolerates", expr(tolerated))));
    if action.privileged {
        manner.push(("rights", "needs root".to_owned()));
    }
    if action.repeatable && action.kind.call().is_some() {
        manner.push(("repeatable", "may be done twice without harm".to_owned()));
    }
    manner
}

fn call(call: &Call) -> CallView {
    let args = call.given().map(|(name, arg)| match arg {
        Arg::Known(value) => ArgView { name: name.to_owned(), value: written(value), later: false },
        Arg::Deferred(expr) => ArgView { name: name.to_owned(), value: expr.text().trim().to_owned(), later: true },
    });
    CallView { driver: call.driver.to_string(), args: args.collect() }
}

/// A value as a person reads it: texts as they are, commands as words, anything else as JSON. What is sensitive is hidden.
fn written(value: &Value) -> String {
    match value {
        Value::Null => "(not set)".to_owned(),
        Value::Sensitive(_) => "(sensitive)".to_owned(),
        Value::String(text) => text.to_string(),
        Value::List(items) => {
            let words: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(shell_word)).collect();
            match words {
                Some(words) if !words.is_empty() => words.join(" "),
                _ => json(value),
            }
        }
        other => json(other),
    }
}

fn json(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

pub(super) fn diff_view(path: &str, text: &str) -> DiffView {
    let kind = |line: &str| match line.as_bytes().first() {
        _ if line.starts_with("--- ") || line.starts_with("+++ ") => "",
        Some(b'+') => "add",
        Some(b'-') => "del",
        Some(b'@') => "at",
        _ => "",
    };
    DiffView {
        path: path.to_owned(),
        lines: text.lines().map(|line| DiffLine { kind: kind(line), text: line.to_owned() }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_words_and_secrets_are_hidden() {
        assert_eq!(written(&Value::list(["psql".into(), "-c".into(), "select 'a b'".into()])), r"psql -c 'select '\''a b'\'''");
        assert_eq!(written(&Value::String("hunter2".into()).sensitive()), "(sensitive)");
        let nested = Value::object([("user", "me".into()), ("password", Value::String("hunter2".into()).sensitive())]);
        assert!(!written(&nested).contains("hunter2"), "{}", written(&nested));
        let list = Value::list([Value::String("hunter2".into()).sensitive()]);
        assert!(!written(&list).contains("hunter2"), "{}", written(&list));
    }
}
