//! Backups on another machine, in the layout of [`super::tar`]: source and repository both lie there, and the tools that are there do
//! the work (GNU tar, zstd, coreutils, findutils). A backup made so is read by Windlass there as one of its own, and the other way round.
//!
//! What is read back is compared with the source as it lies (`tar --diff`) where nothing changed meanwhile; later checks compare the
//! SHA-256 with that of then. Times have whole seconds where a backup was not made from afar: standard tar knows no more of them.
#![expect(clippy::disallowed_methods, reason = "a door: the clock that dates a backup")]

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::entry::{Entry, LAYOUT, Line, encode, is_id};
use super::pick::Pick;
use super::place::{Method, Place};
use super::repository::Wish;
use super::source::{Asked, fresh_id};
use super::tar::{DATA, ENTRY, MANIFEST};
use super::{created, prune_rules, result, values, wishes};
use crate::driver::archive::there as digest_of;
use crate::driver::host::{Attributes, Command, Output};
use crate::driver::transfer::hex;
use crate::driver::{Args, Context, Failure, FailureKind};
use crate::lang::Value;

mod restore;
mod seen;

use seen::{Listed, Seen};

/// So much of a list of names is taken in.
const LIST: usize = 256 << 20;

/// `$1` the folder, `$2` the folder of the backup, `$3` the strength. Names come on standard input. Files that changed meanwhile show
/// in the lists that are made before and after.
const MAKE: &str = r#"set -eu
umask 077
export LC_ALL=C
from=$1 into=$2 level=$3
for each in tar zstd; do command -v "$each" >/dev/null || { echo "$each is missing there" >&2; exit 1; }; done
rm -f -- "$into/data.tar.zst"
code=0
tar --create --format=posix --pax-option=delete=atime,delete=ctime --numeric-owner --no-recursion --directory "$from" \
    --null --verbatim-files-from --files-from=- "--use-compress-program=zstd -$level -T0" --file "$into/data.tar.zst" || code=$?
[ "$code" -le 1 ] || exit "$code"
sync -- "$into/data.tar.zst"
"#;

/// Whether all can be read, and is what lies in the folder `$2` (where it is given).
const READ: &str = r#"set -eu
export LC_ALL=C
data=$1/data.tar.zst
if [ -n "$2" ]; then exec tar --diff --use-compress-program=zstd --directory "$2" --file "$data"; fi
exec tar --list --use-compress-program=zstd --file "$data" >/dev/null
"#;

/// The digests of files of the folder `$1`, whose names come on standard input.
const DIGESTS: &str = r#"cd -- "$1" && exec xargs -0 -r sha256sum -z --"#;

/// A repository of another machine.
pub(super) struct There<'a> {
    dir: PathBuf,
    ctx: &'a Context,
}

