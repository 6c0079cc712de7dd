//! Drivers: the built-in primitives that a provider's steps call. Each takes plain arguments and gives a plain result.
//!
//! A driver knows no platform, no plan and no provider. It acts on one host, may be cancelled, and never prints.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::lang::{Object, Value};
use crate::model::driver::DriverSchema;

mod archive;
mod args;
mod backup;
mod disk_space;
mod exec;
mod file;
pub mod host;
mod http;
mod intent;
mod kubernetes;
mod manual;
mod orphan;
mod ports;
mod postgres;
mod process;
mod redact;
mod supervised;
mod supervisor;
mod template;
#[cfg(test)]
pub(crate) mod testing;
mod tls;
mod transfer;
mod wait;

pub use archive::Archive;
pub use args::Args;
pub use backup::Backup;
pub use disk_space::DiskSpace;
pub use exec::Exec;
pub use file::File;
pub use host::{Command, Host, Local, Output, Ssh};
pub use http::Http;
pub use kubernetes::Kubernetes;
pub use manual::{Confirmation, Manual};
pub use ports::Ports;
pub use postgres::Postgres;
pub use process::Process;
pub use redact::Redactor;
pub use supervisor::supervise_main;
pub use template::Template;
pub use wait::Wait;

pub use crate::model::driver::Diff;

/// Every built-in driver.
#[must_use]
pub fn standard() -> Drivers {
    Drivers::new()
        .with(Exec)
        .with(Process)
        .with(File)
        .with(Template)
        .with(Wait)
        .with(DiskSpace)
        .with(Manual)
        .with(Http)
        .with(Kubernetes)
        .with(Archive)
        .with(Backup)
        .with(Postgres)
        .with(Ports)
}

/// One primitive.
#[async_trait]
pub trait Driver: Send + Sync {
    /// What it takes and gives.
    fn schema(&self) -> &'static DriverSchema;

    /// Does it. Arguments are checked against the schema, free of marks and unknowns (they hold secrets: never log them).
    ///
    /// # Errors
    /// [`Failure`]: nothing is lost, what the platform said is in it.
    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure>;

    /// Whether everything that a call does is done by the one command that it supervises in its folder: where that was never
    /// begun, nothing was.
    fn is_one_command(&self) -> bool {
        false
    }

    /// Whether it does nothing but ask a person, whose answer lies in the call's folder: who does not know what became of such a call
    /// asks in the same folder, and not in a new one.
    fn asks_a_person(&self) -> bool {
        false
    }

    /// Whether [`Failure::untouched`] of its failures speaks for the whole call, and not only for the last thing that it tried.
    fn knows_untouched(&self) -> bool {
        false
    }

    /// What is known of a call that began in the folders of `ctx` and whose end nobody has seen, or that failed: from what it kept
    /// there before it changed anything. Removes at most what it had half made for itself.
    async fn recall(&self, _args: &Object, _ctx: &Context) -> Result<Recalled, Failure> {
        Ok(Recalled::Unknown)
    }

    /// Looks whether what a call would put back is there and whole, as far as that is quickly seen. Changes nothing.
    ///
    /// # Errors
    /// Why it is not; of the kind `Unreachable` where nobody knows.
    async fn look_ahead(&self, _args: &Object, _ctx: &Context) -> Result<(), Failure> {
        Ok(())
    }

    /// What running it would change, as unified diffs by path, for the plan; most drivers cannot say.
    async fn preview(&self, _args: &Object, _ctx: &Context) -> Option<Vec<Diff>> {
        None
    }
}

/// What a driver knows afterwards of a call that it was not seen to end.
#[derive(Debug, Clone, PartialEq)]
pub enum Recalled {
    /// Nothing.
    Unknown,
    /// It had changed nothing, and a process that was paused in the middle of it will change nothing any more.
    Untouched,
    /// It may have changed something. This part of its result holds, and leads back.
    Partly(Value),
}

/// What surrounds one call.
#[derive(Clone)]
pub struct Context {
    /// Stable name of the call (an action id, `…:undo`, or `fact`), as a file name: supervised commands and kept content are found
    /// again by it after a crash.
    pub key: String,
    /// The machine where the instance lives.
    pub host: Arc<dyn Host>,
    /// Folder for this call's own durable files (log, exit status, previous content), one for each attempt: a command that was
    /// begun there is waited for, never begun again. It need not be there yet: who keeps something in it makes it. `None` while
    /// observing: then nothing is kept.
    pub dir: Option<PathBuf>,
    /// Folders of earlier tries of this call, oldest first: what was there before the first of them is what was there before.
    pub earlier: Vec<PathBuf>,
    /// The provider's documents, for `template` and scripts.
    pub files: Arc<BTreeMap<Arc<str>, Arc<[u8]>>>,
    /// How long the call may take in all.
    pub timeout: Option<Duration>,
    /// Told to stop: the driver ends what it began and returns [`FailureKind::Cancelled`].
    pub cancel: CancellationToken,
    /// Where lines of output and progress go.
    pub sink: Arc<dyn Sink>,
    /// Hides sensitive texts in everything that is shown or kept.
    pub redact: Redactor,
    /// Whether root may be used.
    pub privileged: bool,
}

