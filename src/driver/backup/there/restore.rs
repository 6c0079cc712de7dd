//! Puts a backup of another machine back there: beside the place first, checked, then into the place by renames that are undone if
//! one fails.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{There, failed, script, text};
use crate::driver::archive::unpack::sibling;
use crate::driver::archive::walk::globs;
use crate::driver::backup::entry::{Entry, decode};
use crate::driver::backup::recall::previous;
use crate::driver::backup::restore::{SIDECARS, names_before, too_many_before};
use crate::driver::backup::restored;
use crate::driver::host::{Attributes, Kind, local_file};
use crate::driver::intent::Intent;
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

/// Told, right before anything is moved, where the content before will lie.
type Announce<'a> = &'a (dyn Fn(&[PathBuf]) -> Result<(), Failure> + Sync);

/// What is moved, from where to where.
type Ways = Vec<(PathBuf, PathBuf)>;

impl There<'_> {
    /// Restores, and tells what was done.
    pub(super) async fn put_back(&self, entry: &Entry, path: &Path, keep: bool) -> Result<Value, Failure> {
        if !entry.exclude.is_empty() {
            self.ctx.sink.line(&format!("the backup {} does not hold: {}", entry.id, entry.exclude.join(", ")));
        }
        let looked = async {
            self.check_digests(entry).await?;
            // A link to the folder stays: what it leads to is replaced.
            Ok((self.real(path, false).await?, previous(self.ctx).await?, Intent::of(self.ctx)?))
        };
        let (real, earlier, intent) = looked.await.map_err(Failure::untouched)?;
        let announce = |previous: &[PathBuf]| intent.declare(&restored(entry, &self.dir, path, previous, None));
        let is_single = |files: &[String]| files.iter().any(|file| real == Path::new(&entry.path).join(file));
        let (previous, carried) = match &entry.files {
            Some(files) if is_single(files) => (self.files(entry, local_file::parent(&real), keep, &announce).await?, 0),
            Some(_) => (self.files(entry, &real, keep, &announce).await?, 0),
            None => self.whole(entry, &real, keep, &announce).await?,
        };
        let previous: Vec<PathBuf> = earlier.into_iter().chain(previous).collect();
        Ok(restored(entry, &self.dir, path, &previous, Some(carried)))
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

    async fn whole(&self, entry: &Entry, path: &Path, keep: bool, announce: Announce<'_>) -> Result<(Vec<PathBuf>, u64), Failure> {
        let staging = sibling(path, "restore")?;
        let previous = self.stage(entry, path, &staging, announce).await.map_err(Failure::untouched)?;
        let moved = self.swap(entry, path, &staging, previous.as_deref()).await.map_err(Failure::touched)?;
        let (Some(previous), (carried, is_lost)) = (previous, moved) else { return Ok((Vec::new(), 0)) };
        if keep || is_lost {
            return Ok((vec![previous], carried));
        }
        self.ctx.host.remove(&previous, true).await.map_err(Failure::touched)?;
        Ok((Vec::new(), carried))
    }

    /// Fills a folder beside; tells where the content before is to go. What is at the path stays untouched.
    async fn stage(&self, entry: &Entry, path: &Path, staging: &Path, announce: Announce<'_>) -> Result<Option<PathBuf>, Failure> {
        let host = &self.ctx.host;
        let stat = host.stat(path, false).await?;
        if stat.as_ref().is_some_and(|stat| stat.kind != Kind::Directory) {
            return Err(failed(format!("`{}` is there and is no directory", path.display())));
        }
        self.check_room(entry, local_file::parent(path)).await?;
        self.extract(entry, staging).await?;
        let owner = (host.uid().await? == 0).then_some(entry.owner);
        host.make_dir(staging, &Attributes { mode: Some(entry.mode), owner }).await?;
        let previous = match stat {
            Some(_) => Some(self.before(path, &entry.id).await?),
            None => None,
        };
        announce(previous.as_slice())?;
        Ok(previous)
    }

    /// Puts the folder in its place, and takes over what the backup leaves out.
    async fn swap(&self, entry: &Entry, path: &Path, staging: &Path, previous: Option<&Path>) -> Result<(u64, bool), Failure> {
        let host = &self.ctx.host;
        let Some(previous) = previous else { return host.rename(staging, path).await.map(|()| (0, false)) };
        host.rename(path, previous).await?;
        if let Err(failure) = host.rename(staging, path).await {
            let _ = host.rename(previous, path).await;
            return Err(failure);
        }
        self.carry(previous, path, &entry.exclude).await
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
    async fn files(&self, entry: &Entry, root: &Path, keep: bool, announce: Announce<'_>) -> Result<Vec<PathBuf>, Failure> {
        let staging = root.join(format!(".windlass-restore-{}", entry.id));
        let prepare = async {
            self.check_room(entry, root).await?;
            self.extract(entry, &staging).await?;
            let ways = self.ways(entry, root).await?;
            let previous: Vec<PathBuf> = ways.iter().flat_map(|(_, ways)| ways.iter().map(|(_, aside)| aside.clone())).collect();
            announce(&previous)?;
            Ok((ways, previous))
        };
        let (ways, previous) = prepare.await.map_err(Failure::untouched)?;
        self.exchange(root, &staging, &ways).await.map_err(Failure::touched)?;
        if keep {
            return Ok(previous);
        }
        for path in previous {
            self.ctx.host.remove(&path, false).await.map_err(Failure::touched)?;
        }
        Ok(Vec::new())
    }

    /// What has to make way for each file: what is in its place, and what a database left beside that.
    async fn ways(&self, entry: &Entry, root: &Path) -> Result<Vec<(PathBuf, Ways)>, Failure> {
        let kept: Vec<PathBuf> = entry.files.iter().flatten().filter_map(|file| decode(file)).collect();
        let mut all = Vec::new();
        for file in &kept {
            let sidecars = SIDECARS.iter().map(|sidecar| {
                let mut name = OsString::from(file);
                name.push(sidecar);
                PathBuf::from(name)
            });
            let away = std::iter::once(file.clone()).chain(sidecars.filter(|name| !kept.contains(name)));
            let mut ways = Vec::new();
            for path in away.map(|name| root.join(name)).collect::<Vec<_>>() {
                if let Some(stat) = self.ctx.host.stat(&path, false).await? {
                    if stat.kind == Kind::Directory {
                        return Err(failed(format!("`{}` is a directory", path.display())));
                    }
                    let aside = self.before(&path, &entry.id).await?;
                    ways.push((path, aside));
                }
            }
            all.push((file.clone(), ways));
        }
        Ok(all)
    }

    /// Puts the files in their places; back again where one cannot be.
    async fn exchange(&self, root: &Path, staging: &Path, files: &[(PathBuf, Ways)]) -> Result<(), Failure> {
        let host = &self.ctx.host;
        let mut moves = Vec::new();
        let done = self.put(root, staging, files, &mut moves).await;
        if done.is_err() {
            for (from, to) in moves.iter().rev() {
                let _ = host.rename(to, from).await;
            }
        }
        host.remove(staging, true).await?;
        done
    }

    async fn put(&self, root: &Path, staging: &Path, files: &[(PathBuf, Ways)], moves: &mut Ways) -> Result<(), Failure> {
        let host = &self.ctx.host;
        for (file, ways) in files {
            let target = root.join(file);
            host.make_dir(local_file::parent(&target), &Attributes::default()).await?;
            for (path, aside) in ways.iter().cloned().chain([(staging.join(file), target)]) {
                host.rename(&path, &aside).await?;
                moves.push((path, aside));
            }
        }
        Ok(())
    }
}
