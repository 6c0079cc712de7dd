//! What one look at the fleet came to, for an issue or a chat: a table first, differences folded, never longer than allowed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::plan::{Drift, DriftReport, InstanceState};

use super::count;
use super::drift::{expired_line, ignored_line, moving_line};
use super::pieces::{Pieces, Weight};
use super::plan_markdown::{Page, code, escape, fenced, html};
use super::status::sight;

/// The report as Markdown.
#[must_use]
pub fn drift_markdown(report: &DriftReport, page: Page<'_>) -> String {
    let mut pieces = Pieces::default();
    let drifted = report.instances.iter().filter(|state| !state.drift.is_empty()).count();
    let compared = count(report.instances.len(), "instance");
    let mut head = match drifted {
        0 => format!("### Windlass: no drift\n\n{compared} compared with what was recorded, at {}.\n", report.at),
        some => format!("### Windlass: {some} of {compared} drifted\n\nLooked at {}.\n", report.at),
    };
    if drifted > 0 {
        head.push_str("\n| severity | class | instance | environment | recorded | declared | there | what |\n");
        head.push_str("|---|---|---|---|---|---|---|---|\n");
    }
    pieces.push(Weight::Must, "headline", head);
    let mut found: Vec<(&InstanceState, &Drift)> = report.findings().collect();
    // The worst first; the sort is stable, so that instances stay in order.
    found.sort_by_key(|(_, drift)| std::cmp::Reverse(drift.severity));
    for (state, drift) in &found {
        pieces.push(Weight::Change, "line", line(state, drift));
    }
    for moving in &report.moving {
        pieces.push(Weight::Must, "run in progress", format!("\n- {}\n", escape(&moving_line(moving))));
    }
    for expired in &report.expired {
        pieces.push(Weight::Note, "rule that has run out", format!("\n- {}\n", escape(&expired_line(expired))));
    }
    for (state, drift) in &found {
        if let Some(diff) = drift.diff() {
            let title = format!("{}: {}", state.instance, drift.fact.as_deref().unwrap_or_default());
            let body = fenced("diff", &diff);
            let text = format!("\n<details><summary>{}</summary>\n\n{body}\n</details>\n", html(&title));
            pieces.push(Weight::Detail, "difference", text);
        }
    }
    for state in &report.instances {
        for ignored in &state.ignored {
            let text = format!("\n- {} {}\n", code(state.instance.as_str()), escape(&ignored_line(ignored)));
            pieces.push(Weight::Detail, "ignored drift", text);
        }
    }
    pieces.fit(page.limit, |left_out| closing(left_out, page.link))
}

fn line(state: &InstanceState, drift: &Drift) -> String {
    let dash = || "-".to_owned();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} | {} | {} | {} |",
        drift.severity.word(),
        escape(drift.class.word()),
        code(state.instance.as_str()),
        escape(state.environment.as_str()),
        state.recorded.as_deref().map_or_else(dash, escape),
        state.declared.as_deref().map_or_else(dash, escape),
        escape(&sight(&state.observed)),
        escape(&drift.message)
    );
    text
}

fn closing(left_out: &BTreeMap<&'static str, usize>, link: Option<&str>) -> String {
    let parts: Vec<String> = left_out.iter().map(|(kind, number)| count(*number, kind)).collect();
    let place = match link {
        Some(link) => format!("[everything is here]({})", link.replace([' ', ')', '\n'], "")),
        None => "`windlass drift` has everything".to_owned(),
    };
    format!("\n_Left out for length: {}; {place}._\n", parts.join(", "))
}
