//! `backup`: keeps a folder or some files in a repository, proves that they can be read back, and puts them back.
//!
//! Works on the machine that Windlass runs on. It copies files as they lie: whatever writes them must be stopped (a backup whose
//! source changed meanwhile fails). Extended attributes and ACLs are not kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::archive::{here, walk};
use super::http::whole;
use super::transfer::{Watch, work};
use super::{Args, Context, Driver, Failure, FailureKind};
use crate::lang::{Object, Value};
use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

mod entry;
mod prune;
mod readback;
mod repository;
mod restore;
mod source;
mod tar;
#[cfg(test)]
mod tests;

use entry::Entry;
use repository::{Repository, Wish};
use tar::TarRepository;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Backup;

const SCHEMA: DriverSchema = DriverSchema {
    name: "backup",
    summary: "Backs a folder or some files up into a repository, reads backups back, restores and prunes them; on the machine that Windlass runs on. Files are copied as they lie: stop what writes them first. Permissions, owners (as root), times, links and holes are kept; extended attributes and ACLs are not.",
    args: &[
        ArgSchema {
            name: "action",
            ty: "string",
            required: true,
            summary: "\"create\", \"verify\", \"restore\", \"list\", \"prune\" or \"remove\".",
        },
        ArgSchema {
            name: "repository",
            ty: "string",
            required: true,
            summary: "The folder that holds the backups, made where it is not there. Several instances may share one: tell them apart by `labels`.",
        },
        ArgSchema {
            name: "path",
            ty: "string",
            required: false,
            summary: "The folder (or single file) that is backed up or restored. Needed for create and restore; list and prune then look at its backups only.",
        },
        ArgSchema {
            name: "files",
            ty: "list(string)",
            required: false,
            summary: "Create: only these files of the folder. For a database in a file (SQLite) its `-wal`, `-shm` and `-journal` are kept with it, and it must be stopped. A restore then replaces these files only.",
        },
        ArgSchema {
            name: "exclude",
            ty: "list(string)",
            required: false,
            summary: "Create: patterns of what is left out, relative to the folder (`logs` is its own folder `logs`, `**/*.tmp` all such files); `*` stays within a name.",
        },
        ArgSchema {
            name: "method",
            ty: "string",
            required: false,
            summary: "How backups are kept: \"tar\" (the only one, and where not given), one `data.tar.zst` each, restorable by `tar --zstd -xpf`.",
        },
        ArgSchema {
            name: "labels",
            ty: "map(string)",
            required: false,
            summary: "Create: what is written on the backup. Else: only backups that bear all of these.",
        },
        ArgSchema {
            name: "id",
            ty: "string",
            required: false,
            summary: "Verify, restore, remove: which backup; \"latest\" is the newest verified one of this `path` and these `labels`.",
        },
        ArgSchema {
            name: "compression",
            ty: "number",
            required: false,
            summary: "Create: Zstandard's level, 1 to 19; 3 where not given. It works on all processors (at most eight).",
        },
        ArgSchema {
            name: "verify",
            ty: "bool",
            required: false,
            summary: "Create: whether the backup is read back and compared; true where not given. One that is not right is removed, and that is a failure.",
        },
        ArgSchema {
            name: "allow_inconsistent",
            ty: "bool",
            required: false,
            summary: "Create: whether a source that changed meanwhile is no failure but `consistent = false`; false where not given.",
        },
        ArgSchema {
            name: "check_space",
            ty: "bool",
            required: false,
            summary: "Create: whether the repository must have room for the source uncompressed; true where not given.",
        },
        ArgSchema {
            name: "keep_previous",
            ty: "bool",
            required: false,
            summary: "Restore: whether the content before stays beside the path, as `PATH.before-restore-ID`; false where not given. What the backup leaves out by `exclude` is taken over from it in any case.",
        },
        ArgSchema {
            name: "keep_last",
            ty: "number",
            required: false,
            summary: "Prune: so many of the newest stay. The newest verified one always stays.",
        },
        ArgSchema { name: "keep_within", ty: "string", required: false, summary: "Prune: those that are no older than this stay." },
    ],
    results: &[
        ResultSchema {
            name: "backup",
            ty: "object({ id = string, location = string, method = string, size = number, verified = bool, path = string, at = string, bytes = number, entries = number, consistent = bool, labels = map(string) })",
            summary: "The backup that was made, verified or restored (else null): its id and repository, its stored size and that of its files, and whether it was read back and found right.",
        },
        ResultSchema { name: "path", ty: "string", summary: "What was backed up or restored, else null." },
        ResultSchema {
            name: "changed",
            ty: "list(string)",
            summary: "Create: what changed meanwhile (the first hundred), else null.",
        },
        ResultSchema {
            name: "skipped",
            ty: "list(string)",
            summary: "Create: sockets, pipes and devices, which are not kept, else null.",
        },
        ResultSchema { name: "previous", ty: "list(string)", summary: "Restore: where the content before still lies, else null." },
        ResultSchema {
            name: "carried",
            ty: "number",
            summary: "Restore: how many things that the backup leaves out were taken over, else null.",
        },
        ResultSchema {
            name: "backups",
            ty: "list(any)",
            summary: "List, prune: the backups that there are, oldest first, each as `backup` is; else null.",
        },
        ResultSchema { name: "removed", ty: "list(string)", summary: "Prune, remove: the ids of what was removed, else null." },
    ],
    observes: false,
};

