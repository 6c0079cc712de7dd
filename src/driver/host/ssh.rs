//! Another machine as a [`Host`], through the system's OpenSSH client and the user's own ssh configuration.
//!
//! One connection is shared by all calls. What is run travels through standard input, quoted, so that neither secrets nor arguments
//! stand in a process list here or there. The machine needs a POSIX shell, GNU coreutils and findutils, and util-linux (`setsid`,
//! `flock`, `setpriv`). Host keys are always checked, whatever the user's configuration says, and never asked about: an unknown one is
//! refused.
#![expect(clippy::disallowed_methods, reason = "a door to the system's SSH client")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OnceCell, Semaphore};

use super::{
    Attributes, Captured, Command, Content, Ended, Entry, Host, Local, Output, Recovered, Space, Stat, User, direct, privilege,
};
use crate::driver::{Context, Failure, FailureKind, Sink};
use crate::lang::Value;
use crate::model::estate::Ssh as Settings;

mod file;
mod script;
mod supervise;

use crate::lang::function::shell_quoted;
use script::{Ran, envelope};

/// Sessions at once over one connection: servers allow ten where not told otherwise.
const SESSIONS: usize = 8;
/// How long a machine that has dropped is asked again in the middle of a step, where its `ssh` block does not say.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long one file operation may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(900);

/// A machine reached over SSH.
pub struct Ssh {
    name: String,
    options: Vec<String>,
    address: String,
    control: tempfile::TempDir,
    sessions: Semaphore,
    uid: OnceCell<u32>,
    patience: Duration,
}

