//! The door to the disk: every file that configuration, modules and providers consist of is read here.
//!
//! A [`Folder`] is a folder of a [`Tree`] (the disk or a git commit). It lists and reads with clear errors, refuses
//! what is too large or not text, and remembers in a [`Record`] what was read, for the configuration's digest. Writes nothing.

#![expect(clippy::disallowed_methods, reason = "the door to the disk: all reading of configuration goes through here")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use globset::GlobBuilder;

use super::git::Commit;
use crate::lang::Files;
use crate::model::name::Digest;
use crate::source::{Diagnostic, Fault};

/// The largest file that is read, in bytes. What configuration needs is far smaller; a bigger file is a mistake.
pub(super) const LARGEST: u64 = 16 << 20;

/// How many files a listing may find before it is refused.
const MOST_FILES: usize = 100_000;

/// What was read, by what it is; shared by all folders of one load.
#[derive(Debug, Clone, Default)]
pub(super) struct Record(Rc<RefCell<BTreeMap<String, Digest>>>);

impl Record {
    /// Remembers that something was looked at, and what was found.
    pub(super) fn note(&self, what: String, content: &[u8]) {
        self.0.borrow_mut().insert(what, Digest::of(content));
    }

    /// Everything so far, sorted; names relative to the folder that people call `root`, so that the same configuration is the same
    /// wherever it lies.
    pub(super) fn entries(&self, root: &str) -> BTreeMap<String, Digest> {
        let relative = |what: &String| match what.split_once(' ') {
            Some((kind, name)) if !root.is_empty() => {
                let below = name.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
                format!("{kind} {}", below.unwrap_or(name))
            }
            _ => what.clone(),
        };
        self.0.borrow().iter().map(|(what, digest)| (relative(what), digest.clone())).collect()
    }
}

/// Where files come from.
#[derive(Clone)]
pub(super) enum Tree {
    /// The disk. Relative paths start at `base`.
    Disk {
        /// Where relative paths start; the working directory, mostly.
        base: Rc<Path>,
    },
    /// One commit of a git repository.
    Git(Rc<Commit>),
}

/// A folder that configuration is read from.
#[derive(Clone)]
pub(super) struct Folder {
    /// Where its files come from.
    pub(super) tree: Tree,
    /// Its path in the tree, without `.` and `..` where that can be helped.
    pub(super) path: PathBuf,
    /// What is put before file names for people: `modules/eu`, `git::…//eu`; empty for the working directory.
    pub(super) label: String,
    /// What was read.
    pub(super) record: Record,
}

impl Folder {
    /// The same folder, with nothing of it remembered: for what has a digest of its own, or holds secrets.
    pub(super) fn unrecorded(&self) -> Self {
        Self { record: Record::default(), ..self.clone() }
    }

    /// The name of a file for people.
    pub(super) fn display(&self, name: &str) -> String {
        if self.label.is_empty() { name.to_owned() } else { format!("{}/{name}", self.label) }
    }

    /// The folder's own name for people.
    pub(super) fn display_self(&self) -> String {
        if self.label.is_empty() { ".".to_owned() } else { self.label.clone() }
    }

    /// A folder given relative to this one.
    pub(super) fn join(&self, relative: &str) -> Self {
        let path = normalize(&self.path.join(relative));
        let in_place = || normalize(&Path::new(&self.label).join(relative)).display().to_string();
        let label = if Path::new(relative).is_absolute() {
            relative.to_owned()
        } else {
            match &self.tree {
                Tree::Git(commit) if commit.workdir.is_none() => format!("{}//{}", commit.label, path.display()),
                Tree::Git(_) | Tree::Disk { .. } => in_place(),
            }
        };
        let tree = match &self.tree {
            // Of what is not in the repository there is no earlier state.
            Tree::Git(commit) if path.is_absolute() || path.starts_with("..") => match &commit.workdir {
                Some(workdir) => Tree::Disk { base: Rc::from(workdir.as_path()) },
                None => self.tree.clone(),
            },
            _ => self.tree.clone(),
        };
        Self { tree, path, label, record: self.record.clone() }
    }

    /// Tells two folders apart: equal for the same folder however it was written.
    pub(super) fn identity(&self) -> String {
        match &self.tree {
            Tree::Disk { base } => {
                let path = base.join(&self.path);
                std::fs::canonicalize(&path).unwrap_or(path).display().to_string()
            }
            Tree::Git(commit) => format!("{}//{}", commit.label, self.path.display()),
        }
    }