/// Does what is asked for.
pub(super) async fn run(args: &Args<'_>, action: &str, place: Place, pick: &Pick, ctx: &Context) -> Result<Value, Failure> {
    if !matches!(place.method, None | Some(Method::Tar)) {
        let message = format!("on a host over SSH, {}, `method` can only be \"tar\"", ctx.host.name());
        return Err(args.invalid(message).help("leave it out; or run Windlass on that machine"));
    }
    let there = There { dir: place.dir, ctx };
    if action != "create" && action != "list" && action != "prune" {
        pick.needed(args)?;
    }
    match action {
        "create" => {
            let (asked, snapshot, wish) = wishes(args, ctx)?;
            if snapshot.is_some() {
                return Err(args.invalid(format!("`snapshot` cannot be used on a host over SSH, {}", ctx.host.name())));
            }
            let entry = there.create(&asked, &wish).await?;
            Ok(created(&entry, &there.dir, &asked.path))
        }
        "list" => Ok(result([("backups", values(&there.all(pick).await?, &there.dir))])),
        "prune" => {
            let (rules, needed) = prune_rules(args)?;
            let removed = super::prune::prunable(&there.all(pick).await?, &rules, &needed, Timestamp::now());
            for id in &removed {
                there.remove(id).await?;
            }
            let left = there.all(pick).await?;
            Ok(result([("backups", values(&left, &there.dir)), ("removed", Value::list(removed.iter().map(Value::string)))]))
        }
        "restore" => {
            let path = PathBuf::from(args.needed_path("path")?.trim_end_matches('/'));
            let keep = args.flag("keep_previous")?;
            let entry = async { pick.one_of(there.list().await?, there.all(pick).await?, true) };
            there.put_back(&entry.await.map_err(Failure::untouched)?, &path, keep).await
        }
        "verify" => {
            let entry = pick.one_of(there.list().await?, there.all(pick).await?, false)?;
            let entry = there.verify(&entry).await?;
            Ok(result([("backup", entry.value(&there.dir))]))
        }
        _ => {
            let id = pick.id.clone().unwrap_or_default();
            if id == "latest" || !is_id(&id) {
                return Err(args.invalid("to remove one, give its `id`"));
            }
            there.remove(&id).await?;
            Ok(result([("removed", Value::list([Value::string(id)]))]))
        }
    }
}

/// The backups of a repository there.
pub(super) async fn list(place: Place, ctx: &Context) -> Result<Vec<Entry>, Failure> {
    There { dir: place.dir, ctx }.list().await
}

/// Looks whether the backup that a restore takes is there.
pub(super) async fn look(place: Place, pick: &Pick, ctx: &Context) -> Result<(), Failure> {
    let there = There { dir: place.dir, ctx };
    let entry = pick.one_of(there.list().await?, there.all(pick).await?, true)?;
    let folder = there.folder(&entry.id);
    let data = ctx.host.stat(&folder.join(DATA), true).await?.map(|stat| stat.size);
    let manifest = match ctx.host.stat(&folder.join(MANIFEST), true).await? {
        Some(_) => Some(digest_of(&folder.join(MANIFEST), ctx).await?.0),
        None => None,
    };
    entry.check_found(&folder, data, manifest)
}

fn failed(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Failed, message)
}

fn text(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| Failure::new(FailureKind::Invalid, format!("`{}` is not UTF-8", path.display())))
}

fn script(body: &str, args: Vec<String>, stdin: Vec<u8>) -> Command {
    let words = ["/bin/sh", "-c", body, "sh"].map(str::to_owned);
    Command { stdin, stream: false, keep: LIST, ..Command::new(words.into_iter().chain(args)) }
}

