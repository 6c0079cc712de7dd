//! Which backups of a repository are meant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::repository::Repository;
use super::source;
use crate::driver::{Args, Failure, FailureKind};

/// Which backups are meant.
pub(super) struct Pick {
    pub(super) id: Option<String>,
    pub(super) path: Option<PathBuf>,
    labels: BTreeMap<String, String>,
}

impl Pick {
    pub(super) fn of(args: &Args<'_>) -> Result<Self, Failure> {
        Ok(Self { id: args.text("id")?, path: args.path("path")?.map(PathBuf::from), labels: args.map("labels")? })
    }

    pub(super) fn needed(&self, args: &Args<'_>) -> Result<(), Failure> {
        if self.id.is_some() { Ok(()) } else { Err(args.invalid("`id` is missing")) }
    }

    /// All of this path with these labels.
    pub(super) fn all(&self, repository: &dyn Repository) -> Result<Vec<Entry>, Failure> {
        let real = self.path.as_deref().map(source::real);
        Ok(self.among(repository.list()?, real.as_deref()))
    }

    /// Those with these labels, and of this path (with no link in it) where one is given.
    pub(super) fn among(&self, mut entries: Vec<Entry>, real: Option<&Path>) -> Vec<Entry> {
        entries.retain(|entry| self.labels.iter().all(|(name, value)| entry.labels.get(name) == Some(value)));
        if let Some(real) = real {
            entries.retain(|entry| source::is_of(real, entry));
        }
        entries
    }

    /// The one that `id` names; one that is not good is not the latest for a restore.
    pub(super) fn one(&self, repository: &dyn Repository, good: bool) -> Result<Entry, Failure> {
        self.one_of(repository.list()?, self.all(repository)?, good)
    }

    /// The same, of all that there are and those that fit.
    pub(super) fn one_of(&self, all: Vec<Entry>, fitting: Vec<Entry>, good: bool) -> Result<Entry, Failure> {
        let id = self.id.as_deref().unwrap_or_default();
        if id == "latest" {
            let found = fitting.into_iter().rev().find(|entry| !good || entry.is_good());
            return found.ok_or_else(|| {
                Failure::new(FailureKind::Failed, "there is no verified and consistent backup of this path with these labels")
            });
        }
        all.into_iter().find(|entry| entry.id == id).ok_or_else(|| {
            Failure::new(FailureKind::Failed, format!("there is no backup `{}` in the repository", id.escape_debug()))
                .help("`action = \"list\"` tells which there are")
        })
    }
}
