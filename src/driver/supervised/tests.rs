//! Supervised commands against real processes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::driver::host::Ended;
use crate::driver::testing::{Heard, applying, hiding, local};

fn sh(script: &str) -> Command {
    Command::new(["/bin/sh", "-c", script])
}

async fn appears(path: &Path) -> String {
    for _ in 0..500 {
        if let Ok(text) = std::fs::read_to_string(path)
            && text.ends_with('\n')
        {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} did not appear", path.display());
}

fn alive(pid: &str) -> bool {
    // A zombie that nobody reaped is dead.
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn dies(pid: &str) {
    for _ in 0..500 {
        if !alive(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("process {pid} lives on");
}

#[tokio::test]
async fn the_outcome_is_that_of_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = sh("cat; echo err >&2; exit 7");
    command.stdin = b"input".to_vec();
    let heard = Arc::new(Heard::default());
    let ctx = Context { sink: heard.clone(), ..applying(dir.path()) };
    let output = ctx.run(&command).await.unwrap();
    assert_eq!((output.ended, output.stdout.text().as_str(), output.stderr.text().as_str()), (Ended::Code(7), "input", "err\n"));
    let mut lines = heard.lines.lock().unwrap().clone();
    lines.sort();
    assert_eq!(lines, ["err", "input"]);
}

#[tokio::test]
async fn a_command_that_is_forbidden_is_never_begun_and_one_that_was_begun_cannot_be_forbidden() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = applying(&dir.path().join("fresh"));
    let folder = ctx.dir.clone().unwrap();
    assert!(local().forbid(&folder).await.unwrap(), "nothing was begun");
    assert!(local().forbid(&folder).await.unwrap(), "it stays so");
    // A process that was paused before it could begin it wakes up.
    let touched = dir.path().join("touched");
    let error = ctx.run(&sh(&format!("touch {}", touched.display()))).await.unwrap_err();
    assert!(error.message.contains("was not begun") && error.untouched, "{error}");
    assert!(!touched.exists());

    let ctx = applying(&dir.path().join("ended"));
    ctx.run(&sh("true")).await.unwrap();
    assert!(!local().forbid(&ctx.dir.clone().unwrap()).await.unwrap(), "it has ended");

    let ctx = applying(&dir.path().join("running"));
    let folder = ctx.dir.clone().unwrap();
    let flag = dir.path().join("flag");
    let script = format!("echo begun > {0}; while [ -e {0} ]; do sleep 0.02; done", flag.display());
    let running = tokio::spawn(async move { ctx.run(&sh(&script)).await });
    appears(&flag).await;
    assert!(!local().forbid(&folder).await.unwrap(), "it runs");
    std::fs::remove_file(&flag).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_command_that_could_not_be_started_has_touched_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut elsewhere = sh("true");
    elsewhere.dir = Some("/no/such/folder".to_owned());
    let failing = [(Command::new(["/no/such/program"]), true), (elsewhere, true)];
    for (number, (command, untouched)) in failing.into_iter().enumerate() {
        for ctx in [applying(&dir.path().join(number.to_string())), crate::driver::testing::observing()] {
            let error = ctx.run(&command).await.unwrap_err();
            assert_eq!(error.untouched, untouched, "{error}");
        }
    }
    let slow = Command { timeout: Some(Duration::from_millis(50)), ..sh("sleep 60") };
    assert!(!applying(&dir.path().join("slow")).run(&slow).await.unwrap_err().untouched);
}

#[tokio::test]
async fn a_command_that_ended_is_not_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = applying(&dir.path().join("run"));
    let count = dir.path().join("count");
    let command = sh(&format!("echo x >> {}; echo out", count.display()));
    let first = ctx.run(&command).await.unwrap();
    let second = ctx.run(&command).await.unwrap();
    assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n");
    assert_eq!(first.stdout, second.stdout);
}

#[tokio::test]
async fn two_who_begin_at_once_begin_once() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = applying(&dir.path().join("run"));
    let count = dir.path().join("count");
    let command = sh(&format!("echo x >> {}; sleep 0.3", count.display()));
    let (a, b, c) = tokio::join!(ctx.run(&command), ctx.run(&command), ctx.run(&command));
    assert!(a.unwrap().ok() && b.unwrap().ok() && c.unwrap().ok());
    assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n");
}

