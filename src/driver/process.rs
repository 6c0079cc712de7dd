//! `process`: starts, stops and watches a long-running service that outlives Windlass.
//!
//! The service is the leader of a session and process group of its own, so that all of it is stopped. Its pid file says, besides the
//! pid, when the process started and in which boot: a pid that another process has meanwhile is never signalled.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::host::{Ended, privilege};
use super::intent::{self, Declared, Intent};
use super::{Args, Command, Context, Driver, Failure, FailureKind, Recalled, exec};
use crate::lang::{Object, Value};
use crate::model::driver::DriverSchema;

mod identity;
mod schema;

pub(super) use identity::{Life, Record, life};
use schema::SCHEMA;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Process;

/// The script's word for a service that was not started.
const NOT_STARTED: i32 = 96;

const SIGNALS: [&str; 7] = ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"];

/// Becomes the service: records who it is, then turns into the command. The pid and the start time stay the same through `exec`.
/// The record comes before the command, so that a Windlass killed in between leaves no service that nobody knows. What fails before
/// that ends with [`NOT_STARTED`]. (`true` and not `:`, which would end the shell by itself where the log cannot be written.)
const START: &str = r#"pid_file=$1 log=$2 digest=$3 dir=$4
shift 4
cd -- "$dir" || exit 96
umask 022
true >> "$log" || exit 96
command -v setsid >/dev/null || { echo "setsid (util-linux) is missing" >&2; exit 96; }
true >> "$pid_file.new" || exit 96
command -v -- "$1" >/dev/null || { echo "there is no program \`$1\`" >&2; exit 96; }
setsid /bin/sh -eu -c '
    pid_file=$1 log=$2 digest=$3
    shift 3
    stat=$(cat /proc/$$/stat)
    set -f
    fields=${stat##*) }
    start=$(echo $fields | cut -d" " -f20)
    boot=$(cat /proc/sys/kernel/random/boot_id)
    printf "{\"pid\":%s,\"start\":%s,\"boot\":\"%s\",\"command\":\"%s\",\"since\":%s}\n" \
        $$ "$start" "$boot" "$digest" "$(date +%s)" > "$pid_file.new"
    mv -f -- "$pid_file.new" "$pid_file"
    exec "$@" </dev/null >>"$log" 2>&1
' sh "$pid_file" "$log" "$digest" "$@" &
wait_for=$!
n=0
until grep -qs "\"pid\":$wait_for," "$pid_file"; do
    kill -0 $wait_for 2>/dev/null || { wait $wait_for || true; grep -qs "\"pid\":$wait_for," "$pid_file" || exit 1; }
    n=$((n + 1))
    [ $n -lt 200 ] || exit 1
    sleep 0.05
done
"#;

#[async_trait]
impl Driver for Process {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    fn knows_untouched(&self) -> bool {
        true
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("process", args);
        let ctx = Context { redact: ctx.redact.also(args.map("secrets")?.into_values()), ..ctx.clone() };
        let action = args.word("action", &["start", "stop", "restart", "status"])?.unwrap_or("status");
        if ctx.dir.is_none() && action != "status" {
            return Err(
                args.invalid(format_args!("`{action}` changes something, and a fact or check may only look: use \"status\""))
            );
        }
        let service = Service::of(&args, &ctx, action)?;
        let work = async {
            match action {
                "status" => service.status().await.map_err(Failure::untouched),
                "stop" => {
                    let (changed, killed) = service.stop().await?;
                    Ok(result(None, changed, killed))
                }
                "start" => service.start().await,
                _ => {
                    let (stopped, killed) = service.stop().await?;
                    let started = service.start().await;
                    let started = started.map_err(|failure| if stopped { failure.touched() } else { failure })?;
                    match started {
                        Value::Object(object) => {
                            let mut object = object.as_ref().clone();
                            object.insert("killed".into(), killed.into());
                            Ok(Value::Object(object.into()))
                        }
                        other => Ok(other),
                    }
                }
            }
        };
        tokio::select! {
            result = work => result,
            () = ctx.cancel.cancelled() => {
                Err(Failure::new(FailureKind::Cancelled, format!("told to stop; the service of `{}` is left as it is", service.pid_file)))
            }
        }
    }

    async fn recall(&self, args: &Object, ctx: &Context) -> Result<Recalled, Failure> {
        if Args::new("process", args).text("action")?.as_deref() == Some("status") {
            return Ok(Recalled::Untouched);
        }
        Ok(match intent::declared(ctx)? {
            Declared::Nothing => Recalled::Untouched,
            Declared::Something(_) | Declared::Unclear => Recalled::Unknown,
        })
    }
}

fn result(record: Option<&Record>, changed: bool, killed: bool) -> Value {
    Value::object([
        ("running", record.is_some().into()),
        ("pid", record.map(|record| i64::from(record.pid)).into()),
        ("since", record.and_then(|record| Timestamp::from_second(record.since).ok()).map(|since| since.to_string()).into()),
        ("changed", changed.into()),
        ("killed", killed.into()),
    ])
}

/// One service, as the arguments describe it.
struct Service<'a> {
    ctx: &'a Context,
    pid_file: String,
    command: Option<Command>,
    log: Option<String>,
    ready: Ready,
    signal: &'static str,
    patience: Duration,
}

