//! `backup`: keeps a folder or some files in a repository, proves that they can be read back, and puts them back.
//!
//! It copies files as they lie: whatever writes them must be stopped (a backup whose source changed meanwhile fails), unless a
//! snapshot is read or the caller says that it runs. Extended attributes and ACLs are not kept. On a host over SSH the tools that
//! are there do it, in the same layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::archive::walk;
use super::http::whole;
use super::intent::Intent;
use super::transfer::{Watch, work};
use super::{Args, Context, Driver, Failure, FailureKind, Recalled};
use crate::lang::{Object, Value};
use crate::model::driver::DriverSchema;
use crate::model::retention::Retention;

mod change;
mod entry;
mod kept;
mod pick;
mod place;
mod prune;
mod readback;
mod recall;
mod repository;
mod restic;
mod restore;
mod schema;
mod snapshot;
#[cfg(test)]
mod snapshot_tests;
mod source;
mod tar;
#[cfg(test)]
mod tests;
mod there;
#[cfg(test)]
mod there_tests;

use entry::Entry;
use pick::Pick;
use place::{Method, Place};
pub(crate) use repository::Membership;
use repository::Wish;
use schema::SCHEMA;
use snapshot::Snapshot;
use source::Asked;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Backup;

const ACTIONS: [&str; 6] = ["create", "verify", "restore", "list", "prune", "remove"];

#[async_trait]
impl Driver for Backup {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    fn knows_untouched(&self) -> bool {
        true
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("backup", args);
        args.needed_text("action")?;
        let action = args.word("action", &ACTIONS)?.unwrap_or("list");
        let place = Place::of(&args, action == "create")?;
        let pick = Pick::of(&args)?;
        let done = match ctx.host.is_local() {
            true => here(&args, action, place, pick, ctx).await,
            false => there::run(&args, action, place, &pick, ctx).await,
        };
        done.map_err(|failure| match action {
            "list" => failure.untouched(),
            // They know it themselves.
            "create" | "restore" => failure,
            _ => failure.touched(),
        })
    }

    async fn recall(&self, args: &Object, ctx: &Context) -> Result<Recalled, Failure> {
        let args = Args::new("backup", args);
        match args.word("action", &ACTIONS)?.unwrap_or("list") {
            "list" => Ok(Recalled::Untouched),
            "create" => recall::created(&args, ctx).await,
            "restore" => recall::restored(&args, ctx).await,
            _ => Ok(Recalled::Unknown),
        }
    }

    async fn look_ahead(&self, args: &Object, ctx: &Context) -> Result<(), Failure> {
        let is_restore = args.get("action").and_then(Value::as_str) == Some("restore");
        if is_restore { is_there(args, ctx).await } else { Ok(()) }
    }
}

async fn here(args: &Args<'_>, action: &str, place: Place, pick: Pick, ctx: &Context) -> Result<Value, Failure> {
    match action {
        "create" => create(args, place, ctx).await,
        "list" => {
            work(ctx, move |_| {
                let backups = pick.all(&*place.open()?)?;
                Ok(result([("backups", values(&backups, &place.dir))]))
            })
            .await
        }
        "prune" => prune(args, place, pick, ctx).await,
        "restore" => {
            let path = PathBuf::from(args.needed_path("path")?.trim_end_matches('/'));
            let keep = args.flag("keep_previous")?;
            pick.needed(args)?;
            let intent = Intent::of(ctx)?;
            let earlier = recall::previous(ctx).await.map_err(Failure::untouched)?;
            work(ctx, move |watch| put_back(&place, &path, &pick, keep, (&intent, earlier), watch)).await
        }
        "verify" => {
            pick.needed(args)?;
            work(ctx, move |watch| {
                let repository = place.open()?;
                let entry = pick.one(&*repository, false)?;
                let entry = repository.verify(&entry, watch).inspect_err(|failure| {
                    // From now on no restore takes it unasked.
                    if failure.kind == FailureKind::Failed {
                        repository.doubt(&entry).ok();
                    }
                })?;
                Ok(result([("backup", entry.value(&place.dir))]))
            })
            .await
        }
        _ => {
            pick.needed(args)?;
            work(ctx, move |watch| {
                let id = pick.id.clone().unwrap_or_default();
                if id == "latest" || !entry::is_id(&id) {
                    return Err(Failure::new(FailureKind::Invalid, "backup: to remove one, give its `id`"));
                }
                let repository = place.open()?;
                repository.remove(&id)?;
                repository.compact(watch)?;
                Ok(result([("removed", Value::list([Value::string(id)]))]))
            })
            .await
        }
    }
}

/// Looks whether the backup that a restore takes is there.
async fn is_there(args: &Object, ctx: &Context) -> Result<(), Failure> {
    let args = Args::new("backup", args);
    let place = Place::of(&args, false)?;
    let pick = Pick::of(&args)?;
    pick.needed(&args)?;
    if !ctx.host.is_local() {
        return there::look(place, &pick, ctx).await;
    }
    work(ctx, move |watch| {
        let repository = place.open()?;
        let entry = pick.one(&*repository, true)?;
        repository.look(&entry, watch)
    })
    .await
}

