//! Findings for forges and test reports: what was found, by which rule, where. Made from diagnostics, or by whoever checks something.
//!
//! `findings_sarif` gives SARIF 2.1.0, `findings_junit` JUnit XML. Reads nothing: places are given.

use crate::model::name::Digest;
use crate::plan::{Effect, Ruling};
use crate::source::{Diagnostic, Diagnostics, Severity, SourceMap, Span};

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Names the kind of finding, the same in every run: `unknown-setting`.
    pub rule: String,
    /// How bad it is.
    pub level: Level,
    /// What the rule is about, in a few words: `unknown setting`.
    pub title: String,
    /// What was found.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Where, most important first; none where it is in no file.
    pub places: Vec<Place>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It stops the work.
    Error,
    /// Somebody should look.
    Warning,
    /// For information: a waived finding.
    Note,
}

impl Level {
    /// The word that SARIF has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A place in a file. Lines and columns begin at 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, from the root of the repository.
    pub file: String,
    /// First line and column.
    pub begin: (usize, usize),
    /// Last line, and the column behind the last character.
    pub end: (usize, usize),
    /// A remark; may be empty.
    pub text: String,
}

/// Diagnostics as findings. `prefix`: the configuration's folder in its repository, with a `/` at its end, or empty.
#[must_use]
pub fn findings(problems: &Diagnostics, sources: &SourceMap, prefix: &str) -> Vec<Finding> {
    problems.iter().map(|problem| finding(problem, sources, prefix)).collect()
}

fn finding(problem: &Diagnostic, sources: &SourceMap, prefix: &str) -> Finding {
    let place = |label: &crate::source::Label| {
        let name = sources.name(label.span.source);
        // What is in no file: an embedded provider, a value of the command line.
        if name.starts_with('<') || name.starts_with("git::") {
            return None;
        }
        let end = Span { start: label.span.end, ..label.span };
        let file = if name.starts_with('/') { name.to_owned() } else { format!("{prefix}{name}") };
        Some(Place { file, begin: sources.line_column(label.span), end: sources.line_column(end), text: label.text.clone() })
    };
    let elsewhere = problem.labels.iter().filter(|label| place(label).is_none()).map(|label| {
        let (line, column) = sources.line_column(label.span);
        format!(" ({}:{line}:{column})", sources.name(label.span.source))
    });
    let message = if problem.detail.is_empty() { problem.summary.clone() } else { problem.detail.clone() };
    Finding {
        rule: rule(&problem.summary),
        level: match problem.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        },
        title: problem.summary.clone(),
        message: message + &elsewhere.collect::<String>(),
        help: problem.help.clone(),
        places: problem.labels.iter().filter_map(place).collect(),
    }
}

/// What policies say, as findings. They are about a plan, so they have no place in a file.
#[must_use]
pub fn ruling_findings(rulings: &[Ruling]) -> Vec<Finding> {
    let finding = |ruling: &Ruling| {
        let whose = ruling.instance.as_ref().map(|instance| format!("{instance}: "));
        let whose = whose.or_else(|| ruling.environment.as_ref().map(|environment| format!("{environment}: ")));
        let waived = ruling.waived.as_ref().map(|waived| format!(" (waived: {})", waived.reason));
        Finding {
            rule: ruling.id.clone(),
            level: match (&ruling.waived, ruling.effect) {
                (Some(_), _) => Level::Note,
                (None, Effect::Deny) => Level::Error,
                (None, Effect::Warn) => Level::Warning,
            },
            title: format!("policy {}", ruling.id),
            message: format!("{}{}{}", whose.unwrap_or_default(), ruling.message, waived.unwrap_or_default()),
            help: ruling.help.clone(),
            places: Vec::new(),
        }
    };
    rulings.iter().map(finding).collect()
}

/// A summary as a name: `unknown setting` is `unknown-setting`.
fn rule(summary: &str) -> String {
    let words = summary.split(|sign: char| !sign.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

impl Finding {
    /// Names the finding across runs: its rule, its file and what was found, without the line, which moves.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let file = self.places.first().map_or("", |place| place.file.as_str());
        Digest::of(format!("{}\n{file}\n{}", self.rule, self.message).as_bytes())
    }
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
