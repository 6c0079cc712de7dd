//! A command whose supervisor was killed: whether it still runs, and how to end it.
//!
//! Takes the folder in which the supervisor has left `process.json`. A number alone proves nothing, since numbers are given again:
//! the moment when the process began, as the kernel counts, must be the same.
#![expect(clippy::disallowed_methods, reason = "a door to processes and their files")]

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use super::Failure;
use super::host::{io_failure, local_file};

/// What the supervisor leaves of its command's process.
pub(super) const PROCESS: &str = "process.json";

/// A process that leads a group of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pid: i32,
    /// Clock ticks from the start of the machine: field 22 of `/proc/PID/stat`, see proc(5).
    since: u64,
}

impl Process {
    /// The process of a number; `None` where there is none or the system does not say when it began.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::look(pid).ok().flatten()
    }

    fn look(pid: u32) -> std::io::Result<Option<Self>> {
        let parse = |stat: &str| {
            // The name stands in parentheses and may hold anything.
            let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
            // One that has ended and that nobody asks for.
            let runs = fields.next()? != "Z";
            let since = fields.nth(18)?.parse().ok()?;
            runs.then_some(Self { pid: i32::try_from(pid).ok()?, since })
        };
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => Ok(parse(&stat)),
            // It ended while it was looked at, or there is no such system.
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells it and all that it has begun to end.
    pub(super) fn signal(self, signal: Signal) -> bool {
        Pid::from_raw(self.pid).is_some_and(|pid| kill_process_group(pid, signal).is_ok())
    }
}

/// The command of a folder, where it runs.
///
/// # Errors
/// It cannot be seen: there are too many open files, the disk does not answer.
pub(super) fn running(dir: &Path) -> Result<Option<Process>, Failure> {
    let Some(content) = local_file::read(&dir.join(PROCESS), 1 << 16)? else { return Ok(None) };
    let Ok(process) = serde_json::from_slice::<Process>(&content.bytes) else { return Ok(None) };
    let Ok(pid) = u32::try_from(process.pid) else { return Ok(None) };
    let now = Process::look(pid).map_err(|error| io_failure("read", Path::new("/proc"), &error))?;
    Ok(now.filter(|now| *now == process))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_number_and_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let me = Process::of(std::process::id()).unwrap();
        let told = |process: Process| std::fs::write(dir.path().join(PROCESS), serde_json::to_vec(&process).unwrap()).unwrap();
        assert_eq!(running(dir.path()).unwrap(), None, "nothing was told");
        told(me);
        assert_eq!(running(dir.path()).unwrap(), Some(me));
        told(Process { since: me.since + 1, ..me });
        assert_eq!(running(dir.path()).unwrap(), None, "the number was given again");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended = loop {
            match Process::of(child.id()) {
                Some(_) => std::thread::yield_now(),
                None => break child.id(),
            }
        };
        assert!(std::path::Path::new(&format!("/proc/{ended}")).exists(), "it is there until somebody asks");
        child.wait().unwrap();
    }
}
