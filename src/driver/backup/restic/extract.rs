//! Writes a backup into an empty folder, on all processors: every content is compared with its name before it is written.
#![expect(clippy::disallowed_methods, reason = "a door: writes the files")]

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustic_core::repofile::{Node, NodeType};
use rustic_core::{DataId, IndexedFullStatus, Repository};

use super::super::entry::{Entry, Kind, Line, encode};
use super::super::readback::{compare, owner};
use super::meter::Meter;
use super::readback::{Contents, each};
use super::reading::permissions;
use crate::driver::archive::tree::{Limits, Meta, Tree, clean};
use crate::driver::host::io_failure;
use crate::driver::transfer::Watch;
use crate::driver::{Failure, FailureKind};

/// How many parts of a file one thread writes at a time: of about a mebibyte each.
const PARTS: usize = 64;

/// A stretch of a file.
struct Stretch<'a> {
    path: PathBuf,
    begin: u64,
    parts: &'a [DataId],
}

/// Extracts; gives the relative paths of the files.
pub(super) fn extract(
    repository: &Repository<IndexedFullStatus>,
    contents: &Contents,
    entry: &Entry,
    into: &Path,
    watch: &mut Watch,
) -> Result<Vec<PathBuf>, Failure> {
    let limits = Limits { max_bytes: u64::MAX, max_entries: u64::MAX, trusted: true };
    let mut tree = Tree::new(into.to_owned(), limits);
    let mut stretches = Vec::new();
    let mut files = Vec::new();
    let mut lines = Vec::new();
    let mut names: HashMap<(u64, u64), PathBuf> = HashMap::new();
    for (path, node) in &contents.nodes {
        if entry.files.is_some() && node.is_dir() {
            continue;
        }
        if !clean(path, 0).is_ok_and(|clean| clean.as_ref() == Some(path)) {
            return Err(Failure::new(FailureKind::Failed, format!("the backup `{}` holds a senseless path", entry.id)));
        }
        let line = line(path, node);
        let meta = Meta { mode: line.mode, modified: modified(node), owner: owner(&line) };
        match &node.node_type {
            NodeType::Dir => tree.directory(path, meta)?,
            NodeType::Symlink { .. } => tree.symlink(path, node.node_type.to_link(), meta.owner)?,
            NodeType::File => {
                files.push(path.clone());
                let several = node.meta.links > 1 && node.meta.device_id != 0;
                if several && let Some(first) = names.get(&(node.meta.device_id, node.meta.inode)) {
                    tree.hard_link(path, first)?;
                    lines.push((path.clone(), Line { kind: Kind::HardLink, ..line }));
                    continue;
                }
                if several {
                    names.insert((node.meta.device_id, node.meta.inode), path.clone());
                }
                let full = tree.prepare(path, node.meta.size, meta)?;
                stretches.extend(cut(repository, full, node)?);
            }
            _ => continue,
        }
        lines.push((path.clone(), line));
    }
    watch.expect(Some(entry.bytes));
    let meter = Meter::of(watch);
    each(&stretches, watch, |stretch| write(repository, contents, stretch, &meter))?;
    tree.finish()?;
    compare(into, &lines, entry.files.is_some())?;
    Ok(files)
}

/// A file in stretches of about the same length, so that a long one is written by all processors too.
fn cut<'a>(repository: &Repository<IndexedFullStatus>, path: PathBuf, node: &'a Node) -> Result<Vec<Stretch<'a>>, Failure> {
    let parts = node.content.as_deref().unwrap_or_default();
    let mut begin = 0;
    let mut stretches = Vec::with_capacity(parts.len().div_ceil(PARTS));
    for chunk in parts.chunks(PARTS) {
        let stretch = Stretch { path: path.clone(), begin, parts: chunk };
        for part in chunk {
            let entry = repository.get_index_entry(part);
            let entry =
                entry.map_err(|_| Failure::new(FailureKind::Failed, format!("a part of `{}` is missing", path.display())))?;
            begin += u64::from(entry.data_length());
        }
        stretches.push(stretch);
    }
    Ok(stretches)
}

fn write(
    repository: &Repository<IndexedFullStatus>,
    contents: &Contents,
    stretch: &Stretch<'_>,
    meter: &Meter,
) -> Result<(), Failure> {
    let Stretch { path, begin, parts } = stretch;
    let failed = |error: std::io::Error| io_failure("write", path, &error);
    let file = File::options().write(true).open(path).map_err(failed)?;
    let mut at = *begin;
    for part in *parts {
        let bytes = contents.content(repository, *part)?;
        // The file has its length already: what is not written is a hole.
        if bytes.iter().any(|byte| *byte != 0) {
            file.write_all_at(&bytes, at).map_err(failed)?;
        }
        at += bytes.len() as u64;
        meter.add(bytes.len() as u64);
    }
    Ok(())
}

fn modified(node: &Node) -> Option<SystemTime> {
    node.meta.mtime.map(SystemTime::from)
}

/// A node as a line of the manifest that the tree is compared with in the end.
fn line(path: &Path, node: &Node) -> Line {
    let kind = match node.node_type {
        NodeType::Dir => Kind::Directory,
        NodeType::Symlink { .. } => Kind::Symlink,
        _ => Kind::File,
    };
    let mtime = node.meta.mtime.map_or((0, 0), |time| {
        (
            time.as_nanosecond().div_euclid(1_000_000_000) as i64,
            u32::try_from(time.as_nanosecond().rem_euclid(1_000_000_000)).unwrap_or(0),
        )
    });
    Line {
        path: encode(path),
        kind,
        size: node.meta.size,
        mode: permissions(node.meta.mode.unwrap_or(0o600)),
        uid: node.meta.uid.unwrap_or(0),
        gid: node.meta.gid.unwrap_or(0),
        mtime,
        sha256: None,
        target: node.is_symlink().then(|| encode(node.node_type.to_link())),
    }
}
