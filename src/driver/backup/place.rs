//! Where backups are kept and how: what `repository`, `method` and the password say.

use std::path::PathBuf;

use super::kept::KeptRepository;
use super::repository::Repository;
use super::restic::{Password, ResticRepository};
use super::tar::TarRepository;
use crate::driver::{Args, Failure};

/// How backups are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// One tar each.
    Tar,
    /// Restic's format.
    Restic,
    /// Snapshots that are kept as they are.
    Snapshot,
}

/// A repository as the arguments say it.
pub(super) struct Place {
    pub(super) dir: PathBuf,
    /// What was said; `None`: told by what the folder holds.
    pub(super) method: Option<Method>,
    password: Password,
}

impl Place {
    pub(super) fn of(args: &Args<'_>, create: bool) -> Result<Self, Failure> {
        let method = match args.word("method", &["tar", "restic", "snapshot"])? {
            Some("restic") => Some(Method::Restic),
            Some("snapshot") => Some(Method::Snapshot),
            Some(_) => Some(Method::Tar),
            None if create => Some(Method::Tar),
            None => None,
        };
        let password = match (args.text("password")?, args.path("password_file")?) {
            (Some(_), Some(_)) => return Err(args.invalid("only one of `password`, `password_file` can be given")),
            (Some(password), None) if password.is_empty() => return Err(args.invalid("`password` is empty")),
            (Some(password), None) => Password::Given(password),
            (None, Some(path)) => Password::File(path.into()),
            (None, None) if create && method == Some(Method::Restic) => {
                return Err(args.invalid("`method = \"restic\"` needs `password` or `password_file`"));
            }
            (None, None) => Password::Missing,
        };
        Ok(Self { dir: args.needed_path("repository")?.into(), method, password })
    }

    /// The repository.
    pub(super) fn open(&self) -> Result<Box<dyn Repository>, Failure> {
        let dir = self.dir.clone();
        Ok(match self.method.unwrap_or_else(|| self.told()) {
            Method::Tar => Box::new(TarRepository { dir }),
            Method::Restic => Box::new(ResticRepository::new(dir, self.password.clone())),
            Method::Snapshot => Box::new(KeptRepository::new(&dir)),
        })
    }

    fn told(&self) -> Method {
        if self.dir.join("config").is_file() && self.dir.join("keys").is_dir() {
            Method::Restic
        } else if self.dir.join("windlass").is_dir() {
            Method::Snapshot
        } else {
            Method::Tar
        }
    }
}
