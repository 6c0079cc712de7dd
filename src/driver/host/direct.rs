//! A child that does not outlive its call: output is read as it comes, the whole process group ends with it.
//!
//! Takes a prepared command of the system, gives how it ended. Windlass killed by SIGKILL leaves it running: what matters is
//! supervised instead.
#![expect(clippy::disallowed_methods, reason = "a door to the clock: how long a command takes")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command as System};

use super::{Captured, Command, Ended, Lines, Output, Tail};
use crate::driver::{Context, Failure, FailureKind};
use crate::lang::Value;

/// How long output is still read after the command itself ended: a daemon that it left behind may keep the pipe open for ever.
const LINGER: Duration = Duration::from_millis(300);

/// Runs a prepared command; `command` says the rest (input, limits). `more` is fed to it after its input.
pub(super) async fn run(
    mut system: System,
    command: &Command,
    more: Option<std::fs::File>,
    ctx: &Context,
) -> Result<Output, Failure> {
    let started = Instant::now();
    let timeout = command.timeout.or(ctx.timeout);
    system.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    if ctx.cancel.is_cancelled() {
        return Err(Failure::new(FailureKind::Cancelled, format!("`{}` was not started: told to stop", command.program())));
    }
    let mut child = system.spawn().map_err(|error| not_started(command, &error))?;
    let mut group = Group::of(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut out = Stream::new(command);
    let mut err = Stream::new(command);
    let ended = {
        let feeding = async {
            if let Some(mut stdin) = stdin {
                // A command that does not read its input is no failure.
                let _ = stdin.write_all(&command.stdin).await;
                if let Some(more) = more {
                    let _ = tokio::io::copy(&mut tokio::fs::File::from_std(more), &mut stdin).await;
                }
            }
        };
        let reading = async { tokio::join!(feeding, out.read(stdout, ctx), err.read(stderr, ctx)) };
        tokio::pin!(reading);
        let mut drained = false;
        let expired = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(expired);
        let ended = loop {
            tokio::select! {
                _ = &mut reading, if !drained => drained = true,
                status = child.wait() => break Ok(status),
                () = ctx.cancel.cancelled() => break Err(FailureKind::Cancelled),
                () = &mut expired => break Err(FailureKind::TimedOut),
            }
        };
        if ended.is_err() {
            let ending = end_group(&mut child, command.grace);
            tokio::pin!(ending);
            loop {
                tokio::select! {
                    _ = &mut reading, if !drained => drained = true,
                    () = &mut ending => break,
                }
            }
        }
        if !drained {
            let _ = tokio::time::timeout(LINGER, &mut reading).await;
        }
        ended
    };
    group.ended();
    let (stdout, stderr) = (out.finish(ctx), err.finish(ctx));
    let duration = started.elapsed();
    match ended {
        Ok(Ok(status)) => Ok(Output { ended: Ended::of(status), stdout, stderr, duration, is_cramped: false }),
        Ok(Err(error)) => Err(Failure::new(FailureKind::Failed, format!("cannot wait for `{}`: {error}", command.program()))),
        Err(kind) => Err(stopped(kind, command.program(), timeout, &stdout, &stderr, ctx)),
    }
}

/// Why a command that did not end by itself has no outcome.
pub(crate) fn stopped(
    kind: FailureKind,
    program: &str,
    timeout: Option<Duration>,
    stdout: &Captured,
    stderr: &Captured,
    ctx: &Context,
) -> Failure {
    let message = match (kind, timeout) {
        (FailureKind::TimedOut, Some(timeout)) => format!("`{program}` took longer than {} and was ended", duration_text(timeout)),
        (FailureKind::TimedOut, None) => format!("`{program}` took too long and was ended"),
        _ => format!("`{program}` was ended because Windlass was told to stop"),
    };
    Failure::new(kind, message).detail(Value::object([
        ("stdout", Value::string(ctx.redact.apply(&stdout.text()))),
        ("stderr", Value::string(ctx.redact.apply(&stderr.text()))),
    ]))
}

/// A duration as people write it.
pub(crate) fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// Why a command could not be started.
pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    start_failure(command.program(), error.kind(), &error.to_string())
}

/// Why a program could not be started, from what the system said.
pub(crate) fn start_failure(program: &str, kind: std::io::ErrorKind, text: &str) -> Failure {
    let (reason, help) = match kind {
        std::io::ErrorKind::NotFound if program.contains('/') => {
            ("there is no such program (or its interpreter is missing)".to_owned(), "check the path")
        }
        std::io::ErrorKind::NotFound => ("it is not on the PATH".to_owned(), "install it, or give its absolute path"),
        std::io::ErrorKind::PermissionDenied => ("permission denied".to_owned(), "it must be executable by this user"),
        std::io::ErrorKind::ArgumentListTooLong => {
            ("the arguments and environment are too long".to_owned(), "pass big inputs through `stdin` or a file")
        }
        _ => (text.to_owned(), "see what the system said"),
    };
    Failure::new(FailureKind::Failed, format!("cannot start `{program}`: {reason}")).help(help).untouched()
}

/// Ends a child and its whole process group: SIGTERM, then after the grace SIGKILL for whoever is left.
pub(crate) async fn end_group(child: &mut Child, grace: Duration) {
    let Some(group) = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) else { return };
    let _ = kill_process_group(group, Signal::TERM);
    let gone = async {
        let _ = child.wait().await;
        while test_kill_process_group(group).is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(grace, gone).await.is_err() {
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait().await;
    }
}

/// Kills the process group where the call is dropped before its command ended.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// One of the two output streams.
struct Stream {
    tail: Tail,
    lines: Lines,
    shown: bool,
}

impl Stream {
    fn new(command: &Command) -> Self {
        Self { tail: Tail::new(command.keep), lines: Lines::default(), shown: command.stream }
    }

    async fn read(&mut self, pipe: Option<impl AsyncRead + Unpin>, ctx: &Context) {
        let Some(mut pipe) = pipe else { return };
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
            self.tail.push(&chunk[..count]);
            if self.shown {
                self.lines.push(&chunk[..count], |line| ctx.sink.line(&ctx.redact.apply(line)));
            }
        }
    }

    fn finish(mut self, ctx: &Context) -> Captured {
        self.lines.flush(|line| ctx.sink.line(&ctx.redact.apply(line)));
        self.tail.finish()
    }
}
