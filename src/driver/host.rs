//! The machine where an instance lives, as drivers see it: commands and files, on this machine or over SSH.
//!
//! Takes paths and argument vectors, gives outcomes or a [`Failure`] with the platform's own words. Knows no driver, decides nothing,
//! and never pastes an argument into a shell unquoted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Context, Failure, FailureKind};
use crate::model::name::HostName;

mod capture;
mod command;
pub(crate) mod direct;
pub(crate) mod local;
pub(crate) mod local_file;
mod path;
pub(crate) mod privilege;
mod ssh;

pub use capture::Captured;
pub(crate) use capture::{Lines, Tail};
pub use command::{Cause, Command, Ended, Finished, INHERITED, Output, Recovered};
pub use local::{Local, SUPERVISE};
pub use path::{Attributes, Content, Entry, Kind, Space, Stat, User};
pub use ssh::Ssh;

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

    /// Sees to it that the command of this folder is never begun any more, not even by a process that was paused before it could;
    /// answers whether that is certain. Where it is, and [`Host::supervise`] was to begin it, nothing was done.
    ///
    /// # Errors
    /// The folder cannot be written.
    async fn forbid(&self, _dir: &Path) -> Result<bool, Failure> {
        Ok(false)
    }

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

/// Gives the machine of a name.
pub trait Hosts: Send + Sync {
    /// The machine; `None`: this one.
    ///
    /// # Errors
    /// There is none of that name, or it cannot be reached.
    fn host(&self, name: Option<&HostName>) -> Result<Arc<dyn Host>, Failure>;
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
