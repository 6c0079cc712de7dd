//! Streams an answer into a file, which stands complete and checked or not at all.
//!
//! Takes a request and where to save; for another host the file is fetched here and uploaded.
#![expect(clippy::disallowed_methods, reason = "a door: writes what is downloaded")]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::client::{client, failure, read, refused, send};
use super::request::Request;
use crate::driver::host::{Attributes, io_failure, local_file};
use crate::driver::transfer::{Hashing, Watch, hex, sha256_of_text, work};
use crate::driver::{Args, Context, Failure, FailureKind};

/// Where to save, and what it must be.
pub(super) struct Target {
    path: PathBuf,
    sha256: Option<String>,
    mode: Option<u32>,
    max_bytes: u64,
}

/// A file that was saved.
pub(super) struct Saved {
    pub(super) status: Option<u16>,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Target {
    /// Reads `save_to`, `sha256`, `mode` and `max_bytes`.
    pub(super) fn of(args: &Args<'_>) -> Result<Option<Self>, Failure> {
        let Some(path) = args.path("save_to")? else {
            for name in ["sha256", "mode", "max_bytes"] {
                if args.value(name).is_some() {
                    return Err(args.invalid(format_args!("`{name}` needs `save_to`")));
                }
            }
            return Ok(None);
        };
        if path.ends_with('/') {
            return Err(args.invalid("`save_to` must name a file, not a directory"));
        }
        let sha256 = match args.text("sha256")? {
            None => None,
            Some(text) => Some(sha256_of_text(&text).ok_or_else(|| args.invalid("`sha256` must be 64 hexadecimal digits"))?),
        };
        let max_bytes = args.bytes("max_bytes")?.unwrap_or(64 << 30);
        Ok(Some(Self { path: path.into(), sha256, mode: args.mode("mode")?, max_bytes }))
    }
}

/// Downloads, unless the file is there already with the right digest.
pub(super) async fn download(request: &Request, target: Target, ctx: &Context) -> Result<Saved, Failure> {
    if let Some(saved) = already(&target, ctx).await? {
        return Ok(saved);
    }
    let staging = if ctx.host.is_local() {
        let parent = local_file::parent(&target.path);
        tempfile::Builder::new().prefix(".windlass-download-").tempfile_in(parent)
    } else {
        tempfile::NamedTempFile::new()
    };
    let staging = staging.map_err(|error| io_failure("save to", &target.path, &error))?;
    // What only asks for a file has changed nothing before that is in its place.
    let only_asks = request.method.is_safe();
    let streamed = stream(request, &target, staging, ctx).await;
    let (saved, staging) = streamed.map_err(|failure| if only_asks { failure.untouched() } else { failure })?;
    let attributes = Attributes { mode: target.mode.or(Some(0o644)), owner: None };
    let kept = if ctx.host.is_local() {
        let path = target.path.clone();
        work(ctx, move |_| keep(staging, &path, &attributes)).await
    } else {
        ctx.host.upload(staging.path(), &target.path, &attributes).await
    };
    kept.map_err(|failure| if only_asks { failure } else { failure.touched() })?;
    Ok(saved)
}

/// The file that is there, if it is the one that is wanted.
async fn already(target: &Target, ctx: &Context) -> Result<Option<Saved>, Failure> {
    let Some(wanted) = target.sha256.clone() else { return Ok(None) };
    if !ctx.host.is_local() {
        return Ok(None);
    }
    let path = target.path.clone();
    work(ctx, move |watch| {
        let Ok(file) = std::fs::File::open(&path) else { return Ok(None) };
        let mut hashing = Hashing::new(file);
        if watch.copy(&mut hashing, &mut std::io::sink()).is_err() {
            return Ok(None);
        }
        let (_, sha256, bytes) = hashing.finish();
        Ok((sha256 == wanted).then_some(Saved { status: None, path, bytes, sha256 }))
    })
    .await
}

async fn stream(
    request: &Request,
    target: &Target,
    mut staging: tempfile::NamedTempFile,
    ctx: &Context,
) -> Result<(Saved, tempfile::NamedTempFile), Failure> {
    let client = client(request)?;
    // What is limited is each wait for more, not the whole: a big file takes its time.
    let late = || Failure::new(FailureKind::TimedOut, format!("{}: nothing came for {:?}", request.shown(), request.patience));
    let mut response = tokio::time::timeout(request.patience, send(&client, request, ctx)).await.map_err(|_| late())??;
    let status = response.status().as_u16();
    if !request.expect.allow(status) {
        return Err(refused(&read(response, request, ctx).await?, request, ctx));
    }
    let total = response.content_length();
    if let Some(total) = total {
        room(target, total, staging.path(), request)?;
    }
    let mut watch = Watch::of(ctx);
    watch.expect(total);
    let mut sha256 = Sha256::new();
    let mut bytes: u64 = 0;
    let full = |error: std::io::Error| io_failure("save to", &target.path, &error);
    while let Some(chunk) = tokio::time::timeout(request.patience, response.chunk())
        .await
        .map_err(|_| late())?
        .map_err(|error| failure(&error, request, ctx))?
    {
        bytes += chunk.len() as u64;
        if bytes > target.max_bytes {
            return Err(too_big(target, request));
        }
        sha256.update(&chunk);
        staging.write_all(&chunk).map_err(full)?;
        watch.advance(chunk.len()).map_err(|_| Failure::new(FailureKind::Cancelled, "told to stop while downloading"))?;
    }
    let sha256 = hex(&sha256.finalize());
    if let Some(wanted) = &target.sha256
        && *wanted != sha256
    {
        let message = format!("{} is not the file that is expected: its SHA-256 is {sha256}, not {wanted}", request.shown());
        return Err(Failure::new(FailureKind::Failed, message)
            .help("check the address and the digest with the vendor; somebody may have put another file there"));
    }
    Ok((Saved { status: Some(status), path: target.path.clone(), bytes, sha256 }, staging))
}

fn room(target: &Target, total: u64, staging: &Path, request: &Request) -> Result<(), Failure> {
    if total > target.max_bytes {
        return Err(too_big(target, request));
    }
    let free = local_file::space(local_file::parent(staging))?.free;
    if total > free {
        let message =
            format!("{} is {total} bytes long, and there are {free} free for `{}`", request.shown(), target.path.display());
        return Err(Failure::new(FailureKind::Failed, message).help("free some space there, then resume"));
    }
    Ok(())
}

fn too_big(target: &Target, request: &Request) -> Failure {
    Failure::new(FailureKind::Failed, format!("{} is longer than `max_bytes` ({}) allows", request.shown(), target.max_bytes))
}

fn keep(mut staging: tempfile::NamedTempFile, path: &Path, attributes: &Attributes) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |error: std::io::Error| io_failure("save to", path, &error);
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        // Somebody's link stays a link: the content goes where it leads.
        std::io::Seek::rewind(&mut staging).map_err(failed)?;
        return local_file::write(path, staging.as_file_mut(), attributes);
    }
    let mode = attributes.mode.unwrap_or(0o644);
    staging.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    staging.as_file().sync_all().map_err(failed)?;
    staging.persist(path).map_err(|error| failed(error.error))?;
    local_file::sync_dir(local_file::parent(path))
}
