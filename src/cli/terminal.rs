//! The way out: stdout for data, stderr for talk, and questions to a person.
#![expect(clippy::disallowed_methods, reason = "the one door to the terminal")]

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use super::args::{Global, When};
use crate::source::{Diagnostics, SourceMap};
use crate::view::{Palette, problems_text};

/// Whether data could not be written.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes to stderr. That it cannot be written, as when its reader has gone away, must not end a run.
fn talk(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// What is known of the terminal, decided once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    /// Colours on stdout.
    pub(super) out: Palette,
    /// Colours on stderr.
    pub(super) err: Palette,
    /// Whether stderr is a terminal that can move its cursor.
    pub(super) moves: bool,
    /// Whether somebody may be asked.
    pub(super) asks: bool,
    /// Columns.
    pub(super) width: usize,
}

impl Terminal {
    /// Looks at the streams and at `NO_COLOR`, `CI` and `TERM`.
    #[must_use]
    pub(super) fn new(global: &Global) -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colour = |terminal: bool| match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && !dumb && !is_set("NO_COLOR"),
        };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let width = rustix::termios::tcgetwinsize(io::stderr()).map_or(100, |size| usize::from(size.ws_col).clamp(60, 140));
        Self {
            out: Palette { colour: colour(out) },
            err: Palette { colour: colour(err) },
            moves: err && !dumb && !is_set("CI"),
            asks: io::stdin().is_terminal() && err && !global.no_input && !is_set("CI"),
            width,
        }
    }

    /// Data, as it is. A reader that has gone away is no error, and no reason to leave work half done: `windlass apply | head` goes
    /// on. Data that cannot be written for another reason is lost, see [`Self::has_lost_data`].
    pub(super) fn data(&self, text: &str) {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe && !LOST.swap(true, Ordering::Relaxed) => {
                self.say(&format!("standard output cannot be written: {error}"));
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Whether data could not be written, so that the answer is not whole.
    #[must_use]
    pub(super) fn has_lost_data(&self) -> bool {
        LOST.load(Ordering::Relaxed)
    }

    /// A line of talk. Where nobody can hear it, it is not said: work goes on.
    pub(super) fn say(&self, line: &str) {
        talk(&format!("{line}\n"));
    }

    /// Problems, each with its excerpt.
    pub(super) fn problems(&self, problems: &Diagnostics, sources: &SourceMap) {
        if !problems.is_empty() {
            talk(&problems_text(problems, sources, self.err, self.width));
        }
    }

    /// Asks; only the whole word `yes` is a yes. `None`: there is nobody to ask.
    #[must_use]
    pub(super) fn confirm(&self, question: &str) -> Option<bool> {
        if !self.asks {
            return None;
        }
        talk(&format!("{} Only `yes` is taken as a yes: ", self.err.strong(question)));
        let mut answer = String::new();
        match io::stdin().lock().read_line(&mut answer) {
            Ok(0) | Err(_) => Some(false),
            Ok(_) => Some(answer.trim() == "yes"),
        }
    }
}
