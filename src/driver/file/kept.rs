//! What was there before: kept in the call's folder before anything is changed, put back by `restore`.
//!
//! Kept once for a path and a call: a second attempt, in the same folder or in one of its own, does not take the work of the first for
//! what was there before. Where there is no record, nothing was changed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{aside, changed, sha256};
use crate::driver::host::local::private_dir;
use crate::driver::host::{Attributes, Kind, io_failure, local_file};
use crate::driver::{Args, Context, Failure, FailureKind, Recalled, intent};
use crate::lang::Value;

/// A bigger file is not copied into the call's folder.
const MOST: u64 = 64 << 20;
const RECORD: &str = "kept.json";
const CONTENT: &str = "content";

/// `kept.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    path: String,
    was: Was,
}

/// What was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Was {
    /// Nothing. `whole`: what came there is a directory that the step made, with all that is in it.
    Absent {
        whole: bool,
    },
    /// Its content lies beside the record.
    File {
        mode: u32,
        uid: u32,
        gid: u32,
        sha256: String,
    },
    Symlink {
        target: String,
    },
    /// A directory that is only changed in mode or owner, or that must be empty to be removed.
    Directory {
        mode: u32,
        uid: u32,
        gid: u32,
    },
    /// Moved aside, whole.
    Aside {
        aside: String,
    },
}

/// Where the record of a path is kept, in the folder of a try.
fn folder(dir: &Path, path: &str) -> Result<PathBuf, Failure> {
    let dir = std::path::absolute(dir).map_err(|error| io_failure("find", dir, &error))?;
    Ok(dir.join("kept").join(&sha256(path.as_bytes())[..12]))
}

/// The folder of this try.
fn own(ctx: &Context) -> Result<&Path, Failure> {
    ctx.dir.as_deref().ok_or_else(|| Failure::new(FailureKind::Invalid, "nothing can be kept while only looking"))
}

