//! Puts a backup of another machine back there: beside the place first, checked, then into the place by renames that are undone if
//! one fails.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{There, failed, script, text};
use crate::driver::archive::unpack::sibling;
use crate::driver::archive::walk::globs;
use crate::driver::backup::entry::{Entry, decode};
use crate::driver::backup::restore::{SIDECARS, names_before, too_many_before};
use crate::driver::backup::result;
use crate::driver::host::{Attributes, Kind, local_file};
use crate::driver::http::whole;
use crate::driver::{Failure, FailureKind};
use crate::lang::Value;

/// `$1` the folder of the backup, `$2` a fresh folder, `$3` how many entries there must be. Only root may give files away.
const EXTRACT: &str = r#"set -eu
export LC_ALL=C
umask 022
rm -rf -- "$2"
mkdir -m 700 -- "$2"
own=--no-same-owner
[ "$(id -u)" != 0 ] || own=--same-owner
tar --extract --preserve-permissions "$own" --numeric-owner --delay-directory-restore --use-compress-program=zstd --directory "$2" --file "$1/data.tar.zst"
count=$(find "$2" -mindepth 1 -printf x | wc -c)
[ "$count" -ge "$3" ] || { echo "it was not restored right: there are $count entries, not $3" >&2; exit 1; }
sync -f -- "$2"
"#;

/// Moves what is named on standard input from `$1` to `$2`, where it is not there; says so of each.
const CARRY: &str = r#"exec xargs -0 -r -n 1 /bin/sh -c '
if [ -e "$2/$3" ] || [ -L "$2/$3" ]; then :; elif mv -T -- "$1/$3" "$2/$3"; then echo moved; fi' sh "$1" "$2""#;

