//! A plan as a comment on a pull request: what a reviewer must know first, then the changes, then every step, folded.
//!
//! Never longer than the forge allows; what was left out is counted. Everything that comes from outside is escaped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::call::{Arg, Call};
use crate::model::driver::Diff;
use crate::plan::{Action, ActionKind, ActionUndo, Change, Effect, Hop, Plan, PreflightOutcome, Report, VerdictKind};

use super::alike::{alike, named, unsaid_opening};
use super::estimate::{action_time, basis, hop_downtime, risk};
use super::pieces::{Pieces, Weight};
use super::plan_json::Previews;
use super::plan_text::{total_downtime, value_text, verb, versions};
use super::policy::about;
use super::sequence::sequence;
use super::{count, duration};

/// What a comment may be, and where the whole is.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// Bytes at most.
    pub limit: usize,
    /// Where everything can be read, where there is such a place.
    pub link: Option<&'a str>,
}

/// Longest single value that is shown of a call.
const LONGEST: usize = 200;

/// The plan as Markdown.
#[must_use]
pub fn plan_markdown(plan: &Plan, report: &Report, previews: &Previews, page: Page<'_>) -> String {
    let mut pieces = Pieces::default();
    head(&mut pieces, plan, report);
    blocked(&mut pieces, report);
    warnings(&mut pieces, report);
    rulings(&mut pieces, report);
    gates(&mut pieces, plan);
    returns(&mut pieces, plan);
    checks(&mut pieces, plan);
    notes(&mut pieces, plan);
    revised(&mut pieces, plan);
    let sequence = sequence(plan);
    changes(&mut pieces, &sequence);
    for (change, _) in &sequence {
        for hop in &change.hops {
            hop_steps(&mut pieces, plan, change, hop, previews);
        }
    }
    pieces.fit(page.limit, |left_out| closing(left_out, page.link))
}

fn closing(left_out: &BTreeMap<&'static str, usize>, link: Option<&str>) -> String {
    let parts: Vec<String> = left_out.iter().map(|(kind, number)| count(*number, kind)).collect();
    let place = match link {
        Some(link) => format!("[everything is here]({})", link.replace([' ', ')', '\n'], "")),
        None => "`windlass show PLAN` has everything".to_owned(),
    };
    format!("\n_Left out for length: {}; {place}._\n", parts.join(", "))
}

/// What is to be done, in numbers: `2 to install`, `1 blocked`; none where everything is as declared.
pub(super) fn headline(plan: &Plan, report: &Report) -> Vec<String> {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for change in &plan.changes {
        *kinds.entry(verb(change.decision)).or_default() += 1;
    }
    let blocked = report.verdicts.iter().filter(|verdict| is_stuck(verdict.kind)).count();
    let mut parts: Vec<String> = kinds.iter().map(|(verb, number)| format!("{number} to {verb}")).collect();
    if blocked > 0 {
        parts.push(format!("{blocked} blocked"));
    }
    parts
}

fn head(pieces: &mut Pieces, plan: &Plan, report: &Report) {
    let parts = headline(plan, report);
    if parts.is_empty() {
        let checked = count(report.verdicts.len(), "instance");
        return pieces.push(
            Weight::Must,
            "headline",
            format!("### Windlass: no changes\n\nEverything is as declared: {checked} checked.\n"),
        );
    }
    let mut text = format!("### Windlass: {}\n\n", parts.join(", "));
    let waiting = plan.gates.iter().filter(|gate| !gate.open).count();
    let returns = points(plan).count();
    let steps = plan.actions.iter().filter(|action| action.kind.call().is_some()).count();
    let waived = waived(plan);
    let downtime = total_downtime(plan).map_or_else(
        || "unknown".to_owned(),
        |sum| if sum.is_zero() { "none".to_owned() } else { format!("about {}", duration(sum)) },
    );
    let _ = writeln!(text, "| risk | downtime | takes | points of no return | gates closed | waived | actions |");
    let _ = writeln!(text, "|---|---|---|---|---|---|---|");
    let takes = match plan.duration() {
        Duration::ZERO => "not known yet".to_owned(),
        time => format!("about {}", duration(time)),
    };
    let _ = writeln!(text, "| {} | {downtime} | {takes} | {returns} | {waiting} | {waived} | {steps} |\n", risk(plan));
    if let Some(basis) = Some(basis(plan)).filter(|basis| !basis.is_empty()) {
        let _ = writeln!(text, "{basis}\n");
    }
    pieces.push(Weight::Must, "headline", text);
}

/// Whether nothing could be planned.
pub(super) fn is_stuck(kind: VerdictKind) -> bool {
    matches!(kind, VerdictKind::Blocked | VerdictKind::Unobserved)
}

