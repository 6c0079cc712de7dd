//! `file`: reads, writes, copies, links, moves and removes files, and puts back what was there before.
//!
//! Whatever it replaces or removes is kept first, in the call's own folder; `result.saved` names that, and the action `restore` of an
//! undo takes it. Each change is in one go and durable.

use std::path::Path;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::host::{Attributes, Kind, Stat};
use super::{Args, Context, Diff, Driver, Failure, FailureKind, Recalled};
use crate::lang::{Object, Value};
use crate::model::driver::DriverSchema;

mod diff;
mod kept;
mod look;
mod schema;

pub(super) use diff::diff;
pub(super) use kept::keep;
use schema::SCHEMA;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct File;

const ACTIONS: [&str; 10] = ["read", "stat", "list", "write", "copy", "move", "symlink", "directory", "remove", "restore"];

#[async_trait]
impl Driver for File {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    fn knows_untouched(&self) -> bool {
        true
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("file", args);
        let action = args.word("action", &ACTIONS)?.unwrap_or("read");
        match action {
            "read" => return look::read(&args, ctx).await,
            "stat" => return look::stat(&args, ctx).await,
            "list" => return look::list(&args, ctx).await,
            _ if ctx.dir.is_none() => {
                return Err(args.invalid(format_args!("`{action}` changes something, and a fact or check may only look")));
            }
            _ => {}
        }
        if ctx.cancel.is_cancelled() {
            return Err(Failure::new(FailureKind::Cancelled, "told to stop before anything was changed"));
        }
        match action {
            "write" => {
                let content = args.text("content")?.ok_or_else(|| args.invalid("`content` is missing"))?;
                let path = args.needed_path("path")?;
                let owner = owner(&args, ctx).await.map_err(Failure::untouched)?;
                let attributes = Attributes { mode: args.mode("mode")?, owner };
                place(ctx, &path, content.as_bytes(), &attributes, args.truth("keep")?.unwrap_or(true)).await
            }
            "copy" => copy(&args, ctx).await,
            "move" => {
                let (from, to) = (args.needed_path("source")?, args.needed_path("path")?);
                moved(ctx, &args, &from, &to).await
            }
            "symlink" => symlink(&args, ctx).await,
            "directory" => directory(&args, ctx).await,
            "remove" => remove(&args, ctx).await,
            _ => kept::restore(&args, ctx).await,
        }
    }

    async fn recall(&self, args: &Object, ctx: &Context) -> Result<Recalled, Failure> {
        let args = Args::new("file", args);
        let path = args.needed_path("path");
        match args.word("action", &ACTIONS)?.unwrap_or("read") {
            "write" => written(ctx, &path?, args.truth("keep")?.unwrap_or(true)).await,
            "symlink" | "directory" if args.truth("keep")?.unwrap_or(true) => kept::recalled(ctx, &path?).await,
            "copy" | "move" if args.truth("keep")?.unwrap_or(true) => {
                let path = path?;
                let recalled = kept::recalled(ctx, &path).await?;
                if recalled == Recalled::Untouched {
                    // What is half a copy is no use to anybody.
                    ctx.host.remove(Path::new(&aside(ctx, &path, "copy")), true).await?;
                }
                Ok(recalled)
            }
            // What is removed with all that is in it is kept only where the step says so.
            "remove" if args.truth("keep")?.unwrap_or(!args.flag("recursive")?) => kept::recalled(ctx, &path?).await,
            _ => Ok(Recalled::Unknown),
        }
    }

    async fn look_ahead(&self, args: &Object, ctx: &Context) -> Result<(), Failure> {
        let args = Args::new("file", args);
        if args.word("action", &ACTIONS)? == Some("restore") { kept::look_ahead(&args, ctx).await } else { Ok(()) }
    }

    async fn preview(&self, args: &Object, ctx: &Context) -> Option<Vec<Diff>> {
        let args = Args::new("file", args);
        let path = args.path("path").ok()??;
        let after = match args.word("action", &ACTIONS).ok()?? {
            "write" => Some(args.text("content").ok()??.into_bytes()),
            "remove" => None,
            _ => return None,
        };
        diff(ctx, &path, after.as_deref()).await
    }
}

