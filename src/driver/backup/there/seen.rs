//! What is backed up on another machine: which folder is meant, and what lies in it, as its `find` tells.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{LIST, There, failed, text};
use crate::driver::archive::tree::clean;
use crate::driver::archive::walk::globs;
use crate::driver::backup::entry::{Kind, Line, encode};
use crate::driver::backup::restore::SIDECARS;
use crate::driver::backup::source::Asked;
use crate::driver::host::{self, Command};
use crate::driver::{Failure, FailureKind};

/// The source that a path (and perhaps files in it) means.
pub(super) struct Seen {
    pub(super) root: PathBuf,
    pub(super) files: Option<Vec<PathBuf>>,
    pub(super) exclude: Vec<String>,
    pub(super) excluded: BTreeMap<String, Vec<String>>,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
}

/// Something below the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    path: PathBuf,
    kind: Kind,
    size: u64,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, u32),
    /// A file's content is the same as long as this is.
    stamp: String,
    target: Option<PathBuf>,
}

/// Whether an item has content of its own: another name of a file has not.
pub(super) fn has_content(item: &Item) -> bool {
    item.kind == Kind::File
}

/// What was found, in the order of the names.
pub(super) struct Listed {
    items: Vec<Item>,
    pub(super) skipped: Vec<String>,
    pub(super) bytes: u64,
}

impl Seen {
    pub(super) async fn of(there: &There<'_>, asked: &Asked) -> Result<Self, Failure> {
        let invalid = |message: &str| Failure::new(FailureKind::Invalid, format!("backup: {message}"));
        let Asked { path, files, exclude, sets } = asked;
        let exclude: Vec<String> = exclude.iter().chain(sets.values().flatten()).cloned().collect();
        let mut root = there.real(path, true).await?;
        let mut wanted: Option<Vec<PathBuf>> = None;
        let is_folder = |stat: Option<host::Stat>| stat.is_some_and(|stat| stat.kind == host::Kind::Directory);
        if !is_folder(there.ctx.host.stat(&root, true).await?) {
            if !files.is_empty() || !exclude.is_empty() {
                return Err(invalid("`files` and `exclude` need a `path` that is a directory"));
            }
            let name = root.file_name().map(PathBuf::from).ok_or_else(|| invalid("the root folder is no file"))?;
            root.pop();
            wanted = Some(vec![name]);
        } else if !files.is_empty() {
            if !exclude.is_empty() {
                return Err(invalid("only one of `files`, `exclude` can be given"));
            }
            let below = |file: &String| match clean(Path::new(file), 0) {
                Ok(Some(file)) => Ok(file),
                _ => Err(invalid(&format!("`files` holds `{}`, which is not below `path`", file.escape_debug()))),
            };
            wanted = Some(files.iter().map(below).collect::<Result<_, _>>()?);
        }
        if let Some(files) = &mut wanted {
            for file in files.clone() {
                for sidecar in SIDECARS {
                    let mut name = OsString::from(&file);
                    name.push(sidecar);
                    if there.ctx.host.stat(&root.join(&name), false).await?.is_some() {
                        files.push(name.into());
                    }
                }
            }
            files.sort();
            files.dedup();
        }
        let repository = there.real(&there.dir, false).await?;
        if let (Ok(inside), None) = (repository.strip_prefix(&root), &wanted) {
            let globs = globs(&exclude).map_err(|error| invalid(&error.to_string()))?;
            if !inside.ancestors().any(|above| globs.is_match(above)) {
                return Err(invalid("`repository` lies inside of what is backed up")
                    .help("let it lie elsewhere, best on another disk, or exclude it"));
            }
        }
        let stat = there.ctx.host.stat(&root, true).await?.ok_or_else(|| failed(format!("`{}` is gone", root.display())))?;
        Ok(Self { root, files: wanted, exclude, excluded: sets.clone(), mode: stat.mode, owner: (stat.uid, stat.gid) })
    }

    /// What there is now.
    pub(super) async fn list(&self, there: &There<'_>) -> Result<Listed, Failure> {
        let argv = ["find".to_owned(), text(&self.root)? + "/", "-mindepth".to_owned(), "1".to_owned(), "-printf".to_owned()];
        let command = argv.into_iter().chain(["%y %s %m %U %G %T@ %C@ %D:%i %n\\0%P\\0%l\\0".to_owned()]);
        let command = Command { stream: false, keep: LIST, ..Command::new(command) };
        let output = there.ctx.host.run(&command, there.ctx).await?;
        if !output.ok() || output.stdout.truncated() {
            let words = if output.ok() { "there are too many names".to_owned() } else { output.last_words() };
            return Err(failed(format!("cannot list `{}` on {}: {words}", self.root.display(), there.ctx.host.name())));
        }
        let exclude = globs(&self.exclude).map_err(|error| Failure::new(FailureKind::Invalid, error.to_string()))?;
        let is_meant = |path: &Path| match &self.files {
            Some(files) => files.iter().any(|file| file == path),
            None => !path.ancestors().filter(|above| !above.as_os_str().is_empty()).any(|above| exclude.is_match(above)),
        };
        let listed = Listed::of(&output.stdout.bytes, is_meant)?;
        if let Some(files) = &self.files
            && let Some(missing) =
                files.iter().find(|file| !listed.items.iter().any(|item| item.path == **file && item.kind == Kind::File))
        {
            return Err(failed(format!("`{}` is not a regular file", self.root.join(missing).display())));
        }
        Ok(listed)
    }
}

