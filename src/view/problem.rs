//! Diagnostics as a person reads them on a terminal or in a log.

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::source::{Diagnostics, Severity, SourceMap};

use super::Palette;

/// A line of an excerpt is shown up to so many characters: a generated file may be one line of megabytes.
const LONGEST_LINE: usize = 1000;

/// Every diagnostic with its excerpt, and how many there are where there is more than one.
#[must_use]
pub fn problems_text(problems: &Diagnostics, sources: &SourceMap, palette: Palette, width: usize) -> String {
    let theme = if palette.colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false).with_context_lines(1);
    let mut text = String::new();
    for problem in problems.iter() {
        let mut rendered = String::new();
        // The handler writes into a String, which cannot fail; should it, the plain text must not be lost.
        if handler.render_report(&mut rendered, &sources.render(problem)).is_err() {
            rendered = problem.to_string();
        }
        clip(&mut text, &rendered, palette);
        text.push('\n');
    }
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    if errors > 1 {
        text.push_str(&palette.strong(&format!("{errors} errors")));
        text.push('\n');
    }
    text
}

fn clip(text: &mut String, rendered: &str, palette: Palette) {
    for line in rendered.split_inclusive('\n') {
        match line.char_indices().nth(LONGEST_LINE) {
            None => text.push_str(line),
            Some((end, _)) => {
                text.push_str(&line[..end]);
                text.push_str(if palette.colour { "\u{1b}[0m …\n" } else { " …\n" });
            }
        }
    }
}