impl Context {
    /// A call that only looks: no folder, no documents, no timeout, nobody who listens.
    #[must_use]
    pub fn observing(key: impl Into<String>, host: Arc<dyn Host>) -> Self {
        Self {
            key: key.into(),
            host,
            dir: None,
            earlier: Vec::new(),
            files: Arc::default(),
            timeout: None,
            cancel: CancellationToken::new(),
            sink: Arc::new(Silent),
            redact: Redactor::default(),
            privileged: false,
        }
    }
}

/// Takes what a running call has to say.
pub trait Sink: Send + Sync {
    /// A line of output, already redacted by the driver.
    fn line(&self, line: &str);

    /// How far it is: done of total, in `unit` ("bytes", "items").
    fn progress(&self, done: u64, total: Option<u64>, unit: &str);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Sink for Silent {
    fn line(&self, _line: &str) {}
    fn progress(&self, _done: u64, _total: Option<u64>, _unit: &str) {}
}

/// Why a call did not do what it should.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Which kind.
    pub kind: FailureKind,
    /// What happened, redacted; a clause.
    pub message: String,
    /// What `error.…` is in `tolerate`: `exit_code`, `stdout`, `stderr`, `status`, `body`, …. Redacted. Always an object.
    pub detail: Value,
    /// What to do, where the driver knows.
    pub help: Option<String>,
    /// It failed before it did anything: the command was not found, nobody accepted the connection.
    pub untouched: bool,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The provider or configuration asked for something senseless.
    Invalid,
    /// The platform said no. Trying again may help.
    Failed,
    /// It took too long.
    TimedOut,
    /// Windlass was told to stop.
    Cancelled,
    /// The host or service cannot be reached. Trying again may help.
    Unreachable,
    /// A person must do something first (`manual`).
    Waiting,
    /// Whether it happened is not known (Windlass died while it ran, and nothing tells).
    Unknown,
    /// It failed before it did anything, in every try: there is nothing to undo.
    NotBegun,
}

impl Failure {
    /// A failure with no details.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: Value::object::<&str>([]), help: None, untouched: false }
    }

    /// Adds what `error.…` is.
    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    /// Says that nothing was done.
    #[must_use]
    pub fn untouched(mut self) -> Self {
        self.untouched = true;
        self
    }

    /// Says that something was done before, or may have been.
    #[must_use]
    pub fn touched(mut self) -> Self {
        self.untouched = false;
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The drivers that there are, by name. `apply` and `observe` know drivers only through it.
#[derive(Clone, Default)]
pub struct Drivers {
    table: BTreeMap<&'static str, Arc<dyn Driver>>,
}

impl Drivers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; a later one of the same name wins (tests).
    #[must_use]
    pub fn with(mut self, driver: impl Driver + 'static) -> Self {
        self.table.insert(driver.schema().name, Arc::new(driver));
        self
    }

    /// The driver of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Driver>> {
        self.table.get(name)
    }

    /// Every description, sorted by name.
    pub fn schemas(&self) -> impl Iterator<Item = &'static DriverSchema> {
        self.table.values().map(|driver| driver.schema())
    }
}

#[cfg(test)]
mod untouched_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_driver_describes_itself_fully() {
        let drivers = standard();
        let names: Vec<_> = drivers.schemas().map(|schema| schema.name).collect();
        let all = [
            "archive",
            "backup",
            "disk_space",
            "exec",
            "file",
            "http",
            "kubernetes",
            "manual",
            "ports",
            "postgres",
            "process",
            "template",
            "wait",
        ];
        assert_eq!(names, all);
        for schema in drivers.schemas() {
            let mut seen = std::collections::BTreeSet::new();
            for (name, ty, summary) in schema.args.iter().map(|arg| (arg.name, arg.ty, arg.summary)) {
                assert!(seen.insert(name), "{}: `{name}` twice", schema.name);
                assert!(!ty.is_empty() && summary.ends_with(['.', ')']), "{}: `{name}`: {summary}", schema.name);
            }
            let mut seen = std::collections::BTreeSet::new();
            assert!(
                schema.results.iter().all(|result| seen.insert(result.name) && result.summary.ends_with('.')),
                "{}",
                schema.name
            );
        }
    }
}