impl Listed {
    fn of(printed: &[u8], is_meant: impl Fn(&Path) -> bool) -> Result<Self, Failure> {
        let mut fields: Vec<&[u8]> = printed.split(|byte| *byte == 0).collect();
        fields.pop();
        let mut found = Vec::new();
        let mut skipped = Vec::new();
        for three in fields.chunks_exact(3) {
            let path = PathBuf::from(OsStr::from_bytes(three[1]));
            if !is_meant(&path) {
                continue;
            }
            let head = String::from_utf8_lossy(three[0]).into_owned();
            if !head.starts_with(['f', 'd', 'l']) {
                skipped.push(encode(&path));
                continue;
            }
            let item = item(&head, path, three[2]).ok_or_else(|| failed(format!("cannot understand what `find` says: {head}")))?;
            found.push(item);
        }
        found.sort_by(|(a, ..), (b, ..)| a.path.cmp(&b.path));
        skipped.sort();
        // What comes first is the file, what follows with the same number is another name of it: as tar has it.
        let mut names: HashMap<String, PathBuf> = HashMap::new();
        let mut listed = Self { items: Vec::with_capacity(found.len()), skipped, bytes: 0 };
        for (mut item, inode, links) in found {
            if item.kind == Kind::File && links > 1 {
                match names.get(&inode) {
                    Some(first) => (item.kind, item.target) = (Kind::HardLink, Some(first.clone())),
                    None => drop(names.insert(inode, item.path.clone())),
                }
            }
            if item.kind == Kind::File {
                listed.bytes += item.size;
            }
            listed.items.push(item);
        }
        Ok(listed)
    }

    /// The names, each ended by a NUL.
    pub(super) fn names(&self, which: impl Fn(&Item) -> bool) -> Vec<u8> {
        let mut names = Vec::new();
        for item in self.items.iter().filter(|item| which(item)) {
            names.extend_from_slice(item.path.as_os_str().as_bytes());
            names.push(0);
        }
        names
    }

    /// How many there are.
    pub(super) fn count(&self, which: impl Fn(&Item) -> bool) -> usize {
        self.items.iter().filter(|item| which(item)).count()
    }

    /// The paths of what is not as it was.
    pub(super) fn changes(&self, after: &Self) -> Vec<String> {
        let mut old: BTreeMap<&Path, &Item> = self.items.iter().map(|item| (item.path.as_path(), item)).collect();
        // A folder's time follows from what is in it.
        let same = |was: &Item, is: &Item| match is.kind {
            Kind::File | Kind::HardLink => was == is,
            Kind::Directory | Kind::Symlink => (was.kind, was.mode, &was.target) == (is.kind, is.mode, &is.target),
        };
        let mut changed = Vec::new();
        for item in &after.items {
            match old.remove(item.path.as_path()) {
                Some(was) if same(was, item) => {}
                _ => changed.push(encode(&item.path)),
            }
        }
        changed.extend(old.into_keys().map(encode));
        changed.sort();
        changed
    }

    /// The manifest; `digests` are those of the files with content of their own.
    pub(super) fn lines(&self, digests: &[String]) -> Vec<Line> {
        let mut digests = digests.iter();
        let line = |item: &Item| Line {
            path: encode(&item.path),
            kind: item.kind,
            size: if item.kind == Kind::File { item.size } else { 0 },
            mode: item.mode,
            uid: item.owner.0,
            gid: item.owner.1,
            mtime: item.mtime,
            sha256: if item.kind == Kind::File { digests.next().cloned() } else { None },
            target: item.target.as_deref().map(encode),
        };
        self.items.iter().map(line).collect()
    }
}

/// Reads what `find` prints of one: the item, which file it is, and how many names that has.
fn item(head: &str, path: PathBuf, target: &[u8]) -> Option<(Item, String, u64)> {
    let words: Vec<&str> = head.split(' ').collect();
    let [kind, size, mode, uid, gid, mtime, ctime, inode, links] = words.as_slice() else { return None };
    let kind = match *kind {
        "f" => Kind::File,
        "d" => Kind::Directory,
        _ => Kind::Symlink,
    };
    let (seconds, nanos) = mtime.split_once('.').unwrap_or((mtime, "0"));
    let nanos: String = nanos.chars().chain("000000000".chars()).take(9).collect();
    let item = Item {
        path,
        kind,
        size: size.parse().ok()?,
        mode: u32::from_str_radix(mode, 8).ok()?,
        owner: (uid.parse().ok()?, gid.parse().ok()?),
        mtime: (seconds.parse().ok()?, nanos.parse().ok()?),
        stamp: format!("{ctime} {inode}"),
        target: (kind == Kind::Symlink).then(|| PathBuf::from(OsStr::from_bytes(target))),
    };
    Some((item, (*inode).to_owned(), links.parse().ok()?))
}

/// What changed while it was backed up.
pub(super) fn inconsistent(root: &Path, changed: &[String]) -> Failure {
    let first = changed.iter().take(10).map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
    let more = if changed.len() > 10 { " and more" } else { "" };
    failed(format!("`{}` changed while it was backed up: {first}{more}", root.display()))
        .help("stop what writes there first, exclude what may change, or write `running = true` for a first pass")
}
