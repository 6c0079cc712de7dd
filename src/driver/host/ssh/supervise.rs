//! A supervised command on another machine: it runs there under a small shell supervisor, whatever becomes of the connection or of
//! Windlass; this side asks again and again how far it is.
//!
//! Here, the call's folder remembers which run it is before anything is begun, and in the end holds the same files as a local one.
#![expect(clippy::disallowed_methods, reason = "a door to randomness: names of supervised commands")]

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Ssh;
use super::script;
use crate::driver::host::local::private_dir;
use crate::driver::host::{Attributes, Cause, Command, Ended, Finished, Lines, Output, Recovered, Tail, local_file, privilege};
use crate::driver::supervised::{EXIT, OUTPUT, STDERR, outcome};
use crate::driver::{Context, Failure, FailureKind};
use crate::lang::function::shell_quoted;

const REMOTE: &str = "remote.json";
/// At most so much of each log comes in one answer.
const PORTION: usize = 1 << 20;

/// `remote.json`.
#[derive(Serialize, Deserialize)]
struct Remote {
    run: String,
}

/// Where runs are kept there.
const FOLDER: &str = r#"d=${XDG_STATE_HOME:-$HOME/.local/state}/windlass/$1"#;

/// Begins: one folder for a run, so that a second beginning finds the first. The supervisor's parent ends at once, so it belongs to
/// no session of sshd.
const BEGIN: &str = r#"set -eu
umask 077
for tool in setsid flock; do command -v $tool >/dev/null || { echo "$tool (util-linux) is missing" >&2; exit 1; }; done
mkdir -p -- "${d%/*}"
mkdir -- "$d" 2>/dev/null || exit 0
cd -- "$d"
cat > stdin
[ "$(stat -c %s stdin)" = "$2" ] || { cd /; rm -rf -- "$d"; echo 'the input came incomplete' >&2; exit 1; }
printf '%s' "$script" > script
printf '%s' "$supervisor" > supervisor
setsid /bin/sh supervisor "$3" "$4" </dev/null >/dev/null 2>&1 &
n=0
until [ -e begun ] || [ $n -ge 200 ]; do sleep 0.05; n=$((n + 1)); done
[ -e begun ] || { echo 'the supervisor did not begin' >&2; exit 1; }
"#;

/// The supervisor: `$1` the timeout in seconds (0: none), `$2` the grace in tenths of a second.
const SUPERVISOR: &str = r#"timeout=$1 grace=$2 cause=itself started=$(date +%s) timer=
exec 9> lock
flock -n 9 || exit 3
echo $$ > pid
[ ! -e begun ] || exit 4
child= asked=
end() {
    [ "$cause" = itself ] || return 0
    cause=$1
    kill -s TERM -- "-$child" 2>/dev/null
    n=0
    while kill -0 "-$child" 2>/dev/null && [ $n -lt "$grace" ]; do sleep 0.1; n=$((n + 1)); done
    kill -s KILL -- "-$child" 2>/dev/null
}
trap 'asked=cancelled' TERM
trap 'asked=timed_out' USR1
: > begun
sync
setsid /bin/sh script < stdin > output.log 2> stderr.log 9>&- &
child=$!
if [ "$timeout" != 0 ]; then (exec 9>&-; sleep "$timeout"; kill -s USR1 $$) </dev/null >/dev/null 2>&1 & timer=$!; fi
while :; do
    wait $child
    code=$?
    [ -z "$asked" ] && break
    end $asked
    wait $child
    code=$?
    break
done
[ -z "$timer" ] || kill $timer 2>/dev/null
rm -f script stdin
echo "$code $cause $started $(date +%s)" > exit.new
sync
mv -f exit.new exit
sync
"#;

