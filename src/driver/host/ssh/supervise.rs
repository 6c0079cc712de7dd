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
use crate::driver::host::{
    Attributes, Cause, Command, Ended, Finished, Lines, Output, Recovered, Tail, io_failure, local_file, privilege,
};
use crate::driver::supervised::{self, EXIT, FORBIDDEN, LOCK, OUTPUT, STDERR, outcome};
use crate::driver::{Context, Failure, FailureKind};
use crate::lang::function::shell_quoted;

const REMOTE: &str = "remote.json";
/// What [`BEGIN`] ends with where its ticket is no longer the newest.
const TICKET_GONE: i32 = 48;
/// At most so much of each log comes in one answer.
const PORTION: usize = 1 << 20;

/// `remote.json`.
#[derive(Serialize, Deserialize)]
struct Remote {
    run: String,
}

/// Where runs are kept there.
const FOLDER: &str = r#"d=${XDG_STATE_HOME:-$HOME/.local/state}/windlass/$1"#;

/// Takes the lock that the supervisor has as long as it lives; gives up where that has begun.
const HOLD: &str = r#"hold() {
    exec 9> lock
    n=0
    until flock -n 9; do
        [ ! -e begun ] && [ $n -lt 100 ] || return 1
        sleep 0.1
        n=$((n + 1))
    done
}
"#;

/// Asks for leave to begin: only with the newest ticket can it be begun, and never after it was begun, forbidden or forgotten. So a
/// beginning that is still on its way when somebody asks finds its ticket gone, however late it comes.
const ENTER: &str = r#"set -eu
umask 077
for tool in setsid flock; do command -v $tool >/dev/null || { echo "$tool (util-linux) is missing" >&2; exit 1; }; done
mkdir -p -- "$d"
cd -- "$d"
hold || { echo begun; exit 0; }
if [ -e forbidden ]; then echo forbidden
elif [ -e begun ]; then echo begun
else rm -f ticket.*; : > "ticket.$2"; echo entered; fi
"#;

/// Begins, with the ticket `$2`. The supervisor's parent ends at once, so it belongs to no session of sshd.
const BEGIN: &str = r#"set -eu
umask 077
late() { echo 'another came before' >&2; exit 48; }
cd -- "$d" 2>/dev/null || late
[ -e "ticket.$2" ] || late
trap 'cd / && cd -- "$d" 2>/dev/null && { [ -e begun ] || rm -f "stdin.$2" "script.$2" "supervisor.$2"; }' EXIT
cat > "stdin.$2"
[ "$(stat -c %s "stdin.$2")" = "$3" ] || { echo 'the input came incomplete' >&2; exit 1; }
printf '%s' "$script" > "script.$2"
printf '%s' "$supervisor" > "supervisor.$2"
setsid /bin/sh "supervisor.$2" "$2" "$4" "$5" </dev/null >/dev/null 2>&1 &
watched=$! n=0
until [ -e begun ] || [ $n -ge 400 ] || ! kill -0 $watched 2>/dev/null; do sleep 0.05; n=$((n + 1)); done
[ ! -e begun ] || exit 0
[ -e "ticket.$2" ] || late
rm "ticket.$2" 2>/dev/null || late
echo 'the supervisor did not begin: is there room on the disk?' >&2
exit 1
"#;

/// The supervisor: `$1` the ticket, `$2` the timeout in seconds (0: none), `$3` the grace in tenths of a second. The room for the exit
/// status is taken before the command begins.
const SUPERVISOR: &str = r#"ticket=$1 timeout=$2 grace=$3 cause=itself started=$(date +%s) timer= full=
exec 9> lock
flock -w 10 9 || exit 3
[ ! -e begun ] || exit 4
[ ! -e forbidden ] || exit 4
printf '%4096s' '' > exit.new && echo $$ > pid && [ -s pid ] || exit 5
mv "stdin.$ticket" stdin && mv "script.$ticket" script || exit 5
rm "ticket.$ticket" || exit 4
child= asked=
# These files only, where the tool can: all that the machine has to write may take long. The folders above may be new.
durable() { sync "$@" 2>/dev/null || sync; }
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
: > begun || exit 5
durable begun . .. ../..
setsid /bin/sh script < stdin > output.log 2> stderr.log 9>&- &
child=$!
echo "$child $(cut -d ' ' -f 22 /proc/$child/stat)" > process 2>/dev/null || :
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
head -c 4096 /dev/zero > room 2>/dev/null || full=full
rm -f room script stdin "supervisor.$ticket"
echo "$code $cause $started $(date +%s) $full" 1<> exit.new
durable exit.new
mv -f exit.new exit
durable .
"#;

