//! Diagnostics as a person reads them on a terminal or in a log.

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::source::{Diagnostics, Severity, SourceMap};

use super::Palette;

/// Every diagnostic with its excerpt, and how many there are where there is more than one.
#[must_use]
pub fn problems_text(problems: &Diagnostics, sources: &SourceMap, palette: Palette, width: usize) -> String {
    let theme = if palette.colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false).with_context_lines(1);
    let mut text = String::new();
    for problem in problems.iter() {
        // The handler writes into a String, which cannot fail; should it, the plain text must not be lost.
        if handler.render_report(&mut text, &sources.render(problem)).is_err() {
            text.push_str(&problem.to_string());
        }
        text.push('\n');
    }
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    if errors > 1 {
        text.push_str(&palette.strong(&format!("{errors} errors")));
        text.push('\n');
    }
    text
}