/// Tells how far it is: a line `STATE OUT ERR`, then so many bytes of each log.
const ASK: &str = r#"cd -- "$d" 2>/dev/null || { echo "not_begun 0 0"; exit 0; }
running=; [ ! -e lock ] || flock -n -s lock true || running=1
if [ -e exit ]; then state="exit $(cat exit)"
elif [ "$running" ]; then state=running
elif [ -e begun ]; then state=lost
else state=not_begun; fi
part() { size=$(stat -c %s "$1" 2>/dev/null || echo 0); n=$((size - $2)); [ $n -ge 0 ] || n=0; [ $n -le 1048576 ] || n=1048576; echo $n; }
o=$(part output.log "$2") e=$(part stderr.log "$3")
echo "$state $o $e"
[ "$o" = 0 ] || tail -c "+$(($2 + 1))" output.log | head -c "$o"
[ "$e" = 0 ] || tail -c "+$(($3 + 1))" stderr.log | head -c "$e"
"#;

const STOP: &str = r#"cd -- "$d" || exit 0
flock -n -s lock true || kill -s TERM -- "$(cat pid)""#;

const FORGET: &str = r#"rm -rf -- "$d""#;

fn with_folder(body: &str) -> String {
    format!("{FOLDER}\n{body}")
}

/// Which run a folder of this machine is about.
fn remembered(dir: &Path) -> Result<Option<Remote>, Failure> {
    let Some(content) = local_file::read(&dir.join(REMOTE), 1 << 16)? else { return Ok(None) };
    serde_json::from_slice(&content.bytes).map(Some).map_err(|error| {
        Failure::new(FailureKind::Unknown, format!("`{}` cannot be understood: {error}", dir.join(REMOTE).display()))
    })
}

fn ended_here(dir: &Path) -> Result<Option<Finished>, Failure> {
    let Some(content) = local_file::read(&dir.join(EXIT), 1 << 16)? else { return Ok(None) };
    serde_json::from_slice(&content.bytes).map(Some).map_err(|error| {
        Failure::new(FailureKind::Unknown, format!("`{}` cannot be understood: {error}", dir.join(EXIT).display()))
    })
}

pub(super) async fn recover(ssh: &Ssh, dir: &Path) -> Result<Recovered, Failure> {
    if let Some(finished) = ended_here(dir)? {
        return Ok(Recovered::Finished(finished));
    }
    match remembered(dir)? {
        Some(remote) => Ok(match ask(ssh, &remote, u64::MAX / 2, u64::MAX / 2).await?.state {
            // Here it says that it was to begin, and the machine knows nothing of it.
            Recovered::NotBegun => Recovered::Withheld,
            state => state,
        }),
        None => Ok(Recovered::NotBegun),
    }
}

pub(super) async fn supervise(ssh: &Ssh, command: &Command, dir: &Path, ctx: &Context) -> Result<Output, Failure> {
    let dir = private_dir(dir)?;
    if let Some(finished) = ended_here(&dir)? {
        let tail = |name: &str| -> Result<_, Failure> {
            let mut tail = Tail::new(command.keep);
            tail.push(&local_file::read(&dir.join(name), 1 << 30)?.map(|content| content.bytes).unwrap_or_default());
            Ok(tail.finish())
        };
        return outcome(&finished, command, tail(OUTPUT)?, tail(STDERR)?, ctx);
    }
    let remote = match remembered(&dir)? {
        Some(remote) => remote,
        None => {
            let remote = Remote { run: uuid::Uuid::now_v7().simple().to_string() };
            keep(&dir, REMOTE, &serde_json::to_vec(&remote).unwrap_or_default())?;
            remote
        }
    };
    let away = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(200);
    loop {
        let begun = async {
            match ask(ssh, &remote, 0, 0).await?.state {
                // A folder of that name there is never begun in twice: to say it again after a connection was lost is safe.
                Recovered::NotBegun => begin(ssh, command, &remote, ctx).await,
                _ => Ok(()),
            }
        };
        match begun.await {
            Ok(()) => break,
            Err(failure)
                if failure.kind == FailureKind::Unreachable && !ctx.cancel.is_cancelled() && away.elapsed() < ssh.patience =>
            {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = ctx.cancel.cancelled() => return Err(failure),
                }
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            Err(failure) => return Err(failure),
        }
    }
    follow(ssh, command, &remote, &dir, ctx).await
}

