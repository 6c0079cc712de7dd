//! Windlass's side of a supervised command: begins it, follows its output, finds it again after a crash.
//!
//! Takes the folder that [`super::supervisor`] writes, gives the outcome. Whoever shows output goes through the redactor here; the
//! raw logs are redacted in place once the command has ended.
#![expect(clippy::disallowed_methods, reason = "a door to processes and their files")]

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;

use super::host::local::private_dir;
use super::host::{Attributes, Captured, Cause, Command, Finished, Lines, Output, Recovered, Tail, direct, io_failure, local_file};
use super::{Context, Failure, FailureKind, orphan};

pub(super) const LOCK: &str = "lock";
pub(super) const BEGUN: &str = "begun.json";
pub(super) const EXIT: &str = "exit.json";
/// The command of this folder must not begin any more.
pub(super) const FORBIDDEN: &str = "forbidden.json";
pub(super) const OUTPUT: &str = "output.log";
pub(super) const STDERR: &str = "stderr.log";

/// Logs up to this size are redacted in place after the end; a secret in a longer one is only kept from view.
const SCRUBBED: u64 = 64 * 1024 * 1024;

/// For so long it is tried again where a command cannot be looked at: too many open files, a disk that does not answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// With so few bytes left, a supervisor finds no room for its files.
const SCARCE: u64 = 64 << 10;

/// What the supervisor is told, as one line of JSON before the command's input.
#[derive(Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) argv: Vec<String>,
    /// Its name in messages (`argv` may begin with `setpriv`).
    pub(crate) program: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) dir: Option<String>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) grace_ms: u64,
    pub(crate) stdin_length: usize,
}

