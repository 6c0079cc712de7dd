//! `archive`: checks, looks into, unpacks and packs archives.
//!
//! What is unpacked comes from outside and is not trusted: names and links that lead out of it, devices, and absurd sizes are
//! refused before anything stands.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::host::Kind;
use super::http::whole;
use super::intent::{self, Intent};
use super::transfer::{sha256_of_text, work};
use super::{Args, Context, Driver, Failure, FailureKind, Recalled};
use crate::lang::{Object, Value};
use crate::model::driver::DriverSchema;

mod far;
pub(super) mod format;
mod look;
#[cfg(test)]
mod look_tests;
mod members;
pub(super) mod pack;
mod schema;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod there_tests;
mod tools;
pub(super) mod tree;
pub(super) mod unpack;
pub(super) mod walk;

use pack::Pack;
use schema::SCHEMA;
use unpack::Unpack;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Archive;

const ACTIONS: [&str; 6] = ["verify", "list", "digest", "read", "unpack", "pack"];

#[async_trait]
impl Driver for Archive {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    fn knows_untouched(&self) -> bool {
        true
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("archive", args);
        let path = PathBuf::from(args.needed_path("path")?);
        let sha256 = match args.text("sha256")? {
            None => None,
            Some(text) => Some(sha256_of_text(&text).ok_or_else(|| args.invalid("`sha256` must be 64 hexadecimal digits"))?),
        };
        args.needed_text("action")?;
        let action = args.word("action", &ACTIONS)?;
        if ctx.dir.is_none()
            && let Some(acting @ ("unpack" | "pack")) = action
        {
            let message = format!("`{acting}` changes something, and a fact or check may only look");
            return Err(args.invalid(message).help("use \"verify\", \"list\", \"digest\" or \"read\""));
        }
        match action {
            Some("verify") => {
                let wanted = sha256.ok_or_else(|| args.invalid("`sha256` is missing"))?;
                verify(path, wanted, ctx).await
            }
            Some("list") => look::list(&args, path, ctx).await,
            Some("digest") => look::digest(&args, path, ctx).await,
            Some("read") => look::read(&args, path, ctx).await,
            Some("unpack") => unpack(&args, path, sha256, ctx).await,
            _ => pack(&args, path, ctx).await,
        }
    }

    async fn recall(&self, args: &Object, ctx: &Context) -> Result<Recalled, Failure> {
        let args = Args::new("archive", args);
        let unpacks = match args.word("action", &ACTIONS)? {
            Some("unpack") => true,
            Some("pack") => false,
            _ => return Ok(Recalled::Untouched),
        };
        let recalled = intent::declared(ctx)?.recalled();
        if unpacks && recalled == Recalled::Untouched && ctx.host.is_local() {
            // What is half unpacked is no use to anybody. What cannot be removed now is removed by the next attempt; and what another
            // machine may still be at work on, too.
            let _ = ctx.host.remove(&unpack::sibling(&target(&args)?, "unpack")?, true).await;
        }
        Ok(recalled)
    }
}

/// Where an archive is unpacked to.
fn target(args: &Args<'_>) -> Result<PathBuf, Failure> {
    Ok(PathBuf::from(args.needed_path("to")?.trim_end_matches('/')))
}

async fn verify(path: PathBuf, wanted: String, ctx: &Context) -> Result<Value, Failure> {
    let (found, bytes) = if ctx.host.is_local() {
        let path = path.clone();
        work(ctx, move |watch| {
            let (mut file, size) = unpack::open(&path)?;
            Ok((unpack::digest(&mut file, &path, size, watch)?, size))
        })
        .await?
    } else {
        there(&path, ctx).await?
    };
    unpack::check_digest(&path, &found, &wanted)?;
    Ok(of_archive(&path, &found, bytes, Value::Null))
}

/// The digest and size of a file on another host.
pub(super) async fn there(path: &Path, ctx: &Context) -> Result<(String, u64), Failure> {
    let Some(stat) = ctx.host.stat(path, true).await? else {
        return Err(Failure::new(FailureKind::Failed, format!("cannot read `{}`: it does not exist", path.display())));
    };
    let output = ctx.look(["sha256sum".to_owned(), "--".to_owned(), path.to_string_lossy().into_owned()]).await?;
    let text = output.stdout.text();
    // A backslash comes first where the name holds what must be escaped.
    let digits = text.trim_start_matches('\\').split_whitespace().next().and_then(sha256_of_text);
    match digits {
        Some(digits) if output.ok() => Ok((digits, stat.size)),
        _ => Err(Failure::new(FailureKind::Failed, format!("cannot read `{}`: {}", path.display(), output.last_words()))),
    }
}

async fn unpack(args: &Args<'_>, archive: PathBuf, sha256: Option<String>, ctx: &Context) -> Result<Value, Failure> {
    let unpack = Unpack {
        archive,
        to: target(args)?,
        intent: Intent::of(ctx)?,
        strip: usize::try_from(args.count("strip_components")?.unwrap_or(0)).unwrap_or(usize::MAX),
        replace: args.flag("replace")?,
        sha256,
        max_bytes: args.bytes("max_bytes")?.unwrap_or(64 << 30),
        max_entries: args.count("max_entries")?.unwrap_or(1_000_000),
        max_ratio: args.count("max_ratio")?.unwrap_or(250),
    };
    if !unpack.replace
        && let Some(done) = placed(&unpack.to, ctx).await.map_err(Failure::untouched)?
    {
        return Ok(done);
    }
    let to = unpack.to.clone();
    let (written, sha256) =
        if ctx.host.is_local() { work(ctx, move |watch| unpack.run(watch)).await? } else { tools::unpack(&unpack, ctx).await? };
    Ok(unpacked(&to, written, &sha256))
}

/// What an earlier try has written down, where it came to put the folder in its place. It was free right before.
async fn placed(to: &Path, ctx: &Context) -> Result<Option<Value>, Failure> {
    let Some(done) = intent::written(ctx)?.pop() else { return Ok(None) };
    let is_folder = ctx.host.stat(to, false).await?.is_some_and(|stat| stat.kind == Kind::Directory);
    Ok(if is_folder && !ctx.host.list(to).await?.is_empty() { Some(done) } else { None })
}

/// The result of `unpack`.
fn unpacked(to: &Path, written: tree::Written, sha256: &str) -> Value {
    of_archive(to, sha256, written.bytes, whole(written.entries))
}

async fn pack(args: &Args<'_>, from: PathBuf, ctx: &Context) -> Result<Value, Failure> {
    let to = PathBuf::from(args.needed_path("to")?);
    let pack = Pack { from, to: to.clone(), exclude: walk::patterns(args, "exclude")?, intent: Intent::of(ctx)? };
    let packed = if ctx.host.is_local() { work(ctx, move |watch| pack.run(watch)).await? } else { tools::pack(&pack, ctx).await? };
    Ok(packed.result(&to))
}

/// What of a result is not given is null.
fn result<const N: usize>(given: [(&'static str, Value); N]) -> Value {
    let nulls = SCHEMA.results.iter().map(|result| (result.name, Value::Null));
    Value::object(nulls.chain(given))
}

fn of_archive(path: &Path, sha256: &str, bytes: u64, entries: Value) -> Value {
    result([
        ("path", Value::string(path.to_string_lossy())),
        ("sha256", Value::string(sha256)),
        ("bytes", whole(bytes)),
        ("entries", entries),
    ])
}
