//! What an expression may reach besides names: files, the time, and how much work it may do.

use std::sync::Arc;

use jiff::Timestamp;

/// Reads files for `file()`, `fileexists()`, `fileset()`, `templatefile()`, …. Paths are as written in the expression.
pub trait Files {
    /// The content of a file.
    ///
    /// # Errors
    /// Why it cannot be read; a short clause.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String>;

    /// Whether there is a regular file.
    fn exists(&self, path: &str) -> bool;

    /// Regular files under `dir` whose path below it matches the glob, sorted, relative to `dir`.
    ///
    /// # Errors
    /// Why the folder cannot be listed or the glob is wrong.
    fn list(&self, dir: &str, glob: &str) -> Result<Vec<String>, String>;
}

/// No files: for expressions that a plan carries to apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        Err(format!("files cannot be read here (`{path}`)"))
    }

    fn exists(&self, _path: &str) -> bool {
        false
    }

    fn list(&self, dir: &str, _glob: &str) -> Result<Vec<String>, String> {
        Err(format!("files cannot be listed here (`{dir}`)"))
    }
}

/// What surrounds an evaluation. One for a whole stage; cheap to make.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// Files within reach.
    pub files: &'a dyn Files,
    /// What `timestamp()` answers: fixed for a whole plan.
    pub now: Timestamp,
    /// How many evaluation steps one expression may take before it is refused.
    pub budget: u64,
}

impl Env<'static> {
    /// Without files, at this time, with the usual budget.
    #[must_use]
    pub fn pure(now: Timestamp) -> Self {
        Self { files: &NoFiles, now, budget: Env::BUDGET }
    }
}

impl Env<'_> {
    /// The usual budget: about a second of work.
    pub const BUDGET: u64 = 5_000_000;
}
