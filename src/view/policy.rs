//! What policies said: objections to a plan, ends of their tests, and which there are.

use std::fmt::Write as _;

use super::{Palette, Table, count};
use crate::plan::{Effect, Ruling};
use crate::policy::{Trial, TrialEnd};

/// Objections, one after the other.
#[must_use]
pub fn rulings_text(rulings: &[Ruling], palette: Palette) -> String {
    let mut text = String::new();
    for ruling in rulings {
        let (sign, word) = match (ruling.effect, &ruling.waived) {
            (_, Some(_)) => (palette.warn("!"), palette.warn("waived")),
            (Effect::Deny, None) => (palette.bad("✗"), palette.bad("denied")),
            (Effect::Warn, None) => (palette.warn("!"), palette.warn("warning")),
        };
        let _ = writeln!(text, "{sign} policy {} {word}: {}{}", palette.strong(&ruling.id), ruling.message, about(ruling));
        if let Some(waived) = &ruling.waived {
            let owner = waived.owner.as_ref().map(|owner| format!(", owner {owner}")).unwrap_or_default();
            let until = waived.until.map(|until| format!(", until {until}")).unwrap_or_default();
            let _ = writeln!(text, "    waived: {}{owner}{until}", waived.reason);
        } else if let Some(help) = &ruling.help {
            let _ = writeln!(text, "    → {help}");
        }
    }
    text
}

/// Whom an objection is about, where its sentence does not say so.
pub(super) fn about(ruling: &Ruling) -> String {
    let name = ruling.instance.as_ref().map(ToString::to_string).or_else(|| ruling.environment.as_ref().map(ToString::to_string));
    name.filter(|name| !ruling.message.contains(name.as_str())).map(|name| format!(" ({name})")).unwrap_or_default()
}

/// Tests that did not pass, and how many there were.
#[must_use]
pub fn trials_text(trials: &[Trial], files: usize, palette: Palette) -> String {
    let mut text = String::new();
    for trial in trials {
        let name = trial.rule.strip_prefix("data.").unwrap_or(&trial.rule);
        match &trial.end {
            TrialEnd::Passed => continue,
            TrialEnd::Failed(what) => {
                let _ = writeln!(text, "{} {name} ({}): it gives {what}", palette.bad("✗"), trial.file);
            }
            TrialEnd::Broken(why) => {
                let _ = writeln!(text, "{} {name} ({}) cannot be evaluated: {why}", palette.bad("✗"), trial.file);
            }
        }
    }
    let passed = trials.iter().filter(|trial| trial.end == TrialEnd::Passed).count();
    let failed = trials.len() - passed;
    if trials.is_empty() {
        let _ = writeln!(
            text,
            "There are no tests in {}. A test is a rule whose name begins with `test_`.",
            count(files, "policy file")
        );
    } else if failed == 0 {
        let _ = writeln!(text, "{} {} passed.", palette.good("✓"), count(passed, "test"));
    } else {
        let _ = writeln!(text, "{} failed, {passed} passed.", palette.bad(&count(failed, "test")));
    }
    text
}

/// Tests as one JSON document.
#[must_use]
pub fn trials_json(trials: &[Trial]) -> String {
    let shown: Vec<serde_json::Value> = trials
        .iter()
        .map(|trial| {
            let (end, message) = match &trial.end {
                TrialEnd::Passed => ("passed", None),
                TrialEnd::Failed(what) => ("failed", Some(format!("it gives {what}"))),
                TrialEnd::Broken(why) => ("broken", Some(why.clone())),
            };
            serde_json::json!({ "file": trial.file, "rule": trial.rule, "end": end, "message": message })
        })
        .collect();
    format!("{}\n", serde_json::json!({ "tests": shown }))
}

/// The rules that hold, and the policies that could be switched on. `rules`: file and rule.
#[must_use]
pub fn policies_text(rules: &[(String, String)], starters: &[&str], switched_on: &[String], palette: Palette) -> String {
    let mut text = String::new();
    if rules.is_empty() {
        text.push_str("No policy holds.\n");
    }
    let mut table = Table::new();
    for (file, rule) in rules {
        table.row([file.clone(), rule.clone()]);
    }
    text.push_str(&table.render(""));
    let off: Vec<&str> = starters.iter().copied().filter(|name| !switched_on.iter().any(|on| on == name)).collect();
    if !off.is_empty() {
        let _ = writeln!(text, "{} {}", palette.faint("Starter policies that are off:"), off.join(", "));
    }
    text
}
