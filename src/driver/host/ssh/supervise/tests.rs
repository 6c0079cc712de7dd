//! Beginnings over SSH that come late, twice or in another order, against a real server. Skipped, saying why, where there is no sshd.

use std::path::PathBuf;

use super::*;
use crate::driver::testing::sshd::Server;

/// A server, and the command that leaves a line in `count` whenever it runs.
async fn given() -> Option<(Server, Context, PathBuf, Command, PathBuf)> {
    let server = Server::start().await?;
    std::fs::create_dir_all(server.path("")).unwrap();
    let count = server.path("count");
    let command = Command::new(["/bin/sh", "-c", &format!("echo x >> {}; echo out", count.display())]);
    let dir = server.dir.path().join("run");
    let ctx = Context { dir: Some(dir.clone()), ..server.ctx() };
    Some((server, ctx, dir, command, count))
}

/// The file's text once a supervisor that was let go has had time to do what it must not.
async fn in_the_end(count: &Path) -> String {
    tokio::time::sleep(Duration::from_millis(700)).await;
    std::fs::read_to_string(count).unwrap_or_default()
}

#[tokio::test]
async fn what_is_forbidden_before_it_was_begun_is_never_begun() {
    let Some((server, ctx, dir, command, count)) = given().await else { return };
    let ssh = server.client_knowing("known");
    let dir = private_dir(&dir).unwrap();
    let remote = named(&dir).unwrap();
    let ticket = enter(&ssh, &remote).await.unwrap().expect("leave");
    assert_eq!(recover(&ssh, &dir).await.unwrap(), Recovered::Withheld);
    assert!(forbid(&ssh, &dir).await.unwrap(), "it was not begun");
    // The beginning was on its way all the time, and another process asks for leave.
    assert!(matches!(begin(&ssh, &command, &remote, &ticket, &ctx).await.unwrap(), Begun::TicketGone));
    let error = ctx.run(&command).await.unwrap_err();
    assert!(error.message.contains("was not begun") && error.untouched, "{error}");
    assert!(forbid(&ssh, &dir).await.unwrap(), "it stays so");
    assert_eq!(recover(&ssh, &dir).await.unwrap(), Recovered::NotBegun);
    assert_eq!(in_the_end(&count).await, "");
}

#[tokio::test]
async fn a_folder_that_was_about_nothing_is_forbidden_without_the_machine() {
    let Some((server, ctx, dir, command, count)) = given().await else { return };
    let ssh = server.client_knowing("known");
    assert_eq!(recover(&ssh, &dir).await.unwrap(), Recovered::NotBegun);
    assert!(forbid(&server.client_knowing("unknown"), &dir).await.unwrap());
    assert!(ctx.run(&command).await.unwrap_err().untouched);
    assert_eq!(in_the_end(&count).await, "");
}

#[tokio::test]
async fn a_beginning_that_comes_late_finds_its_ticket_gone() {
    let Some((server, ctx, dir, command, count)) = given().await else { return };
    let ssh = server.client_knowing("known");
    let remote = named(&private_dir(&dir).unwrap()).unwrap();
    let first = enter(&ssh, &remote).await.unwrap().expect("leave");
    let second = enter(&ssh, &remote).await.unwrap().expect("leave again: nothing was begun");
    let late = async |ticket: &str| begin(&ssh, &command, &remote, ticket, &ctx).await.unwrap();
    assert!(matches!(late(&first).await, Begun::TicketGone));
    assert!(matches!(late(&second).await, Begun::Yes));
    assert!(!forbid(&ssh, &dir).await.unwrap(), "it was begun");
    assert!(enter(&ssh, &remote).await.unwrap().is_none(), "no leave twice");
    assert_eq!(ctx.run(&command).await.unwrap().stdout.text(), "out\n");
    // Even when all trace of it has been removed there.
    assert!(!server.dir.path().join("state/windlass").join(&remote.run).exists());
    for ticket in [&first, &second] {
        assert!(matches!(late(ticket).await, Begun::TicketGone));
    }
    assert_eq!(in_the_end(&count).await, "x\n");
}

