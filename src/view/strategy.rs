//! A strategy as text: its steps in the order in which they can run, and the way back from each.

use std::fmt::Write as _;

use crate::model::duration::Human;
use crate::model::fan_out::FanOut;
use crate::model::provider::{CallTemplate, Step, Strategy, Undo};

use super::provider::line;
use super::{Palette, Table, duration};

/// A strategy with a row for each step.
#[must_use]
pub(super) fn strategy_text(strategy: &Strategy, palette: Palette) -> String {
    let Strategy { name, description, steps: _, span: _ } = strategy;
    let mut text = format!("{}\n", palette.strong(&format!("Strategy {name}")));
    if !description.trim().is_empty() {
        let _ = writeln!(text, "  {}", line(description));
    }
    let mut table = Table::new();
    table.row(["", "STEP", "DRIVER", "UNDO", "ESTIMATE", "", "WHAT IT DOES"].map(|title| palette.faint(title)));
    let mut previous: Option<&Step> = None;
    for (index, step) in strategy.in_order().into_iter().enumerate() {
        table.row([
            format!("{}.", index + 1),
            palette.mark(step.name.as_str()),
            step.call.driver.to_string(),
            undo_text(&step.undo, palette),
            step.estimate.map(duration).unwrap_or_default(),
            if step.downtime { palette.warn("downtime") } else { String::new() },
            said(step, previous, palette),
        ]);
        previous = Some(step);
    }
    text.push_str(&table.render("  "));
    text
}

/// The title, and what is unusual.
fn said(step: &Step, previous: Option<&Step>, palette: Palette) -> String {
    let Step { title, after, when, for_each, poll, fan_out, probe, during, .. } = step;
    let mut remarks = Vec::new();
    let usual = match previous {
        Some(previous) => after.as_slice() == std::slice::from_ref(&previous.name),
        None => after.is_empty(),
    };
    if !usual {
        let names: Vec<&str> = after.iter().map(|name| name.as_str()).collect();
        remarks.push(if names.is_empty() { "may start at once".to_owned() } else { format!("after {}", names.join(", ")) });
    }
    remarks.extend(when.as_ref().map(|when| format!("where {}", line(when.text()))));
    remarks.extend(poll.as_ref().map(|poll| format!("again and again until {}", line(poll.until.text()))));
    remarks.extend(probe.as_ref().map(|probe| {
        let names: Vec<&str> = during.iter().map(|name| name.as_str()).collect();
        format!("every {} during {}", Human(probe.interval), names.join(", "))
    }));
    let items = |fan_out: &std::sync::Arc<FanOut>| format!("each of {}, {} at once", line(fan_out.items.text()), fan_out.at_once);
    remarks.extend(fan_out.as_ref().map(items));
    remarks.extend(for_each.as_ref().map(|each| format!("for each of {}", line(each.text()))));
    remarks.extend(step.opens.as_ref().map(|name| format!("opens {}", line(name))));
    remarks.extend(step.closes.as_ref().map(|name| format!("closes {}", line(name))));
    remarks.extend(step.privileged.then(|| "needs root".to_owned()));
    remarks.extend(step.timeout.map(|timeout| format!("at most {}", duration(timeout))));
    remarks.extend((step.retry.attempts > 1).then(|| format!("up to {} tries", step.retry.attempts)));
    remarks.extend((!step.repeatable && step.check.is_none()).then(|| "not to be repeated".to_owned()));
    remarks.extend(step.note.as_deref().map(line));
    let title = line(title);
    if remarks.is_empty() { title } else { format!("{title} {}", palette.faint(&format!("({})", remarks.join("; ")))) }
}

/// The way back in a few words.
fn undo_text(undo: &Undo, palette: Palette) -> String {
    match undo {
        Undo::Harmless => "-".to_owned(),
        Undo::Irreversible => palette.bad("no way back"),
        Undo::Call { call: CallTemplate { driver, .. }, restores_data, downtime, .. } => {
            let restores = if *restores_data { palette.warn(", restores data") } else { String::new() };
            let down = if *downtime { ", downtime" } else { "" };
            format!("{driver}{restores}{down}")
        }
    }
}
