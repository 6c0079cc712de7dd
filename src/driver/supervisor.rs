//! The supervisor: a tiny process that runs one command, outlives Windlass, and records how the command ended.
//!
//! Takes the command on standard input (so no secret stands in an argument list) and a folder, in which it leaves:
//! `lock` (locked while it lives), `begun.json` (before the command starts), `output.log` and `stderr.log` (what the command
//! prints, readable by its owner only), `process.json` (which process it is) and `exit.json` (how it ended, put in place in one go; the room for it is taken before the
//! command begins, so that a disk which fills up meanwhile does not lose it). It prints nothing, knows no driver, and begins a command
//! at most once for a folder.
#![expect(clippy::disallowed_methods, reason = "a door to processes, files and the clock")]

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::{SignalKind, signal};

use super::host::local_file::private_file;
use super::host::{Attributes, Cause, Ended, Finished, direct, local_file};
use super::orphan::{PROCESS, Process};
use super::supervised::{BEGUN, Begun, EXIT, FORBIDDEN, LOCK, OUTPUT, STDERR, Spec};

/// Somebody else holds the folder, or has given it up.
const TAKEN: u8 = 3;
/// The command of the folder was begun already.
const BEGUN_ALREADY: u8 = 4;
/// The order could not be read, or the folder not written.
const BROKEN: u8 = 5;
/// [`EXIT`] before the command has ended: room for it.
const RESERVED: &str = "exit.new";
/// How large that is: a block of most file systems.
const ROOM: usize = 4096;
/// A disk with so many bytes left is not full.
const PLENTY: u64 = 1 << 20;

/// The hidden program `windlass __supervise`: its only argument is the folder.
#[must_use]
pub fn supervise_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    // A session of its own: no terminal and no pipeline that ends takes it along.
    let _ = rustix::process::setsid();
    let Some(dir) = args.into_iter().next().map(PathBuf::from) else { return ExitCode::from(BROKEN) };
    let Some((spec, stdin)) = read_order() else { return ExitCode::from(BROKEN) };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => ExitCode::from(runtime.block_on(supervise(&dir, spec, stdin))),
        Err(_) => ExitCode::from(BROKEN),
    }
}

fn read_order() -> Option<(Spec, Vec<u8>)> {
    let mut order = Vec::new();
    std::io::stdin().lock().read_to_end(&mut order).ok()?;
    parse_order(order)
}

/// A line of JSON, then the command's input. An order cut short (Windlass died while giving it) is none.
fn parse_order(mut order: Vec<u8>) -> Option<(Spec, Vec<u8>)> {
    let end = order.iter().position(|byte| *byte == b'\n')?;
    let spec: Spec = serde_json::from_slice(&order[..end]).ok()?;
    let stdin = order.split_off(end + 1);
    (stdin.len() == spec.stdin_length && !spec.argv.is_empty()).then_some((spec, stdin))
}