fn blocked(pieces: &mut Pieces, report: &Report) {
    for verdict in report.verdicts.iter().filter(|verdict| is_stuck(verdict.kind)) {
        let mut text = format!("- **blocked** {} ({})\n", code(verdict.instance.as_str()), escape(verdict.environment.as_str()));
        for reason in &verdict.why {
            let _ = writeln!(text, "  - {}", escape(reason));
        }
        pieces.push(Weight::Must, "blocked instance", text);
    }
}

fn warnings(pieces: &mut Pieces, report: &Report) {
    for verdict in &report.verdicts {
        for warning in &verdict.warnings {
            let text = format!("- **does not fit** {}: {}\n", code(verdict.instance.as_str()), escape(warning));
            pieces.push(Weight::Must, "warning", text);
        }
    }
}

fn rulings(pieces: &mut Pieces, report: &Report) {
    for ruling in &report.rulings {
        let word = match (ruling.effect, &ruling.waived) {
            (_, Some(_)) => "**waived**",
            (Effect::Deny, None) => "**denied**",
            (Effect::Warn, None) => "**warning**",
        };
        let mut text = format!("- policy {} {word}: {}{}\n", code(&ruling.id), escape(&ruling.message), escape(&about(ruling)));
        if let Some(waived) = &ruling.waived {
            let owner = waived.owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
            let until = waived.until.map(|until| format!(", until {until}")).unwrap_or_default();
            let _ = writeln!(text, "  - {}", escape(&format!("{}{owner}{until}", waived.reason)));
        } else if let Some(help) = &ruling.help {
            let _ = writeln!(text, "  - {}", escape(help));
        }
        pieces.push(Weight::Must, "objection of a policy", text);
    }
}

fn gates(pieces: &mut Pieces, plan: &Plan) {
    for (gate, about) in alike(plan.gates.iter().filter(|gate| !gate.open || gate.waived.is_some())) {
        let whose = if about.is_empty() { String::new() } else { format!(", {}", named(&about, code)) };
        let what = match &gate.waived {
            Some(reason) => format!("**waived** ({})", escape(reason)),
            None => {
                let until = unsaid_opening(&gate.message, gate.opens)
                    .map(|opens| format!(", opens {}", escape(&opens.to_string())))
                    .unwrap_or_default();
                format!("**waits**: {}{until}", escape(&gate.message))
            }
        };
        pieces.push(Weight::Must, "gate", format!("- gate of {}{whose} {what}\n", escape(gate.environment.as_str())));
    }
}

/// The actions after which there is no way back but a restore.
pub(super) fn points(plan: &Plan) -> impl Iterator<Item = (&Change, &Action)> {
    plan.changes.iter().flat_map(move |change| {
        let point = |hop: &Hop| plan.actions.get(hop.point_of_no_return? as usize);
        change.hops.iter().filter_map(point).map(move |action| (change, action))
    })
}

fn returns(pieces: &mut Pieces, plan: &Plan) {
    for (change, action) in points(plan) {
        let text = format!(
            "- **point of no return** of {}: {} ({}); after it only a restore leads back\n",
            code(change.instance.as_str()),
            escape(&action.title),
            code(action.kind.step().map_or("", |step| step.as_str())),
        );
        pieces.push(Weight::Must, "point of no return", text);
    }
}

/// Checks that do not hold and that a waiver lets pass: whose, their name, the reason.
pub(super) fn waived_checks(plan: &Plan) -> impl Iterator<Item = (&Change, &str, &str)> {
    plan.changes.iter().flat_map(|change| {
        change.preflights.iter().filter_map(move |check| match &check.outcome {
            PreflightOutcome::Waived { reason } => Some((change, &*check.name, reason.as_str())),
            _ => None,
        })
    })
}

/// Waivers of risks and blocked moves that a change relies on.
pub(super) fn accepted(plan: &Plan) -> impl Iterator<Item = (&Change, &str)> {
    plan.changes.iter().flat_map(|change| change.accepted.iter().map(move |name| (change, &**name)))
}

/// How much is let pass by waivers: gates, checks, risks and blocked moves.
pub(super) fn waived(plan: &Plan) -> usize {
    let gates = plan.gates.iter().filter(|gate| gate.waived.is_some()).count();
    gates + waived_checks(plan).count() + accepted(plan).count()
}

