//! SSH against a real server on this machine, on a port of its own. Skipped, saying why, where there is no sshd.

use super::*;
use crate::driver::host::Kind;
use crate::driver::testing::sshd::Server;
use crate::driver::testing::{Heard, hiding};

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

async fn dies(pid: &str) {
    for _ in 0..500 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        if stat.is_err() || stat.unwrap().contains(") Z ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("process {pid} lives on");
}

#[tokio::test]
async fn commands_run_there_with_arguments_input_and_environment_as_they_are() {
    let Some(server) = Server::start().await else { return };
    let heard = Arc::new(Heard::default());
    let ctx = Context { sink: heard.clone(), ..server.ctx() };
    let mut command = Command::new([
        "sh",
        "-c",
        "printf '%s|' \"$0\" \"$@\" \"$WORD\"; cat; printf 'no end' >&2; exit 7",
        "it's",
        "a\nb",
        "$HOME",
        "",
    ]);
    command.env.insert("WORD".to_owned(), "\"q'\n".to_owned());
    command.stdin = b"in\xff\n".to_vec();
    let output = ctx.run(&command).await.unwrap();
    assert_eq!(output.ended, Ended::Code(7));
    assert_eq!(output.stdout.bytes, b"it's|a\nb|$HOME||\"q'\n|in\xff\n");
    assert_eq!((output.stderr.text().as_str(), output.stderr.total), ("no end", 6));
    assert!(heard.lines.lock().unwrap().contains(&"no end".to_owned()));
    // A status that ssh itself uses for its own failures.
    assert_eq!(ctx.run(&sh("exit 255")).await.unwrap().ended, Ended::Code(255));
    let mut elsewhere = sh("pwd");
    elsewhere.dir = Some("/usr/bin".to_owned());
    assert_eq!(ctx.run(&elsewhere).await.unwrap().stdout.text(), "/usr/bin\n");
}

#[tokio::test]
async fn a_machine_that_does_not_answer_is_unreachable_in_ssh_s_own_words() {
    let Some(server) = Server::start().await else { return };
    let stranger = server.client_knowing("unknown");
    let ctx = Context { ..Context::observing("test", stranger) };
    let error = ctx.run(&sh("true")).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Unreachable);
    assert!(
        error.message.contains("Host key verification failed") && error.help.unwrap().contains("known_hosts"),
        "{}",
        error.message
    );
    let ctx = server.ctx();
    drop(server);
    let error = ctx.run(&sh("true")).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Unreachable);
    assert!(error.message.contains("refused"), "{error}");
    let settings =
        Settings { address: "-oProxyCommand=x".to_owned(), port: None, user: None, identity_file: None, ..Settings::default() };
    assert_eq!(Ssh::new(&settings, []).err().map(|failure| failure.kind), Some(FailureKind::Invalid));
}

#[tokio::test]
async fn cancelling_and_timeouts_end_what_runs_there() {
    let Some(server) = Server::start().await else { return };
    std::fs::create_dir_all(server.path("")).unwrap();
    let ctx = server.ctx();
    let script = |name: &str| format!("sleep 60 & echo $! > {}; wait", server.path(name).display());
    let mut late = sh(&script("a"));
    late.timeout = Some(Duration::from_secs(2));
    assert_eq!(ctx.run(&late).await.unwrap_err().kind, FailureKind::TimedOut);
    dies(&appears(&server.path("a")).await).await;
    let command = sh(&script("b"));
    let pid_file = server.path("b");
    let (outcome, pid) = tokio::join!(ctx.run(&command), async {
        let pid = appears(&pid_file).await;
        ctx.cancel.cancel();
        pid
    });
    assert_eq!(outcome.unwrap_err().kind, FailureKind::Cancelled);
    dies(&pid).await;
}

#[tokio::test]
async fn files_there_are_handled_like_files_here() {
    let Some(server) = Server::start().await else { return };
    let ctx = server.ctx();
    let host = &ctx.host;
    let (dir, file) = (server.path("d/e"), server.path("d/e/it's"));
    host.make_dir(&dir, &Attributes::default()).await.unwrap();
    assert!(host.stat(&file, true).await.unwrap().is_none());
    assert!(host.read(&file, 5).await.unwrap().is_none());
    let bytes = b"a\0b\xff\n'$x".repeat(10_000);
    host.write(&file, &bytes, &Attributes { mode: Some(0o640), owner: None }).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    host.write(&file, b"new", &Attributes::default()).await.unwrap();
    let stat = host.stat(&file, false).await.unwrap().unwrap();
    assert_eq!((stat.kind, stat.size, stat.mode), (Kind::File, 3, 0o640));
    assert_eq!(host.read(&file, 2).await.unwrap().unwrap(), Content { bytes: b"ne".to_vec(), truncated: true });
    let link = server.path("d/link");
    host.symlink(Path::new("e"), &link).await.unwrap();
    host.symlink(Path::new("e/it's"), &link).await.unwrap();
    assert_eq!(host.stat(&link, false).await.unwrap().unwrap().target.as_deref(), Some("e/it's"));
    host.write(&link, b"through", &Attributes::default()).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"through");
    let names: Vec<_> =
        host.list(&server.path("d")).await.unwrap().into_iter().map(|entry| (entry.name, entry.stat.kind)).collect();
    assert_eq!(names, [("e".to_owned(), Kind::Directory), ("link".to_owned(), Kind::Symlink)]);
    assert!(host.remove(&dir, false).await.unwrap_err().help.is_some());
    assert!(host.write(&dir, b"", &Attributes::default()).await.unwrap_err().message.contains("is a directory"));
    host.rename(&dir, &server.path("d/f")).await.unwrap();
    host.upload(&server.path("d/f/it's"), &server.path("copy"), &Attributes::default()).await.unwrap();
    assert_eq!(std::fs::read(server.path("copy")).unwrap(), b"through");
    host.remove(&server.path("d"), true).await.unwrap();
    host.remove(&server.path("d"), true).await.unwrap();
    assert!(!server.path("d").exists());
    assert!(host.space(Path::new("/")).await.unwrap().total > 0);
    assert_eq!(host.user("root").await.unwrap().unwrap().uid, 0);
    assert!(host.user("no-such-user").await.unwrap().is_none());
    assert!(host.accepts(&format!("127.0.0.1:{}", server.port), Duration::from_secs(2)).await.unwrap());
    assert!(!host.accepts("127.0.0.1:1", Duration::from_secs(2)).await.unwrap());
}