fn keep(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    local_file::write(&dir.join(name), &mut &*bytes, &Attributes { mode: Some(0o600), owner: None })
}

async fn begin(ssh: &Ssh, command: &Command, remote: &Remote, ctx: &Context) -> Result<(), Failure> {
    if ctx.cancel.is_cancelled() {
        return Err(Failure::new(FailureKind::Cancelled, format!("`{}` was not started: told to stop", command.program())));
    }
    let asked = command;
    let command = privilege::as_user(ssh, command, ctx).await?;
    // A folder was no folder of the command's own: it begins at home, like any command over SSH.
    let inner = format!("rm -f script stdin\ncd\n{}", script::command(&command)?);
    let timeout = command.timeout.or(ctx.timeout).map_or(0, |timeout| timeout.as_secs().max(1));
    let grace = (command.grace.as_millis() / 100).max(1);
    let body = format!(
        "set -- {} {} {timeout} {grace}\n{FOLDER}\nscript={}\nsupervisor={}\n{BEGIN}",
        shell_quoted(&remote.run),
        command.stdin.len(),
        shell_quoted(&inner),
        shell_quoted(SUPERVISOR)
    );
    let sending = Command { stream: false, timeout: Some(Duration::from_secs(120)), ..command };
    // Its beginning is not to be interrupted half-way.
    let quiet = Context { cancel: tokio_util::sync::CancellationToken::new(), ..ctx.clone() };
    let output = ssh.evaluate(&body, &sending, None, &quiet).await?;
    if output.ok() {
        return Ok(());
    }
    let words = ctx.redact.apply(&output.last_words()).into_owned();
    Err(Failure::new(FailureKind::Failed, format!("cannot start `{}` on {}: {words}", asked.program(), ssh.name)))
}

/// One answer.
struct Answer {
    state: Recovered,
    out: Vec<u8>,
    err: Vec<u8>,
}

async fn ask(ssh: &Ssh, remote: &Remote, out: u64, err: u64) -> Result<Answer, Failure> {
    let args = [remote.run.as_str(), &out.to_string(), &err.to_string()];
    let output = ssh.sh(&with_folder(ASK), &args, Vec::new(), 2 * PORTION + 4096, None).await?;
    let wrong =
        || Failure::new(FailureKind::Failed, format!("{} answered what cannot be understood: {}", ssh.name, output.last_words()));
    let end = output.stdout.bytes.iter().position(|byte| *byte == b'\n').ok_or_else(wrong)?;
    let line = String::from_utf8_lossy(&output.stdout.bytes[..end]).into_owned();
    let words: Vec<&str> = line.split(' ').collect();
    let (state, counts) = words.split_at(words.len().saturating_sub(2));
    let counts: Vec<usize> = counts.iter().filter_map(|count| count.parse().ok()).collect();
    let state = match state {
        ["running"] => Recovered::Running,
        ["lost"] => Recovered::Lost,
        ["not_begun"] => Recovered::NotBegun,
        ["exit", code, cause, started, finished] => {
            Recovered::Finished(finished_of(code, cause, started, finished).ok_or_else(wrong)?)
        }
        _ => return Err(wrong()),
    };
    let body = &output.stdout.bytes[end + 1..];
    match counts.as_slice() {
        [o, e] if o + e == body.len() => Ok(Answer { state, out: body[..*o].to_vec(), err: body[*o..].to_vec() }),
        _ => Err(wrong()),
    }
}

