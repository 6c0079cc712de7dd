//! What a backup says about itself: its entry and, line by line, its manifest.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::driver::http::whole;
use crate::driver::{Failure, FailureKind};
use crate::lang::Value;

/// Version of the layout.
pub(super) const LAYOUT: u32 = 1;

/// A backup, as `entry.json` beside its data says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// [`LAYOUT`].
    pub(super) layout: u32,
    /// Names the backup in its repository.
    pub(super) id: String,
    /// How it was made.
    pub(super) method: String,
    /// The folder that was backed up.
    pub(super) path: String,
    /// Only these files of it, where not all.
    pub(super) files: Option<Vec<String>>,
    /// What was left out.
    pub(super) exclude: Vec<String>,
    /// What the caller wrote on it.
    pub(super) labels: BTreeMap<String, String>,
    /// When it was begun.
    pub(super) at: Timestamp,
    /// Lines of the manifest.
    pub(super) entries: u64,
    /// Bytes in the files.
    pub(super) bytes: u64,
    /// Bytes of the data as stored.
    pub(super) size: u64,
    /// SHA-256 of the data as stored.
    pub(super) data_sha256: String,
    /// SHA-256 of the manifest.
    pub(super) manifest_sha256: String,
    /// Whether nothing changed while it was made.
    pub(super) consistent: bool,
    /// What changed.
    pub(super) changed: Vec<String>,
    /// Sockets, pipes and devices, which it does not hold.
    pub(super) skipped: Vec<String>,
    /// Permission bits of the folder itself.
    pub(super) mode: u32,
    /// User id and group id of the folder itself.
    pub(super) owner: (u32, u32),
    /// When it was last read back and found right.
    pub(super) verified: Option<Timestamp>,
    /// Whether what writes there ran meanwhile.
    #[serde(default)]
    pub(super) running: bool,
    /// The matched set that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) set: Option<SetPart>,
    /// What was left out, by the name of the set of patterns.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) excluded: BTreeMap<String, Vec<String>>,
    /// Restic: the snapshot in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) snapshot: Option<String>,
    /// A snapshot that is kept as it is: what its command calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<String>,
    /// A snapshot that is kept as it is: the commands by which it is checked and deleted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) commands: BTreeMap<String, Vec<String>>,
}

/// A part of a matched set: backups that belong together and are good only together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetPart {
    /// Names the set.
    pub(crate) name: String,
    /// Which part this is.
    pub(crate) part: String,
    /// All parts that the set needs; none are named where nobody said.
    pub(crate) parts: Vec<String>,
}

impl SetPart {
    /// What `result.backup.set` is.
    pub(crate) fn value(&self) -> Value {
        Value::object([
            ("name", Value::string(&self.name)),
            ("part", Value::string(&self.part)),
            ("parts", Value::list(self.parts.iter().map(Value::string))),
        ])
    }
}

impl Entry {
    /// Whether a restore may take it unasked: it was read back, and what it holds fits together.
    pub(super) fn is_good(&self) -> bool {
        self.verified.is_some() && self.consistent
    }

    /// Whether its data has the size and its manifest the digest that they had; `None`: it is not there.
    pub(super) fn check_found(&self, folder: &Path, data: Option<u64>, manifest: Option<String>) -> Result<(), Failure> {
        let why = match (data, manifest) {
            (None, _) => "its data is not there".to_owned(),
            (Some(size), _) if size != self.size => format!("its data has {size} bytes, and had {}", self.size),
            (_, None) => "its manifest is not there".to_owned(),
            (_, Some(digest)) if digest != self.manifest_sha256 => "its manifest is another than when it was made".to_owned(),
            _ => return Ok(()),
        };
        Err(Failure::new(FailureKind::Failed, format!("the backup `{}` is damaged: {why}", folder.display()))
            .help("use an older backup, and check the disk that the repository lies on"))
    }

    /// What `result.backup` is, and the items of `result.backups`.
    pub(super) fn value(&self, repository: &Path) -> Value {
        let texts = |texts: &[String]| Value::list(texts.iter().map(Value::string));
        let optional = |text: &Option<String>| text.as_ref().map_or(Value::Null, Value::string);
        Value::object([
            ("id", Value::string(&self.id)),
            ("location", Value::string(repository.to_string_lossy())),
            ("method", Value::string(&self.method)),
            ("size", whole(self.size)),
            ("verified", self.verified.is_some().into()),
            ("path", Value::string(&self.path)),
            ("at", Value::string(self.at.to_string())),
            ("bytes", whole(self.bytes)),
            ("entries", whole(self.entries)),
            ("consistent", self.consistent.into()),
            ("set", self.set.as_ref().map_or(Value::Null, SetPart::value)),
            ("exclude", texts(&self.exclude)),
            ("excluded", Value::object(self.excluded.iter().map(|(name, patterns)| (name, texts(patterns))))),
            ("snapshot", optional(&self.snapshot)),
            ("reference", optional(&self.reference)),
            ("labels", Value::object(self.labels.iter().map(|(name, value)| (name, Value::string(value))))),
        ])
    }
}

/// One line of the manifest, in the order of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Relative path; what is not UTF-8 stands in base64 after `base64:`.
    pub(super) path: String,
    /// What it is.
    pub(super) kind: Kind,
    /// Bytes.
    pub(super) size: u64,
    /// Permission bits.
    pub(super) mode: u32,
    /// User id.
    pub(super) uid: u32,
    /// Group id.
    pub(super) gid: u32,
    /// Seconds and nanoseconds since 1970 when it was changed.
    pub(super) mtime: (i64, u32),
    /// SHA-256 of a file's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    /// Where a link leads, written as `path` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<String>,
}

/// Kinds of line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of a file that came before.
    HardLink,
}

const BASE64: &str = "base64:";

/// A path as text, so that it comes back byte by byte.
pub(super) fn encode(path: &Path) -> String {
    match path.to_str() {
        Some(text) if !text.starts_with(BASE64) => text.to_owned(),
        _ => format!("{BASE64}{}", STANDARD.encode(path.as_os_str().as_bytes())),
    }
}

/// The path of a text; `None` where the text is damaged.
pub(super) fn decode(text: &str) -> Option<PathBuf> {
    match text.strip_prefix(BASE64) {
        None => Some(text.into()),
        Some(encoded) => Some(OsString::from_vec(STANDARD.decode(encoded).ok()?).into()),
    }
}

/// Whether a text can be an id: it names a folder.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_comes_back() {
        for bytes in [&b"plain"[..], b"a\nb", "é".as_bytes(), b"\xff\xfe", b"base64:aGk="] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            assert_eq!(decode(&encode(&path)), Some(path));
        }
    }

    #[test]
    fn an_id_never_leads_elsewhere() {
        for wrong in ["", ".", "..", "a/b", "a.partial", "é", &"a".repeat(65)] {
            assert!(!is_id(wrong), "{wrong}");
        }
    }
}