async fn supervise(dir: &Path, spec: Spec, stdin: Vec<u8>) -> u8 {
    let Ok(lock) = private_file(&dir.join(LOCK)) else { return BROKEN };
    if !take(&lock).await {
        return TAKEN;
    }
    if dir.join(BEGUN).exists() {
        return BEGUN_ALREADY;
    }
    if dir.join(FORBIDDEN).exists() {
        return TAKEN;
    }
    let (Ok(mut terminate), Ok(output), Ok(errors)) =
        (signal(SignalKind::terminate()), private_file(&dir.join(OUTPUT)), private_file(&dir.join(STDERR)))
    else {
        return BROKEN;
    };
    let Ok(reserved) = reserve(dir) else { return BROKEN };
    let started = Timestamp::now();
    let begun = Begun { pid: std::process::id(), started };
    if record(dir, BEGUN, &begun).is_err() {
        // It may be there and not be durable: nothing was begun, and nothing may say so.
        let _ = std::fs::remove_file(dir.join(BEGUN));
        return BROKEN;
    }
    let mut finished = Finished { ended: None, error: None, started, finished: started, cause: Cause::Itself, is_cramped: false };
    let mut system = tokio::process::Command::new(&spec.argv[0]);
    system.args(&spec.argv[1..]).env_clear().envs(spec.env.iter().map(|(name, value)| (name, value)));
    system.stdin(Stdio::piped()).stdout(output).stderr(errors).process_group(0);
    if let Some(dir) = &spec.dir {
        system.current_dir(dir);
    }
    match system.spawn() {
        Ok(mut child) => {
            // Should this process be killed, it is found by that.
            if let Some(process) = child.id().and_then(Process::of) {
                let _ = record(dir, PROCESS, &process);
            }
            let mut pipe = child.stdin.take();
            let feeding = async {
                if let Some(pipe) = &mut pipe {
                    let _ = pipe.write_all(&stdin).await;
                }
                pipe = None;
                // Fed; the select below goes on waiting for the rest.
                std::future::pending::<()>().await;
            };
            let expired = async {
                match spec.timeout_ms {
                    Some(timeout) => tokio::time::sleep(Duration::from_millis(timeout)).await,
                    None => std::future::pending().await,
                }
            };
            let status = tokio::select! {
                status = child.wait() => status.ok(),
                _ = terminate.recv() => { finished.cause = Cause::Cancelled; None }
                () = expired => { finished.cause = Cause::TimedOut; None }
                () = feeding => None,
            };
            let status = match status {
                Some(status) => Some(status),
                None => {
                    direct::end_group(&mut child, Duration::from_millis(spec.grace_ms)).await;
                    child.wait().await.ok()
                }
            };
            finished.ended = status.map(Ended::of);
        }
        Err(error) => {
            finished.error = Some(direct::start_failure(&spec.program, error.kind(), &error.to_string()).message);
        }
    }
    finished.finished = Timestamp::now();
    finished.is_cramped = is_full(dir);
    if fill_in(dir, &reserved, &finished).is_ok() {
        return 0;
    }
    // A file system that copies on write gives no room twice. Without its last words the command counts as lost, so that is waited out.
    for _ in 0..60 {
        if record(dir, EXIT, &finished).is_ok() {
            return 0;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    BROKEN
}

/// Takes the room for [`EXIT`].
fn reserve(dir: &Path) -> io::Result<File> {
    let path = dir.join(RESERVED);
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(&[b' '; ROOM])?;
    file.sync_all()?;
    Ok(file)
}

/// Puts [`EXIT`] in place, in the room that was taken for it.
fn fill_in(dir: &Path, reserved: &File, finished: &Finished) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(finished)?;
    if bytes.len() > ROOM {
        return Err(io::ErrorKind::StorageFull.into());
    }
    bytes.resize(ROOM, b' ');
    reserved.write_all_at(&bytes, 0)?;
    reserved.sync_all()?;
    std::fs::rename(dir.join(RESERVED), dir.join(EXIT))?;
    // It is there; that it is durable, too, a full disk may deny.
    let _ = File::open(dir).and_then(|dir| dir.sync_all());
    Ok(())
}

/// Whether nothing more can be written beside the command's output.
fn is_full(dir: &Path) -> bool {
    // Only a disk with little room is tried.
    if local_file::space(dir).is_ok_and(|space| space.free > PLENTY) {
        return false;
    }
    let path = dir.join("room");
    let Ok(mut file) = File::create(&path) else { return false };
    let is_full = file.write_all(&[b' '; ROOM]).is_err();
    let _ = std::fs::remove_file(path);
    is_full
}

/// Takes the lock; one who only looks whether it is held holds it for an instant.
async fn take(lock: &File) -> bool {
    for _ in 0..100 {
        match lock.try_lock() {
            Ok(()) => return true,
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(TryLockError::Error(_)) => return false,
        }
    }
    false
}

fn record<T: serde::Serialize>(dir: &Path, name: &str, what: &T) -> Result<(), ()> {
    let bytes = serde_json::to_vec(what).map_err(drop)?;
    let attributes = Attributes { mode: Some(0o600), owner: None };
    local_file::write(&dir.join(name), &mut bytes.as_slice(), &attributes).map_err(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::host::Command;
    use crate::driver::testing::observing;

    #[test]
    fn an_order_cut_short_anywhere_is_none() {
        let mut command = Command::new(["true"]);
        command.stdin = b"in\nput".to_vec();
        let mut order = serde_json::to_vec(&Spec::of(&command, Vec::new(), &observing()).unwrap()).unwrap();
        order.push(b'\n');
        order.extend_from_slice(&command.stdin);
        for length in 0..order.len() {
            assert!(parse_order(order[..length].to_vec()).is_none(), "{length}");
        }
        assert_eq!(parse_order(order).unwrap().1, b"in\nput");
    }
}