/// Lower-case hexadecimal SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The user and group of `owner`.
pub(super) async fn owner(args: &Args<'_>, ctx: &Context) -> Result<Option<(u32, u32)>, Failure> {
    let Some(text) = args.text("owner")? else { return Ok(None) };
    let (name, group) = match text.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (text.as_str(), None),
    };
    if name.is_empty() || group == Some("") || name.starts_with('-') {
        return Err(args.invalid("`owner` must be \"USER\" or \"USER:GROUP\""));
    }
    let Some(user) = ctx.host.user(name).await? else {
        return Err(args.invalid(format_args!("there is no user `{name}` on {}", ctx.host.name())));
    };
    let Some(group) = group else { return Ok(Some((user.uid, user.gid))) };
    let output = ctx.look(["getent", "group", "--", group]).await?;
    let gid = output.stdout.text().trim_end().split(':').nth(2).and_then(|gid| gid.parse().ok());
    match gid {
        Some(gid) => Ok(Some((user.uid, gid))),
        None => Err(args.invalid(format_args!("there is no group `{group}` on {}", ctx.host.name()))),
    }
}

/// Writes a file, keeping what was there; a file that is already as it should be is left alone. Keeping, and making the directories
/// above, leave what is at the path untouched.
pub(super) async fn place(ctx: &Context, path: &str, bytes: &[u8], attributes: &Attributes, kept: bool) -> Result<Value, Failure> {
    // A link in front of the file stays a link: what is kept and written is what it leads to.
    let behind = behind_links(ctx, path).await.map_err(Failure::untouched)?;
    let path = behind.as_deref().unwrap_or(path);
    let at = Path::new(path);
    let saved = if kept { Some(keep(ctx, path, false).await.map_err(Failure::untouched)?) } else { None };
    let same = match ctx.host.stat(at, true).await.map_err(Failure::untouched)? {
        Some(stat) if stat.kind == Kind::File && stat.size == bytes.len() as u64 && fits(&stat, attributes) => {
            ctx.host.read(at, stat.size).await.map_err(Failure::untouched)?.is_some_and(|content| content.bytes == bytes)
        }
        _ => false,
    };
    if !same {
        make_parent(ctx, path).await?;
        ctx.host.write(at, bytes, attributes).await?;
    }
    Ok(Value::object([
        ("path", Value::string(path)),
        ("sha256", sha256(bytes).into()),
        ("size", (bytes.len() as u64).into()),
        ("changed", (!same).into()),
        ("saved", saved.into()),
    ]))
}

/// What is known of a call of [`place`].
pub(super) async fn written(ctx: &Context, path: &str, kept: bool) -> Result<Recalled, Failure> {
    if !kept {
        return Ok(Recalled::Unknown);
    }
    let behind = behind_links(ctx, path).await?;
    kept::recalled(ctx, behind.as_deref().unwrap_or(path)).await
}

async fn behind_links(ctx: &Context, path: &str) -> Result<Option<String>, Failure> {
    if !ctx.host.stat(Path::new(path), false).await?.is_some_and(|stat| stat.kind == Kind::Symlink) {
        return Ok(None);
    }
    let output = ctx.look(["readlink", "-f", "--", path]).await?;
    let real = output.stdout.text().trim_end_matches('\n').to_owned();
    if !output.ok() || !real.starts_with('/') {
        return Err(Failure::new(FailureKind::Failed, format!("`{path}` is a link that leads nowhere")));
    }
    Ok(Some(real))
}

fn fits(stat: &Stat, attributes: &Attributes) -> bool {
    attributes.mode.is_none_or(|mode| mode == stat.mode) && attributes.owner.is_none_or(|owner| owner == (stat.uid, stat.gid))
}

fn changed(path: &str, changed: bool, saved: Option<String>) -> Value {
    Value::object([("path", Value::string(path)), ("changed", changed.into()), ("saved", saved.into())])
}

