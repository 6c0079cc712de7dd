//! The machine where an instance lives, as drivers see it: commands and files, on this machine or over SSH.
//!
//! Takes paths and argument vectors, gives outcomes or a [`Failure`] with the platform's own words. Knows no driver, decides nothing,
//! and never pastes an argument into a shell unquoted.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Context, Failure, FailureKind};

mod capture;
pub(crate) mod direct;
pub(crate) mod local;
pub(crate) mod local_file;
pub(crate) mod privilege;

pub use capture::Captured;
pub(crate) use capture::{Lines, Tail};
pub use local::{Local, SUPERVISE};

/// How much of each output stream is kept where a command does not say: the last mebibyte.
pub const KEEP: usize = 1024 * 1024;

/// How long a command has between SIGTERM and SIGKILL where it does not say.
pub const GRACE: Duration = Duration::from_secs(10);

/// A machine on which commands run and files lie.
#[async_trait]
pub trait Host: Send + Sync {
    /// What people call it: `localhost`, or the SSH address.
    fn name(&self) -> &str;

    /// Whether it is this machine, so that its files can be opened without going through here.
    fn is_local(&self) -> bool {
        false
    }

    /// Runs a command as a child that does not outlive the call: dropping the future kills its process group.
    /// A non-zero exit status is an outcome, not a failure.
    ///
    /// # Errors
    /// Cannot be started, cancelled, timed out, host unreachable.
    async fn run(&self, command: &Command, ctx: &Context) -> Result<Output, Failure>;

    /// Runs a command that outlives Windlass. `dir` (a folder of this machine, one for each attempt) holds what is durable about
    /// it: called again with the same folder, it waits for the command already begun and never begins it twice.
    ///
    /// # Errors
    /// As [`Host::run`]; and [`FailureKind::Unknown`] where it was begun and nothing tells how it ended.
    async fn supervise(&self, command: &Command, dir: &Path, ctx: &Context) -> Result<Output, Failure>;

    /// What became of the command that [`Host::supervise`] began with this folder.
    ///
    /// # Errors
    /// The folder cannot be read, or the host is unreachable.
    async fn recover(&self, dir: &Path) -> Result<Recovered, Failure>;

    /// What a path is, or `None` where there is nothing. `follow`: of what a symbolic link leads to.
    ///
    /// # Errors
    /// It may not be looked at.
    async fn stat(&self, path: &Path, follow: bool) -> Result<Option<Stat>, Failure>;

    /// The first `limit` bytes of a file, or `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read.
    async fn read(&self, path: &Path, limit: u64) -> Result<Option<Content>, Failure>;

    /// Replaces a file in one go: after a crash it has the old or the new content. Symbolic links are followed.
    ///
    /// # Errors
    /// It cannot be written; the old content stays.
    async fn write(&self, path: &Path, bytes: &[u8], attributes: &Attributes) -> Result<(), Failure>;

    /// Copies a file of this machine (where Windlass runs) to the host, in one go.
    ///
    /// # Errors
    /// It cannot be read here or written there.
    async fn upload(&self, from: &Path, to: &Path, attributes: &Attributes) -> Result<(), Failure>;

    /// What is in a directory, sorted by name; symbolic links are not followed.
    ///
    /// # Errors
    /// It is not there or may not be read.
    async fn list(&self, path: &Path) -> Result<Vec<Entry>, Failure>;

    /// Makes a directory and those above it; one that is there already is fine.
    ///
    /// # Errors
    /// It cannot be made.
    async fn make_dir(&self, path: &Path, attributes: &Attributes) -> Result<(), Failure>;

    /// Removes a file, a link or, where `recursive`, a directory with all in it. What is not there is fine.
    ///
    /// # Errors
    /// It cannot be removed.
    async fn remove(&self, path: &Path, recursive: bool) -> Result<(), Failure>;

    /// Makes `path` a symbolic link to `target`, replacing a link or file in one go.
    ///
    /// # Errors
    /// It cannot be made, or a directory is there.
    async fn symlink(&self, target: &Path, path: &Path) -> Result<(), Failure>;

    /// Renames within a file system, in one go, and makes it durable.
    ///
    /// # Errors
    /// It cannot be renamed.
    async fn rename(&self, from: &Path, to: &Path) -> Result<(), Failure>;