#[tokio::test]
async fn a_command_without_its_supervisor_is_waited_for_and_ended_on_request() {
    let Some((server, ctx, dir, _, _)) = given().await else { return };
    let (ssh, go) = (server.client_knowing("known"), server.path("go"));
    let command = Command::new(["/bin/sh", "-c", &format!("until [ -e {} ]; do sleep 0.05; done", go.display())]);
    for is_cancelled in [false, true] {
        let dir = dir.join(is_cancelled.to_string());
        let ctx = Context { dir: Some(dir.clone()), cancel: tokio_util::sync::CancellationToken::new(), ..ctx.clone() };
        let killing = async {
            let there = loop {
                match remembered(&dir).ok().flatten() {
                    Some(remote) => break server.dir.path().join("state/windlass").join(remote.run),
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            let supervisor = loop {
                match std::fs::read_to_string(there.join("pid")) {
                    Ok(pid) if there.join("process").exists() => break pid.trim().parse().unwrap(),
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            let supervisor = rustix::process::Pid::from_raw(supervisor).unwrap();
            rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).unwrap();
            // Long enough for it to be asked about.
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(recover(&ssh, &dir).await.unwrap(), Recovered::Running);
            match is_cancelled {
                true => ctx.cancel.cancel(),
                false => std::fs::write(&go, "").unwrap(),
            }
        };
        let (outcome, ()) = tokio::join!(ctx.run(&command), killing);
        assert_eq!(outcome.unwrap_err().kind, FailureKind::Unknown);
        assert_eq!(recover(&ssh, &dir).await.unwrap(), Recovered::Lost);
        let _ = std::fs::remove_file(&go);
    }
}

#[tokio::test]
async fn a_starter_that_is_held_up_on_the_machine_does_not_begin_beside_the_next() {
    let Some((server, ctx, dir, command, count)) = given().await else { return };
    let hold = server.path("hold");
    std::fs::write(&hold, "").unwrap();
    // The first who wants to start a supervisor is held up, all others are not.
    let first = server.path("first");
    server
        .shim("setsid", &format!("mkdir {} 2>/dev/null && while [ -e {} ]; do sleep 0.02; done", first.display(), hold.display()));
    let slow = Context { dir: Some(dir.clone()), ..server.ctx() };
    tokio::select! {
        _ = slow.run(&command) => panic!("it is held up"),
        () = async { while !first.exists() { tokio::time::sleep(Duration::from_millis(20)).await } } => {}
    }
    drop(slow);
    // Its Windlass is gone; another finds that nothing was begun, and begins it.
    assert_eq!(ctx.host.recover(&dir).await.unwrap(), Recovered::Withheld);
    assert_eq!(ctx.run(&command).await.unwrap().stdout.text(), "out\n");
    std::fs::remove_file(&hold).unwrap();
    assert_eq!(in_the_end(&count).await, "x\n");
}

#[tokio::test]
async fn a_starter_that_is_held_up_on_the_machine_begins_nothing_that_was_forbidden() {
    let Some((server, ctx, dir, command, count)) = given().await else { return };
    let (hold, held) = (server.path("hold"), server.path("held"));
    std::fs::write(&hold, "").unwrap();
    server.shim("setsid", &format!("touch {}; while [ -e {} ]; do sleep 0.02; done", held.display(), hold.display()));
    let slow = Context { dir: Some(dir.clone()), ..server.ctx() };
    tokio::select! {
        _ = slow.run(&command) => panic!("it is held up"),
        () = async { while !held.exists() { tokio::time::sleep(Duration::from_millis(20)).await } } => {}
    }
    drop(slow);
    assert!(ctx.host.forbid(&dir).await.unwrap());
    std::fs::remove_file(&hold).unwrap();
    assert_eq!(in_the_end(&count).await, "");
}

#[tokio::test]
async fn a_machine_without_room_says_so_and_nothing_was_begun() {
    let Some((server, ctx, _, command, count)) = given().await else { return };
    // The supervisor cannot take the room for the exit status.
    server.shim("setsid", "shift; cd / && exit 5");
    let error = ctx.run(&command).await.unwrap_err();
    assert!(error.untouched && error.message.contains("room on the disk"), "{error}");
    std::fs::remove_dir_all(server.dir.path().join("state")).unwrap();
    std::fs::write(server.dir.path().join("state"), "no folder").unwrap();
    let next = Context { dir: Some(server.dir.path().join("next")), ..server.ctx() };
    let error = next.run(&command).await.unwrap_err();
    assert!(error.untouched && error.message.contains("nothing can be begun on 127.0.0.1"), "{error}");
    assert_eq!(in_the_end(&count).await, "");
}