#[tokio::test]
async fn a_command_outlives_a_windlass_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let go = dir.path().join("go");
    let script = format!("echo begun; while [ ! -e {} ]; do sleep 0.05; done; echo done; exit 5", go.display());
    let mut parent = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "driver::supervised::tests::parent_entry", "--ignored", "--nocapture"])
        .env("WINDLASS_TEST_RUN", &run)
        .env("WINDLASS_TEST_SCRIPT", &script)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    appears(&run.join(OUTPUT)).await;
    parent.kill().unwrap();
    parent.wait().unwrap();
    let ctx = applying(&run);
    assert_eq!(ctx.host.recover(&run).await.unwrap(), Recovered::Running);
    let command = sh(&script);
    let (output, ()) = tokio::join!(ctx.run(&command), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        std::fs::write(&go, "").unwrap();
    });
    let output = output.unwrap();
    assert_eq!((output.ended, output.stdout.text().as_str()), (Ended::Code(5), "begun\ndone\n"));
}

#[tokio::test]
#[ignore = "not a test: the Windlass that is killed by another test"]
async fn parent_entry() {
    let (Some(run), Some(script)) = (std::env::var_os("WINDLASS_TEST_RUN"), std::env::var_os("WINDLASS_TEST_SCRIPT")) else {
        return;
    };
    let _ = applying(Path::new(&run)).run(&sh(script.to_str().unwrap())).await;
}

/// Kills the supervisor of a folder once the command has written its number; answers that.
async fn orphaned(run: &Path, pid_file: &Path) -> String {
    let child = appears(pid_file).await;
    while !run.join(orphan::PROCESS).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun: Begun = serde_json::from_slice(&std::fs::read(run.join(BEGUN)).unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(begun.pid as i32).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    child
}

#[tokio::test]
async fn a_command_without_its_supervisor_is_waited_for_and_nobody_knows_how_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (run, pid_file, go) = (dir.path().join("run"), dir.path().join("pid"), dir.path().join("go"));
    let command = sh(&format!("echo $$ > {}; until [ -e {} ]; do sleep 0.02; done", pid_file.display(), go.display()));
    let ctx = applying(&run);
    let killing = async {
        orphaned(&run, &pid_file).await;
        while locked(&run).unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(ctx.host.recover(&run).await.unwrap(), Recovered::Running);
        std::fs::write(&go, "").unwrap();
    };
    let (outcome, ()) = tokio::join!(ctx.run(&command), killing);
    assert_eq!(outcome.unwrap_err().kind, FailureKind::Unknown);
    assert_eq!(ctx.host.recover(&run).await.unwrap(), Recovered::Lost);
    // And it is not begun again.
    assert_eq!(ctx.run(&command).await.unwrap_err().kind, FailureKind::Unknown);
}

#[tokio::test]
async fn a_command_without_its_supervisor_is_ended_on_request_even_if_it_is_deaf() {
    for deaf in ["", "trap '' TERM; "] {
        let dir = tempfile::tempdir().unwrap();
        let (run, pid_file) = (dir.path().join("run"), dir.path().join("pid"));
        let mut command = sh(&format!("{deaf}echo $$ > {}; while :; do sleep 0.1; done", pid_file.display()));
        command.grace = Duration::from_millis(200);
        let ctx = applying(&run);
        let ending = async {
            let child = orphaned(&run, &pid_file).await;
            ctx.cancel.cancel();
            child
        };
        let (outcome, child) = tokio::join!(ctx.run(&command), ending);
        assert_eq!(outcome.unwrap_err().kind, FailureKind::Unknown);
        dies(&child).await;
    }
}