fn checks(pieces: &mut Pieces, plan: &Plan) {
    for (change, name, reason) in waived_checks(plan) {
        let text = format!("- {} **waived** for {}: {}\n", code(name), code(change.instance.as_str()), escape(reason));
        pieces.push(Weight::Must, "waiver", text);
    }
    for (change, name) in accepted(plan) {
        let text = format!("- waiver {} **relied on** by {}\n", code(name), code(change.instance.as_str()));
        pieces.push(Weight::Must, "waiver", text);
    }
    let warnings = plan.changes.iter().flat_map(|change| {
        let warned = change.preflights.iter().filter(|check| check.outcome == PreflightOutcome::Warn);
        warned.map(move |check| ("warning", change.instance.as_str(), escape(&check.message)))
    });
    said_once(pieces, "warning", warnings);
}

/// What is said of several instances is said once, where it is said first: what it is, of whom, the sentence.
fn said_once<'a>(pieces: &mut Pieces, kind: &'static str, said: impl Iterator<Item = (&'static str, &'a str, String)>) {
    let mut gathered: IndexMap<(&str, String), Vec<&str>> = IndexMap::new();
    for (word, whose, sentence) in said {
        gathered.entry((word, sentence)).or_default().push(whose);
    }
    for ((word, sentence), whose) in gathered {
        pieces.push(Weight::Note, kind, format!("- {word} for {}: {sentence}\n", named(&whose, code)));
    }
}

fn notes(pieces: &mut Pieces, plan: &Plan) {
    let notes = plan.changes.iter().flat_map(|change| {
        change.notes.iter().map(move |note| {
            let word = match (note.acknowledge, note.follow_up) {
                (true, _) => "note to acknowledge",
                (false, true) => "follow-up",
                (false, false) => "note",
            };
            let url = note.url.as_ref().map(|url| format!(" ({})", escape(url))).unwrap_or_default();
            (word, change.instance.as_str(), format!("{}{url}", escape(&note.text)))
        })
    });
    said_once(pieces, "note", notes);
}

/// What came with the program or from outside, and nobody may have looked at.
fn revised(pieces: &mut Pieces, plan: &Plan) {
    for revised in &plan.revised {
        pieces.push(Weight::Note, "note", format!("- {}\n", escape(&revised.headline())));
        for file in revised.files.iter().flatten() {
            pieces.push(Weight::Detail, "difference", folded(revised.provider.as_str(), &file.diff));
        }
    }
}

/// A difference, folded.
fn folded(whose: &str, diff: &Diff) -> String {
    let (whose, path, text) = (html(whose), html(&diff.path), fenced("diff", &diff.text));
    format!("\n<details><summary>{whose}: {path}</summary>\n\n{text}\n</details>\n")
}

/// What begins earlier stands earlier.
fn changes(pieces: &mut Pieces, sequence: &[(&Change, Vec<&Change>)]) {
    if sequence.is_empty() {
        return;
    }
    pieces.push(
        Weight::Change,
        "heading",
        "\n| instance | where | change | after | by | downtime | why |\n|---|---|---|---|---|---|---|\n",
    );
    for (change, after) in sequence {
        let after: Vec<&str> = after.iter().map(|other| other.instance.as_str()).collect();
        let place =
            change.host.as_ref().map_or_else(|| change.environment.to_string(), |host| format!("{}, {host}", change.environment));
        let by: Vec<String> = change.hops.iter().map(by).collect();
        let downtime: Vec<String> = change.hops.iter().map(hop_downtime).collect();
        let downtime = if downtime.iter().all(|downtime| downtime == "none") { "none".to_owned() } else { downtime.join("<br>") };
        let mut why: Vec<String> = change.why.iter().map(|reason| escape(reason)).collect();
        why.extend(change.settings.iter().map(|setting| {
            format!("{}: {} → {}", code(&setting.name), code(&value_text(&setting.before)), code(&value_text(&setting.after)))
        }));
        let text = format!(
            "| {} | {} | {} {} | {} | {} | {downtime} | {} |\n",
            code(change.instance.as_str()),
            escape(&place),
            verb(change.decision),
            escape(&versions(change.from.as_ref(), change.to.as_ref())),
            named(&after, code),
            by.join(", "),
            why.join("<br>"),
        );
        pieces.push(Weight::Change, "change", text);
    }
}

/// What a hop is done by, and at which risk.
fn by(hop: &Hop) -> String {
    let risk = if hop.risk == 0 { String::new() } else { format!(" (risk {})", hop.risk) };
    format!("{}{risk}", code(hop.strategy.as_str()))
}

