//! Which backups of a repository are meant.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::entry::Entry;
use super::repository::Repository;
use super::source;
use crate::driver::{Args, Failure, FailureKind};

/// Which backups are meant.
pub(super) struct Pick {
    pub(super) id: Option<String>,
    path: Option<PathBuf>,
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
        let mut entries = repository.list()?;
        entries.retain(|entry| self.labels.iter().all(|(name, value)| entry.labels.get(name) == Some(value)));
        if let Some(path) = &self.path {
            entries.retain(|entry| source::is_of(path, entry));
        }
        Ok(entries)
    }

    /// The one that `id` names; one that is not good is not the latest for a restore.
    pub(super) fn one(&self, repository: &dyn Repository, good: bool) -> Result<Entry, Failure> {
        let id = self.id.as_deref().unwrap_or_default();
        if id == "latest" {
            let found = self.all(repository)?.into_iter().rev().find(|entry| !good || entry.is_good());
            return found.ok_or_else(|| {
                Failure::new(FailureKind::Failed, "there is no verified and consistent backup of this path with these labels")
            });
        }
        let all = repository.list()?;
        all.into_iter().find(|entry| entry.id == id).ok_or_else(|| {
            Failure::new(FailureKind::Failed, format!("there is no backup `{}` in the repository", id.escape_debug()))
                .help("`action = \"list\"` tells which there are")
        })
    }
}