#[tokio::test]
async fn cancelling_ends_grandchildren_too() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let ctx = applying(&dir.path().join("run"));
    let command = sh(&format!("sleep 60 & echo $! > {}; wait", pid_file.display()));
    let cancelling = async {
        let pid = appears(&pid_file).await;
        ctx.cancel.cancel();
        pid
    };
    let (outcome, grandchild) = tokio::join!(ctx.run(&command), cancelling);
    assert_eq!(outcome.unwrap_err().kind, FailureKind::Cancelled);
    dies(&grandchild).await;
}

#[tokio::test]
async fn a_command_deaf_to_sigterm_is_killed_after_the_grace() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let mut command = sh(&format!("trap '' TERM; echo $$ > {}; while :; do sleep 1; done", pid_file.display()));
    command.timeout = Some(Duration::from_millis(300));
    command.grace = Duration::from_millis(200);
    let error = applying(&dir.path().join("run")).run(&command).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::TimedOut);
    dies(&appears(&pid_file).await).await;
}

#[tokio::test]
async fn a_cancelled_context_begins_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let ctx = applying(&run);
    ctx.cancel.cancel();
    assert_eq!(ctx.run(&sh("true")).await.unwrap_err().kind, FailureKind::Cancelled);
    assert_eq!(ctx.host.recover(&run).await.unwrap(), Recovered::NotBegun);
}

/// Begins a command in a folder and takes the lock file's name away: opening it fails, as where nothing can be opened any more. The
/// supervisor keeps what it has locked.
async fn hidden(run: &Path, script: &str) -> (Command, tokio::task::JoinHandle<Result<Output, Failure>>) {
    let pid = run.with_extension("pid");
    let command = sh(&format!("echo $$ > {}; {script}", pid.display()));
    let begun = tokio::spawn({
        let (command, begins) = (command.clone(), applying(run));
        async move { begins.run(&command).await }
    });
    appears(&pid).await;
    std::fs::rename(run.join("lock"), run.join("hidden")).unwrap();
    std::os::unix::fs::symlink("lock", run.join("lock")).unwrap();
    (command, begun)
}

#[tokio::test]
async fn a_command_that_cannot_be_looked_at_for_a_while_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let follows = applying(&run);
    let (command, begun) = hidden(&run, "sleep 0.6; echo done").await;
    assert!(local().recover(&run).await.is_err(), "it cannot be looked at");
    let back = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        std::fs::rename(run.join("hidden"), run.join("lock")).unwrap();
    };
    let (followed, ()) = tokio::join!(follows.run(&command), back);
    assert_eq!(followed.unwrap().stdout.text().trim(), "done");
    assert!(begun.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_command_that_cannot_be_looked_at_for_long_is_neither_failed_nor_lost() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let (command, begun) = hidden(&run, "sleep 3").await;
    tokio::time::pause();
    let failure = applying(&run).run(&command).await.unwrap_err();
    assert_eq!((failure.kind, failure.untouched), (FailureKind::Unreachable, false), "{}", failure.message);
    begun.abort();
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = applying(dir.path()).run(&Command::new(["no-such-program"])).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (FailureKind::Failed, "cannot start `no-such-program`: it is not on the PATH")
    );
}

#[tokio::test]
async fn a_working_directory_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = sh("true");
    command.dir = Some("/no/such/dir".to_owned());
    let error = applying(dir.path()).run(&command).await.unwrap_err();
    assert!(error.message.contains("`/no/such/dir`: it does not exist"), "{error}");
}