#[async_trait]
impl Driver for Backup {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("backup", args);
        args.needed_text("action")?;
        let action = args.word("action", &["create", "verify", "restore", "list", "prune", "remove"])?.unwrap_or("list");
        here(&args, action, ctx)?;
        args.word("method", &["tar"])?;
        let repository = PathBuf::from(args.needed_path("repository")?);
        let pick = Pick::of(&args)?;
        match action {
            "create" => create(&args, repository, ctx).await,
            "list" => {
                work(ctx, move |_| {
                    let backups = pick.all(&TarRepository { dir: repository.clone() })?;
                    Ok(result([("backups", values(&backups, &repository))]))
                })
                .await
            }
            "prune" => prune(&args, repository, pick, ctx).await,
            "restore" => {
                let path = PathBuf::from(args.needed_path("path")?.trim_end_matches('/'));
                let keep = args.flag("keep_previous")?;
                pick.needed(&args)?;
                work(ctx, move |watch| put_back(&repository, &path, &pick, keep, watch)).await
            }
            "verify" => {
                pick.needed(&args)?;
                work(ctx, move |watch| {
                    let tar = TarRepository { dir: repository.clone() };
                    let entry = tar.verify(&pick.one(&tar, false)?, watch)?;
                    Ok(result([("backup", entry.value(&repository))]))
                })
                .await
            }
            _ => {
                pick.needed(&args)?;
                work(ctx, move |_| {
                    let tar = TarRepository { dir: repository };
                    let id = pick.id.clone().unwrap_or_default();
                    if id == "latest" || !entry::is_id(&id) {
                        return Err(Failure::new(FailureKind::Invalid, "backup: to remove one, give its `id`"));
                    }
                    tar.remove(&id)?;
                    Ok(result([("removed", Value::list([Value::string(id)]))]))
                })
                .await
            }
        }
    }
}

async fn create(args: &Args<'_>, repository: PathBuf, ctx: &Context) -> Result<Value, Failure> {
    let path = PathBuf::from(args.needed_path("path")?);
    let (files, exclude) = (args.texts("files")?, walk::patterns(args, "exclude")?);
    let level = args.count("compression")?.unwrap_or(3);
    if !(1..=19).contains(&level) {
        return Err(args.invalid("`compression` must be 1 to 19"));
    }
    let wish = Wish {
        labels: args.map("labels")?,
        level: i32::try_from(level).unwrap_or(3),
        allow_inconsistent: args.flag("allow_inconsistent")?,
        check_space: args.truth("check_space")?.unwrap_or(true),
        verify: args.truth("verify")?.unwrap_or(true),
    };
    work(ctx, move |watch| {
        let source = source::source(&path, &files, &exclude, &repository)?;
        let entry = TarRepository { dir: repository.clone() }.create(&source, &wish, watch)?;
        let texts = |texts: &[String]| Value::list(texts.iter().map(Value::string));
        Ok(result([
            ("backup", entry.value(&repository)),
            ("path", Value::string(path.to_string_lossy())),
            ("changed", texts(&entry.changed)),
            ("skipped", texts(&entry.skipped)),
        ]))
    })
    .await
}