/// Whether the command runs, whose supervisor was killed: its process has the same number and began at the same moment (proc(5)).
const ORPHAN: &str = r#"orphan() (
    read -r p since < process && [ -n "$since" ] && set -- $(cat "/proc/$p/stat") && [ "$3" != Z ] && [ "${22}" = "$since" ]
) 2>/dev/null
"#;

/// Tells how far it is: a line `STATE OUT ERR`, then so many bytes of each log.
const ASK: &str = r#"cd -- "$d" 2>/dev/null || { echo "not_begun 0 0"; exit 0; }
running=; [ ! -e lock ] || flock -n -s lock true || running=1
if [ -e exit ]; then read -r code cause started ended full < exit || :; state="exit $code $cause $started $ended ${full:-room}"
elif [ -e forbidden ]; then state=forbidden
elif [ "$running" ] || { [ -e begun ] && orphan; }; then state=running
elif [ -e begun ]; then state=lost
else state=not_begun; fi
part() { size=$(stat -c %s "$1" 2>/dev/null || echo 0); n=$((size - $2)); [ $n -ge 0 ] || n=0; [ $n -le 1048576 ] || n=1048576; echo $n; }
o=$(part output.log "$2") e=$(part stderr.log "$3")
echo "$state $o $e"
[ "$o" = 0 ] || tail -c "+$(($2 + 1))" output.log | head -c "$o"
[ "$e" = 0 ] || tail -c "+$(($3 + 1))" stderr.log | head -c "$e"
"#;

const STOP: &str = r#"cd -- "$d" || exit 0
if ! flock -n -s lock true; then kill -s TERM -- "$(cat pid)"
elif orphan; then read -r p since < process && kill -s TERM -- "-$p"; fi"#;

/// Sees to it that nothing is begun there any more. The mark stays.
const FORBID: &str = r#"set -eu
umask 077
mkdir -p -- "$d"
cd -- "$d"
hold || { echo begun; exit 0; }
if [ -e begun ] || [ -e exit ]; then echo begun; exit 0; fi
: > forbidden
sync forbidden . .. ../.. 2>/dev/null || sync
rm -f ticket.*
echo forbidden
"#;

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
        Some(remote) => Ok(ask(ssh, &remote, u64::MAX / 2, u64::MAX / 2).await?.state),
        None => Ok(Recovered::NotBegun),
    }
}

/// Here, no process comes to ask for leave any more; there, nobody gets it any more.
pub(super) async fn forbid(ssh: &Ssh, dir: &Path) -> Result<bool, Failure> {
    if !supervised::forbid(dir).await? {
        return Ok(false);
    }
    let Some(remote) = remembered(dir)? else { return Ok(true) };
    let output = ssh.sh(&with_folder(&format!("{HOLD}{FORBID}")), &[&remote.run], Vec::new(), 4096, None).await?;
    Ok(output.ok() && output.stdout.text().trim() == "forbidden")
}

pub(super) async fn supervise(ssh: &Ssh, command: &Command, dir: &Path, ctx: &Context) -> Result<Output, Failure> {
    let dir = private_dir(dir).map_err(Failure::untouched)?;
    if let Some(finished) = ended_here(&dir)? {
        let tail = |name: &str| -> Result<_, Failure> {
            let mut tail = Tail::new(command.keep);
            tail.push(&local_file::read(&dir.join(name), 1 << 30)?.map(|content| content.bytes).unwrap_or_default());
            Ok(tail.finish())
        };
        return outcome(&finished, command, tail(OUTPUT)?, tail(STDERR)?, ctx);
    }
    let remote = named(&dir).map_err(Failure::untouched)?;
    enter_and_begin(ssh, command, &remote, ctx).await?;
    follow(ssh, command, &remote, &dir, ctx).await
}

/// Which run a folder of this machine is about; from now on this one, where it was about none.
fn named(dir: &Path) -> Result<Remote, Failure> {
    let path = dir.join(LOCK);
    let failed = |error: std::io::Error| io_failure("lock", &path, &error);
    let lock = local_file::private_file(&path).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if let Some(remote) = remembered(dir)? {
        return Ok(remote);
    }
    if dir.join(FORBIDDEN).exists() {
        return Err(Failure::new(FailureKind::Failed, "it was not begun: another process has seen to it that it never is"));
    }
    let remote = Remote { run: uuid::Uuid::now_v7().simple().to_string() };
    keep(dir, REMOTE, &serde_json::to_vec(&remote).unwrap_or_default())?;
    Ok(remote)
}

