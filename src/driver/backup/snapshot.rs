//! Snapshots by commands that the caller configures: made, mounted, read, unmounted and deleted. What was made is always cleared
//! away: after a failure, when told to stop, and by the next backup after a crash.
//!
//! Knows no storage: `lvcreate`, `btrfs`, `zfs` or a cloud's own tool are all the same.
#![expect(clippy::disallowed_methods, reason = "a door: runs the configured commands, keeps marks of what is open")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::repository::Source;
use super::source::fresh_id;
use crate::driver::host::{Attributes, io_failure, local_file};
use crate::driver::transfer::Watch;
use crate::driver::{Args, Failure, FailureKind};

/// How a snapshot is made and cleared away.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// By name: `create`, `mount`, `unmount`, `delete`, `verify`.
    commands: BTreeMap<String, Vec<String>>,
    /// Where it can be read once it is mounted.
    path: Option<String>,
    /// Whether it shows one moment.
    pub(super) atomic: bool,
}

const COMMANDS: [&str; 5] = ["create", "mount", "unmount", "delete", "verify"];
const MARK: &str = ".open-snapshot";

impl Snapshot {
    /// The argument `snapshot`.
    pub(super) fn of(args: &Args<'_>) -> Result<Option<Self>, Failure> {
        let Some(object) = args.object("snapshot")? else { return Ok(None) };
        object.only("snapshot", &["create", "mount", "path", "unmount", "delete", "verify", "atomic"])?;
        let mut commands = BTreeMap::new();
        for name in COMMANDS {
            let argv = object.texts(name)?;
            if !argv.is_empty() {
                commands.insert(name.to_owned(), argv);
            }
        }
        if !commands.contains_key("create") {
            return Err(args.invalid("`snapshot.create` is missing"));
        }
        Ok(Some(Self { commands, path: object.text("path")?, atomic: object.truth("atomic")?.unwrap_or(true) }))
    }

    /// Makes one. Gives what stands for what in the other commands.
    pub(super) fn make(&self, source: &Path, watch: &Watch) -> Result<Made, Failure> {
        let mut made = Made { commands: BTreeMap::new(), name: fresh_id(), reference: String::new() };
        let argv = filled(&self.commands["create"], &made, source);
        let said = run("snapshot.create", &argv, Some(watch))?;
        made.reference = said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or(&made.name).to_owned();
        let fill = |(name, argv): (&String, &Vec<String>)| (name.clone(), filled(argv, &made, source));
        made.commands = self.commands.iter().map(fill).collect();
        Ok(made)
    }

    /// Makes a snapshot of the source, reads it with `read`, and clears it away whatever happens.
    pub(super) fn read<T>(
        &self,
        repository: &Path,
        source: Source,
        watch: &mut Watch,
        read: impl FnOnce(&Source, &mut Watch) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(path) = &self.path else {
            return Err(Failure::new(
                FailureKind::Invalid,
                "backup: `snapshot.path` is missing: where the mounted snapshot can be read",
            ));
        };
        local_file::make_dir(repository, &Attributes { mode: Some(0o700), owner: None })?;
        clear_left_over(repository, watch)?;
        let made = self.make(&source.root, watch)?;
        let mark = Mark::of(repository, &made);
        watch.line(&format!("made the snapshot {}", made.reference));
        let from = PathBuf::from(made.fill(path, &source.root));
        let result = mark.as_ref().map_err(Clone::clone).and_then(|_| {
            if let Some(argv) = made.commands.get("mount") {
                run("snapshot.mount", argv, Some(watch))?;
            }
            let from = fs::canonicalize(&from).map_err(|error| io_failure("read the snapshot in", &from, &error))?;
            read(&Source { from, ..source }, watch)
        });
        let cleared = made.clear(watch);
        if cleared.is_ok()
            && let Ok(mark) = mark
        {
            mark.remove()?;
        }
        match (result, cleared) {
            (Ok(value), Ok(())) => Ok(value),
            (Err(failure), Ok(())) => Err(failure),
            (Ok(_), Err(failure)) => Err(Failure { message: format!("the backup is made, but {}", failure.message), ..failure }),
            (Err(first), Err(second)) => Err(Failure { message: format!("{}; and {}", first.message, second.message), ..first }),
        }
    }
}

/// A snapshot that is there.
#[derive(Debug)]
pub(super) struct Made {
    /// With everything filled in.
    pub(super) commands: BTreeMap<String, Vec<String>>,
    /// The fresh name that it got.
    pub(super) name: String,
    /// What its command calls it.
    pub(super) reference: String,
}