/// Copies beside the destination and then puts it in its place.
async fn copy(args: &Args<'_>, ctx: &Context) -> Result<Value, Failure> {
    let (from, to) = (args.needed_path("source")?, args.needed_path("path")?);
    let kind = needed(ctx, &from).await.map_err(Failure::untouched)?;
    if Path::new(&to).starts_with(&from) {
        return Err(args.invalid("`path` lies in `source`: it would be copied into itself"));
    }
    if let Some(saved) = kept::placed(ctx, &to).await.map_err(Failure::untouched)? {
        return Ok(changed(&to, false, Some(saved)));
    }
    let whole = makes_way(args, ctx, kind, &to).await.map_err(Failure::untouched)?;
    make_parent(ctx, &to).await?;
    let temporary = aside(ctx, &to, "copy");
    ctx.host.remove(Path::new(&temporary), true).await.map_err(Failure::untouched)?;
    // -T: never into a directory that is there; the paths are absolute, so none is an option.
    let mut command = super::Command::new(["cp", "-aT", "--reflink=auto", &from, &temporary]);
    command.stream = false;
    let copied = ctx.host.run(&command, ctx).await;
    let copied = match copied {
        Ok(output) if output.ok() => ctx.look(["sync", "-f", &temporary]).await,
        Ok(output) => {
            let words = output.last_words();
            Err(Failure::new(FailureKind::Failed, format!("cannot copy `{from}` to `{to}`: {words}")))
        }
        Err(failure) => Err(failure),
    };
    if let Err(failure) = copied {
        // What is half a copy is no use to anybody. At the path itself is what was there.
        let _ = ctx.host.remove(Path::new(&temporary), true).await;
        return Err(failure.untouched());
    }
    let saved = make_way(args, ctx, whole, &to).await?;
    // What was there may lie aside by now.
    ctx.host
        .rename(Path::new(&temporary), Path::new(&to))
        .await
        .map_err(|failure| if whole { failure.touched() } else { failure })?;
    Ok(changed(&to, true, saved))
}

async fn moved(ctx: &Context, args: &Args<'_>, from: &str, to: &str) -> Result<Value, Failure> {
    if Path::new(to).starts_with(from) {
        return Err(args.invalid("`path` lies in `source`: it cannot be moved into itself"));
    }
    if ctx.host.stat(Path::new(from), false).await.map_err(Failure::untouched)?.is_none()
        && let Some(saved) = kept::already(ctx, to).await?
        && ctx.host.stat(Path::new(to), false).await?.is_some()
    {
        // An earlier attempt got that far.
        return Ok(changed(to, false, Some(saved)));
    }
    let kind = needed(ctx, from).await.map_err(Failure::untouched)?;
    let whole = makes_way(args, ctx, kind, to).await.map_err(Failure::untouched)?;
    make_parent(ctx, to).await?;
    let saved = make_way(args, ctx, whole, to).await?;
    ctx.host.rename(Path::new(from), Path::new(to)).await.map_err(|failure| if whole { failure.touched() } else { failure })?;
    Ok(changed(to, true, saved))
}

/// Whether what is at a place has to be moved aside whole for what comes; or a refusal.
async fn makes_way(args: &Args<'_>, ctx: &Context, coming: Kind, to: &str) -> Result<bool, Failure> {
    let there = ctx.host.stat(Path::new(to), false).await?;
    let whole = coming == Kind::Directory || there.as_ref().is_some_and(|stat| stat.kind == Kind::Directory);
    if whole && there.is_some() && args.truth("keep")? != Some(true) {
        // Of the kind that touched nothing: an undo that removes `to` would remove what somebody else has put there.
        return Err(Failure::new(FailureKind::Invalid, format!("`{to}` is there already"))
            .help("remove it in a step of its own, or write `keep = true` to have it moved aside"));
    }
    Ok(whole)
}

/// Keeps what is at a place, as far as wanted.
async fn make_way(args: &Args<'_>, ctx: &Context, whole: bool, to: &str) -> Result<Option<String>, Failure> {
    // Moving aside is one renaming, which says itself whether it has touched anything.
    let told = |failure: Failure| if whole { failure } else { failure.untouched() };
    Ok(if whole || args.truth("keep")?.unwrap_or(true) { Some(keep(ctx, to, whole).await.map_err(told)?) } else { None })
}

