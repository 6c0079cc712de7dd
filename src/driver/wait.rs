//! `wait`: lets time pass, or waits until something is so.
//!
//! Looks again and again, less and less often; says each time in the end what it saw last. Waiting for a time goes on after a crash
//! where it was.
#![expect(clippy::disallowed_methods, reason = "a door to the clock")]

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::host::direct::duration_text;
use super::host::local::private_dir;
use super::host::{Attributes, local_file};
use super::process::{Life, life};
use super::{Args, Command, Context, Driver, Failure, FailureKind, exec};
use crate::lang::{Object, Value};
use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Wait;

const SCHEMA: DriverSchema = DriverSchema {
    name: "wait",
    summary: "Lets time pass, or waits until a port accepts connections, a file is there, a service runs, or a command succeeds.",
    args: &[
        ArgSchema {
            name: "duration",
            ty: "string",
            required: false,
            summary: "How long, like \"90s\". Exactly one of `duration`, `tcp`, `file`, `process` and `command`.",
        },
        ArgSchema {
            name: "tcp",
            ty: "string",
            required: false,
            summary: "An address `host:port`, as the instance's host sees it, that accepts connections.",
        },
        ArgSchema { name: "file", ty: "string", required: false, summary: "An absolute path where something is." },
        ArgSchema {
            name: "process",
            ty: "string",
            required: false,
            summary: "A pid file of the driver `process` whose service runs.",
        },
        ArgSchema {
            name: "command",
            ty: "list(string)",
            required: false,
            summary: "A command that only looks and that ends with status 0. It may be run many times; `environment`, `secrets`, `directory` and `user` are as in `exec`.",
        },
        ArgSchema {
            name: "gone",
            ty: "bool",
            required: false,
            summary: "Waits for the contrary: the port refuses, the file is gone, the service ended, the command fails.",
        },
        ArgSchema {
            name: "interval",
            ty: "string",
            required: false,
            summary: "The longest pause between two looks; 5 s where not given. The first pauses are shorter.",
        },
        ArgSchema {
            name: "timeout",
            ty: "string",
            required: false,
            summary: "After this duration it is a failure; the step's timeout where not given, and 10 min where that has none.",
        },
        ArgSchema { name: "environment", ty: "map(string)", required: false, summary: "With `command`: as in `exec`." },
        ArgSchema { name: "secrets", ty: "map(string)", required: false, summary: "With `command`: as in `exec`." },
        ArgSchema { name: "inherit_environment", ty: "bool", required: false, summary: "With `command`: as in `exec`." },
        ArgSchema { name: "directory", ty: "string", required: false, summary: "With `command`: as in `exec`." },
        ArgSchema { name: "user", ty: "string", required: false, summary: "With `command`: as in `exec`." },
    ],
    results: &[
        ResultSchema { name: "waited", ty: "number", summary: "Seconds." },
        ResultSchema { name: "looks", ty: "number", summary: "How many times it looked." },
    ],
    observes: false,
};

#[async_trait]
impl Driver for Wait {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("wait", args);
        let ctx = &Context { redact: ctx.redact.also(args.map("secrets")?.into_values()), ..ctx.clone() };
        let what = What::of(&args)?;
        let work = async {
            match &what {
                What::Time(duration) => pass(*duration, ctx).await,
                what => until(what, &args, ctx).await,
            }
        };
        tokio::select! {
            result = work => result,
            () = ctx.cancel.cancelled() => Err(Failure::new(FailureKind::Cancelled, "told to stop while waiting")),
        }
    }
}

/// What is waited for.
enum What {
    Time(Duration),
    Tcp(String),
    File(String),
    Process(String),
    Command(Box<Command>),
}

impl What {
    fn of(args: &Args<'_>) -> Result<Self, Failure> {
        Ok(match args.exactly_one(&["duration", "tcp", "file", "process", "command"])? {
            "duration" => {
                if args.flag("gone")? {
                    return Err(args.invalid("`gone` makes no sense with `duration`"));
                }
                Self::Time(args.duration("duration")?.unwrap_or_default())
            }
            "tcp" => {
                let address = args.needed_text("tcp")?;
                let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
                if !matches!(port, Some(Ok(1..))) {
                    return Err(args.invalid("`tcp` must be an address like \"127.0.0.1:8080\""));
                }
                Self::Tcp(address)
            }
            "file" => Self::File(args.needed_path("file")?),
            "process" => Self::Process(args.needed_path("process")?),
            _ => Self::Command(Box::new(Command { stream: false, ..exec::command(args)? })),
        })
    }