    /// Names of the regular files directly in it, sorted; hidden ones are left out.
    pub(super) fn names(&self) -> Result<Vec<String>, Diagnostic> {
        let trouble = |reason: String| {
            Diagnostic::error("folder cannot be read")
                .detail(format!("`{}` {reason}", self.display_self()))
                .fault(Fault::Platform)
                .help("check the path and its permissions")
        };
        let mut names = match &self.tree {
            Tree::Disk { base } => {
                let path = base.join(&self.path);
                let entries = std::fs::read_dir(&path).map_err(|error| trouble(clause(&error)))?;
                let mut names = Vec::new();
                for entry in entries {
                    let entry = entry.map_err(|error| trouble(clause(&error)))?;
                    // Follows links, as reading will.
                    if std::fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()) || is_broken_link(&entry.path()) {
                        match entry.file_name().into_string() {
                            Ok(name) => names.push(name),
                            Err(name) => return Err(trouble(format!("holds a file whose name is not UTF-8: {}", name.display()))),
                        }
                    }
                }
                names
            }
            Tree::Git(commit) => commit.names(&self.path).map_err(trouble)?,
        };
        names.retain(|name| !name.starts_with('.'));
        names.sort_unstable();
        Ok(names)
    }

    /// Whether there is such a folder.
    pub(super) fn is_there(&self) -> bool {
        match &self.tree {
            Tree::Disk { base } => base.join(&self.path).is_dir(),
            Tree::Git(_) => self.names().is_ok(),
        }
    }

    /// Names of the folders directly in it; none where it cannot be read.
    pub(super) fn folders(&self) -> Vec<String> {
        let Tree::Disk { base } = &self.tree else { return Vec::new() };
        let entries = std::fs::read_dir(base.join(&self.path)).into_iter().flatten().flatten();
        entries.filter(|entry| entry.path().is_dir()).filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// The text of a file directly in it.
    pub(super) fn text(&self, name: &str) -> Result<String, Diagnostic> {
        let bytes = self.bytes(&self.path.join(name), &self.display(name)).map_err(|reason| {
            Diagnostic::error("file cannot be read")
                .detail(format!("`{}` {reason}", self.display(name)))
                .fault(Fault::Platform)
                .help("check the file and its permissions")
        })?;
        decode(&bytes, &self.display(name))
    }

    fn bytes(&self, path: &Path, label: &str) -> Result<Arc<[u8]>, String> {
        let bytes = match &self.tree {
            Tree::Disk { base } => read_disk(&base.join(path))?,
            Tree::Git(commit) => commit.read(path)?,
        };
        self.record.note(format!("file {label}"), &bytes);
        Ok(bytes)
    }

    /// The path in the tree that an expression means: relative to the folder, or beginning with the folder's own name
    /// (`path.module`).
    fn resolve(&self, written: &str) -> PathBuf {
        let own = (!self.label.is_empty()).then(|| written.strip_prefix(self.label.as_str())).flatten();
        match own.map(|rest| rest.strip_prefix('/').unwrap_or(rest)) {
            Some(rest) => normalize(&self.path.join(rest)),
            None => normalize(&self.path.join(written)),
        }
    }

    /// Every regular file below it, as paths relative to it, sorted. Hidden files and folders are left out.
    pub(super) fn walk(&self) -> Result<Vec<String>, String> {
        let mut found = match &self.tree {
            Tree::Disk { base } => {
                let mut found = Vec::new();
                walk_disk(&base.join(&self.path), "", &mut found)?;
                found
            }
            Tree::Git(commit) => commit.walk(&self.path)?,
        };
        found.sort_unstable();
        Ok(found)
    }

    /// Every file below it with its content: what a provider consists of.
    pub(super) fn content(&self) -> Result<BTreeMap<Arc<str>, Arc<[u8]>>, String> {
        let mut content = BTreeMap::new();
        let mut total = 0;
        for name in self.walk()? {
            let bytes = self
                .bytes(&self.path.join(&name), &self.display(&name))
                .map_err(|reason| format!("holds `{name}`, which {reason}"))?;
            total += bytes.len() as u64;
            if total > LARGEST * 4 {
                return Err(format!("holds more than {} MiB", (LARGEST * 4) >> 20));
            }
            content.insert(Arc::from(name), bytes);
        }
        Ok(content)
    }
}

