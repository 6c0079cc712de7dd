//! What one look at the fleet came to: for people at a terminal, and for programs.

use std::fmt::Write as _;

use crate::lang::{Value, render};
use crate::model::drift::{DriftClass, Severity};
use crate::model::driver::Diff;
use crate::model::name::InstanceAddr;
use crate::plan::{Drift, DriftReport, ExpiredIgnore, Ignored, InstanceState, Moving};

use super::Palette;
use super::alike::named;
use super::diff::diff_text;
use super::status::sight;

/// What drifted, three ways, with its reasons; what is accepted for a while; and how much did not drift.
#[must_use]
pub fn drift_text(report: &DriftReport, palette: Palette) -> String {
    let mut text = String::new();
    for state in report.instances.iter().filter(|state| !state.drift.is_empty() || !state.ignored.is_empty()) {
        let host = state.host.as_ref().map(|host| format!(", host {host}")).unwrap_or_default();
        let place = palette.faint(&format!("({}{host})", state.environment));
        let sign = if state.drift.is_empty() { palette.faint("~") } else { palette.warn("!") };
        let _ = writeln!(text, "{sign} {}  {place}", palette.strong(state.instance.as_str()));
        for drift in &state.drift {
            let _ = writeln!(text, "    {} {}", painted(drift, palette), drift.message);
            if let Some(ways) = three_ways(state, drift) {
                let _ = writeln!(text, "        {}", palette.faint(&ways));
            }
            if let Some(diff) = drift.diff() {
                text.push_str(&diff_text(&Diff { path: String::new(), text: diff }, "        ", palette));
            }
        }
        for ignored in &state.ignored {
            let _ = writeln!(text, "    {}", palette.faint(&ignored_line(ignored)));
        }
    }
    for expired in &report.expired {
        let _ = writeln!(text, "{} {}", palette.warn("!"), expired_line(expired));
    }
    for moving in &report.moving {
        let _ = writeln!(text, "{} {}", palette.warn("…"), moving_line(moving));
    }
    text.push_str(&last_line(report, palette));
    text
}

fn last_line(report: &DriftReport, palette: Palette) -> String {
    let drifted = report.instances.iter().filter(|state| !state.drift.is_empty()).count();
    let pending = report.instances.iter().filter(|state| state.pending).count();
    let ignored: usize = report.instances.iter().map(|state| state.ignored.len()).sum();
    let mut text = if drifted == 0 { palette.good("No drift.") } else { palette.bad(&format!("{drifted} drifted.")) };
    let moving: std::collections::BTreeSet<_> = report.moving.iter().flat_map(|moving| &moving.instances).collect();
    let compared = report.instances.len().saturating_sub(moving.len());
    let _ = write!(text, " {} compared with what was recorded", super::count(compared, "instance"));
    if ignored > 0 {
        let _ = write!(text, "; {ignored} ignored by rules");
    }
    if pending > 0 {
        let verb = if pending == 1 { "differs" } else { "differ" };
        let _ = write!(text, "; {pending} {verb} from the declaration, see `windlass plan`");
    }
    text.push_str(".\n");
    text
}

fn painted(drift: &Drift, palette: Palette) -> String {
    let word = format!("{}:", drift.class.word());
    match drift.severity {
        Severity::Critical => format!("{} {}", palette.bad("critical"), palette.bad(&word)),
        Severity::Warning => palette.bad(&word),
        Severity::Info => format!("{} {}", palette.faint("info"), palette.warn(&word)),
    }
}

/// `recorded 1.0 · declared 2.0 · there 1.1`, where it says more than the sentence.
pub(super) fn three_ways(state: &InstanceState, drift: &Drift) -> Option<String> {
    let shown = |value: &Option<Value>| match value {
        None => "-".to_owned(),
        Some(Value::Null) => "nothing".to_owned(),
        Some(Value::String(text)) => text.to_string(),
        Some(other) => render::text(other).to_string(),
    };
    match drift.class {
        DriftClass::Version | DriftClass::Missing | DriftClass::Unmanaged if state.pending => Some(format!(
            "recorded {} · declared {} · there {}",
            shown(&drift.recorded),
            shown(&drift.desired),
            sight(&state.observed)
        )),
        DriftClass::Configuration if drift.desired.is_some() && drift.desired != drift.recorded => Some(format!(
            "recorded {} · declared {} · there {}",
            shown(&drift.recorded),
            shown(&drift.desired),
            shown(&drift.observed)
        )),
        _ => None,
    }
}

/// Why drift does not count.
pub(super) fn ignored_line(ignored: &Ignored) -> String {
    let Ignored { drift, rule, reason, until } = ignored;
    let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
    format!("ignored by `{rule}`{until} ({reason}): {}: {}", drift.class.word(), drift.message)
}

/// An exception that has run out.
pub(super) fn expired_line(expired: &ExpiredIgnore) -> String {
    let ExpiredIgnore { rule, reason, owner, until, would_hide } = expired;
    let owner = owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
    let hides = match would_hide {
        0 => "it would hide nothing now: remove it".to_owned(),
        some => format!("it would still hide {some}: see to it, or give it a new end"),
    };
    format!("the rule `{rule}` ({reason}{owner}) ran out at {until}; {hides}")
}

/// A run that moves what was looked at.
#[must_use]
pub fn moving_line(moving: &Moving) -> String {
    let Moving { run, operation, who, began, carried_on, instances } = moving;
    let names: Vec<&str> = instances.iter().map(InstanceAddr::as_str).collect();
    let state = match carried_on {
        true => "is in progress".to_owned(),
        false => format!("has not come to its end (`windlass resume {run}` goes on)"),
    };
    let began = began.strftime("%Y-%m-%d %H:%M:%SZ");
    format!(
        "run {run} ({operation} by {who}, since {began}) {state}: what it moves was not compared: {}",
        named(&names, str::to_owned)
    )
}

/// The report as a document: as it is, with the difference beside each configuration, and counts.
///
/// # Errors
/// What cannot be written as JSON.
pub fn drift_json(report: &DriftReport) -> Result<String, serde_json::Error> {
    let mut document = serde_json::to_value(report)?;
    let states = document.get_mut("instances").and_then(serde_json::Value::as_array_mut);
    for (state, written) in report.instances.iter().zip(states.into_iter().flatten()) {
        let drifts = written.get_mut("drift").and_then(serde_json::Value::as_array_mut);
        for (drift, written) in state.drift.iter().zip(drifts.into_iter().flatten()) {
            if let (Some(diff), Some(written)) = (drift.diff(), written.as_object_mut()) {
                written.insert("diff".to_owned(), diff.into());
            }
        }
    }
    if let Some(document) = document.as_object_mut() {
        let count = |severity| report.findings().filter(|(_, drift)| drift.severity == severity).count();
        let counts: serde_json::Map<_, _> =
            Severity::ALL.iter().map(|severity| (severity.word().to_owned(), count(*severity).into())).collect();
        document.insert("counts".to_owned(), counts.into());
    }
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