fn finished_of(code: &str, cause: &str, started: &str, finished: &str) -> Option<Finished> {
    let time = |text: &str| Timestamp::from_second(text.parse().ok()?).ok();
    let cause = match cause {
        "itself" => Cause::Itself,
        "timed_out" => Cause::TimedOut,
        "cancelled" => Cause::Cancelled,
        _ => return None,
    };
    Some(Finished {
        ended: Some(Ended::Code(code.parse().ok()?)),
        error: None,
        started: time(started)?,
        finished: time(finished)?,
        cause,
    })
}

/// A log as it comes.
struct Log {
    offset: u64,
    tail: Tail,
    lines: Lines,
    shown: bool,
}

impl Log {
    fn push(&mut self, bytes: &[u8], ctx: &Context) {
        self.offset += bytes.len() as u64;
        self.tail.push(bytes);
        if self.shown {
            self.lines.push(bytes, |line| ctx.sink.line(&ctx.redact.apply(line)));
        }
    }
}

async fn follow(ssh: &Ssh, command: &Command, remote: &Remote, dir: &Path, ctx: &Context) -> Result<Output, Failure> {
    let new = || Log { offset: 0, tail: Tail::new(command.keep), lines: Lines::default(), shown: command.stream };
    let (mut out, mut err) = (new(), new());
    let mut pause = Duration::from_millis(50);
    let mut told: Option<tokio::time::Instant> = None;
    let mut unreachable_since = None;
    let finished = loop {
        match ask(ssh, remote, out.offset, err.offset).await {
            Ok(answer) => {
                unreachable_since = None;
                let more = !answer.out.is_empty() || !answer.err.is_empty();
                out.push(&answer.out, ctx);
                err.push(&answer.err, ctx);
                match answer.state {
                    // What is left of the logs first.
                    Recovered::Finished(_) if more => continue,
                    Recovered::Finished(finished) => break finished,
                    Recovered::Running => {}
                    Recovered::NotBegun | Recovered::Withheld | Recovered::Lost => {
                        return Err(Failure::new(
                            FailureKind::Unknown,
                            format!("`{}` was begun on {}, and nothing tells how it ended", command.program(), ssh.name),
                        )
                        .help("the machine went down or its supervisor was killed: look at what it did, then confirm or repeat the action"));
                    }
                }
            }
            // The command does not mind: it goes on there.
            Err(failure) if failure.kind == FailureKind::Unreachable => {
                let since = *unreachable_since.get_or_insert_with(tokio::time::Instant::now);
                if since.elapsed() > ssh.patience || ctx.cancel.is_cancelled() {
                    let message =
                        format!("`{}` was begun, but it cannot be asked how it ended: {}", command.program(), failure.message);
                    return Err(Failure { kind: FailureKind::Unknown, message, ..failure });
                }
            }
            Err(failure) => return Err(failure),
        }
        // Told again after a while: a shell that gets a signal just before it waits does not mind it.
        if ctx.cancel.is_cancelled() && told.is_none_or(|told| told.elapsed() > Duration::from_secs(2)) {
            let _ = ssh.sh(&with_folder(STOP), &[&remote.run], Vec::new(), 4096, None).await;
            told = Some(tokio::time::Instant::now());
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ctx.cancel.cancelled(), if told.is_none() => {}
        }
        pause = (pause * 3 / 2).min(Duration::from_secs(1));
    };
    for log in [&mut out, &mut err] {
        log.lines.flush(|line| ctx.sink.line(&ctx.redact.apply(line)));
    }
    let (stdout, stderr) = (out.tail.finish(), err.tail.finish());
    keep(dir, OUTPUT, ctx.redact.apply(&stdout.text()).as_bytes())?;
    keep(dir, STDERR, ctx.redact.apply(&stderr.text()).as_bytes())?;
    keep(dir, EXIT, &serde_json::to_vec(&finished).unwrap_or_default())?;
    // What is known here is needed there no more; where it cannot be removed it is only litter.
    let _ = ssh.sh(&with_folder(FORGET), &[&remote.run], Vec::new(), 4096, None).await;
    outcome(&finished, command, stdout, stderr, ctx)
}
