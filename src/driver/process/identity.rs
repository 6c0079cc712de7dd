//! Which process a pid file means, and whether it still is that one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::driver::{Context, Failure, FailureKind};

const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// What a pid file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Process id, and id of its process group and session.
    pub(crate) pid: i32,
    /// When it started, in clock ticks since the boot.
    pub(crate) start: u64,
    /// Which boot.
    pub(crate) boot: String,
    /// Digest of its command.
    pub(crate) command: String,
    /// When it was started, in seconds since 1970.
    pub(crate) since: i64,
}

/// Whether a service lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Life {
    /// It does.
    Running(Record),
    /// It ended, but others of its process group live.
    Orphans(Record),
    /// Nothing of it is left (its pid may be another process's now).
    Gone,
}

/// Looks whether the service of a pid file lives.
pub(crate) async fn life(ctx: &Context, pid_file: &str) -> Result<Life, Failure> {
    let Some(content) = ctx.host.read(Path::new(pid_file), 1 << 16).await? else { return Ok(Life::Gone) };
    let record: Record = match serde_json::from_slice(&content.bytes) {
        Ok(record) => record,
        Err(error) => {
            return Err(Failure::new(FailureKind::Failed, format!("`{pid_file}` is not a pid file of Windlass: {error}"))
                .help("give the service a pid file of its own; the product's own pid file has to be another one"));
        }
    };
    // Signalling group 1 or 0 or a negative one would reach every process there is.
    if record.pid <= 1 {
        return Err(Failure::new(
            FailureKind::Failed,
            format!("`{pid_file}` names process {}, which no service can be", record.pid),
        ));
    }
    // Where that cannot be read now, the process may live.
    let boot = ctx.host.read(Path::new(BOOT), 1 << 10).await?;
    let boot = boot.ok_or_else(|| Failure::new(FailureKind::Failed, format!("cannot read `{BOOT}`: it does not exist")))?;
    if String::from_utf8_lossy(&boot.bytes).trim() != record.boot {
        return Ok(Life::Gone);
    }
    match read(ctx, &format!("/proc/{}/stat", record.pid)).await?.as_deref().and_then(state_and_start) {
        Some((_, start)) if start != record.start => Ok(Life::Gone),
        Some((state, _)) if !matches!(state, 'Z' | 'X') => Ok(Life::Running(record)),
        _ => Ok(if group_lives(ctx, record.pid).await? { Life::Orphans(record) } else { Life::Gone }),
    }
}

/// Reads a small file of the kernel; a process that ends while it is read is as if it had not been there.
async fn read(ctx: &Context, path: &str) -> Result<Option<String>, Failure> {
    match ctx.host.read(Path::new(path), 1 << 16).await {
        Ok(content) => Ok(content.map(|content| String::from_utf8_lossy(&content.bytes).into_owned())),
        Err(failure) if failure.kind == FailureKind::Failed => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The state and the start time of `/proc/PID/stat`; the program's name before them may hold anything.
pub(super) fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.first()?.chars().next()?, fields.get(19)?.parse().ok()?))
}

/// Whether anybody but zombies is in the process group.
async fn group_lives(ctx: &Context, group: i32) -> Result<bool, Failure> {
    // A zombie answers `kill -0` too, so the states are read instead.
    const SCRIPT: &str = r#"for stat in /proc/[0-9]*/stat; do
    read -r line 2>/dev/null < "$stat" || continue
    set -f; set -- "$1" ${line##*) }; set +f
    [ "$4" = "$1" ] && [ "$2" != Z ] && exit 0
done
exit 1"#;
    Ok(ctx.look(["/bin/sh", "-c", SCRIPT, "sh", &group.to_string()]).await?.ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_spaces_and_brackets_is_skipped() {
        let rest = "S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1";
        assert_eq!(state_and_start(&format!("42 (a b) (c) {rest}")), Some(('S', 987_654)));
        assert_eq!(state_and_start("42 (cut"), None);
        assert_eq!(state_and_start("42 (x) S 1"), None);
        assert_eq!(state_and_start(""), None);
    }
}
