//! `archive`: checks, unpacks and packs archives.
//!
//! What is unpacked comes from outside and is not trusted: names and links that lead out of it, devices, and absurd sizes are
//! refused before anything stands.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::http::whole;
use super::transfer::{sha256_of_text, work};
use super::{Args, Context, Driver, Failure, FailureKind};
use crate::lang::{Object, Value};
use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

pub(super) mod format;
pub(super) mod pack;
#[cfg(test)]
mod tests;
pub(super) mod tree;
pub(super) mod unpack;
pub(super) mod walk;

use pack::Pack;
use unpack::Unpack;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Archive;

const SCHEMA: DriverSchema = DriverSchema {
    name: "archive",
    summary: "Checks an archive's digest, unpacks it, or packs a folder. Packing and unpacking work on the machine that Windlass runs on; checking works on every host.",
    args: &[
        ArgSchema { name: "action", ty: "string", required: true, summary: "\"verify\", \"unpack\" or \"pack\"." },
        ArgSchema {
            name: "path",
            ty: "string",
            required: true,
            summary: "The archive (verify, unpack: tar, tar.gz, tar.zst or zip, told by its content), or the folder (pack).",
        },
        ArgSchema {
            name: "sha256",
            ty: "string",
            required: false,
            summary: "The SHA-256 that the archive must have. Needed for verify.",
        },
        ArgSchema {
            name: "to",
            ty: "string",
            required: false,
            summary: "The folder to unpack into, which must not be there or be empty; or the archive to pack into, replaced if it is there, whose name ends in `.tar.gz`, `.tgz`, `.tar.zst` or `.tar`. It stands complete or not at all.",
        },
        ArgSchema {
            name: "replace",
            ty: "bool",
            required: false,
            summary: "Unpack: whether a folder `to` with something in it is replaced (in one go); false where not given.",
        },
        ArgSchema {
            name: "strip_components",
            ty: "number",
            required: false,
            summary: "Unpack: how many folders at the beginning of each name are left out; 0 where not given. Entries with no more than these are left out.",
        },
        ArgSchema {
            name: "max_bytes",
            ty: "any",
            required: false,
            summary: "Unpack: what holds more is refused, a number or a text like `10GiB`; `64GiB` where not given.",
        },
        ArgSchema {
            name: "max_entries",
            ty: "number",
            required: false,
            summary: "Unpack: what has more entries is refused; 1000000 where not given.",
        },
        ArgSchema {
            name: "max_ratio",
            ty: "number",
            required: false,
            summary: "Unpack: what holds more than this many times its own size (and 64 MiB) is refused; 250 where not given.",
        },
        ArgSchema {
            name: "exclude",
            ty: "list(string)",
            required: false,
            summary: "Pack: patterns of what is left out, relative to the folder (`logs` is its own folder `logs`, `**/*.tmp` all such files); `*` stays within a name.",
        },
    ],
    results: &[
        ResultSchema { name: "path", ty: "string", summary: "The archive (verify, pack) or the folder (unpack)." },
        ResultSchema { name: "sha256", ty: "string", summary: "The archive's SHA-256." },
        ResultSchema { name: "bytes", ty: "number", summary: "The archive's size (verify, pack), or what was unpacked." },
        ResultSchema { name: "entries", ty: "number", summary: "How many files, folders and links; null for verify." },
    ],
    observes: false,
};

#[async_trait]
impl Driver for Archive {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("archive", args);
        let path = PathBuf::from(args.needed_path("path")?);
        let sha256 = match args.text("sha256")? {
            None => None,
            Some(text) => Some(sha256_of_text(&text).ok_or_else(|| args.invalid("`sha256` must be 64 hexadecimal digits"))?),
        };
        args.needed_text("action")?;
        match args.word("action", &["verify", "unpack", "pack"])? {
            Some("verify") => {
                let wanted = sha256.ok_or_else(|| args.invalid("`sha256` is missing"))?;
                verify(path, wanted, ctx).await
            }
            Some("unpack") => unpack(&args, path, sha256, ctx).await,
            _ => pack(&args, path, ctx).await,
        }
    }
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
    Ok(result(&path, &found, bytes, Value::Null))
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
    here(args, "unpack", ctx)?;
    let to = args.needed_path("to")?;
    let unpack = Unpack {
        archive,
        to: PathBuf::from(to.trim_end_matches('/')),
        strip: usize::try_from(args.count("strip_components")?.unwrap_or(0)).unwrap_or(usize::MAX),
        replace: args.flag("replace")?,
        sha256,
        max_bytes: args.bytes("max_bytes")?.unwrap_or(64 << 30),
        max_entries: args.count("max_entries")?.unwrap_or(1_000_000),
        max_ratio: args.count("max_ratio")?.unwrap_or(250),
    };
    let to = unpack.to.clone();
    let (written, sha256) = work(ctx, move |watch| unpack.run(watch)).await?;
    Ok(result(&to, &sha256, written.bytes, whole(written.entries)))
}

async fn pack(args: &Args<'_>, from: PathBuf, ctx: &Context) -> Result<Value, Failure> {
    here(args, "pack", ctx)?;
    let to = PathBuf::from(args.needed_path("to")?);
    let pack = Pack { from, to: to.clone(), exclude: walk::patterns(args, "exclude")? };
    let packed = work(ctx, move |watch| pack.run(watch)).await?;
    Ok(result(&to, &packed.sha256, packed.bytes, whole(packed.entries)))
}

/// Refuses what can only be done on this machine.
pub(super) fn here(args: &Args<'_>, action: &str, ctx: &Context) -> Result<(), Failure> {
    if ctx.host.is_local() {
        return Ok(());
    }
    let message =
        format!("\"{action}\" works only on the machine that Windlass runs on, and the instance lives on {}", ctx.host.name());
    Err(args.invalid(message).help("run Windlass on that machine, or use `exec` with the tools that are there"))
}

fn result(path: &Path, sha256: &str, bytes: u64, entries: Value) -> Value {
    Value::object([
        ("path", Value::string(path.to_string_lossy())),
        ("sha256", Value::string(sha256)),
        ("bytes", whole(bytes)),
        ("entries", entries),
    ])
}
