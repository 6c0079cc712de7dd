//! A plan for a person at a terminal: what changes and why, the steps in order, the documents they change, the way back, what is
//! waited for.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::lang::Value;
use crate::model::duration::Human;
use crate::plan::{
    Action, ActionKind, ActionUndo, Change, Decision, GateKind, Hop, Plan, PreflightOutcome, Report, Verdict, VerdictKind,
};

use super::alike::{alike, named};
use super::diff::diff_text;
use super::estimate::{action_time, hop_downtime};
use super::plan_json::Previews;
use super::provider::line;
use super::{Palette, Table, duration, rulings_text};

/// Steps are listed in full up to so many actions in a plan; beyond, each hop is one line.
const FULL_UP_TO: usize = 400;

/// The whole plan as text. `previews`: what documents would change, where that is known.
#[must_use]
pub fn plan_text(plan: &Plan, report: &Report, previews: &Previews, palette: Palette) -> String {
    let mut text = String::new();
    blocked(&mut text, report, palette);
    warnings(&mut text, report, palette);
    for change in &plan.changes {
        change_text(&mut text, plan, change, previews, palette);
    }
    revised(&mut text, plan, palette);
    text.push_str(&rulings_text(&report.rulings, palette));
    gates(&mut text, plan, palette);
    summary(&mut text, plan, report, palette);
    text
}

/// What came with the program or from outside, and nobody may have looked at.
fn revised(text: &mut String, plan: &Plan, palette: Palette) {
    for revised in &plan.revised {
        let _ = writeln!(text, "{} {}", palette.warn("!"), revised.headline());
        for file in revised.files.iter().flatten() {
            text.push_str(&diff_text(&file.diff, "    ", palette));
        }
        text.push('\n');
    }
}

fn blocked(text: &mut String, report: &Report, palette: Palette) {
    for verdict in &report.verdicts {
        let (sign, word) = match verdict.kind {
            VerdictKind::Blocked => (palette.bad("✗"), palette.bad("blocked")),
            VerdictKind::Unobserved => (palette.bad("?"), palette.bad("not observed")),
            VerdictKind::Nothing | VerdictKind::Change(_) | VerdictKind::Waiting => continue,
        };
        let Verdict { instance, environment, why, .. } = verdict;
        let _ =
            writeln!(text, "{sign} {} {word}  {}", palette.strong(instance.as_str()), palette.faint(&format!("({environment})")));
        for reason in why {
            let _ = writeln!(text, "    {reason}");
        }
        text.push('\n');
    }
}

/// What does not fit together although nothing changes there.
fn warnings(text: &mut String, report: &Report, palette: Palette) {
    for verdict in report.verdicts.iter().filter(|verdict| !verdict.warnings.is_empty()) {
        let name = palette.strong(verdict.instance.as_str());
        let _ = writeln!(text, "{} {name} stays as it is, and something does not fit:", palette.warn("!"));
        for warning in &verdict.warnings {
            let _ = writeln!(text, "    {warning}");
        }
        text.push('\n');
    }
}

fn sign(decision: Decision, palette: Palette) -> String {
    match decision {
        Decision::Install => palette.good("+"),
        Decision::Upgrade => palette.good("↑"),
        Decision::Rollback => palette.warn("↓"),
        Decision::Reconfigure => palette.warn("~"),
        Decision::Adopt => palette.mark("="),
        Decision::Remove => palette.bad("-"),
        Decision::Forget => palette.faint("·"),
        Decision::Backup => palette.mark("◊"),
        Decision::Restore => palette.warn("↺"),
    }
}

/// The verb that a decision is called by, as in "1 to upgrade".
pub(super) fn verb(decision: Decision) -> &'static str {
    decision.verb()
}

pub(super) fn versions(from: Option<&Arc<str>>, to: Option<&Arc<str>>) -> String {
    match (from, to) {
        (Some(from), Some(to)) if from == to => to.to_string(),
        (Some(from), Some(to)) => format!("{from} → {to}"),
        (None, Some(to)) => to.to_string(),
        (Some(from), None) => from.to_string(),
        (None, None) => String::new(),
    }
}

