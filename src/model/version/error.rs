//! Why a text is no version, scheme or constraint: the token, what is wrong with it, and what to write instead.

use std::ops::Range;

use crate::source::{Diagnostic, Span};

/// The longest part of a rejected token that an error quotes, in characters.
const QUOTED: usize = 60;

/// What is wrong with a version, a scheme or a constraint. Displays as `` `TOKEN` PROBLEM ``.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{token}` {problem}")]
pub struct VersionError {
    /// The part of the text that is wrong, shortened where it is very long.
    pub token: String,
    /// What is wrong with it: a clause that follows the token.
    pub problem: String,
    /// What to write instead.
    pub help: String,
    /// Where the token stands in the text that was parsed, in bytes.
    pub range: Range<usize>,
}

impl VersionError {
    /// All of `text` is wrong.
    pub(super) fn whole(text: &str, problem: impl Into<String>, help: impl Into<String>) -> Self {
        let mut token: String = text.chars().take(QUOTED).flat_map(char::escape_debug).collect();
        if text.chars().nth(QUOTED).is_some() {
            token.push('…');
        }
        Self { token, problem: problem.into(), help: help.into(), range: 0..text.len() }
    }

    /// The text was found `start` bytes into a longer one.
    pub(super) fn within(mut self, start: usize) -> Self {
        self.range = self.range.start + start..self.range.end + start;
        self
    }

    /// The error at the place of the expression that gave the text; `summary` as in `invalid version`.
    #[must_use]
    pub fn diagnostic(&self, summary: &str, span: Span) -> Diagnostic {
        Diagnostic::error(summary).detail(self.to_string()).help(&self.help).at(span)
    }
}

/// What a scheme's reader finds wrong; the caller adds the token.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) problem: String,
    pub(super) help: String,
}

impl Problem {
    pub(super) fn new(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { problem: problem.into(), help: help.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::VersionError;
    use crate::source::{SourceId, Span};

    #[test]
    fn a_long_or_strange_token_is_quoted_shortened_and_escaped() {
        let error = VersionError::whole(&"é".repeat(500), "is wrong", "write it right");
        assert_eq!(error.token.chars().count(), 61);
        assert_eq!(error.range, 0..1000);
        assert_eq!(VersionError::whole("a\u{1b}[1m", "is wrong", "").token, "a\\u{1b}[1m");
    }

    #[test]
    fn a_diagnostic_carries_token_remedy_and_place() {
        let span = Span::new(SourceId(0), 3..9);
        let diagnostic = VersionError::whole("x", "is wrong", "write `1.0`").diagnostic("invalid version", span);
        assert_eq!(diagnostic.to_string(), "invalid version: `x` is wrong");
        assert_eq!(diagnostic.help.as_deref(), Some("write `1.0`"));
        assert_eq!(diagnostic.labels[0].span, span);
    }
}