#[tokio::test]
async fn secrets_are_in_no_log_and_no_argument_list() {
    let dir = tempfile::tempdir().unwrap();
    let heard = Arc::new(Heard::default());
    let ctx = hiding(Context { sink: heard.clone(), ..applying(dir.path()) }, "hunter22");
    let mut command = sh("echo \"the word is $WORD\"; tr '\\0' ' ' < /proc/$PPID/cmdline; cat >/dev/null");
    command.env.insert("WORD".to_owned(), "hunter22".to_owned());
    command.stdin = b"hunter22".to_vec();
    let output = ctx.run(&command).await.unwrap();
    // The process gets it, nothing that is shown or kept does.
    assert_eq!(output.stdout.text().matches("hunter22").count(), 1);
    assert_eq!(heard.lines.lock().unwrap()[0], "the word is (sensitive)");
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("hunter22"), "{}", path.display());
    }
}

#[tokio::test]
async fn gigantic_output_is_bounded_and_rubbish_bytes_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = sh("head -c 20000000 /dev/zero | tr '\\0' 'x'; printf '\\377end'");
    command.keep = 1000;
    command.stream = false;
    let output = applying(dir.path()).run(&command).await.unwrap();
    assert_eq!((output.stdout.bytes.len(), output.stdout.total), (1000, 20_000_004));
    assert!(output.stdout.text().ends_with("x\u{fffd}end"));
}

#[tokio::test]
async fn a_daemon_left_behind_does_not_hold_up_the_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let script = format!("sleep 60 & echo $! > {}; echo up", pid_file.display());
    let direct = Context { dir: None, ..applying(dir.path()) }.run(&sh(&script)).await.unwrap();
    assert_eq!(direct.stdout.text(), "up\n");
    let first = appears(&pid_file).await;
    let supervised = applying(&dir.path().join("run")).run(&sh(&script)).await.unwrap();
    assert_eq!(supervised.stdout.text(), "up\n");
    for pid in [first, appears(&pid_file).await] {
        assert!(alive(&pid), "a daemon is meant to live on");
        let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

#[tokio::test]
async fn a_supervisor_that_does_not_begin_is_a_failure_that_may_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec::of(&sh("true"), Vec::new(), &applying(dir.path())).unwrap();
    let supervisor: Vec<OsString> = ["/bin/sh", "-c", "cat > /dev/null; exit 5", "sh"].map(OsString::from).to_vec();
    let error = run(&supervisor, &spec, &sh("true"), dir.path(), &applying(dir.path())).await.unwrap_err();
    assert!(error.kind == FailureKind::Failed && error.untouched, "{error}");
    assert_eq!(local().recover(dir.path()).await.unwrap(), Recovered::NotBegun);
}

#[tokio::test]
async fn dropping_a_direct_command_kills_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let ctx = Context { dir: None, ..applying(dir.path()) };
    let command = sh(&format!("sleep 60 & echo $! > {}; wait", pid_file.display()));
    let grandchild = tokio::select! {
        _ = ctx.run(&command) => panic!("it ended"),
        pid = appears(&pid_file) => pid,
    };
    dies(&grandchild).await;
}

#[tokio::test]
async fn the_environment_is_the_minimal_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(["env"]);
    command.env.insert("MINE".to_owned(), "1".to_owned());
    let output = applying(dir.path()).run(&command).await.unwrap().stdout.text();
    let names: Vec<&str> = output.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.contains(&"PATH") && names.contains(&"MINE"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("CARGO") || name.starts_with("WINDLASS")), "{names:?}");
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
async fn another_user_is_taken_only_where_the_step_may() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = sh("id -un; echo $HOME");
    command.user = Some("nobody".to_owned());
    let output = applying(&dir.path().join("a")).run(&command).await.unwrap();
    assert!(output.stdout.text().starts_with("nobody\n"), "{output:?}");
    let refused = Context { privileged: false, ..applying(&dir.path().join("b")) }.run(&command).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Invalid);
    command.user = Some("no-such-user".to_owned());
    assert!(applying(&dir.path().join("c")).run(&command).await.unwrap_err().message.contains("no user `no-such-user`"));
}