impl Files for Folder {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        self.bytes(&self.resolve(path), &self.display(path)).map_err(|reason| format!("the file `{path}` {reason}"))
    }

    fn exists(&self, path: &str) -> bool {
        let resolved = self.resolve(path);
        let exists = match &self.tree {
            Tree::Disk { base } => std::fs::metadata(base.join(&resolved)).is_ok_and(|metadata| metadata.is_file()),
            Tree::Git(commit) => commit.read(&resolved).is_ok(),
        };
        self.record.note(format!("exists {}", self.display(path)), &[u8::from(exists)]);
        exists
    }

    fn list(&self, dir: &str, glob: &str) -> Result<Vec<String>, String> {
        let matcher = GlobBuilder::new(glob)
            .literal_separator(true)
            .build()
            .map_err(|error| format!("the pattern `{glob}` is wrong: {}", error.kind()))?
            .compile_matcher();
        let below = Self { path: self.resolve(dir), ..self.clone() };
        let mut found = below.walk().map_err(|reason| format!("the folder `{dir}` {reason}"))?;
        found.retain(|path| matcher.is_match(path));
        self.record.note(format!("list {} {glob}", self.display(dir)), found.join("\n").as_bytes());
        Ok(found)
    }
}

/// Reads a file that was named on the command line.
pub(super) fn read_named(base: &Path, path: &Path) -> Result<String, Diagnostic> {
    let bytes = read_disk(&base.join(path)).map_err(|reason| {
        Diagnostic::error("file cannot be read")
            .detail(format!("`{}` {reason}", path.display()))
            .fault(Fault::Platform)
            .help("check the path and its permissions")
    })?;
    decode(&bytes, &path.display().to_string())
}

/// Bytes as text.
fn decode(bytes: &[u8], label: &str) -> Result<String, Diagnostic> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(Diagnostic::error("file is not UTF-8")
                .detail(format!("`{label}` has a byte at line {line} (offset {}) that is no UTF-8 text", error.valid_up_to()))
                .help("save the file as UTF-8; read binary files with `filebase64()`"))
        }
    }
}

fn read_disk(path: &Path) -> Result<Arc<[u8]>, String> {
    // Asked before opening: opening a named pipe would wait for a writer.
    let metadata = std::fs::metadata(path).map_err(|error| clause(&error))?;
    if metadata.is_dir() {
        return Err("is a folder".to_owned());
    }
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    if metadata.len() > LARGEST {
        return Err(format!("is {} MiB large; files may have at most {} MiB", metadata.len() >> 20, LARGEST >> 20));
    }
    let file = std::fs::File::open(path).map_err(|error| clause(&error))?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| clause(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("is larger than {} MiB", LARGEST >> 20));
    }
    Ok(bytes.into())
}

fn walk_disk(dir: &Path, prefix: &str, found: &mut Vec<String>) -> Result<(), String> {
    // A list instead of recursion, so that a very deep folder cannot exhaust the stack.
    let mut folders = vec![(dir.to_path_buf(), prefix.to_owned())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| clause(&error))? {
            let entry = entry.map_err(|error| clause(&error))?;
            let Ok(name) = entry.file_name().into_string() else {
                return Err(format!("holds a file whose name is not UTF-8: {}", entry.file_name().display()));
            };
            if name.starts_with('.') {
                continue;
            }
            let relative = format!("{prefix}{name}");
            // Links to files are followed, links to folders are not: they can lead in circles.
            let kind = entry.file_type().map_err(|error| clause(&error))?;
            if kind.is_dir() {
                folders.push((entry.path(), format!("{relative}/")));
            } else if std::fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()) {
                found.push(relative);
            }
            if found.len() > MOST_FILES {
                return Err(format!("holds more than {MOST_FILES} files"));
            }
        }
    }
    Ok(())
}

fn is_broken_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) && std::fs::metadata(path).is_err()
}

/// Takes `.` and `..` out of a path, without asking the disk.
pub(super) fn normalize(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// An I/O error as a clause that follows the file's name.
pub(super) fn clause(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be read (permission denied)".to_owned(),
        std::io::ErrorKind::NotADirectory => "is not a folder".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}