fn change_text(text: &mut String, plan: &Plan, change: &Change, previews: &Previews, palette: Palette) {
    let Change { instance, environment, host, decision, from, to, why, hops, settings, notes, preflights, .. } = change;
    let place = host.as_ref().map_or_else(|| environment.to_string(), |host| format!("{environment}, {host}"));
    let _ = writeln!(
        text,
        "{} {} {} {}  {}",
        sign(*decision, palette),
        palette.strong(instance.as_str()),
        verb(*decision),
        palette.mark(&versions(from.as_ref(), to.as_ref())),
        palette.faint(&format!("({place})")),
    );
    for reason in why {
        let _ = writeln!(text, "    {reason}");
    }
    for setting in settings {
        let _ = writeln!(
            text,
            "    {} {} → {}",
            palette.warn(&format!("{}:", setting.name)),
            value_text(&setting.before),
            value_text(&setting.after)
        );
    }
    for preflight in preflights {
        let word = match &preflight.outcome {
            PreflightOutcome::Pass => continue,
            PreflightOutcome::Warn => palette.warn("warning"),
            PreflightOutcome::Waived { reason } => palette.warn(&format!("waived ({reason})")),
            PreflightOutcome::Fail => palette.bad("failed"),
        };
        let _ = writeln!(text, "    check {}: {word}: {}", preflight.name, preflight.message);
        if let Some(remedy) = &preflight.remedy {
            let _ = writeln!(text, "      → {remedy}");
        }
    }
    for note in notes {
        let word = if note.follow_up { "follow-up" } else { "note" };
        let url = note.url.as_ref().map(|url| format!(" ({url})")).unwrap_or_default();
        let _ = writeln!(text, "    {} {}{url}", palette.warn(&format!("{word}:")), note.text);
    }
    for hop in hops {
        hop_text(text, plan, change, hop, previews, palette);
    }
    text.push('\n');
}

fn hop_text(text: &mut String, plan: &Plan, change: &Change, hop: &Hop, previews: &Previews, palette: Palette) {
    let downtime = match hop_downtime(hop) {
        none if none == "none" => "no downtime".to_owned(),
        some => format!("downtime {some}"),
    };
    let risk = if hop.risk == 0 { String::new() } else { format!(", risk {}", hop.risk) };
    let head =
        if change.hops.len() > 1 { format!("{} by ", versions(hop.from.as_ref(), hop.to.as_ref())) } else { "by ".to_owned() };
    let undoing = hop.reverts.as_ref().map(|run| format!(", undoing run {run}")).unwrap_or_default();
    let _ = writeln!(text, "    {head}{} (route {}{risk}){undoing}, {downtime}", palette.strong(hop.strategy.as_str()), hop.route);
    if plan.actions.len() > FULL_UP_TO {
        return;
    }
    let mut table = Table::new();
    for index in &hop.actions {
        let Some(action) = plan.actions.get(*index as usize) else { continue };
        let back = match &action.kind {
            // Going back is itself the way back: a step of it that fails is held, and tried again.
            ActionKind::Revert { restores_data: true, .. } => palette.warn("puts data back: what was written since is lost"),
            ActionKind::Revert { .. } => String::new(),
            _ if hop.point_of_no_return == Some(*index) => palette.bad("no way back but a restore"),
            _ => palette.faint(&back_text(action)),
        };
        let Some(name) = action.kind.step() else { continue };
        table.row([
            if action.downtime { palette.warn("▼") } else { " ".to_owned() },
            name.to_string(),
            format!("{}{}", action.title, palette.faint(&manner(action))),
            action_time(action),
            back,
        ]);
        for diff in previews.get(&action.id).into_iter().flatten() {
            table.below(&diff_text(diff, "          ", palette));
        }
    }
    text.push_str(&table.render("      "));
}

/// How the call is made, where it is not made once.
fn manner(action: &Action) -> String {
    let items = action.fan_out.as_ref();
    let items = items.map(|items| format!("each of {}, {} at once", line(items.items.text()), items.at_once));
    let poll = action.poll.as_ref().map(|poll| format!("again and again until {}", line(poll.until.text())));
    let opens = action.opens.as_ref().map(|name| format!("opens {}", line(name)));
    let closes = action.closes.as_ref().map(|name| format!("closes {}", line(name)));
    let probe = action.probe.as_ref().map(|probe| format!("beside others, every {}", Human(probe.interval)));
    let remarks: Vec<String> = items.into_iter().chain(poll).chain(probe).chain(opens).chain(closes).collect();
    if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join("; ")) }
}

