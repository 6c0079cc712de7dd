//! What an attempt has deleted already, kept in its folder: an attempt that goes on after a crash does not begin to count anew.

use crate::driver::host::local::private_dir;
use crate::driver::host::{Attributes, local_file};
use crate::driver::{Context, Failure, FailureKind};

const NAME: &str = "deleted.json";

/// The names of the pods, one entry for each deletion.
pub(super) fn read(ctx: &Context) -> Result<Vec<String>, Failure> {
    let Some(dir) = ctx.dir.as_ref() else { return Ok(Vec::new()) };
    let found = local_file::read(&dir.join(NAME), 1024 * 1024)?;
    Ok(found.and_then(|content| serde_json::from_slice(&content.bytes).ok()).unwrap_or_default())
}

/// Keeps them.
pub(super) fn write(ctx: &Context, deleted: &[String]) -> Result<(), Failure> {
    let Some(dir) = ctx.dir.as_ref() else { return Ok(()) };
    let bytes = serde_json::to_vec(deleted)
        .map_err(|error| Failure::new(FailureKind::Failed, format!("cannot note what was deleted: {error}")))?;
    local_file::write(&private_dir(dir)?.join(NAME), &mut bytes.as_slice(), &Attributes { mode: Some(0o600), owner: None })
}
