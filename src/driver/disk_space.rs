//! `disk_space`: how much room there is on the file system of a path, and whether that is enough.

use std::path::Path;

use async_trait::async_trait;

use super::{Args, Context, Driver, Failure, FailureKind};
use crate::lang::{Object, Value};
use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct DiskSpace;

const SCHEMA: DriverSchema = DriverSchema {
    name: "disk_space",
    summary: "Tells how much room there is on the file system of a path, and fails where it is not enough.",
    args: &[
        ArgSchema {
            name: "path",
            ty: "string",
            required: true,
            summary: "Absolute path. Where it is not there yet, the nearest directory above it counts.",
        },
        ArgSchema {
            name: "required",
            ty: "any",
            required: false,
            summary: "So much must be free: a number of bytes or a size like \"20GiB\".",
        },
    ],
    results: &[
        ResultSchema { name: "free", ty: "number", summary: "Bytes that an ordinary user may still use." },
        ResultSchema { name: "total", ty: "number", summary: "Bytes of the file system." },
        ResultSchema { name: "path", ty: "string", summary: "The path that was looked at." },
    ],
    observes: true,
};

#[async_trait]
impl Driver for DiskSpace {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("disk_space", args);
        let asked = args.needed_path("path")?;
        let required = args.bytes("required")?;
        let mut path = Path::new(&asked);
        while ctx.host.stat(path, true).await?.is_none() {
            match path.parent() {
                Some(above) => path = above,
                None => break,
            }
        }
        let space = ctx.host.space(path).await?;
        let result = Value::object([
            ("free", space.free.into()),
            ("total", space.total.into()),
            ("path", Value::string(path.to_string_lossy())),
        ]);
        match required {
            Some(required) if space.free < required => Err(Failure::new(
                FailureKind::Failed,
                format!(
                    "`{}` on {} has {} free of {}, and {} are needed",
                    path.display(),
                    ctx.host.name(),
                    size_text(space.free),
                    size_text(space.total),
                    size_text(required)
                ),
            )
            .help(format!("free {} there", size_text(required - space.free)))
            .detail(result)),
            _ => Ok(result),
        }
    }
}

/// A size as people write it, rounded down to a tenth of its unit.
fn size_text(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1024 => return format!("{bytes} B"),
        1024..1_048_576 => (1_u64 << 10, "KiB"),
        1_048_576..1_073_741_824 => (1 << 20, "MiB"),
        1_073_741_824..1_099_511_627_776 => (1 << 30, "GiB"),
        _ => (1 << 40, "TiB"),
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::driver::testing::{args, detail, observing};

    #[tokio::test]
    async fn room_is_seen_where_the_path_is_not_there_yet() {
        let result = DiskSpace.run(&args(json!({"path": "/no/such/dir", "required": "1B"})), &observing()).await.unwrap();
        assert_eq!(result.get("path").unwrap().as_str(), Some("/"));
    }

    #[tokio::test]
    async fn too_little_room_is_said_with_figures() {
        let error = DiskSpace.run(&args(json!({"path": "/", "required": "4000TiB"})), &observing()).await.unwrap_err();
        assert!(error.message.contains("and 4000.0 TiB are needed"), "{error}");
        assert!(matches!(detail(&error, "free"), Value::Number(_)));
    }

    #[test]
    fn sizes_are_rounded_down() {
        assert_eq!(size_text(1023), "1023 B");
        assert_eq!(size_text(1_048_575), "1023.9 KiB");
        assert_eq!(size_text(u64::MAX), "16777215.9 TiB");
    }
}