impl Ssh {
    /// This machine; nothing is connected yet. `options` are further `-o` options, as `ssh_config` writes them.
    ///
    /// # Errors
    /// An address that ssh would take for an option, or no private folder for the connection can be made.
    pub fn new(settings: &Settings, options: impl IntoIterator<Item = String>) -> Result<Self, Failure> {
        let Settings { address, port, user, identity_file, known_hosts_file, patience } = settings;
        if address.is_empty() || address.starts_with('-') || address.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Failure::new(FailureKind::Invalid, format!("`{}` is no SSH address", address.escape_debug())));
        }
        // A socket's path may not be longer than about a hundred bytes: not below a deep TMPDIR.
        let control =
            tempfile::Builder::new().prefix("windlass-ssh-").tempdir_in("/tmp").or_else(|_| tempfile::tempdir()).map_err(
                |error| Failure::new(FailureKind::Failed, format!("cannot make a folder for the SSH connection: {error}")),
            )?;
        let mut all = vec![
            "BatchMode=yes".to_owned(),
            // First, so that no configuration can turn it off: a key that is not known already is refused.
            "StrictHostKeyChecking=yes".to_owned(),
            "NoHostAuthenticationForLocalhost=no".to_owned(),
            "VerifyHostKeyDNS=no".to_owned(),
            "ConnectTimeout=15".to_owned(),
            "ServerAliveInterval=15".to_owned(),
            "ServerAliveCountMax=4".to_owned(),
            "ControlMaster=auto".to_owned(),
            format!("ControlPath={}/c", control.path().display()),
            "ControlPersist=60".to_owned(),
            "PermitLocalCommand=no".to_owned(),
            "ForwardX11=no".to_owned(),
            "ForwardAgent=no".to_owned(),
            "RequestTTY=no".to_owned(),
            "LogLevel=ERROR".to_owned(),
        ];
        all.extend(port.map(|port| format!("Port={port}")));
        all.extend(user.as_ref().map(|user| format!("User={user}")));
        all.extend(identity_file.as_ref().map(|file| format!("IdentityFile=\"{file}\"")));
        all.extend(known_hosts_file.as_ref().map(|file| format!("UserKnownHostsFile=\"{file}\"")));
        all.extend(options);
        Ok(Self {
            name: address.clone(),
            options: all,
            address: address.clone(),
            control,
            sessions: Semaphore::new(SESSIONS),
            uid: OnceCell::new(),
            patience: patience.unwrap_or(PATIENCE),
        })
    }

    fn client(&self) -> tokio::process::Command {
        let mut client = tokio::process::Command::new("ssh");
        // Its messages are read: in English.
        client.env("LC_ALL", "C").args(["-T"]);
        for option in &self.options {
            client.args(["-o", option]);
        }
        client
    }

    /// Evaluates a script there, with this input; `more` is fed after it.
    async fn evaluate(&self, body: &str, command: &Command, more: Option<std::fs::File>, ctx: &Context) -> Result<Output, Failure> {
        let Ok(_session) = self.sessions.acquire().await else {
            return Err(Failure::new(FailureKind::Failed, "the SSH connection was closed"));
        };
        let mark = format!("windlass-{}", uuid::Uuid::new_v4().simple());
        let mut stdin = envelope(&mark, body).into_bytes();
        stdin.extend_from_slice(&command.stdin);
        // Room for what the script says of itself, however little is to be kept.
        let sending = Command { stdin, keep: command.keep.max(1 << 16), ..command.clone() };
        let mut client = self.client();
        client.args(["--", &self.address, script::BOOTSTRAP]);
        let quiet = Context { sink: Arc::new(Unmarked { mark: mark.clone(), sink: Arc::clone(&ctx.sink) }), ..ctx.clone() };
        match direct::run(client, &sending, more, &quiet).await {
            Ok(mut output) => {
                output.stdout.bytes.drain(..output.stdout.bytes.len().saturating_sub(command.keep));
                self.outcome(output, &mark)
            }
            Err(failure) => Err(self.stopped(failure, &mark).await),
        }
    }

    /// The outcome there, from what the script said of itself.
    fn outcome(&self, output: Output, mark: &str) -> Result<Output, Failure> {
        let Ran { pid, code, stderr } = script::unmark(&output.stderr.bytes, mark);
        if let Some(code) = code {
            let total = output.stderr.total.saturating_sub((output.stderr.bytes.len() - stderr.len()) as u64);
            return Ok(Output { ended: Ended::Code(code), stderr: Captured { bytes: stderr, total }, ..output });
        }
        let words = Captured { total: 0, bytes: stderr }.last_lines(5);
        let what = if pid.is_some() { "the connection to" } else { "cannot reach" };
        let lost = if pid.is_some() { " was lost" } else { "" };
        let said = if words.is_empty() { format!("ssh ended with {}", output.ended) } else { words };
        let failure = Failure::new(FailureKind::Unreachable, format!("{what} `{}`{lost}: {said}", self.name));
        Err(if said.contains("Host key verification failed") {
            failure.help("connect once by hand to check and accept the host's key, or add it to known_hosts (`known_hosts_file` names another)")
        } else if said.contains("Permission denied") {
            failure.help("check the user, the key (`identity_file` or the agent), and that the key needs no passphrase to be typed")
        } else {
            failure.help(format!("try `ssh {}` by hand", self.address))
        })
    }

    /// The client here was ended; what it had begun there is ended too, as far as it can be reached.
    async fn stopped(&self, failure: Failure, mark: &str) -> Failure {
        let stderr = failure.detail.get("stderr").and_then(Value::as_str).unwrap_or_default();
        let Ran { pid, stderr, .. } = script::unmark(stderr.as_bytes(), mark);
        if let Some(pid) = pid {
            let mut client = self.client();
            client.args(["--", &self.address, &format!("exec /bin/sh -c {} sh {pid}", shell_quoted(script::END_GROUP))]);
            client.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            client.kill_on_drop(true);
            if let Ok(mut child) = client.spawn() {
                let _ = tokio::time::timeout(Duration::from_secs(30), child.wait()).await;
            }
        }
        let stdout = failure.detail.get("stdout").cloned().unwrap_or_default();
        let detail = Value::object([("stdout", stdout), ("stderr", Value::string(String::from_utf8_lossy(&stderr)))]);
        Failure { detail, ..failure }
    }

    /// Runs one of the fixed scripts for files: arguments are quoted, input goes to its standard input.
    async fn sh(
        &self,
        body: &str,
        args: &[&str],
        stdin: Vec<u8>,
        keep: usize,
        more: Option<std::fs::File>,
    ) -> Result<Output, Failure> {
        let mut argv = vec!["/bin/sh", "-c", body, "sh"];
        argv.extend_from_slice(args);
        let command = Command { stdin, keep, stream: false, timeout: Some(FILE_TIMEOUT), ..Command::new(argv) };
        let ctx = Context::observing("file", Arc::new(Local::new([])));
        self.evaluate(&script::command(&command)?, &command, more, &ctx).await
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        // The shared connection would otherwise linger for a minute.
        if self.control.path().join("c").exists() {
            let mut client = std::process::Command::new("ssh");
            client.args(["-o", &format!("ControlPath={}/c", self.control.path().display()), "-O", "exit", "--", &self.address]);
            client.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            let _ = client.status();
        }
    }
}