/// When it counts as started.
struct Ready {
    tcp: Option<String>,
    after: Duration,
    timeout: Duration,
}

impl<'a> Service<'a> {
    fn of(args: &Args<'_>, ctx: &'a Context, action: &str) -> Result<Self, Failure> {
        let starts = matches!(action, "start" | "restart");
        let given = args.value("command").is_some() || args.value("shell").is_some();
        let log = args.path("log_file")?;
        if starts && log.is_none() {
            return Err(args.invalid("`log_file` is needed to start a service: its output must go somewhere"));
        }
        let ready = args.object("ready")?;
        let (tcp, after, timeout) = match ready {
            Some(ready) => (ready.text("tcp")?, ready.duration("after")?, ready.duration("timeout")?),
            None => (None, None, None),
        };
        Ok(Self {
            ctx,
            pid_file: args.needed_path("pid_file")?,
            command: if starts || given { Some(exec::command(args)?) } else { None },
            log,
            ready: Ready {
                tcp,
                after: after.unwrap_or(Duration::from_millis(500)),
                timeout: timeout.unwrap_or(Duration::from_secs(60)),
            },
            signal: args.word("stop_signal", &SIGNALS)?.unwrap_or("TERM"),
            patience: args.duration("stop_timeout")?.unwrap_or(Duration::from_secs(30)),
        })
    }

    async fn status(&self) -> Result<Value, Failure> {
        Ok(match life(self.ctx, &self.pid_file).await? {
            Life::Running(record) => result(Some(&record), false, false),
            Life::Orphans(_) | Life::Gone => result(None, false, false),
        })
    }

    async fn start(&self) -> Result<Value, Failure> {
        let (Some(command), Some(log)) = (&self.command, &self.log) else {
            return Err(Failure::new(FailureKind::Invalid, "process: there is no command to start"));
        };
        let digest = digest(command);
        match life(self.ctx, &self.pid_file).await.map_err(Failure::untouched)? {
            // Begun by an earlier attempt, perhaps: it only has to become ready.
            Life::Running(record) if record.command == digest => {
                self.await_ready(&record, command, log).await.map_err(Failure::touched)?;
                return Ok(result(Some(&record), false, false));
            }
            Life::Running(record) => {
                return Err(Failure::new(
                    FailureKind::Failed,
                    format!("the service of `{}` already runs as process {} with another command", self.pid_file, record.pid),
                )
                .help("stop it first, or use `action = \"restart\"`")
                .untouched());
            }
            Life::Orphans(record) => {
                return Err(Failure::new(
                    FailureKind::Failed,
                    format!(
                        "the service of `{}` ended, but processes that it started still run (process group {})",
                        self.pid_file, record.pid
                    ),
                )
                .help("stop it first: that ends them")
                .untouched());
            }
            Life::Gone => {}
        }
        let mut starting = privilege::as_user(&*self.ctx.host, command, self.ctx).await.map_err(Failure::untouched)?;
        let service = std::mem::take(&mut starting.argv);
        let dir = starting.dir.take().unwrap_or_else(|| "/".to_owned());
        starting.argv = ["/bin/sh", "-euc", START, "sh", &self.pid_file, log, &digest, &dir].map(str::to_owned).to_vec();
        starting.argv.extend(service);
        starting.stream = false;
        Intent::of(self.ctx)?.declare(&Value::Null)?;
        let output = self.ctx.host.run(&starting, self.ctx).await?;
        if !output.ok() {
            let words = output.last_words();
            let message = format!("cannot start `{}`: {}", command.program(), self.ctx.redact.apply(&words));
            let failure = Failure::new(FailureKind::Failed, message);
            return Err(if output.ended == Ended::Code(NOT_STARTED) { failure.untouched() } else { failure });
        }
        self.started(command, log).await.map_err(Failure::touched)
    }

    /// Follows a service that was just started.
    async fn started(&self, command: &Command, log: &str) -> Result<Value, Failure> {
        let record = match life(self.ctx, &self.pid_file).await? {
            Life::Running(record) => record,
            Life::Orphans(_) | Life::Gone => return Err(self.ended_early(command, log).await),
        };
        self.await_ready(&record, command, log).await?;
        Ok(result(Some(&record), true, false))
    }