fn hop_steps(pieces: &mut Pieces, plan: &Plan, change: &Change, hop: &Hop, previews: &Previews) {
    let actions: Vec<&Action> =
        hop.actions.iter().filter_map(|at| plan.actions.get(*at as usize)).filter(|action| action.kind.step().is_some()).collect();
    if actions.is_empty() {
        return;
    }
    let mut text = format!(
        "\n<details><summary>{}: {} by {}, {}</summary>\n\n",
        html(change.instance.as_str()),
        html(&versions(hop.from.as_ref(), hop.to.as_ref())),
        html(hop.strategy.as_str()),
        count(actions.len(), "step"),
    );
    text.push_str("| | step | does | takes | way back |\n|---|---|---|---|---|\n");
    for action in &actions {
        let step = action.kind.step().map_or("", |step| step.as_str());
        let call = action.kind.call().map(call_text).unwrap_or_default();
        let back = match (&action.kind, &action.undo) {
            (ActionKind::Revert { restores_data: true, .. }, _) => "puts data back: what was written since is lost".to_owned(),
            (ActionKind::Revert { .. }, _) => String::new(),
            _ if hop.point_of_no_return.and_then(|at| plan.actions.get(at as usize)).is_some_and(|point| point.id == action.id) => {
                "**none but a restore**".to_owned()
            }
            (_, ActionUndo::Call { call, restores_data, .. }) => {
                format!("{}{}", code(call.driver.as_str()), if *restores_data { ", puts data back" } else { "" })
            }
            (_, ActionUndo::Harmless) => "needs none".to_owned(),
            (_, ActionUndo::Irreversible) => "none".to_owned(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {}<br>{} | {} | {back} |",
            if action.downtime { "down" } else { "" },
            code(step),
            escape(&action.title),
            code(&call),
            action_time(action),
        );
    }
    text.push_str("\n</details>\n");
    pieces.push(Weight::Steps, "step list", text);
    for action in actions {
        for diff in previews.get(&action.id).into_iter().flatten() {
            pieces.push(Weight::Detail, "difference", folded(action.id.as_str(), diff));
        }
    }
}

/// A call on one line: its driver and what is known of its arguments.
fn call_text(call: &Call) -> String {
    let mut text = call.driver.to_string();
    for (name, arg) in &call.args {
        let value = match arg {
            Arg::Known(value) => value_text(value),
            Arg::Deferred(expr) => expr.text().split_whitespace().collect::<Vec<_>>().join(" "),
        };
        let short: String = value.chars().take(LONGEST).collect();
        let more = if short.len() < value.len() { "…" } else { "" };
        let _ = write!(text, " {name}={short}{more}");
    }
    text
}

/// Text that means nothing to Markdown, on one line.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for sign in text.chars() {
        match sign {
            '\n' | '\r' | '\t' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A mention would write to people.
            '@' => out.push_str("@\u{200b}"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(sign);
            }
            other => out.push(other),
        }
    }
    out
}

pub(super) fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(['\n', '\r'], " ").replace('@', "@\u{200b}")
}

/// Code on one line, whatever is in it; also in a cell of a table.
pub(super) fn code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!(
        "<code>{}</code>",
        html(text)
            .replace('|', "&#124;")
            .replace('`', "&#96;")
            .replace('*', "&#42;")
            .replace('_', "&#95;")
            .replace('[', "&#91;")
            .replace('\\', "&#92;")
            .replace('~', "&#126;")
    )
}

/// A block of code behind a fence that is not in it.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|sign| sign != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_means_anything() {
        assert_eq!(escape("a|b <img> @all `x` [l](u)\n# h"), "a\\|b &lt;img&gt; @\u{200b}all \\`x\\` \\[l\\](u) \\# h");
        assert_eq!(code("a|b`c*d"), "<code>a&#124;b&#96;c&#42;d</code>");
    }

    #[test]
    fn what_is_said_of_several_instances_is_said_once() {
        let mut pieces = Pieces::default();
        let names: Vec<String> = (0..12).map(|number| format!("app.i{number}")).collect();
        let read = names.iter().map(|name| ("note", name.as_str(), "Read this.".to_owned()));
        let wait = [("note", "app.i3", "Wait.".to_owned()), ("follow-up", "app.i3", "Read this.".to_owned())];
        said_once(&mut pieces, "note", read.chain(wait));
        let text = pieces.fit(10_000, |_| String::new());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("- note for <code>app.i0</code>, <code>app.i1</code>,"), "{text}");
        assert!(lines[0].ends_with("<code>app.i7</code> and 4 more: Read this."), "{text}");
        assert_eq!(lines[1], "- note for <code>app.i3</code>: Wait.");
    }

    #[test]
    fn a_fence_is_longer_than_any_in_the_text() {
        assert_eq!(fenced("diff", "a\n````\nb"), "`````diff\na\n````\nb\n`````\n");
    }
}