    /// Room on the file system of a path.
    ///
    /// # Errors
    /// The path is not there.
    async fn space(&self, path: &Path) -> Result<Space, Failure>;

    /// A user by name, or `None` where there is none.
    ///
    /// # Errors
    /// The user database cannot be asked.
    async fn user(&self, name: &str) -> Result<Option<User>, Failure>;

    /// Whether a TCP address (`host:port`, as the host sees it) accepts a connection within `patience`.
    ///
    /// # Errors
    /// The host itself is unreachable.
    async fn accepts(&self, address: &str, patience: Duration) -> Result<bool, Failure>;

    /// The id of the user as whom everything here is done.
    ///
    /// # Errors
    /// The host is unreachable.
    async fn uid(&self) -> Result<u32, Failure>;
}

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
}

impl Output {
    /// Whether the exit status is 0.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.ended == Ended::Code(0)
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

/// Mode and owner of what is written; what is not given stays as it was (a new file: 0644, a new directory: 0755, own user).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits.
    pub mode: Option<u32>,
    /// User id and group id.
    pub owner: Option<(u32, u32)>,
}

/// The beginning of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// At most as many bytes as were asked for.
    pub bytes: Vec<u8>,
    /// Whether there is more.
    pub truncated: bool,
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// File, directory, ….
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Permission bits (with setuid, setgid and sticky).
    pub mode: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// When its content last changed.
    pub modified: Timestamp,
    /// What a symbolic link says.
    pub target: Option<String>,
}

/// Kinds of path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

impl Kind {
    /// Its name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Other => "other",
        }
    }
}

/// Something in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name there; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// What it is.
    pub stat: Stat,
}

/// Room on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What an ordinary user may still use.
    pub free: u64,
    /// Its size.
    pub total: u64,
}

/// A user of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

impl User {
    /// Reads a line of the user database.
    #[must_use]
    pub fn of_passwd(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.trim_end().split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields.as_slice() else { return None };
        Some(Self {
            name: (*name).to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: (*home).to_owned(),
            shell: (*shell).to_owned(),
        })
    }
}

impl Context {
    /// Runs a command as this call's one command: supervised, so that it outlives Windlass, or directly while observing.
    ///
    /// # Errors
    /// As [`Host::supervise`] and [`Host::run`].
    pub async fn run(&self, command: &Command) -> Result<Output, Failure> {
        match &self.dir {
            Some(dir) => self.host.supervise(command, dir, self).await,
            None => self.host.run(command, self).await,
        }
    }

    /// Runs one of several commands of this call: each needs a name of its own (a file name) to be found again.
    ///
    /// # Errors
    /// As [`Context::run`].
    pub async fn run_named(&self, name: &str, command: &Command) -> Result<Output, Failure> {
        match &self.dir {
            Some(dir) => self.host.supervise(command, &dir.join(name), self).await,
            None => self.host.run(command, self).await,
        }
    }

    /// Runs a quick command that changes nothing and whose lines nobody needs to see.
    ///
    /// # Errors
    /// As [`Host::run`].
    pub async fn look<S: Into<String>>(&self, argv: impl IntoIterator<Item = S>) -> Result<Output, Failure> {
        let command = Command { stream: false, ..Command::new(argv) };
        self.host.run(&command, self).await
    }
}

/// A failure that an operation on a path met, with what helps where the system's reason tells.
pub(crate) fn io_failure(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind;
    let reason = match error.kind() {
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::StorageFull => "no space left on its file system".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "its file system is read-only".to_owned(),
        ErrorKind::IsADirectory => "it is a directory".to_owned(),
        ErrorKind::NotADirectory => "something above it is not a directory".to_owned(),
        _ => error.to_string(),
    };
    let failure = Failure::new(FailureKind::Failed, format!("cannot {what} `{}`: {reason}", path.display()));
    match error.kind() {
        ErrorKind::PermissionDenied => failure.help("give the user that Windlass runs as access to it"),
        ErrorKind::StorageFull => failure.help("free some space there, then resume"),
        ErrorKind::ReadOnlyFilesystem => failure.help("check the mount: a disk with errors is often remounted read-only"),
        _ => failure,
    }
}