fn back_text(action: &Action) -> String {
    match &action.undo {
        ActionUndo::Call { call, restores_data: true, .. } => format!("way back: {} (puts data back)", call.driver),
        ActionUndo::Call { call, .. } => format!("way back: {}", call.driver),
        ActionUndo::Harmless => String::new(),
        ActionUndo::Irreversible => "cannot be undone".to_owned(),
    }
}

pub(super) fn value_text(value: &Value) -> String {
    match value {
        Value::Sensitive(_) => "(sensitive)".to_owned(),
        Value::Null => "(not set)".to_owned(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

fn gates(text: &mut String, plan: &Plan, palette: Palette) {
    for (gate, about) in alike(plan.gates.iter().filter(|gate| !gate.open)) {
        let whose = if about.is_empty() { String::new() } else { format!(" ({})", named(&about, str::to_owned)) };
        let _ = writeln!(text, "{} gate of {}: {}{whose}", palette.warn("⏸"), gate.environment, gate.message);
        for line in gate.paste.iter().flat_map(|paste| paste.lines()) {
            let _ = writeln!(text, "      {line}");
        }
    }
    let shown = [GateKind::Acknowledgement, GateKind::Approval, GateKind::Window];
    for (gate, about) in alike(plan.gates.iter().filter(|gate| gate.open && gate.waived.is_none() && shown.contains(&gate.kind))) {
        let whose = if about.is_empty() { String::new() } else { format!("{}: ", named(&about, str::to_owned)) };
        let _ = writeln!(text, "{} {whose}{}", palette.good("✓"), gate.message);
    }
    for (gate, about) in alike(&plan.gates) {
        if let Some(reason) = &gate.waived {
            let whose = if about.is_empty() { String::new() } else { format!(" ({})", named(&about, str::to_owned)) };
            let _ = writeln!(text, "{} gate of {} waived{whose}: {reason}", palette.warn("!"), gate.environment);
        }
    }
}

fn summary(text: &mut String, plan: &Plan, report: &Report, palette: Palette) {
    let blocked =
        report.verdicts.iter().filter(|verdict| matches!(verdict.kind, VerdictKind::Blocked | VerdictKind::Unobserved)).count();
    if plan.changes.is_empty() && blocked == 0 {
        let _ = writeln!(
            text,
            "{} Everything is as declared: {} checked.",
            palette.good("No changes."),
            super::count(report.verdicts.len(), "instance")
        );
        return;
    }
    let decisions = [
        Decision::Install,
        Decision::Upgrade,
        Decision::Rollback,
        Decision::Reconfigure,
        Decision::Adopt,
        Decision::Remove,
        Decision::Forget,
        Decision::Backup,
        Decision::Restore,
    ];
    let mut parts: Vec<String> = decisions
        .into_iter()
        .map(|decision| (decision, plan.changes.iter().filter(|change| change.decision == decision).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(decision, count)| format!("{count} to {}", verb(decision)))
        .collect();
    if blocked > 0 {
        parts.push(palette.bad(&format!("{blocked} blocked")));
    }
    let steps = plan.actions.iter().filter(|action| action.kind.call().is_some()).count();
    let downtime = total_downtime(plan).map_or_else(
        || "unknown".to_owned(),
        |sum| if sum.is_zero() { "none".to_owned() } else { format!("about {}", duration(sum)) },
    );
    let _ =
        writeln!(text, "{} {}; {}; downtime {downtime}.", palette.strong("Plan:"), parts.join(", "), super::count(steps, "action"));
}

/// The downtime of all instances in all; `None` where nobody estimated some of it.
pub(super) fn total_downtime(plan: &Plan) -> Option<Duration> {
    let hops = plan.changes.iter().flat_map(|change| &change.hops);
    hops.map(|hop| hop.downtime).try_fold(Duration::ZERO, |sum, hop| Some(sum + hop?))
}
