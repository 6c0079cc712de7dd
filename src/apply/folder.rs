//! A run's folder: `plan.json`, `base.json` (the lockfiles from before the run), `journal/`, `actions/`.
#![expect(clippy::disallowed_methods, reason = "a door to the folder of a run")]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::journal::{self, make_folder, sync_folder};
use crate::lock::Lock;
use crate::model::name::{Digest, EnvironmentName};
use crate::plan::Plan;
use crate::source::{Diagnostic, Fault};

/// What to do where the folder is damaged.
const FROM_BACKUP: &str =
    "bring the run's folder back from a backup; or look at what the run did by hand, and `windlass abandon --as failed` it";

/// The journal's folder in a run's folder.
pub(super) fn journal(dir: &Path) -> PathBuf {
    dir.join("journal")
}

/// Makes the folder of a new run; answers the plan's digest.
pub(super) fn create(dir: &Path, plan: &Plan, base: &BTreeMap<EnvironmentName, Lock>) -> Result<Digest, Diagnostic> {
    if journal(dir).exists() {
        return Err(Diagnostic::error("the run has begun already")
            .detail(format!("there is a journal in {}", dir.display()))
            .help("use `windlass resume`"));
    }
    let problem = |error: std::io::Error| {
        Diagnostic::error("the run's folder cannot be made")
            .fault(Fault::Platform)
            .detail(format!("{}: {error}", dir.display()))
            .help("make room, or see to its permissions; nothing was begun")
    };
    make_folder(dir).map_err(problem)?;
    let bytes = serde_json::to_vec(plan).map_err(|error| problem(error.into()))?;
    write(&dir.join("base.json"), &serde_json::to_vec(base).map_err(|error| problem(error.into()))?).map_err(problem)?;
    write(&dir.join("plan.json"), &bytes).map_err(problem)?;
    sync_folder(dir).map_err(problem)?;
    if let Some(parent) = dir.parent() {
        sync_folder(parent).map_err(problem)?;
    }
    Ok(Digest::of(&bytes))
}

/// What a run's folder holds.
pub(super) struct Folder {
    pub plan: Plan,
    pub digest: Digest,
    pub base: BTreeMap<EnvironmentName, Lock>,
    pub journal: journal::Contents,
}

/// Reads the folder of a run that was begun.
pub(super) fn load(dir: &Path) -> Result<Folder, Diagnostic> {
    let journal = journal::read(&journal(dir)).map_err(|error| {
        Diagnostic::error("the journal cannot be read").fault(Fault::Platform).detail(sentence(&error)).help(FROM_BACKUP)
    })?;
    let (plan, digest) = read(&dir.join("plan.json"))?;
    let (base, _) = read(&dir.join("base.json"))?;
    let folder = Folder { plan, digest, base, journal };
    let written = folder.journal.entries.iter().find_map(|entry| match entry {
        journal::Entry::Opened { plan, .. } => Some(plan),
        _ => None,
    });
    if written.is_some_and(|written| *written != folder.digest) {
        return Err(Diagnostic::error("the run's plan was changed")
            .detail(format!("{} is not the plan that the run began with", dir.join("plan.json").display()))
            .help("put the original back, or abandon the run"));
    }
    Ok(folder)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<(T, Digest), Diagnostic> {
    let problem = |why: String| {
        Diagnostic::error("the run's folder cannot be read")
            .fault(Fault::Platform)
            .detail(format!("{}: {why}", path.display()))
            .help(FROM_BACKUP)
    };
    let bytes = std::fs::read(path).map_err(|error| problem(error.to_string()))?;
    let content = serde_json::from_slice(&bytes).map_err(|error| problem(error.to_string()))?;
    Ok((content, Digest::of(&bytes)))
}

/// Writes a file durably and in one go.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)
}

/// An error with its causes, in one sentence.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