#[tokio::test]
async fn a_supervised_command_there_is_found_again_and_run_once() {
    let Some(server) = Server::start().await else { return };
    std::fs::create_dir_all(server.path("")).unwrap();
    let run = server.dir.path().join("run");
    let (count, go) = (server.path("count"), server.path("go"));
    let script = format!(
        "cat; echo $TOKEN; echo x >> {}; while [ ! -e {} ]; do sleep 0.05; done; echo err >&2; exit 5",
        count.display(),
        go.display()
    );
    let mut command = sh(&script);
    command.stdin = b"in\n".to_vec();
    command.env.insert("TOKEN".to_owned(), "t0ps3cret".to_owned());
    let first = Context { dir: Some(run.clone()), ..server.ctx() };
    tokio::select! {
        outcome = first.run(&command) => panic!("it ended: {outcome:?}"),
        _ = appears(&count) => {}
    }
    drop(first);
    // Another Windlass, another connection.
    let heard = Arc::new(Heard::default());
    let second = hiding(Context { dir: Some(run.clone()), sink: heard.clone(), ..server.ctx() }, "t0ps3cret");
    assert_eq!(second.host.recover(&run).await.unwrap(), Recovered::Running);
    std::fs::write(&go, "").unwrap();
    let output = second.run(&command).await.unwrap();
    assert_eq!(
        (output.ended, output.stdout.text().as_str(), output.stderr.text().as_str()),
        (Ended::Code(5), "in\nt0ps3cret\n", "err\n")
    );
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n");
    assert!(heard.lines.lock().unwrap().contains(&"(sensitive)".to_owned()));
    for entry in std::fs::read_dir(&run).unwrap() {
        assert!(!std::fs::read_to_string(entry.unwrap().path()).unwrap().contains("t0ps3cret"));
    }
    assert!(matches!(second.host.recover(&run).await.unwrap(), Recovered::Finished(_)));
    assert_eq!(second.run(&command).await.unwrap().ended, Ended::Code(5));
    // Nothing of it stays there.
    assert_eq!(std::fs::read_dir(server.dir.path().join("state/windlass")).unwrap().count(), 0);
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n");
}

#[tokio::test]
async fn a_supervised_command_there_is_cancelled_and_timed_out_with_its_children() {
    let Some(server) = Server::start().await else { return };
    std::fs::create_dir_all(server.path("")).unwrap();
    for (name, timeout) in [("cancelled", None), ("late", Some(Duration::from_secs(1)))] {
        let ctx = Context { dir: Some(server.dir.path().join(name)), timeout, ..server.ctx() };
        let pid_file = server.path(name);
        let command = sh(&format!("sleep 60 & echo $! > {}; wait", pid_file.display()));
        let (outcome, pid) = tokio::join!(ctx.run(&command), async {
            let pid = appears(&pid_file).await;
            if timeout.is_none() {
                ctx.cancel.cancel();
            }
            pid
        });
        let kind = outcome.unwrap_err().kind;
        assert_eq!(kind, if timeout.is_none() { FailureKind::Cancelled } else { FailureKind::TimedOut });
        dies(&pid).await;
    }
}

#[tokio::test]
async fn the_outcome_of_a_command_killed_with_its_supervisor_there_is_unknown() {
    let Some(server) = Server::start().await else { return };
    std::fs::create_dir_all(server.path("")).unwrap();
    let ctx = Context { dir: Some(server.dir.path().join("run")), ..server.ctx() };
    let pid_file = server.path("pid");
    // The command's parent is the supervisor.
    let command = sh(&format!("echo $PPID $$ > {}; exec sleep 60", pid_file.display()));
    let (outcome, ()) = tokio::join!(ctx.run(&command), async {
        for pid in appears(&pid_file).await.split_whitespace() {
            let pid: i32 = pid.parse().unwrap();
            assert!(pid > 1);
            rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
        }
    });
    assert_eq!(outcome.unwrap_err().kind, FailureKind::Unknown);
}