impl There<'_> {
    /// Restores, and tells what was done.
    pub(super) async fn put_back(&self, entry: &Entry, path: &Path, keep: bool) -> Result<Value, Failure> {
        if !entry.exclude.is_empty() {
            self.ctx.sink.line(&format!("the backup {} does not hold: {}", entry.id, entry.exclude.join(", ")));
        }
        self.check_digests(entry).await?;
        // A link to the folder stays: what it leads to is replaced.
        let real = self.real(path, false).await?;
        let is_single = |files: &[String]| files.iter().any(|file| real == Path::new(&entry.path).join(file));
        let (previous, carried) = match &entry.files {
            Some(files) if is_single(files) => (self.files(entry, local_file::parent(&real), keep).await?, 0),
            Some(_) => (self.files(entry, &real, keep).await?, 0),
            None => self.whole(entry, &real, keep).await?,
        };
        Ok(result([
            ("backup", entry.value(&self.dir)),
            ("path", Value::string(path.to_string_lossy())),
            ("previous", Value::list(previous.iter().map(|path| Value::string(path.to_string_lossy())))),
            ("carried", whole(carried)),
        ]))
    }

    async fn check_room(&self, entry: &Entry, dir: &Path) -> Result<(), Failure> {
        self.ctx.host.make_dir(dir, &Attributes::default()).await?;
        let free = self.ctx.host.space(dir).await?.free;
        if free >= entry.bytes {
            return Ok(());
        }
        Err(failed(format!("the backup holds {} bytes, and there are {free} free for `{}`", entry.bytes, dir.display()))
            .help("the content before stays until the restore is done: free some space, then resume"))
    }

    async fn extract(&self, entry: &Entry, staging: &Path) -> Result<(), Failure> {
        let args = vec![text(&self.folder(&entry.id))?, text(staging)?, entry.entries.to_string()];
        let done =
            self.said(&format!("the backup {} cannot be restored", entry.id), &script(EXTRACT, args, Vec::new()), "restore").await;
        if done.is_err() {
            let _ = self.ctx.host.remove(staging, true).await;
        }
        done.map(drop)
    }

    async fn whole(&self, entry: &Entry, path: &Path, keep: bool) -> Result<(Vec<PathBuf>, u64), Failure> {
        let host = &self.ctx.host;
        let stat = host.stat(path, false).await?;
        if stat.as_ref().is_some_and(|stat| stat.kind != Kind::Directory) {
            return Err(failed(format!("`{}` is there and is no directory", path.display())));
        }
        self.check_room(entry, local_file::parent(path)).await?;
        let staging = sibling(path, "restore")?;
        self.extract(entry, &staging).await?;
        let owner = (host.uid().await? == 0).then_some(entry.owner);
        host.make_dir(&staging, &Attributes { mode: Some(entry.mode), owner }).await?;
        if stat.is_none() {
            host.rename(&staging, path).await?;
            return Ok((Vec::new(), 0));
        }
        let previous = self.before(path, &entry.id).await?;
        host.rename(path, &previous).await?;
        if let Err(failure) = host.rename(&staging, path).await {
            let _ = host.rename(&previous, path).await;
            return Err(failure);
        }
        let (carried, is_lost) = self.carry(&previous, path, &entry.exclude).await?;
        if keep || is_lost {
            return Ok((vec![previous], carried));
        }
        host.remove(&previous, true).await?;
        Ok((Vec::new(), carried))
    }

    /// A free name beside the path for the content before.
    async fn before(&self, path: &Path, id: &str) -> Result<PathBuf, Failure> {
        for name in names_before(path, id)? {
            if self.ctx.host.stat(&name, false).await?.is_none() {
                return Ok(name);
            }
        }
        Err(too_many_before(path))
    }

    /// Moves what the backup leaves out from the content before. True where something could not be moved.
    async fn carry(&self, from: &Path, to: &Path, exclude: &[String]) -> Result<(u64, bool), Failure> {
        if exclude.is_empty() {
            return Ok((0, false));
        }
        let exclude = globs(exclude).map_err(|error| Failure::new(FailureKind::Invalid, error.to_string()))?;
        let find = script("exec find \"$1/\" -mindepth 1 -printf '%P\\0'", vec![text(from)?], Vec::new());
        let output = self.ctx.host.run(&find, self.ctx).await?;
        let mut names = Vec::new();
        let mut wanted = 0;
        for name in output.stdout.bytes.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let path = Path::new(OsStr::from_bytes(name));
            let mut above = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
            if exclude.is_match(path) && !above.any(|above| exclude.is_match(above)) {
                names.extend_from_slice(name);
                names.push(0);
                wanted += 1;
            }
        }
        let is_whole = output.ok() && !output.stdout.truncated();
        let output = self.ctx.host.run(&script(CARRY, vec![text(from)?, text(to)?], names), self.ctx).await?;
        let carried = output.stdout.text().lines().count() as u64;
        Ok((carried, !is_whole || carried != wanted))
    }

    /// Restores single files; all others in the folder stay.
    async fn files(&self, entry: &Entry, root: &Path, keep: bool) -> Result<Vec<PathBuf>, Failure> {
        self.check_room(entry, root).await?;
        let staging = root.join(format!(".windlass-restore-{}", entry.id));
        self.extract(entry, &staging).await?;
        let mut moves = Vec::new();
        let done = self.put(entry, root, &staging, &mut moves).await;
        if done.is_err() {
            for (from, to) in moves.iter().rev() {
                let _ = self.ctx.host.rename(to, from).await;
            }
        }
        self.ctx.host.remove(&staging, true).await?;
        done?;
        let mut previous = Vec::new();
        for (_, to) in moves.into_iter().filter(|(from, _)| !from.starts_with(&staging)) {
            if keep {
                previous.push(to);
            } else {
                self.ctx.host.remove(&to, false).await?;
            }
        }
        Ok(previous)
    }

    async fn put(&self, entry: &Entry, root: &Path, staging: &Path, moves: &mut Vec<(PathBuf, PathBuf)>) -> Result<(), Failure> {
        let host = &self.ctx.host;
        let kept: Vec<PathBuf> = entry.files.iter().flatten().filter_map(|file| decode(file)).collect();
        for file in &kept {
            let target = root.join(file);
            host.make_dir(local_file::parent(&target), &Attributes::default()).await?;
            let sidecars = SIDECARS.iter().map(|sidecar| {
                let mut name = OsString::from(file);
                name.push(sidecar);
                PathBuf::from(name)
            });
            let away = std::iter::once(file.clone()).chain(sidecars.filter(|name| !kept.contains(name)));
            for path in away.map(|name| root.join(name)).collect::<Vec<_>>() {
                if let Some(stat) = host.stat(&path, false).await? {
                    if stat.kind == Kind::Directory {
                        return Err(failed(format!("`{}` is a directory", path.display())));
                    }
                    let before = self.before(&path, &entry.id).await?;
                    host.rename(&path, &before).await?;
                    moves.push((path, before));
                }
            }
            host.rename(&staging.join(file), &target).await?;
            moves.push((staging.join(file), target));
        }
        Ok(())
    }
}