    /// Whether it is so, and what was seen.
    async fn look(&self, ctx: &Context) -> Result<(bool, String), Failure> {
        let seen = |so: bool, yes: &str, no: &str| Ok((so, if so { yes } else { no }.to_owned()));
        match self {
            Self::Time(_) => Ok((true, String::new())),
            Self::Tcp(address) => {
                let so = ctx.host.accepts(address, Duration::from_secs(5)).await?;
                seen(so, &format!("`{address}` accepts connections"), &format!("`{address}` does not accept connections"))
            }
            Self::File(path) => {
                let so = ctx.host.stat(Path::new(path), true).await?.is_some();
                seen(so, &format!("`{path}` is there"), &format!("`{path}` is not there"))
            }
            Self::Process(pid_file) => {
                let so = matches!(life(ctx, pid_file).await?, Life::Running(_));
                seen(so, &format!("the service of `{pid_file}` runs"), &format!("the service of `{pid_file}` does not run"))
            }
            Self::Command(command) => {
                let output = ctx.host.run(command, ctx).await?;
                let words = output.last_words();
                let said = if words.is_empty() { String::new() } else { format!(": {}", ctx.redact.apply(&words)) };
                Ok((output.ok(), format!("`{}` ended with {}{said}", command.program(), output.ended)))
            }
        }
    }
}

fn waited(since: tokio::time::Instant, looks: u64) -> Value {
    Value::object([("waited", exec::seconds(since.elapsed())), ("looks", looks.into())])
}

async fn until(what: &What, args: &Args<'_>, ctx: &Context) -> Result<Value, Failure> {
    let gone = args.flag("gone")?;
    let timeout = args.duration("timeout")?.or(ctx.timeout).unwrap_or(Duration::from_secs(600));
    let longest = args.duration("interval")?.unwrap_or(Duration::from_secs(5)).max(Duration::from_millis(10));
    let start = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(100).min(longest);
    let mut looks = 0;
    let mut last = String::new();
    loop {
        looks += 1;
        match tokio::time::timeout_at(start + timeout, what.look(ctx)).await {
            Ok(Ok((so, _))) if so != gone => return Ok(waited(start, looks)),
            Ok(Ok((_, seen))) => last = seen,
            // A host that restarts is waited for like the rest.
            Ok(Err(failure)) if matches!(failure.kind, FailureKind::Unreachable | FailureKind::TimedOut) => last = failure.message,
            Ok(Err(failure)) => return Err(failure),
            Err(_) => {}
        }
        if start.elapsed() + pause >= timeout {
            tokio::time::sleep_until(start + timeout).await;
            let last = if last.is_empty() { "the first look did not end".to_owned() } else { last };
            return Err(Failure::new(FailureKind::TimedOut, format!("waited for {} in vain: {last}", duration_text(timeout)))
                .detail(Value::object([("last", Value::string(&last)), ("looks", looks.into())])));
        }
        ctx.sink.progress(start.elapsed().as_secs(), Some(timeout.as_secs()), "seconds");
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(longest);
    }
}

/// `since.json`.
#[derive(Serialize, Deserialize)]
struct Since {
    since: Timestamp,
}

/// A shorter wait is done again after a crash: noting when it began would cost two writes to the disk.
const NOTED: Duration = Duration::from_secs(2);