    /// Waits until it counts as started, unless it ends first.
    async fn await_ready(&self, record: &Record, command: &Command, log: &str) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + self.ready.timeout.max(self.ready.after);
        let settled = tokio::time::Instant::now() + self.ready.after;
        let mut pause = Duration::from_millis(50);
        loop {
            let now = tokio::time::Instant::now();
            match life(self.ctx, &self.pid_file).await? {
                Life::Running(seen) if seen.pid == record.pid => {}
                _ => return Err(self.ended_early(command, log).await),
            }
            let accepts = match &self.ready.tcp {
                Some(address) => self.ctx.host.accepts(address, Duration::from_secs(2)).await?,
                None => true,
            };
            if accepts && now >= settled {
                return Ok(());
            }
            if now >= deadline {
                let address = self.ready.tcp.as_deref().unwrap_or_default();
                return Err(Failure::new(
                    FailureKind::TimedOut,
                    format!(
                        "`{}` runs, but `{address}` does not accept connections after {} s",
                        command.program(),
                        self.ready.timeout.as_secs()
                    ),
                )
                .help(format!("see its log `{log}`"))
                .detail(Value::object([("log", self.log_tail(log).await.into())])));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    async fn ended_early(&self, command: &Command, log: &str) -> Failure {
        let tail = self.log_tail(log).await;
        let said = if tail.is_empty() { ", and its log is empty".to_owned() } else { format!("; its log ends with: {tail}") };
        Failure::new(FailureKind::Failed, format!("`{}` ended soon after it was started{said}", command.program()))
            .help(format!("see its log `{log}`"))
            .detail(Value::object([("log", Value::string(&tail))]))
    }

    async fn log_tail(&self, log: &str) -> String {
        match self.ctx.look(["tail", "-n", "20", "--", log]).await {
            Ok(output) => self.ctx.redact.apply(&output.stdout.last_lines(20)).into_owned(),
            Err(_) => String::new(),
        }
    }

    /// Whether there was something to stop, and whether it had to be killed.
    async fn stop(&self) -> Result<(bool, bool), Failure> {
        let record = match life(self.ctx, &self.pid_file).await.map_err(Failure::untouched)? {
            Life::Running(record) | Life::Orphans(record) => record,
            Life::Gone => {
                // What is left of one that ended long ago.
                self.forget().await.map_err(Failure::untouched)?;
                return Ok((false, false));
            }
        };
        Intent::of(self.ctx)?.declare(&Value::Null)?;
        self.signal(&record, self.signal).await?;
        let killed = self.await_end(&record).await.map_err(Failure::touched)?;
        Ok((true, killed))
    }

    /// Sees to it that a service ends that was told to; whether it had to be killed.
    async fn await_end(&self, record: &Record) -> Result<bool, Failure> {
        let mut killed = false;
        if !self.gone_within(record, self.patience).await? {
            killed = true;
            self.signal(record, "KILL").await?;
            if !self.gone_within(record, Duration::from_secs(10)).await? {
                return Err(Failure::new(
                    FailureKind::Failed,
                    format!("process {} does not end, not even when killed", record.pid),
                )
                .help("it hangs in the kernel, probably on a disk or network file system that does not answer"));
            }
        }
        self.forget().await?;
        Ok(killed)
    }

    async fn forget(&self) -> Result<(), Failure> {
        self.ctx.host.remove(self.pid_file.as_ref(), false).await
    }

    async fn signal(&self, record: &Record, signal: &str) -> Result<(), Failure> {
        debug_assert!(record.pid > 1, "kept by `life`");
        let output = self
            .ctx
            .look(["/bin/sh", "-c", "[ \"$2\" -gt 1 ] && kill -s \"$1\" -- \"-$2\"", "sh", signal, &record.pid.to_string()])
            .await?;
        // Gone meanwhile is as good as told; who may not be told is found out below.
        if output.ok() || !matches!(life(self.ctx, &self.pid_file).await.map_err(Failure::touched)?, Life::Running(_)) {
            return Ok(());
        }
        let message = format!("cannot signal process {}: {}", record.pid, output.last_words());
        let failure = Failure::new(FailureKind::Failed, message).help("run Windlass as the user of the service, or as root");
        // `kill` itself says that it has reached nobody.
        Err(if output.ended == Ended::Code(1) { failure.untouched() } else { failure })
    }

    async fn gone_within(&self, record: &Record, patience: Duration) -> Result<bool, Failure> {
        let deadline = tokio::time::Instant::now() + patience;
        let mut pause = Duration::from_millis(20);
        loop {
            match life(self.ctx, &self.pid_file).await? {
                Life::Running(seen) | Life::Orphans(seen) if seen.pid == record.pid => {}
                _ => return Ok(true),
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }
}

/// What the command is, without what is secret: another one is another service.
fn digest(command: &Command) -> String {
    let mut hash = Sha256::new();
    let names = command.env.keys();
    for part in command.argv.iter().chain(names).chain(&command.dir).chain(&command.user) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