fn put_back(repository: &Path, path: &Path, pick: &Pick, keep: bool, watch: &mut Watch) -> Result<Value, Failure> {
    let tar = TarRepository { dir: repository.to_owned() };
    let entry = pick.one(&tar, true)?;
    // A single file was backed up as a file of its folder.
    let single = entry.files.as_deref().is_some_and(|files| files.iter().any(|file| path == Path::new(&entry.path).join(file)));
    let target = if single { super::host::local_file::parent(path) } else { path };
    let restored = restore::restore(&tar, &entry, target, keep, watch)?;
    let previous = Value::list(restored.previous.iter().map(|path| Value::string(path.to_string_lossy())));
    Ok(result([
        ("backup", entry.value(repository)),
        ("path", Value::string(path.to_string_lossy())),
        ("previous", previous),
        ("carried", whole(restored.carried)),
    ]))
}

async fn prune(args: &Args<'_>, repository: PathBuf, pick: Pick, ctx: &Context) -> Result<Value, Failure> {
    let rules = prune::Rules { last: args.count("keep_last")?, within: args.duration("keep_within")? };
    if rules.last.is_none() && rules.within.is_none() {
        return Err(args.invalid("one of `keep_last`, `keep_within` is needed"));
    }
    work(ctx, move |_| {
        let tar = TarRepository { dir: repository.clone() };
        let removed = prune::prunable(&pick.all(&tar)?, rules, source::now());
        for id in &removed {
            tar.remove(id)?;
        }
        let left = pick.all(&tar)?;
        Ok(result([("backups", values(&left, &repository)), ("removed", Value::list(removed.iter().map(Value::string)))]))
    })
    .await
}

/// Which backups are meant.
struct Pick {
    id: Option<String>,
    path: Option<PathBuf>,
    labels: BTreeMap<String, String>,
}

impl Pick {
    fn of(args: &Args<'_>) -> Result<Self, Failure> {
        Ok(Self { id: args.text("id")?, path: args.path("path")?.map(PathBuf::from), labels: args.map("labels")? })
    }

    fn needed(&self, args: &Args<'_>) -> Result<(), Failure> {
        if self.id.is_some() { Ok(()) } else { Err(args.invalid("`id` is missing")) }
    }

    /// All of this path with these labels.
    fn all(&self, repository: &dyn Repository) -> Result<Vec<Entry>, Failure> {
        let mut entries = repository.list()?;
        entries.retain(|entry| self.labels.iter().all(|(name, value)| entry.labels.get(name) == Some(value)));
        if let Some(path) = &self.path {
            entries.retain(|entry| source::is_of(path, entry));
        }
        Ok(entries)
    }

    /// The one that `id` names; one that was never verified is not the latest for a restore.
    fn one(&self, repository: &dyn Repository, verified: bool) -> Result<Entry, Failure> {
        let id = self.id.as_deref().unwrap_or_default();
        if id == "latest" {
            let found = self.all(repository)?.into_iter().rev().find(|entry| !verified || entry.verified.is_some());
            return found
                .ok_or_else(|| Failure::new(FailureKind::Failed, "there is no verified backup of this path with these labels"));
        }
        let all = repository.list()?;
        all.into_iter().find(|entry| entry.id == id).ok_or_else(|| {
            Failure::new(FailureKind::Failed, format!("there is no backup `{}` in the repository", id.escape_debug()))
                .help("`action = \"list\"` tells which there are")
        })
    }
}

fn values(entries: &[Entry], repository: &Path) -> Value {
    Value::list(entries.iter().map(|entry| entry.value(repository)))
}

/// A result with null for what the action does not give.
fn result<const N: usize>(given: [(&str, Value); N]) -> Value {
    let mut all: BTreeMap<&str, Value> = SCHEMA.results.iter().map(|result| (result.name, Value::Null)).collect();
    all.extend(given);
    Value::object(all)
}