/// Lets time pass; an attempt that goes on after a crash waits only for the rest, where that is long.
async fn pass(duration: Duration, ctx: &Context) -> Result<Value, Failure> {
    let start = tokio::time::Instant::now();
    let mut passed = Duration::ZERO;
    if let Some(dir) = ctx.dir.as_ref().filter(|_| duration > NOTED) {
        let path = private_dir(dir)?.join("since.json");
        let since: Option<Since> = local_file::read(&path, 4096)?.and_then(|content| serde_json::from_slice(&content.bytes).ok());
        match since {
            // A clock set back counts as no time passed.
            Some(Since { since }) => passed = Duration::try_from(Timestamp::now().duration_since(since)).unwrap_or_default(),
            None => {
                let bytes = serde_json::to_vec(&Since { since: Timestamp::now() })
                    .map_err(|error| Failure::new(FailureKind::Failed, format!("cannot note the time: {error}")))?;
                local_file::write(&path, &mut bytes.as_slice(), &Attributes { mode: Some(0o600), owner: None })?;
            }
        }
    }
    let end = start + duration.saturating_sub(passed).min(Duration::from_secs(10 * 365 * 86_400));
    while tokio::time::Instant::now() < end {
        ctx.sink.progress((passed + start.elapsed()).as_secs(), Some(duration.as_secs()), "seconds");
        tokio::time::sleep_until(end.min(tokio::time::Instant::now() + Duration::from_secs(1))).await;
    }
    Ok(waited(start, 0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::driver::testing::{applying, args, detail, observing};

    #[tokio::test]
    async fn a_file_that_comes_later_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flag");
        let object = args(json!({"file": path, "interval": "20ms"}));
        let ctx = observing();
        let (result, ()) = tokio::join!(Wait.run(&object, &ctx), async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            std::fs::write(&path, "").unwrap();
        });
        assert_ne!(result.unwrap().get("looks"), Some(&1u64.into()));
        std::fs::remove_file(&path).unwrap();
        Wait.run(&args(json!({"file": path, "gone": true})), &ctx).await.unwrap();
    }

    #[tokio::test]
    async fn waiting_in_vain_says_what_was_seen_last() {
        let object = args(json!({"command": ["sh", "-c", "echo not yet >&2; exit 4"], "interval": "20ms", "timeout": "200ms"}));
        let error = Wait.run(&object, &observing()).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::TimedOut);
        assert!(error.message.ends_with("`sh` ended with exit status 4: not yet"), "{error}");
        assert!(detail(&error, "last").as_str().unwrap().contains("not yet"));
    }

    #[tokio::test]
    async fn a_look_that_hangs_does_not_hang_the_wait() {
        let object = args(json!({"command": ["sleep", "60"], "timeout": "200ms"}));
        assert_eq!(Wait.run(&object, &observing()).await.unwrap_err().kind, FailureKind::TimedOut);
    }

    #[tokio::test]
    async fn ports_are_looked_at() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Wait.run(&args(json!({"tcp": address})), &observing()).await.unwrap();
        drop(listener);
        Wait.run(&args(json!({"tcp": address, "gone": true})), &observing()).await.unwrap();
        for wrong in ["8080", ":80", "host:", "host:0", "host:70000"] {
            assert_eq!(
                Wait.run(&args(json!({"tcp": wrong})), &observing()).await.unwrap_err().kind,
                FailureKind::Invalid,
                "{wrong}"
            );
        }
    }

    #[tokio::test]
    async fn a_wait_is_cancelled() {
        let ctx = observing();
        let object = args(json!({"duration": "1h"}));
        let (result, ()) = tokio::join!(Wait.run(&object, &ctx), async { ctx.cancel.cancel() });
        assert_eq!(result.unwrap_err().kind, FailureKind::Cancelled);
    }

    #[tokio::test]
    async fn only_a_long_wait_writes_down_when_it_began() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("1");
        let ctx = applying(&folder);
        Wait.run(&args(json!({"duration": "1ms"})), &ctx).await.unwrap();
        assert!(!folder.exists());
        let object = args(json!({"duration": "1h"}));
        let (_, ()) = tokio::join!(Wait.run(&object, &ctx), async { ctx.cancel.cancel() });
        assert!(folder.join("since.json").exists());
    }

    #[tokio::test]
    async fn time_that_passed_before_a_crash_counts() {
        let dir = tempfile::tempdir().unwrap();
        let since = Since { since: Timestamp::now() - jiff::SignedDuration::from_hours(2) };
        std::fs::write(dir.path().join("since.json"), serde_json::to_vec(&since).unwrap()).unwrap();
        Wait.run(&args(json!({"duration": "1h"})), &applying(dir.path())).await.unwrap();
    }
}