impl There<'_> {
    fn folder(&self, id: &str) -> PathBuf {
        self.dir.join(id)
    }

    /// A path there, without links. `must`: it is there.
    async fn real(&self, path: &Path, must: bool) -> Result<PathBuf, Failure> {
        let how = if must { "-e" } else { "-m" };
        let output = self.ctx.look(["readlink".to_owned(), how.to_owned(), "--".to_owned(), text(path)?]).await?;
        let said = output.stdout.text();
        match said.strip_suffix('\n') {
            Some(real) if output.ok() && !real.is_empty() => Ok(PathBuf::from(real)),
            _ => Err(failed(format!("cannot back up `{}`: it does not exist", path.display()))),
        }
    }

    async fn said(&self, what: &str, command: &Command, name: &str) -> Result<Output, Failure> {
        let output = self.ctx.run_named(name, command).await?;
        if output.ok() {
            return Ok(output);
        }
        Err(failed(format!("{what} on {}: {}", self.ctx.host.name(), output.last_words())))
    }

    /// Makes one. Until it is renamed to its id, it is nobody's.
    async fn create(&self, asked: &Asked, wish: &Wish) -> Result<Entry, Failure> {
        let (entry, partial) = self.prepare(asked, wish).await.map_err(Failure::untouched)?;
        self.ctx.host.rename(&partial, &self.folder(&entry.id)).await?;
        Ok(entry)
    }

    /// Makes one that does not count yet, and tells where it lies.
    async fn prepare(&self, asked: &Asked, wish: &Wish) -> Result<(Entry, PathBuf), Failure> {
        let host = &self.ctx.host;
        let seen = Seen::of(self, asked).await?;
        let before = seen.list(self).await?;
        let own = Attributes { mode: Some(0o700), owner: None };
        host.make_dir(&self.dir, &own).await?;
        let free = host.space(&self.dir).await?.free;
        if wish.check_space && free < before.bytes {
            let message =
                format!("`{}` has {free} bytes free, and what is backed up is {} bytes long", self.dir.display(), before.bytes);
            return Err(
                failed(message).help("free some space, prune old backups, or write `check_space = false` if it compresses well")
            );
        }
        let id = fresh_id();
        let partial = self.dir.join(format!(".{id}.partial"));
        host.make_dir(&partial, &own).await?;
        let made = self.make(&seen, &before, wish, &partial, &id).await;
        let made = made.and_then(|entry| wish.intent.declare(&entry.value(&self.dir)).map(|()| entry));
        if made.is_err() {
            let _ = host.remove(&partial, true).await;
        }
        Ok((made?, partial))
    }

    async fn make(&self, seen: &Seen, before: &Listed, wish: &Wish, partial: &Path, id: &str) -> Result<Entry, Failure> {
        let at = Timestamp::now();
        let args = vec![text(&seen.root)?, text(partial)?, wish.level.to_string()];
        self.said("cannot back up", &script(MAKE, args, before.names(|_| true)), "back-up").await?;
        let digests = self.digests(seen, before).await?;
        let mut changed = before.changes(&seen.list(self).await?);
        if !changed.is_empty() && !wish.allow_inconsistent && !wish.running {
            return Err(seen::inconsistent(&seen.root, &changed));
        }
        changed.truncate(100);
        let consistent = changed.is_empty() && !wish.running;
        if wish.verify {
            let root = if consistent { text(&seen.root)? } else { String::new() };
            let read = script(READ, vec![text(partial)?, root], Vec::new());
            self.said("the backup cannot be read back", &read, "read-back").await?;
        }
        let lines = before.lines(&digests);
        let manifest = manifest(&lines)?;
        self.ctx.host.write(&partial.join(MANIFEST), &manifest, &Attributes { mode: Some(0o600), owner: None }).await?;
        let (data_sha256, size) = digest_of(&partial.join(DATA), self.ctx).await?;
        let entry = Entry {
            layout: LAYOUT,
            id: id.to_owned(),
            method: "tar".to_owned(),
            path: seen.root.to_string_lossy().into_owned(),
            files: seen.files.as_ref().map(|files| files.iter().map(|file| encode(file)).collect()),
            exclude: seen.exclude.clone(),
            labels: wish.labels.clone(),
            at,
            entries: lines.len() as u64,
            bytes: before.bytes,
            size,
            data_sha256,
            manifest_sha256: hex(&Sha256::digest(&manifest)),
            consistent,
            changed,
            skipped: before.skipped.clone(),
            mode: seen.mode,
            owner: seen.owner,
            verified: wish.verify.then(Timestamp::now),
            running: wish.running,
            set: wish.set.as_ref().map(|set| set.of(id)),
            excluded: seen.excluded.clone(),
            snapshot: None,
            reference: None,
            commands: std::collections::BTreeMap::new(),
        };
        self.write_entry(partial, &entry).await?;
        Ok(entry)
    }

    /// SHA-256 of the files, in the order of the list.
    async fn digests(&self, seen: &Seen, before: &Listed) -> Result<Vec<String>, Failure> {
        let names = before.names(seen::has_content);
        let command = script(DIGESTS, vec![text(&seen.root)?], names);
        let output = self.ctx.host.run(&command, self.ctx).await?;
        let fields = output.stdout.bytes.split(|byte| *byte == 0).filter(|field| !field.is_empty());
        let digests: Vec<String> =
            fields.map(|field| String::from_utf8_lossy(&field[..field.len().min(64)]).into_owned()).collect();
        if output.stdout.truncated() || digests.len() != before.count(seen::has_content) {
            return Err(failed(format!("cannot read all that is backed up on {}: {}", self.ctx.host.name(), output.last_words()))
                .help("stop what writes there first, or exclude what may change"));
        }
        Ok(digests)
    }

    async fn write_entry(&self, folder: &Path, entry: &Entry) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(entry).map_err(|error| failed(format!("the entry cannot be written: {error}")))?;
        self.ctx.host.write(&folder.join(ENTRY), &text, &Attributes { mode: Some(0o600), owner: None }).await
    }

    /// Compares what is stored with its digests, and reads it through.
    async fn verify(&self, entry: &Entry) -> Result<Entry, Failure> {
        let folder = self.folder(&entry.id);
        let checked = async {
            self.check_digests(entry).await?;
            let read = script(READ, vec![text(&folder)?, String::new()], Vec::new());
            self.said(&format!("the backup `{}` cannot be read", folder.display()), &read, "read-back").await
        };
        match checked.await {
            Ok(_) => {
                let entry = Entry { verified: Some(Timestamp::now()), ..entry.clone() };
                self.write_entry(&folder, &entry).await?;
                Ok(entry)
            }
            Err(failure) => {
                // From now on no restore takes it unasked.
                if failure.kind == FailureKind::Failed {
                    let _ = self.write_entry(&folder, &Entry { verified: None, ..entry.clone() }).await;
                }
                Err(failure)
            }
        }
    }

    async fn check_digests(&self, entry: &Entry) -> Result<(), Failure> {
        let folder = self.folder(&entry.id);
        for (name, wanted) in [(DATA, &entry.data_sha256), (MANIFEST, &entry.manifest_sha256)] {
            let (found, _) = digest_of(&folder.join(name), self.ctx).await?;
            if found != *wanted {
                let message =
                    format!("the backup `{}` is damaged: its {name} has another SHA-256 than when it was made", folder.display());
                return Err(failed(message).help("use an older backup, and check the disk that the repository lies on"));
            }
        }
        Ok(())
    }

    /// Those that are complete, oldest first.
    async fn list(&self) -> Result<Vec<Entry>, Failure> {
        if self.ctx.host.stat(&self.dir, true).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        for item in self.ctx.host.list(&self.dir).await?.into_iter().filter(|item| is_id(&item.name)) {
            let path = self.dir.join(&item.name).join(ENTRY);
            // Somebody's own folder has none.
            let Some(content) = self.ctx.host.read(&path, 4 << 20).await? else { continue };
            let entry: Entry = serde_json::from_slice(&content.bytes)
                .map_err(|error| failed(format!("`{}` is damaged: {error}", path.display())))?;
            if entry.layout != LAYOUT || entry.id != item.name {
                return Err(failed(format!("`{}` is not of a kind that this version knows", path.display())));
            }
            entries.push(entry);
        }
        entries.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(entries)
    }

    /// Those that are meant by path and labels.
    async fn all(&self, pick: &Pick) -> Result<Vec<Entry>, Failure> {
        let real = match &pick.path {
            Some(path) => Some(self.real(path, false).await?),
            None => None,
        };
        Ok(pick.among(self.list().await?, real.as_deref()))
    }

    async fn remove(&self, id: &str) -> Result<(), Failure> {
        let (from, to) = (self.folder(id), self.dir.join(format!(".{id}.removed")));
        if self.ctx.host.stat(&from, false).await?.is_some() {
            self.ctx.host.rename(&from, &to).await?;
        }
        self.ctx.host.remove(&to, true).await
    }
}

fn manifest(lines: &[Line]) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line).map_err(|error| failed(format!("the manifest cannot be written: {error}")))?;
        text.push(b'\n');
    }
    Ok(text)
}
