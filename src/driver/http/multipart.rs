//! A body of several parts (`multipart/form-data`): fields, and files of the instance's host.
//!
//! Takes arguments, gives the whole body. Everything is held in memory, so there is an end to how much may be sent.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::driver::transfer::hex;
use crate::driver::{Args, Context, Failure, FailureKind};
use crate::lang::Value;

/// More than this is not sent in one request.
const MOST: u64 = 512 << 20;

/// What `multipart` says.
pub(super) struct Multipart {
    fields: BTreeMap<String, String>,
    files: Vec<Attached>,
}

/// A file that goes along.
struct Attached {
    field: String,
    path: String,
    name: String,
    kind: String,
}

impl Multipart {
    /// Reads the argument, where it is given.
    pub(super) fn of(args: &Args<'_>) -> Result<Option<Self>, Failure> {
        let Some(given) = args.object("multipart")? else { return Ok(None) };
        given.only("multipart", &["fields", "files"])?;
        let mut files = Vec::new();
        if let Some(all) = given.object("files")? {
            for field in all.names() {
                let attached = match all.value(field) {
                    None => continue,
                    Some(Value::Object(_)) => match all.object(field)? {
                        Some(file) => {
                            file.only(&format!("multipart.files.{field}"), &["path", "name", "type"])?;
                            (file.needed_path("path")?, file.text("name")?, file.text("type")?)
                        }
                        None => continue,
                    },
                    Some(_) => (all.needed_path(field)?, None, None),
                };
                let (path, name, kind) = attached;
                let last = || Path::new(&path).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let name = name.unwrap_or_else(last);
                let kind = kind.unwrap_or_else(|| "application/octet-stream".to_owned());
                if kind.contains(|c: char| c.is_control()) {
                    return Err(args.invalid(format_args!("`multipart.files.{field}.type` holds what a header cannot carry")));
                }
                files.push(Attached { field: field.to_owned(), path, name, kind });
            }
        }
        Ok(Some(Self { fields: given.map("fields")?, files }))
    }

    /// The body and its content type.
    pub(super) async fn body(&self, ctx: &Context) -> Result<(Vec<u8>, String), Failure> {
        let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, text) in &self.fields {
            parts.push((format!("Content-Disposition: form-data; name=\"{}\"\r\n", quoted(name)), text.clone().into_bytes()));
        }
        let mut room = MOST;
        for Attached { field, path, name, kind } in &self.files {
            let Some(content) = ctx.host.read(Path::new(path), room).await? else {
                let message = format!("cannot send `{path}`: it is not there on {}", ctx.host.name());
                return Err(Failure::new(FailureKind::Failed, message));
            };
            if content.truncated {
                let message = format!("cannot send `{path}`: all files together are longer than {} MiB", MOST >> 20);
                return Err(Failure::new(FailureKind::Invalid, message)
                    .help("upload it with the driver `exec` and a tool of the host, such as `curl`"));
            }
            room -= content.bytes.len() as u64;
            let head = format!(
                "Content-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {kind}\r\n",
                quoted(field),
                quoted(name)
            );
            parts.push((head, content.bytes));
        }
        let boundary = boundary(&parts);
        let mut body = Vec::with_capacity(parts.iter().map(|(head, content)| head.len() + content.len() + 80).sum::<usize>() + 80);
        for (head, content) in &parts {
            body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n").as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Ok((body, format!("multipart/form-data; boundary={boundary}")))
    }
}

/// What no part can hold, because it is made of all of them.
fn boundary(parts: &[(String, Vec<u8>)]) -> String {
    let mut all = Sha256::new();
    for (head, content) in parts {
        all.update(head.as_bytes());
        all.update(content);
    }
    format!("windlass-{}", &hex(&all.finalize())[..40])
}

/// A name as browsers write it into a header.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