/// The record of this very call, by the first try that has left one.
pub(super) async fn already(ctx: &Context, path: &str) -> Result<Option<String>, Failure> {
    for dir in ctx.earlier.iter().map(PathBuf::as_path).chain([own(ctx)?]) {
        let folder = folder(dir, path)?;
        if folder.join(RECORD).exists() {
            return Ok(Some(folder.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

/// What an earlier try has saved, where it had made way at a path, and had come to put there what belongs there.
pub(super) async fn placed(ctx: &Context, path: &str) -> Result<Option<String>, Failure> {
    let Some(saved) = already(ctx, path).await? else { return Ok(None) };
    let has_made_way = match load(Path::new(&saved))?.was {
        Was::Absent { whole } => whole,
        Was::Aside { aside } => ctx.host.stat(Path::new(&aside), false).await?.is_some(),
        Was::File { .. } | Was::Symlink { .. } | Was::Directory { .. } => false,
    };
    Ok(if has_made_way && ctx.host.stat(Path::new(path), false).await?.is_some() { Some(saved) } else { None })
}

/// What is known of a call that keeps what is at a path before it changes anything.
pub(super) async fn recalled(ctx: &Context, path: &str) -> Result<Recalled, Failure> {
    let partly = |saved: String| Recalled::Partly(Value::object([("path", Value::string(path)), ("saved", Value::string(saved))]));
    if let Some(saved) = already(ctx, path).await? {
        return Ok(partly(saved));
    }
    for dir in ctx.earlier.iter().map(PathBuf::as_path).chain([own(ctx)?]) {
        let folder = private_dir(&folder(dir, path)?)?;
        match intent::give_up(&folder, RECORD)? {
            Some(true) => {}
            Some(false) => return Ok(partly(folder.to_string_lossy().into_owned())),
            None => return Ok(Recalled::Unknown),
        }
    }
    Ok(Recalled::Untouched)
}

/// Keeps what is at a path, and gives what `restore` takes. `whole`: a directory is moved aside with all that is in it.
pub(crate) async fn keep(ctx: &Context, path: &str, whole: bool) -> Result<String, Failure> {
    if let Some(saved) = already(ctx, path).await? {
        if whole && let Was::Aside { aside } = load(Path::new(&saved))?.was {
            set_aside(ctx, path, &aside).await?;
        }
        return Ok(saved);
    }
    let folder = private_dir(&folder(own(ctx)?, path)?)?;
    let at = Path::new(path);
    // What a link leads to is what `write` replaces; a link itself is what `symlink` and `remove` replace.
    let was = match ctx.host.stat(at, false).await? {
        None => Was::Absent { whole },
        Some(stat) => match stat.kind {
            Kind::Directory | Kind::File if whole => Was::Aside { aside: aside(ctx, path, "kept") },
            Kind::Directory => Was::Directory { mode: stat.mode, uid: stat.uid, gid: stat.gid },
            Kind::Symlink => Was::Symlink { target: stat.target.unwrap_or_default() },
            Kind::File => {
                let content =
                    ctx.host.read(at, MOST).await?.unwrap_or(crate::driver::host::Content { bytes: Vec::new(), truncated: false });
                if content.truncated {
                    return Err(Failure::new(FailureKind::Failed, format!("`{path}` has more than 64 MiB, too much to be kept"))
                        .help("move it away in a step of its own, or write `keep = false` if nothing leads back to it"));
                }
                let attributes = Attributes { mode: Some(0o600), owner: None };
                local_file::write(&folder.join(CONTENT), &mut content.bytes.as_slice(), &attributes)?;
                Was::File { mode: stat.mode, uid: stat.uid, gid: stat.gid, sha256: sha256(&content.bytes) }
            }
            Kind::Other => {
                return Err(Failure::new(FailureKind::Failed, format!("`{path}` is a device, socket or pipe: it is left alone")));
            }
        },
    };
    let kept = Kept { path: path.to_owned(), was };
    let bytes =
        serde_json::to_vec(&kept).map_err(|error| Failure::new(FailureKind::Failed, format!("cannot keep `{path}`: {error}")))?;
    intent::write(&folder, RECORD, &bytes)?;
    if let Was::Aside { aside } = &kept.was {
        set_aside(ctx, path, aside).await?;
    }
    Ok(folder.to_string_lossy().into_owned())
}

async fn set_aside(ctx: &Context, path: &str, aside: &str) -> Result<(), Failure> {
    if ctx.host.stat(Path::new(aside), false).await?.is_some() {
        return Ok(());
    }
    ctx.host.rename(Path::new(path), Path::new(aside)).await
}

/// Where what was saved lies now: below the folder of runs that this call belongs to, wherever that was moved or copied to, or
/// brought to from another machine; else as it was said.
fn found(saved: PathBuf, ctx: &Context) -> PathBuf {
    let runs =
        |path: &Path| path.ancestors().find(|above| above.file_name().is_some_and(|name| name == "runs")).map(Path::to_owned);
    let moved = || {
        let here = runs(&std::path::absolute(ctx.dir.as_ref()?).ok()?)?;
        let moved = here.join(saved.strip_prefix(runs(&saved)?).ok()?);
        moved.exists().then_some(moved)
    };
    moved().unwrap_or(saved)
}

fn load(folder: &Path) -> Result<Kept, Failure> {
    let path = folder.join(RECORD);
    let gone = |why: &dyn std::fmt::Display| {
        Failure::new(FailureKind::Failed, format!("what was kept in `{}` cannot be read: {why}", folder.display()))
            .help("it lies on the machine where the step ran; run the undo there, or put the file back by hand")
    };
    let content = local_file::read(&path, 1 << 20).map_err(|failure| gone(&failure))?.ok_or_else(|| gone(&"it is not there"))?;
    serde_json::from_slice(&content.bytes).map_err(|error| gone(&error))
}

/// Looks whether what was kept is there.
pub(super) async fn look_ahead(args: &Args<'_>, ctx: &Context) -> Result<(), Failure> {
    let folder = found(PathBuf::from(args.needed_path("saved")?), ctx);
    let Kept { path, was } = load(&folder)?;
    match was {
        Was::File { sha256, .. } => content(&folder, &path, &sha256).map(drop),
        Was::Aside { aside } => {
            // It may have been put back already.
            for place in [&aside, &path] {
                if ctx.host.stat(Path::new(place), false).await?.is_some() {
                    return Ok(());
                }
            }
            Err(gone_aside(&aside, &path))
        }
        Was::Absent { .. } | Was::Symlink { .. } | Was::Directory { .. } => Ok(()),
    }
}

fn gone_aside(aside: &str, path: &str) -> Failure {
    Failure::new(FailureKind::Failed, format!("`{aside}` is gone: `{path}` cannot be put back"))
}

/// The content that was kept of a file.
fn content(folder: &Path, path: &str, digest: &str) -> Result<Vec<u8>, Failure> {
    let content = local_file::read(&folder.join(CONTENT), MOST)?.map(|content| content.bytes).unwrap_or_default();
    if sha256(&content) == digest {
        return Ok(content);
    }
    Err(Failure::new(FailureKind::Failed, format!("what was kept of `{path}` is damaged: it is not put back"))
        .help(format!("look at `{}`", folder.display())))
}

/// Puts back what was kept.
pub(super) async fn restore(args: &Args<'_>, ctx: &Context) -> Result<Value, Failure> {
    let folder = found(PathBuf::from(args.needed_path("saved")?), ctx);
    let Kept { path, was } = load(&folder)?;
    if let Some(expected) = args.path("path")?
        && expected != path
    {
        return Err(args.invalid(format_args!("`path` is `{expected}`, but what was saved is `{path}`")));
    }
    let at = Path::new(&path);
    let now = ctx.host.stat(at, false).await?;
    let did = match was {
        Was::Absent { whole } => {
            // Only what a step made: a directory that others have filled meanwhile is refused by `remove`.
            ctx.host.remove(at, whole).await?;
            now.is_some()
        }
        Was::File { mode, uid, gid, sha256: digest } => {
            let content = content(&folder, &path, &digest)?;
            let is_link = now.as_ref().is_some_and(|stat| stat.kind == Kind::Symlink);
            if is_link {
                ctx.host.remove(at, false).await?;
            }
            let written = ctx.host.write(at, &content, &Attributes { mode: Some(mode), owner: Some((uid, gid)) }).await;
            written.map_err(|failure| if is_link { failure.touched() } else { failure })?;
            true
        }
        Was::Symlink { target } => {
            ctx.host.symlink(Path::new(&target), at).await?;
            true
        }
        Was::Directory { mode, uid, gid } => {
            ctx.host.make_dir(at, &Attributes { mode: Some(mode), owner: Some((uid, gid)) }).await?;
            true
        }
        Was::Aside { aside } => {
            let lies_aside = ctx.host.stat(Path::new(&aside), false).await?.is_some();
            if lies_aside {
                ctx.host.remove(at, true).await?;
                ctx.host.rename(Path::new(&aside), at).await.map_err(Failure::touched)?;
            } else if now.is_none() {
                return Err(gone_aside(&aside, &path));
            }
            lies_aside
        }
    };
    Ok(changed(&path, did, None))
}