/// What is to be backed up and how, as the arguments of `create` say it.
fn wishes(args: &Args<'_>, ctx: &Context) -> Result<(Asked, Option<Snapshot>, Wish), Failure> {
    let level = args.count("compression")?.unwrap_or(3);
    if !(1..=19).contains(&level) {
        return Err(args.invalid("`compression` must be 1 to 19"));
    }
    let sets = sets(args)?;
    let asked = Asked {
        path: PathBuf::from(args.needed_path("path")?),
        files: args.texts("files")?,
        exclude: walk::patterns(args, "exclude")?,
        sets,
    };
    let snapshot = Snapshot::of(args)?;
    let wish = Wish {
        labels: args.map("labels")?,
        level: i32::try_from(level).unwrap_or(3),
        allow_inconsistent: args.flag("allow_inconsistent")?,
        check_space: args.truth("check_space")?.unwrap_or(true),
        verify: args.truth("verify")?.unwrap_or(true),
        // A snapshot that is not of one moment is no better than the running folder.
        running: snapshot.as_ref().map_or(args.flag("running")?, |snapshot| !snapshot.atomic),
        set: Membership::read(args)?,
        intent: Intent::of(ctx)?,
    };
    Ok((asked, snapshot, wish))
}

async fn create(args: &Args<'_>, place: Place, ctx: &Context) -> Result<Value, Failure> {
    let (asked, snapshot, wish) = wishes(args, ctx)?;
    if snapshot.is_none() && place.method == Some(Method::Snapshot) {
        return Err(args.invalid("`method = \"snapshot\"` needs `snapshot`, which says how one is made"));
    }
    work(ctx, move |watch| {
        let source = source::source(&asked, &place.dir).map_err(Failure::untouched)?;
        if snapshot.is_some() {
            // Its commands may leave something from the very first on.
            wish.intent.declare(&Value::Null)?;
        }
        let entry = match (snapshot, place.method) {
            (Some(snapshot), Some(Method::Snapshot)) => {
                kept::keep(&place.dir, &snapshot, &source, &wish, watch).map_err(Failure::touched)?
            }
            (Some(snapshot), _) => snapshot
                .read(&place.dir, source, watch, |source, watch| place.open()?.create(source, &wish, watch))
                .map_err(Failure::touched)?,
            (None, _) => place.open()?.create(&source, &wish, watch)?,
        };
        Ok(created(&entry, &place.dir, &asked.path))
    })
    .await
}

/// The result of `create`.
fn created(entry: &Entry, repository: &Path, path: &Path) -> Value {
    let texts = |texts: &[String]| Value::list(texts.iter().map(Value::string));
    result([
        ("backup", entry.value(repository)),
        ("path", Value::string(path.to_string_lossy())),
        ("changed", texts(&entry.changed)),
        ("skipped", texts(&entry.skipped)),
    ])
}

/// The result of `restore`; how much was carried over is not known before it is done.
fn restored(entry: &Entry, repository: &Path, path: &Path, previous: &[PathBuf], carried: Option<u64>) -> Value {
    result([
        ("backup", entry.value(repository)),
        ("path", Value::string(path.to_string_lossy())),
        ("previous", Value::list(previous.iter().map(|path| Value::string(path.to_string_lossy())))),
        ("carried", carried.map_or(Value::Null, whole)),
    ])
}

/// Patterns by the name of their set.
fn sets(args: &Args<'_>) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let Some(object) = args.object("exclude_sets")? else { return Ok(BTreeMap::new()) };
    let mut sets = BTreeMap::new();
    for name in object.names() {
        sets.insert(name.to_owned(), walk::patterns(&object, name)?);
    }
    Ok(sets)
}

/// Restores. `earlier`: where tries before this one have left the content before.
fn put_back(
    place: &Place,
    path: &Path,
    pick: &Pick,
    keep: bool,
    (intent, earlier): (&Intent, Vec<PathBuf>),
    watch: &mut Watch,
) -> Result<Value, Failure> {
    let repository = place.open().map_err(Failure::untouched)?;
    let entry = pick.one(&*repository, true).map_err(Failure::untouched)?;
    if !entry.exclude.is_empty() {
        watch.line(&format!("the backup {} does not hold: {}", entry.id, entry.exclude.join(", ")));
    }
    // A single file was backed up as a file of its folder.
    let single = entry.files.as_deref().is_some_and(|files| files.iter().any(|file| path == Path::new(&entry.path).join(file)));
    let target = if single { super::host::local_file::parent(path) } else { path };
    let announce = |previous: &[PathBuf]| intent.declare(&restored(&entry, &place.dir, path, previous, None));
    let done = restore::restore(&*repository, &entry, target, keep, &announce, watch)?;
    let previous: Vec<PathBuf> = earlier.into_iter().chain(done.previous).collect();
    Ok(restored(&entry, &place.dir, path, &previous, Some(done.carried)))
}

/// What stays when old backups go: by the rules, and in any case.
fn prune_rules(args: &Args<'_>) -> Result<(Retention, Vec<String>), Failure> {
    let rules = Retention {
        last: args.count("keep_last")?,
        within: args.duration("keep_within")?,
        daily: args.count("keep_daily")?,
        weekly: args.count("keep_weekly")?,
        monthly: args.count("keep_monthly")?,
    };
    let needed = args.texts("keep_ids")?;
    if !rules.says_something() {
        return Err(args.invalid("one of `keep_last`, `keep_within`, `keep_daily`, `keep_weekly`, `keep_monthly` is needed"));
    }
    Ok((rules, needed))
}

async fn prune(args: &Args<'_>, place: Place, pick: Pick, ctx: &Context) -> Result<Value, Failure> {
    let (rules, needed) = prune_rules(args)?;
    work(ctx, move |watch| {
        let repository = place.open()?;
        let removed = prune::prunable(&pick.all(&*repository)?, &rules, &needed, source::now());
        for id in &removed {
            repository.remove(id)?;
        }
        if !removed.is_empty() {
            repository.compact(watch)?;
        }
        let left = pick.all(&*repository)?;
        Ok(result([("backups", values(&left, &place.dir)), ("removed", Value::list(removed.iter().map(Value::string)))]))
    })
    .await
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
