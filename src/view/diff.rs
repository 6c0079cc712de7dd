//! What a document would change, for a person at a terminal.

use std::fmt::Write as _;

use super::Palette;
use crate::model::driver::Diff;

/// Longer differences are cut after so many lines; the JSON document has them whole.
const MOST_LINES: usize = 60;

/// A difference as lines that begin with `indent`. Control characters that a terminal would obey are made harmless.
pub(super) fn diff_text(diff: &Diff, indent: &str, palette: Palette) -> String {
    let mut text = String::new();
    if !diff.text.starts_with("--- ") {
        let _ = writeln!(text, "{indent}{}:", palette.strong(&harmless(&diff.path)));
    }
    for line in diff.text.lines().take(MOST_LINES) {
        let line = harmless(line);
        let painted = match line.as_bytes().first() {
            _ if line.starts_with("--- ") || line.starts_with("+++ ") => palette.strong(&line),
            Some(b'+') => palette.good(&line),
            Some(b'-') => palette.bad(&line),
            Some(b'@') => palette.mark(&line),
            _ => line,
        };
        let _ = writeln!(text, "{indent}{painted}");
    }
    let more = diff.text.lines().count().saturating_sub(MOST_LINES);
    if more > 0 {
        let _ = writeln!(text, "{indent}{}", palette.faint(&format!("… and {more} more lines")));
    }
    text
}

fn harmless(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(text: &str) -> Diff {
        Diff { path: "/etc/x".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_long_difference_is_cut_and_says_by_how_much() {
        let lines: String = (0..75).map(|number| format!("+line {number}\n")).collect();
        let text = diff_text(&diff(&lines), "  ", Palette::default());
        assert_eq!(text.lines().count(), 62);
        assert!(text.ends_with("  +line 59\n  … and 15 more lines\n"), "{text}");
        let whole: String = (0..60).map(|number| format!("+line {number}\n")).collect();
        assert!(!diff_text(&diff(&whole), "", Palette::default()).contains("more lines"));
    }

    #[test]
    fn a_document_cannot_speak_to_the_terminal() {
        let text = diff_text(&diff("--- /etc/x\n+++ /etc/x\n@@ -1 +1 @@\n-a\u{1b}[2Jb\rc\td\n"), "", Palette::default());
        assert!(text.ends_with("-a\u{fffd}[2Jb\u{fffd}c\td\n"), "{text}");
    }

    #[test]
    fn a_sentence_in_place_of_a_difference_names_its_document() {
        let text = diff_text(&diff("binary or long: 3 bytes -> 4 bytes\n"), "  ", Palette::default());
        assert_eq!(text, "  /etc/x:\n  binary or long: 3 bytes -> 4 bytes\n");
    }
}