async fn symlink(args: &Args<'_>, ctx: &Context) -> Result<Value, Failure> {
    let (path, target) = (args.needed_path("path")?, args.needed_text("target")?);
    let saved =
        if args.truth("keep")?.unwrap_or(true) { Some(keep(ctx, &path, false).await.map_err(Failure::untouched)?) } else { None };
    let now = ctx.host.stat(Path::new(&path), false).await.map_err(Failure::untouched)?;
    let same = now.is_some_and(|stat| stat.target.as_deref() == Some(target.as_str()));
    if !same {
        make_parent(ctx, &path).await?;
        ctx.host.symlink(Path::new(&target), Path::new(&path)).await?;
    }
    Ok(changed(&path, !same, saved))
}

async fn directory(args: &Args<'_>, ctx: &Context) -> Result<Value, Failure> {
    let path = args.needed_path("path")?;
    let attributes = Attributes { mode: args.mode("mode")?, owner: owner(args, ctx).await.map_err(Failure::untouched)? };
    let saved =
        if args.truth("keep")?.unwrap_or(true) { Some(keep(ctx, &path, false).await.map_err(Failure::untouched)?) } else { None };
    let same = match ctx.host.stat(Path::new(&path), true).await.map_err(Failure::untouched)? {
        Some(stat) if stat.kind == Kind::Directory => fits(&stat, &attributes),
        Some(_) => {
            return Err(Failure::new(FailureKind::Failed, format!("`{path}` is there already and is no directory")).untouched());
        }
        None => false,
    };
    if !same {
        ctx.host.make_dir(Path::new(&path), &attributes).await?;
    }
    Ok(changed(&path, !same, saved))
}

async fn remove(args: &Args<'_>, ctx: &Context) -> Result<Value, Failure> {
    let path = args.needed_path("path")?;
    let real = Path::new(&path);
    if real.components().filter(|part| matches!(part, std::path::Component::Normal(_))).count() < 2
        || real.components().any(|part| part == std::path::Component::ParentDir)
    {
        return Err(args.invalid("`path` is too near to the root (or holds `..`) to be removed"));
    }
    let recursive = args.flag("recursive")?;
    let there = ctx.host.stat(real, false).await.map_err(Failure::untouched)?;
    let directory = there.as_ref().is_some_and(|stat| stat.kind == Kind::Directory);
    if directory && recursive && args.truth("keep")? == Some(true) {
        return Ok(changed(&path, true, Some(keep(ctx, &path, true).await?)));
    }
    let saved = match kept::already(ctx, &path).await? {
        Some(saved) => Some(saved),
        None if args.truth("keep")?.unwrap_or(!(directory && recursive)) => {
            Some(keep(ctx, &path, false).await.map_err(Failure::untouched)?)
        }
        None => None,
    };
    ctx.host.remove(real, recursive).await?;
    Ok(changed(&path, there.is_some(), saved))
}

async fn needed(ctx: &Context, path: &str) -> Result<Kind, Failure> {
    match ctx.host.stat(Path::new(path), false).await? {
        Some(stat) => Ok(stat.kind),
        None => Err(Failure::new(FailureKind::Failed, format!("`{path}` does not exist"))),
    }
}

/// Makes the directories above a path, where they are not there. An undo leaves them: they may hold what others have made since.
async fn make_parent(ctx: &Context, path: &str) -> Result<(), Failure> {
    let Some(parent) = Path::new(path).parent() else { return Ok(()) };
    match ctx.host.stat(parent, true).await.map_err(Failure::untouched)? {
        Some(_) => Ok(()),
        None => ctx.host.make_dir(parent, &Attributes::default()).await,
    }
    // An undo would leave them, too.
    .map_err(Failure::untouched)
}

/// A name beside a path that is this call's own.
fn aside(ctx: &Context, path: &str, what: &str) -> String {
    let path = Path::new(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Short, whatever the key is, and the same after a crash.
    let key = &sha256(ctx.key.as_bytes())[..12];
    path.with_file_name(format!(".{name}.windlass-{key}-{what}")).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
