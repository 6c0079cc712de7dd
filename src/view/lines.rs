//! A run as plain lines, one an event: for pipelines, logs, and terminals that cannot move the cursor.

use std::time::Duration;

use jiff::Timestamp;

use crate::apply::event::{Direction, Ending, Event, EventKind};
use crate::model::name::ActionId;
use crate::state::Outcome;

use super::{Palette, duration};

/// Turns events into lines.
#[derive(Debug, Clone)]
pub struct Lines {
    palette: Palette,
    began: Option<Timestamp>,
    /// Whether output of commands is shown.
    verbose: bool,
}

impl Lines {
    /// Shows output of commands only where `verbose`.
    #[must_use]
    pub fn new(palette: Palette, verbose: bool) -> Self {
        Self { palette, began: None, verbose }
    }

    /// The line for an event; `None`: not worth one.
    pub fn line(&mut self, event: &Event) -> Option<String> {
        let began = *self.began.get_or_insert(event.at);
        let text = self.text(&event.kind)?;
        let elapsed = Duration::try_from(event.at - began).unwrap_or_default().as_secs();
        let clock = format!("{:02}:{:02}", elapsed / 60, elapsed % 60);
        Some(format!("{} {text}", self.palette.faint(&clock)))
    }

    fn text(&self, kind: &EventKind) -> Option<String> {
        let palette = self.palette;
        Some(match kind {
            EventKind::RunBegan { run, actions, done: 0 } => format!("run {run}: {}", super::count(*actions, "action")),
            EventKind::RunBegan { run, actions, done } => format!("run {run} goes on: {done} of {actions} actions had ended"),
            EventKind::ActionBegan { action, direction, attempt: 1 } => match direction {
                Direction::Forward => format!("{} {action}", palette.mark("begin  ")),
                Direction::Undo => format!("{} {action}", palette.warn("undo   ")),
            },
            EventKind::ActionBegan { action, attempt, .. } => format!("{} {action} (try {attempt})", palette.mark("again  ")),
            EventKind::ActionOutput { action, item, line } if self.verbose => {
                format!("        {}", palette.faint(&format!("{} | {line}", named(action, item.as_deref()))))
            }
            // An item that ends well is told by the action's progress; a log of all is for who asks.
            EventKind::ItemEnded { ending: Ending::Succeeded | Ending::AlreadyDone, .. } if !self.verbose => return None,
            EventKind::ItemBegan { .. } => return None,
            EventKind::ItemEnded { action, direction, item, ending, took } => {
                ending_text(palette, &named(action, Some(item)), *direction, ending, *took)
            }
            EventKind::ActionOutput { .. } | EventKind::ActionProgress { .. } => return None,
            EventKind::ActionRetries { action, item, message, pause } => {
                format!("{} {}: {message}; again in {}", palette.warn("retry  "), named(action, item.as_deref()), duration(*pause))
            }
            EventKind::ActionEnded { action, direction, ending, took } => {
                ending_text(palette, action.as_str(), *direction, ending, *took)
            }
            EventKind::Recorded { action, .. } => format!("{} {action}", palette.good("record ")),
            EventKind::PointOfNoReturn { action } => {
                format!("{} {action}: from here on only a restore leads back", palette.warn("no way back"))
            }
            EventKind::UndoBegan { because, actions } => {
                let why = because.as_ref().map_or_else(|| "on request".to_owned(), |action| format!("{action} failed"));
                format!("{} {why}; {} to undo, in reverse order", palette.warn("undoing"), super::count(*actions, "action"))
            }
            EventKind::BracketOpened { instance, bracket, .. } => format!("{} {instance}: {bracket}", palette.warn("opened ")),
            EventKind::BracketClosed { instance, bracket, after } => {
                format!("{} {instance}: {bracket}, after {}", palette.good("closed "), duration(*after))
            }
            EventKind::BracketOpen { instance, bracket, since } => {
                let since = since.strftime("%Y-%m-%d %H:%M:%SZ");
                format!("{} {instance} is in {bracket} since {since}", palette.bad("STILL OPEN"))
            }
            EventKind::Stopping => {
                format!("{} what runs is finished, nothing new begins; interrupt again to terminate", palette.warn("stopping"))
            }
            EventKind::Warning { message } => format!("{} {message}", palette.warn("warning")),
            EventKind::RunEnded { outcome, message, downtime } => ended_text(palette, *outcome, message.as_deref(), *downtime),
        })
    }
}

/// An action, or an item of one.
fn named(action: &ActionId, item: Option<&str>) -> String {
    item.map_or_else(|| action.to_string(), |item| format!("{action} {item}"))
}

fn ending_text(palette: Palette, action: &str, direction: Direction, ending: &Ending, took: Duration) -> String {
    let took = duration(took);
    let done = match direction {
        Direction::Forward => "done   ",
        Direction::Undo => "undone ",
    };
    match ending {
        Ending::Succeeded => format!("{} {action} in {took}", palette.good(done)),
        Ending::AlreadyDone => format!("{} {action}: was already done", palette.good(done)),
        Ending::Tolerated { message } => format!("{} {action} in {took}; tolerated: {message}", palette.good(done)),
        Ending::Failed { message, output, help, .. } => {
            let mut text = format!("{} {action} after {took}: {message}", palette.bad("failed "));
            for line in output {
                text.push_str("\n        | ");
                text.push_str(line);
            }
            if let Some(help) = help {
                text.push_str("\n        help: ");
                text.push_str(help);
            }
            text
        }
        Ending::Skipped { because } => format!("{} {action}, because of {because}", palette.faint("skipped")),
        Ending::Held { message } => format!("{} {action}: {message}", palette.warn("held   ")),
    }
}

/// What the last event of a run says where a person asked for it to be undone; nothing failed then.
const ON_REQUEST: &str = "rolled back on request";

/// The last sentence of a run.
pub(super) fn ended_text(palette: Palette, outcome: Outcome, message: Option<&str>, downtime: Duration) -> String {
    if outcome == Outcome::RolledBack && message == Some(ON_REQUEST) {
        return format!(
            "{} Downtime {}.",
            palette.good("Rolled back on request: everything is as it was before."),
            duration(downtime)
        );
    }
    let head = match outcome {
        Outcome::Succeeded => palette.good("Apply complete."),
        Outcome::RolledBack => palette.bad("Failed, and rolled back: everything is as it was before."),
        Outcome::Held => palette.bad("Failed and halted: `windlass resume` goes on, `windlass rollback` goes back."),
        Outcome::Stopped => palette.warn("Stopped on request: `windlass resume` goes on, `windlass rollback` goes back."),
        Outcome::Abandoned => palette.warn("Abandoned."),
        Outcome::Running => palette.warn("Still running."),
    };
    let mut text = format!("{head} Downtime {}.", duration(downtime));
    // What failed is said once, below and in full.
    if let Some(message) = message.filter(|_| !matches!(outcome, Outcome::RolledBack | Outcome::Held)) {
        text.push('\n');
        text.push_str(message);
    }
    text
}
