//! What is run on a host and what becomes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Captured, GRACE, KEEP};

/// What is to be run. Never shown whole: environment, input and arguments may hold secrets.
#[derive(Clone)]
pub struct Command {
    /// Program and arguments; the program is absolute or found on the PATH.
    pub argv: Vec<String>,
    /// Variables on top of what is inherited.
    pub env: BTreeMap<String, String>,
    /// Whether the whole environment is inherited, not only [`INHERITED`]. Over SSH it is always sshd's.
    pub inherit: bool,
    /// Working directory.
    pub dir: Option<String>,
    /// As whom, where it is not the user of Windlass (needs root).
    pub user: Option<String>,
    /// What it reads from standard input.
    pub stdin: Vec<u8>,
    /// How many bytes of the end of each output stream are kept.
    pub keep: usize,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// How long it may take; the context's timeout where not given.
    pub timeout: Option<Duration>,
    /// Whether its lines go to the sink while it runs.
    pub stream: bool,
}

impl Command {
    /// This argument vector, with nothing on standard input.
    #[must_use]
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            inherit: false,
            dir: None,
            user: None,
            stdin: Vec::new(),
            keep: KEEP,
            grace: GRACE,
            timeout: None,
            stream: true,
        }
    }

    /// The program's name, for messages.
    #[must_use]
    pub fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").field("program", &self.program()).finish_non_exhaustive()
    }
}

/// The variables that a command inherits from Windlass; those that begin with `LC_` too.
pub const INHERITED: [&str; 10] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// The status as shells give it: 128 and the signal's number where one ended it.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }

    /// Reads a status of the system.
    #[must_use]
    pub fn of(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => match rustix::process::Signal::from_named_raw(*signal) {
                Some(rustix::process::Signal::KILL) => f.write_str("SIGKILL (perhaps for want of memory)"),
                _ => write!(f, "signal {signal}"),
            },
        }
    }
}

/// What a command left behind. Not redacted: whoever shows or keeps it redacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// End of standard output.
    pub stdout: Captured,
    /// End of standard error.
    pub stderr: Captured,
    /// How long it took.
    pub duration: Duration,
    /// Whether the disk that keeps its output was full when it ended: what it said may be cut off, and it may have failed by that.
    pub is_cramped: bool,
}

impl Output {
    /// Whether the exit status is 0.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.ended == Ended::Code(0)
    }

    /// Whether something that it printed may be missing.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.stdout.truncated() || self.stderr.truncated() || self.is_cramped
    }

    /// What it said last, for a message: the last lines of standard error, or else of standard output.
    #[must_use]
    pub fn last_words(&self) -> String {
        let stderr = self.stderr.last_lines(5);
        if stderr.is_empty() { self.stdout.last_lines(5) } else { stderr }
    }
}

/// What became of a supervised command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// It ended (or could not be started: then this is why).
    Finished(Finished),
    /// It still runs.
    Running,
    /// It was never begun.
    NotBegun,
    /// It was to begin on another machine, which knows nothing of it: asked for once more from the same folder, it begins.
    Withheld,
    /// It was begun, runs no longer, and nothing tells how it ended.
    Lost,
}

/// The recorded end of a supervised command.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Finished {
    /// How it ended; `None` where it could not be started.
    pub ended: Option<Ended>,
    /// Why it could not be started.
    pub error: Option<String>,
    /// When it was begun.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// What made it end.
    pub cause: Cause,
    /// Whether the disk that keeps its output was full by then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cramped: bool,
}

/// What made a supervised command end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing from outside.
    #[default]
    Itself,
    /// It took too long.
    TimedOut,
    /// Windlass was told to stop.
    Cancelled,
}