impl Spec {
    pub(crate) fn of(command: &Command, env: Vec<(OsString, OsString)>, ctx: &Context) -> Result<Self, Failure> {
        if command.argv.is_empty() {
            return Err(Failure::new(FailureKind::Invalid, "there is no command to run"));
        }
        Ok(Self {
            argv: command.argv.clone(),
            program: command.program().to_owned(),
            // A variable that is not UTF-8 could only be inherited by accident.
            env: env.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect(),
            dir: command.dir.clone(),
            timeout_ms: command.timeout.or(ctx.timeout).map(millis),
            grace_ms: millis(command.grace),
            stdin_length: command.stdin.len(),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `begun.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The supervisor.
    pub(crate) pid: u32,
    pub(crate) started: Timestamp,
}

/// What became of the command of this folder.
pub(crate) async fn recover(dir: &Path) -> Result<Recovered, Failure> {
    let dir = dir.to_owned();
    match tokio::task::spawn_blocking(move || recover_now(&dir)).await {
        Ok(result) => result,
        Err(error) => Err(Failure::new(FailureKind::Failed, format!("cannot look for the command: {error}"))),
    }
}

fn recover_now(dir: &Path) -> Result<Recovered, Failure> {
    // Known without opening anything, where nothing can be opened any more.
    if !is_there(&dir.join(LOCK))? && !is_there(&dir.join(EXIT))? && !is_there(&dir.join(BEGUN))? {
        return Ok(Recovered::NotBegun);
    }
    // The lock before the files: whoever had it before may have written its end in between.
    let running = locked(dir)?;
    let path = dir.join(EXIT);
    if let Some(content) = local_file::read(&path, 1 << 20)? {
        return match serde_json::from_slice(&content.bytes) {
            Ok(finished) => Ok(Recovered::Finished(finished)),
            Err(error) => Err(Failure::new(FailureKind::Unknown, format!("`{}` cannot be understood: {error}", path.display()))),
        };
    }
    Ok(match (running, is_there(&dir.join(BEGUN))?) {
        (true, _) => Recovered::Running,
        // Its supervisor was killed, and it was not.
        (false, true) if orphan::running(dir)?.is_some() => Recovered::Running,
        (false, true) => Recovered::Lost,
        (false, false) => Recovered::NotBegun,
    })
}

fn is_there(path: &Path) -> Result<bool, Failure> {
    path.try_exists().map_err(|error| io_failure("look for", path, &error))
}

/// Sees to it that no supervisor begins the command of this folder any more; answers whether none has.
pub(crate) async fn forbid(dir: &Path) -> Result<bool, Failure> {
    let dir = dir.to_owned();
    match tokio::task::spawn_blocking(move || forbid_now(&dir)).await {
        Ok(result) => result,
        Err(error) => Err(Failure::new(FailureKind::Failed, format!("cannot look for the command: {error}"))),
    }
}

fn forbid_now(dir: &Path) -> Result<bool, Failure> {
    let dir = private_dir(&std::path::absolute(dir).map_err(|error| io_failure("find", dir, &error))?)?;
    let path = dir.join(LOCK);
    let lock = local_file::private_file(&path).map_err(|error| io_failure("open", &path, &error))?;
    // While it is held, no supervisor comes past it; and one that comes later sees the mark.
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(io_failure("lock", &path, &error)),
    }
    if dir.join(BEGUN).exists() || dir.join(EXIT).exists() {
        return Ok(false);
    }
    local_file::write(&dir.join(FORBIDDEN), &mut &b"{}"[..], &Attributes { mode: Some(0o600), owner: None })?;
    Ok(true)
}

fn locked(dir: &Path) -> Result<bool, Failure> {
    let path = dir.join(LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(io_failure("open", &path, &error)),
    };
    // Shared, so that two who look do not take each other for a supervisor.
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(io_failure("lock", &path, &error)),
    }
}

/// Begins a command under a supervisor and waits for it.
pub(crate) async fn run(
    supervisor: &[OsString],
    spec: &Spec,
    command: &Command,
    dir: &Path,
    ctx: &Context,
) -> Result<Output, Failure> {
    if ctx.cancel.is_cancelled() {
        return Err(Failure::new(FailureKind::Cancelled, format!("`{}` was not started: told to stop", command.program())));
    }
    let absolute = std::path::absolute(dir).map_err(|error| io_failure("find", dir, &error).untouched())?;
    let dir = private_dir(&absolute).map_err(Failure::untouched)?;
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(FailureKind::Failed, format!("cannot {what} the supervisor of `{}`: {error}", command.program())).untouched()
    };
    let Some((program, args)) = supervisor.split_first() else {
        return Err(failed("start", &"it is not known where it is"));
    };
    let mut child = tokio::process::Command::new(program)
        .args(args)
        .arg(&dir)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed("start", &error))?;
    let mut order = serde_json::to_vec(spec).map_err(|error| failed("instruct", &error))?;
    order.push(b'\n');
    order.extend_from_slice(&command.stdin);
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not take its order begins nothing, and its end is seen below.
        let _ = stdin.write_all(&order).await;
    }
    wait(Some(child), command, &dir, ctx).await
}

/// Waits for a command begun earlier.
pub(crate) async fn follow(command: &Command, dir: &Path, ctx: &Context) -> Result<Output, Failure> {
    wait(None, command, dir, ctx).await
}

async fn wait(
    mut supervisor: Option<tokio::process::Child>,
    command: &Command,
    dir: &Path,
    ctx: &Context,
) -> Result<Output, Failure> {
    let mut out = Follower::new(dir.join(OUTPUT), command);
    let mut err = Follower::new(dir.join(STDERR), command);
    let mut pause = Duration::from_millis(20);
    let mut told: Option<tokio::time::Instant> = None;
    let mut blind: Option<tokio::time::Instant> = None;
    let finished = loop {
        let supervisor_ended = tokio::select! {
            () = ended(&mut supervisor) => true,
            () = tokio::time::sleep(pause) => false,
            () = ctx.cancel.cancelled(), if told.is_none() => {
                told = stop(dir).then(tokio::time::Instant::now);
                false
            }
        };
        if supervisor_ended {
            supervisor = None;
        }
        pause = (pause * 2).min(Duration::from_millis(200));
        let shown = out.read(ctx).and_then(|()| err.read(ctx));
        // While our own supervisor lives it is enough to wait for its end.
        if supervisor.is_some() {
            continue;
        }
        let found = match shown.and(recover(dir).await) {
            Ok(found) => found,
            Err(failure) if failure.kind == FailureKind::Unknown => return Err(failure),
            // It goes on, whether it is seen or not.
            Err(_) if blind.get_or_insert_with(tokio::time::Instant::now).elapsed() < PATIENCE => continue,
            Err(failure) => return Err(out_of_sight(command, &failure)),
        };
        blind = None;
        match found {
            Recovered::Finished(finished) => {
                // What it said last.
                match out.read(ctx).and_then(|()| err.read(ctx)) {
                    Ok(()) => break finished,
                    Err(failure) => return Err(out_of_sight(command, &failure)),
                }
            }
            Recovered::Running => {
                // A supervisor sees to that by itself.
                let late = told.is_some_and(|told| told.elapsed() > command.grace);
                if let Some(orphan) = orphan::running(dir).unwrap_or_default().filter(|_| late && !locked(dir).unwrap_or(true)) {
                    orphan.signal(Signal::KILL);
                }
            }
            Recovered::NotBegun | Recovered::Withheld => {
                return Err(not_begun(command, dir));
            }
            Recovered::Lost => return Err(lost(command, out, err, ctx)),
        }
    };
    let (stdout, stderr) = (out.finish(ctx), err.finish(ctx));
    outcome(&finished, command, stdout, stderr, ctx)
}

/// It was begun, and whether it still runs cannot be seen from here for now: nothing may be done again or undone beside it.
fn out_of_sight(command: &Command, failure: &Failure) -> Failure {
    let message = format!("whether `{}` still runs on this machine cannot be seen: {}", command.program(), failure.message);
    Failure::new(FailureKind::Unreachable, message)
}

/// The supervisor has ended before it began anything.
fn not_begun(command: &Command, dir: &Path) -> Failure {
    let is_full = local_file::space(dir).is_ok_and(|space| space.free < SCARCE);
    let why = if is_full { "there is no room left on the disk of" } else { "its supervisor could not write to" };
    let message = format!("`{}` was not begun: {why} `{}`", command.program(), dir.display());
    let help = if is_full { "make room there" } else { "check that the folder can be written" };
    Failure::new(FailureKind::Failed, message).help(help).untouched()
}

/// Never, where there is none.
async fn ended(supervisor: &mut Option<tokio::process::Child>) {
    match supervisor {
        Some(child) => drop(child.wait().await),
        None => std::future::pending().await,
    }
}

/// Asks the supervisor to end its command, or the command itself where nobody supervises it any more. Only a supervisor that holds the
/// lock is asked: its number cannot be another process's.
fn stop(dir: &Path) -> bool {
    let pid = || {
        let content = local_file::read(&dir.join(BEGUN), 1 << 16).ok()??;
        let begun: Begun = serde_json::from_slice(&content.bytes).ok()?;
        rustix::process::Pid::from_raw(i32::try_from(begun.pid).ok().filter(|pid| *pid > 1)?)
    };
    if !locked(dir).unwrap_or(false) {
        return orphan::running(dir).unwrap_or_default().is_some_and(|orphan| orphan.signal(Signal::TERM));
    }
    pid().is_some_and(|pid| rustix::process::kill_process(pid, Signal::TERM).is_ok())
}

fn lost(command: &Command, out: Follower, err: Follower, ctx: &Context) -> Failure {
    let (stdout, stderr) = (out.finish(ctx), err.finish(ctx));
    Failure::new(FailureKind::Unknown, format!("`{}` was begun, and nothing tells how it ended", command.program()))
        .detail(crate::lang::Value::object([
            ("stdout", crate::lang::Value::string(ctx.redact.apply(&stdout.text()))),
            ("stderr", crate::lang::Value::string(ctx.redact.apply(&stderr.text()))),
        ]))
        .help("the machine went down or its supervisor was killed: look at what it did, then confirm or repeat the action")
}

pub(crate) fn outcome(
    finished: &Finished,
    command: &Command,
    stdout: Captured,
    stderr: Captured,
    ctx: &Context,
) -> Result<Output, Failure> {
    let timeout = command.timeout.or(ctx.timeout);
    match (finished.cause, finished.ended) {
        (Cause::TimedOut, _) => Err(direct::stopped(FailureKind::TimedOut, command.program(), timeout, &stdout, &stderr, ctx)),
        (Cause::Cancelled, _) => Err(direct::stopped(FailureKind::Cancelled, command.program(), timeout, &stdout, &stderr, ctx)),
        (Cause::Itself, Some(ended)) => {
            let duration = finished.finished.duration_since(finished.started).unsigned_abs();
            Ok(Output { ended, stdout, stderr, duration, is_cramped: finished.is_cramped })
        }
        (Cause::Itself, None) => Err(match &finished.error {
            // The system did not start it.
            Some(error) => Failure::new(FailureKind::Failed, error.clone()).untouched(),
            None => Failure::new(FailureKind::Failed, format!("`{}` could not be waited for", command.program())),
        }),
    }
}

/// Reads a growing log.
struct Follower {
    path: PathBuf,
    offset: u64,
    tail: Tail,
    lines: Lines,
    shown: bool,
}

impl Follower {
    fn new(path: PathBuf, command: &Command) -> Self {
        Self { path, offset: 0, tail: Tail::new(command.keep), lines: Lines::default(), shown: command.stream }
    }

    fn read(&mut self, ctx: &Context) -> Result<(), Failure> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_failure("read", &self.path, &error)),
        };
        let failed = |error: std::io::Error| io_failure("read", &self.path, &error);
        file.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let count = file.read(&mut chunk).map_err(failed)?;
            if count == 0 {
                return Ok(());
            }
            self.offset += count as u64;
            self.tail.push(&chunk[..count]);
            if self.shown {
                self.lines.push(&chunk[..count], |line| ctx.sink.line(&ctx.redact.apply(line)));
            }
        }
    }

    fn finish(mut self, ctx: &Context) -> Captured {
        self.lines.flush(|line| ctx.sink.line(&ctx.redact.apply(line)));
        scrub(&self.path, ctx);
        self.tail.finish()
    }
}

/// Takes the secrets out of a log that nobody writes any more.
fn scrub(path: &Path, ctx: &Context) {
    let Ok(Some(content)) = local_file::read(path, SCRUBBED) else { return };
    let text = String::from_utf8_lossy(&content.bytes);
    if let std::borrow::Cow::Owned(clean) = ctx.redact.apply(&text)
        && !content.truncated
    {
        // Without room for another file it is cleaned where it is.
        if local_file::write(path, &mut clean.as_bytes(), &Attributes::default()).is_err() {
            let _ = clean_in_place(path, clean.as_bytes());
        }
    }
}

/// Writes over a log without needing room; what does not fit is left out.
fn clean_in_place(path: &Path, clean: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let file = File::options().write(true).open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).min(clean.len());
    file.write_all_at(&clean[..length], 0)?;
    file.set_len(length as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