impl Made {
    fn fill(&self, text: &str, source: &Path) -> String {
        let source = source.to_string_lossy();
        let text = text.replace("{name}", &self.name).replace("{reference}", &self.reference);
        text.replace("{path}", &source)
    }

    /// Unmounts and deletes, also when told to stop.
    fn clear(&self, watch: &Watch) -> Result<(), Failure> {
        let unmounted = self.commands.get("unmount").map_or(Ok(()), |argv| run("snapshot.unmount", argv, None).map(drop));
        let deleted = self.commands.get("delete").map_or(Ok(()), |argv| run("snapshot.delete", argv, None).map(drop));
        let failed = |failure: Failure| {
            Failure { message: format!("the snapshot `{}` was not cleared away: {}", self.reference, failure.message), ..failure }
                .help("the next backup tries again; or unmount and delete it by hand")
        };
        watch.line(&format!("cleared the snapshot {} away", self.reference));
        // A mount that could not be removed often lets the snapshot go all the same: what counts is that it is gone.
        deleted.and(unmounted).map_err(failed)
    }
}

fn filled(argv: &[String], made: &Made, source: &Path) -> Vec<String> {
    argv.iter().map(|text| made.fill(text, source)).collect()
}

/// Remembers in the repository that a snapshot is open, as long as it is held.
struct Mark {
    path: PathBuf,
    _held: File,
}

impl Mark {
    fn of(repository: &Path, made: &Made) -> Result<Self, Failure> {
        let path = repository.join(format!(".{}{MARK}", made.name));
        let text = serde_json::to_vec(&made.commands).map_err(|error| io_failure("write", &path, &error.into()))?;
        local_file::write(&path, &mut text.as_slice(), &Attributes { mode: Some(0o600), owner: None })?;
        let held = File::open(&path).and_then(|file| {
            file.lock()?;
            Ok(file)
        });
        Ok(Self { _held: held.map_err(|error| io_failure("lock", &path, &error))?, path })
    }

    fn remove(self) -> Result<(), Failure> {
        local_file::remove(&self.path, false)
    }
}

/// Clears away what a backup that was killed has left.
fn clear_left_over(repository: &Path, watch: &Watch) -> Result<(), Failure> {
    for item in local_file::list(repository)? {
        let path = repository.join(&item.name);
        if !item.name.ends_with(MARK) || !File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            continue;
        }
        let text = fs::read(&path).map_err(|error| io_failure("read", &path, &error))?;
        let commands: BTreeMap<String, Vec<String>> = serde_json::from_slice(&text).unwrap_or_default();
        for name in ["unmount", "delete"] {
            if let Some(argv) = commands.get(name)
                && let Err(failure) = run(name, argv, None)
            {
                watch.line(&format!("a snapshot that was left over: {}", failure.message));
            }
        }
        local_file::remove(&path, false)?;
    }
    Ok(())
}

/// Runs a command in a process group of its own, and gives what it wrote. With a watch it ends when told to stop.
pub(super) fn run(what: &str, argv: &[String], watch: Option<&Watch>) -> Result<String, Failure> {
    let (program, rest) =
        argv.split_first().ok_or_else(|| Failure::new(FailureKind::Invalid, format!("backup: `{what}` is empty")))?;
    let failed = |text: String| Failure::new(FailureKind::Failed, format!("`{what}` ({program}) {text}"));
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| failed(format!("cannot be started: {error}")))?;
    // Read beside it: a command that writes much would wait for us, and we for it.
    let readers = (drain(child.stdout.take()), drain(child.stderr.take()));
    let status = loop {
        match child.try_wait().map_err(|error| failed(format!("was lost: {error}")))? {
            Some(status) => break status,
            None if watch.is_some_and(|watch| watch.go_on().is_err()) => {
                if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
                    rustix::process::kill_process_group(group, rustix::process::Signal::TERM).ok();
                }
                let _ = child.wait();
                return Err(Failure::new(FailureKind::Cancelled, "told to stop"));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let (stdout, stderr) = (readers.0.join().unwrap_or_default(), readers.1.join().unwrap_or_default());
    if status.success() {
        return Ok(stdout);
    }
    let words = if stderr.trim().is_empty() { &stdout } else { &stderr };
    let last: Vec<&str> = words.trim().lines().rev().take(3).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(failed(format!("ended with {status}: {}", last.join(" / "))))
}

fn drain(from: Option<impl std::io::Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(from) = from {
            let _ = from.take(1024 * 1024).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
