//! `windlass validate`: checks the configuration without looking at anything deployed.

use crate::cli::args::{FindingsFormat, ValidateArgs};
use crate::cli::exit::Exit;
use crate::cli::session::{Place, VERSION};
use crate::source::{Diagnostics, Severity, SourceMap};
use crate::view::findings::findings;
use crate::view::{count, findings_junit, findings_sarif};

/// Runs the command.
pub(in crate::cli) fn run(args: &ValidateArgs, place: &mut Place) -> Result<Exit, Diagnostics> {
    let loaded = place.load(&args.variables, false);
    let none = Diagnostics::new();
    let (problems, exit) = match &loaded {
        Ok(loaded) => (&loaded.warnings, Exit::Done),
        Err(problems) => (problems, Exit::of_problems(problems)),
    };
    let problems = if problems.is_empty() { &none } else { problems };
    let found = || findings(problems, &place.sources, &place.prefix());
    let text = match args.format {
        FindingsFormat::Human => None,
        FindingsFormat::Json => Some(format!("{:#}\n", json(problems, &place.sources))),
        FindingsFormat::Sarif => Some(findings_sarif(&found(), VERSION)),
        FindingsFormat::Junit => {
            let checked = if exit == Exit::Done { vec!["the configuration is valid".to_owned()] } else { Vec::new() };
            Some(findings_junit("validate", &found(), &checked))
        }
    };
    if let Some(text) = text {
        place.terminal.data(&text);
        return Ok(exit);
    }
    let loaded = loaded?;
    let estate = &loaded.estate;
    place.terminal.data(&format!(
        "The configuration is valid: {} of {} in {}.\n",
        count(estate.instances.len(), "instance"),
        count(loaded.providers.len(), "product"),
        count(estate.environments.len(), "environment")
    ));
    Ok(Exit::Done)
}

/// Problems for programs: where, what, why, what to do.
fn json(problems: &Diagnostics, sources: &SourceMap) -> serde_json::Value {
    let list: Vec<serde_json::Value> = problems
        .iter()
        .map(|problem| {
            let labels: Vec<serde_json::Value> = problem
                .labels
                .iter()
                .map(|label| {
                    let (line, column) = sources.line_column(label.span);
                    serde_json::json!({
                        "file": sources.name(label.span.source), "line": line, "column": column,
                        "start": label.span.start, "end": label.span.end, "text": label.text,
                    })
                })
                .collect();
            serde_json::json!({
                "severity": match problem.severity { Severity::Error => "error", Severity::Warning => "warning" },
                "summary": problem.summary, "detail": problem.detail, "help": problem.help, "labels": labels,
            })
        })
        .collect();
    serde_json::json!({ "valid": !problems.has_errors(), "diagnostics": list })
}
