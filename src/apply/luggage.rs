//! Which files of an action's folder another machine needs to go on: what was there before, how commands ended, what a person said.
//!
//! Takes the folder of an action, gives what has changed since it was last asked. A folder's files go together or not at all, and not
//! where one of them is large or holds a secret that is known. What only means something on this machine (locks, process ids, logs
//! that are still written) stays.
#![expect(clippy::disallowed_methods, reason = "a door to the folders of actions")]

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::driver::Redactor;

/// A folder with a larger file stays on this machine.
const LARGEST: u64 = 1 << 20;
/// How a supervised command ended; until then its logs are being written.
const EXIT: &str = "exit.json";
const LOGS: [&str; 2] = ["output.log", "stderr.log"];
/// What means nothing on another machine.
const OURS: [&str; 2] = ["lock", "begun.json"];
/// Folders in folders, at most.
const DEPTH: usize = 8;

/// A file to be brought to the store; a folder, where the name ends with `/`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its path in the run's folder.
    pub(super) name: String,
    pub(super) content: Vec<u8>,
    stamp: Option<(u64, SystemTime)>,
}

/// What was brought already.
#[derive(Debug, Default)]
pub(super) struct Packed(HashMap<String, Option<(u64, SystemTime)>>);

impl Packed {
    /// What is new in the folder of an action. `run`: the run's folder.
    pub(super) fn changed(&self, run: &Path, action: &str, redact: &Redactor) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.look(run, &run.join("actions").join(action), redact, DEPTH, &mut pieces);
        pieces
    }

    /// Takes in that a piece was brought.
    pub(super) fn brought(&mut self, piece: Piece) {
        self.0.insert(piece.name, piece.stamp);
    }

    fn look(&self, run: &Path, folder: &Path, redact: &Redactor, depth: usize, pieces: &mut Vec<Piece>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in entries.flatten() {
            let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_file() && is_for_others(&path, folder) {
                files.push((path, metadata));
            }
        }
        // That there is a folder says which tries there were, and where an answer belongs.
        if let Some(name) = name(run, folder).map(|name| name + "/")
            && !self.0.contains_key(&name)
        {
            pieces.push(Piece { name, content: Vec::new(), stamp: None });
        }
        pieces.extend(self.together(run, files, redact).unwrap_or_default());
        folders.sort();
        for folder in folders.into_iter().filter(|_| depth > 0) {
            self.look(run, &folder, redact, depth - 1, pieces);
        }
    }

    /// The files of one folder that have changed; `None`: they stay here.
    fn together(&self, run: &Path, mut files: Vec<(PathBuf, Metadata)>, redact: &Redactor) -> Option<Vec<Piece>> {
        let stamp = |metadata: &Metadata| Some((metadata.len(), metadata.modified().ok()?));
        let is_new = |path: &Path, metadata: &Metadata| {
            name(run, path).is_some_and(|name| self.0.get(&name).is_none_or(|known| *known != stamp(metadata)))
        };
        if !files.iter().any(|(path, metadata)| is_new(path, metadata)) {
            return None;
        }
        // The end of a command last: where it is, everything is.
        files.sort_by_key(|(path, _)| (path.ends_with(EXIT), path.clone()));
        let mut pieces = Vec::new();
        for (path, metadata) in files {
            if metadata.len() > LARGEST {
                return None;
            }
            let content = fs::read(&path).ok()?;
            if matches!(redact.apply(&String::from_utf8_lossy(&content)), Cow::Owned(_)) {
                return None;
            }
            if is_new(&path, &metadata) {
                pieces.push(Piece { name: name(run, &path)?, content, stamp: stamp(&metadata) });
            }
        }
        Some(pieces)
    }
}

fn is_for_others(path: &Path, folder: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let is_unfinished = name.starts_with('.') || name.ends_with(".new") || name.ends_with(".tmp");
    let is_written = LOGS.contains(&name) && !folder.join(EXIT).exists();
    !is_unfinished && !is_written && !OURS.contains(&name)
}

/// A path in the run's folder, as the store names it.
fn name(run: &Path, path: &Path) -> Option<String> {
    Some(path.strip_prefix(run).ok()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pieces: &[Piece]) -> Vec<&str> {
        pieces.iter().map(|piece| &*piece.name).collect()
    }

    fn run(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join("actions/a").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        dir
    }

    #[test]
    fn what_others_need_is_packed_once_and_the_end_of_a_command_last() {
        let dir = run(&[
            ("1/output.log", "said"),
            ("1/stderr.log", ""),
            ("1/exit.json", "{}"),
            ("1/begun.json", "{}"),
            ("1/lock", ""),
            ("1/kept/ab/kept.json", "{}"),
            ("1/kept/ab/content", "old"),
        ]);
        let mut packed = Packed::default();
        let pieces = packed.changed(dir.path(), "a", &Redactor::default());
        let all = [
            "actions/a/",
            "actions/a/1/",
            "actions/a/1/output.log",
            "actions/a/1/stderr.log",
            "actions/a/1/exit.json",
            "actions/a/1/kept/",
            "actions/a/1/kept/ab/",
            "actions/a/1/kept/ab/content",
            "actions/a/1/kept/ab/kept.json",
        ];
        assert_eq!(names(&pieces), all);
        pieces.into_iter().for_each(|piece| packed.brought(piece));
        assert_eq!(packed.changed(dir.path(), "a", &Redactor::default()), []);
        fs::write(dir.path().join("actions/a/1/kept/ab/content"), "longer").unwrap();
        assert_eq!(names(&packed.changed(dir.path(), "a", &Redactor::default())), ["actions/a/1/kept/ab/content"]);
    }

    #[test]
    fn logs_that_are_still_written_stay_and_the_try_is_told_all_the_same() {
        let dir = run(&[("1/output.log", "half a wo"), ("1/begun.json", "{}"), ("1/exit.json.new", "{"), ("1/remote.json", "{}")]);
        let pieces = Packed::default().changed(dir.path(), "a", &Redactor::default());
        assert_eq!(names(&pieces), ["actions/a/", "actions/a/1/", "actions/a/1/remote.json"]);
    }

    #[test]
    fn a_folder_with_a_secret_or_a_large_file_stays_whole() {
        let large = "x".repeat(1 << 21);
        let dir = run(&[
            ("1/kept/ab/kept.json", "{}"),
            ("1/kept/ab/content", "password=hunter22"),
            ("2/kept.json", "{}"),
            ("2/content", &large),
        ]);
        let redact = Redactor::new(["hunter22".to_owned()]);
        let pieces = Packed::default().changed(dir.path(), "a", &redact);
        assert!(pieces.iter().all(|piece| piece.name.ends_with('/')), "{:?}", names(&pieces));
    }
}