/// Sees to it that it was begun there, however often the connection is lost meanwhile.
async fn enter_and_begin(ssh: &Ssh, command: &Command, remote: &Remote, ctx: &Context) -> Result<(), Failure> {
    let mut away = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(200);
    // Whether a beginning may be on its way.
    let mut is_sent = false;
    let mut overtaken = 0;
    loop {
        let failure = match enter(ssh, remote).await {
            Ok(None) => return Ok(()),
            Ok(Some(ticket)) => {
                away = tokio::time::Instant::now();
                // What was on its way has lost its ticket.
                is_sent = false;
                match begin(ssh, command, remote, &ticket, ctx).await {
                    Ok(Begun::Yes) => return Ok(()),
                    Ok(Begun::TicketGone) if overtaken < 20 => {
                        overtaken += 1;
                        tokio::time::sleep(pause).await;
                        continue;
                    }
                    Ok(Begun::TicketGone) => {
                        let message = format!("`{}` cannot be begun on {}: others begin it, too", command.program(), ssh.name);
                        return Err(Failure::new(FailureKind::Unknown, message));
                    }
                    Err(failure) => {
                        is_sent = failure.kind == FailureKind::Unreachable;
                        failure
                    }
                }
            }
            Err(failure) => failure,
        };
        let failure = Failure { untouched: !is_sent, ..failure };
        if failure.kind != FailureKind::Unreachable || ctx.cancel.is_cancelled() || away.elapsed() >= ssh.patience {
            return Err(failure);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ctx.cancel.cancelled() => return Err(failure),
        }
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Asks for leave to begin; `None`: it was begun already.
async fn enter(ssh: &Ssh, remote: &Remote) -> Result<Option<String>, Failure> {
    let ticket = uuid::Uuid::new_v4().simple().to_string();
    let output = ssh.sh(&with_folder(&format!("{HOLD}{ENTER}")), &[&remote.run, &ticket], Vec::new(), 4096, None).await?;
    let refused = |what: String| Failure::new(FailureKind::Failed, what);
    match output.stdout.text().trim() {
        "entered" if output.ok() => Ok(Some(ticket)),
        "begun" if output.ok() => Ok(None),
        "forbidden" => Err(refused("it was not begun: another process has seen to it that it never is".to_owned())),
        _ => Err(refused(format!("nothing can be begun on {}: {}", ssh.name, output.last_words()))
            .help("a command is kept in `~/.local/state/windlass` there: check that it can be written and that its disk has room")),
    }
}

fn keep(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    local_file::write(&dir.join(name), &mut &*bytes, &Attributes { mode: Some(0o600), owner: None })
}

/// What became of a beginning.
enum Begun {
    Yes,
    /// Another has asked for leave since.
    TicketGone,
}

async fn begin(ssh: &Ssh, command: &Command, remote: &Remote, ticket: &str, ctx: &Context) -> Result<Begun, Failure> {
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
        "set -- {} {} {} {timeout} {grace}\n{FOLDER}\nscript={}\nsupervisor={}\n{BEGIN}",
        shell_quoted(&remote.run),
        shell_quoted(ticket),
        command.stdin.len(),
        shell_quoted(&inner),
        shell_quoted(SUPERVISOR)
    );
    let sending = Command { stream: false, timeout: Some(Duration::from_secs(120)), ..command };
    // Its beginning is not to be interrupted half-way.
    let quiet = Context { cancel: tokio_util::sync::CancellationToken::new(), ..ctx.clone() };
    let output = ssh.evaluate(&body, &sending, None, &quiet).await?;
    match output.ended {
        Ended::Code(0) => return Ok(Begun::Yes),
        Ended::Code(TICKET_GONE) => return Ok(Begun::TicketGone),
        Ended::Code(_) | Ended::Signal(_) => {}
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
    let output = ssh.sh(&with_folder(&format!("{ORPHAN}{ASK}")), &args, Vec::new(), 2 * PORTION + 4096, None).await?;
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
        // Here it says that it was to begin, and the machine knows nothing of it.
        ["not_begun"] => Recovered::Withheld,
        ["forbidden"] => Recovered::NotBegun,
        ["exit", code, cause, started, finished, room] => {
            let finished = finished_of(code, cause, started, finished).ok_or_else(wrong)?;
            Recovered::Finished(Finished { is_cramped: *room == "full", ..finished })
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
        is_cramped: false,
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
            let _ = ssh.sh(&with_folder(&format!("{ORPHAN}{STOP}")), &[&remote.run], Vec::new(), 4096, None).await;
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
    let kept = keep(dir, OUTPUT, ctx.redact.apply(&stdout.text()).as_bytes())
        .and_then(|()| keep(dir, STDERR, ctx.redact.apply(&stderr.text()).as_bytes()))
        .and_then(|()| keep(dir, EXIT, &serde_json::to_vec(&finished).unwrap_or_default()));
    // How it ended does not hang on a disk here that is full: then it stays to be found there.
    if kept.is_ok() {
        // What is known here is needed there no more; where it cannot be removed it is only litter.
        let _ = ssh.sh(&with_folder(FORGET), &[&remote.run], Vec::new(), 4096, None).await;
    }
    outcome(&finished, command, stdout, stderr, ctx)
}

#[cfg(test)]
mod tests;