/// Leaves out what the script says of itself.
struct Unmarked {
    mark: String,
    sink: Arc<dyn Sink>,
}

impl Sink for Unmarked {
    fn line(&self, line: &str) {
        match line.split_once(self.mark.as_str()) {
            Some(("", _)) => {}
            Some((before, _)) => self.sink.line(before),
            None => self.sink.line(line),
        }
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        self.sink.progress(done, total, unit);
    }
}

#[async_trait]
impl Host for Ssh {
    fn name(&self) -> &str {
        &self.name
    }

    async fn run(&self, command: &Command, ctx: &Context) -> Result<Output, Failure> {
        let command = privilege::as_user(self, command, ctx).await?;
        self.evaluate(&script::command(&command)?, &command, None, ctx).await
    }

    async fn supervise(&self, command: &Command, dir: &Path, ctx: &Context) -> Result<Output, Failure> {
        supervise::supervise(self, command, dir, ctx).await
    }

    async fn recover(&self, dir: &Path) -> Result<Recovered, Failure> {
        supervise::recover(self, dir).await
    }

    async fn forbid(&self, dir: &Path) -> Result<bool, Failure> {
        supervise::forbid(self, dir).await
    }

    async fn stat(&self, path: &Path, follow: bool) -> Result<Option<Stat>, Failure> {
        file::stat(self, path, follow).await
    }

    async fn read(&self, path: &Path, limit: u64) -> Result<Option<Content>, Failure> {
        file::read(self, path, limit).await
    }

    async fn write(&self, path: &Path, bytes: &[u8], attributes: &Attributes) -> Result<(), Failure> {
        file::write(self, path, bytes.to_vec(), None, bytes.len() as u64, attributes).await
    }

    async fn upload(&self, from: &Path, to: &Path, attributes: &Attributes) -> Result<(), Failure> {
        let failed = |error: std::io::Error| super::io_failure("read", from, &error);
        let source = std::fs::File::open(from).map_err(failed)?;
        let size = source.metadata().map_err(failed)?.len();
        file::write(self, to, Vec::new(), Some(source), size, attributes).await
    }

    async fn list(&self, path: &Path) -> Result<Vec<Entry>, Failure> {
        file::list(self, path).await
    }

    async fn make_dir(&self, path: &Path, attributes: &Attributes) -> Result<(), Failure> {
        file::make_dir(self, path, attributes).await
    }

    async fn remove(&self, path: &Path, recursive: bool) -> Result<(), Failure> {
        file::remove(self, path, recursive).await
    }

    async fn symlink(&self, target: &Path, path: &Path) -> Result<(), Failure> {
        file::symlink(self, target, path).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), Failure> {
        file::rename(self, from, to).await
    }

    async fn space(&self, path: &Path) -> Result<Space, Failure> {
        file::space(self, path).await
    }

    async fn user(&self, name: &str) -> Result<Option<User>, Failure> {
        let output = self.sh("getent passwd -- \"$1\"", &[name], Vec::new(), 1 << 16, None).await?;
        Ok(output.stdout.text().lines().find_map(User::of_passwd))
    }

    async fn accepts(&self, address: &str, patience: Duration) -> Result<bool, Failure> {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let seconds = patience.as_secs().max(1).to_string();
        let output = self.sh(script::ACCEPTS, &[host, port, &seconds], Vec::new(), 1 << 16, None).await?;
        match output.ended.code() {
            script::MISSING => {
                Err(Failure::new(FailureKind::Failed, format!("`{}` has neither bash nor nc to try a port with", self.name)))
            }
            code => Ok(code == 0),
        }
    }

    async fn uid(&self) -> Result<u32, Failure> {
        let asking = || async {
            let output = self.sh("id -u", &[], Vec::new(), 1 << 16, None).await?;
            let failed = || Failure::new(FailureKind::Failed, format!("cannot tell who is logged in to `{}`", self.name));
            output.stdout.text().trim().parse().map_err(|_| failed())
        };
        self.uid.get_or_try_init(asking).await.copied()
    }
}

#[cfg(test)]
mod tests;
