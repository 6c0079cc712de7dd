//! Writes a tree of files below a fresh folder, and nothing outside of it.
//!
//! The invariant, kept by [`Tree::place`] and [`Tree::finish`]: every entry lies below directories that were made here (never behind
//! a symbolic link), no name is written twice, and no link that stays leads out of the folder (unless the tree is trusted).
//! Knows no archive format.
#![expect(clippy::disallowed_methods, reason = "a door: writes what is unpacked")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown, lchown};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use crate::driver::host::io_failure;
use crate::driver::transfer::{Hashing, Watch};
use crate::driver::{Failure, FailureKind};

/// What an entry is besides its content.
#[derive(Debug, Clone, Copy)]
pub(in crate::driver) struct Meta {
    /// Permission bits.
    pub(in crate::driver) mode: u32,
    /// When it was changed.
    pub(in crate::driver) modified: Option<SystemTime>,
    /// User id and group id, where they are to be set.
    pub(in crate::driver) owner: Option<(u32, u32)>,
}

/// What was made at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Made {
    Directory,
    File,
    Link(PathBuf),
}

/// How far an archive is trusted, and how much it may hold.
#[derive(Debug, Clone, Copy)]
pub(in crate::driver) struct Limits {
    /// Bytes in all.
    pub(in crate::driver) max_bytes: u64,
    /// Entries in all.
    pub(in crate::driver) max_entries: u64,
    /// Whether it is of our own making: links may lead anywhere and setuid stays.
    pub(in crate::driver) trusted: bool,
}

/// A folder that fills.
pub(in crate::driver) struct Tree {
    root: PathBuf,
    limits: Limits,
    made: BTreeMap<PathBuf, Made>,
    /// Set at the end, because a directory that is read-only cannot be filled and filling it changes its time.
    directories: Vec<(PathBuf, Meta)>,
    /// Set at the end, because filling a file changes its time.
    prepared: Vec<(PathBuf, Meta)>,
    bytes: u64,
    entries: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::driver) struct Written {
    pub(in crate::driver) entries: u64,
    pub(in crate::driver) bytes: u64,
}

/// An archive that is refused.
pub(in crate::driver) fn refused(why: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Failed, why)
        .help("the archive is damaged or was made to do harm: fetch it anew and compare its checksum with the vendor's")
}

/// The name of an entry as a path below the root: `None` where it is the root itself.
pub(in crate::driver) fn clean(name: &Path, strip: usize) -> Result<Option<PathBuf>, Failure> {
    let shown = || name.to_string_lossy().escape_debug().to_string();
    let mut clean = PathBuf::new();
    let mut skipped = 0;
    for component in name.components() {
        match component {
            Component::Normal(part) if skipped < strip && !part.is_empty() => skipped += 1,
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err(refused(format!("the entry `{}` leads out of the archive by `..`", shown()))),
            Component::RootDir | Component::Prefix(_) => {
                return Err(refused(format!("the entry `{}` has an absolute path", shown())));
            }
        }
    }
    if name.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(refused(format!("the entry `{}` has a NUL in its name", shown())));
    }
    Ok(if clean.as_os_str().is_empty() { None } else { Some(clean) })
}

impl Tree {
    /// An empty tree in a folder that is there, is empty and is nobody else's.
    pub(in crate::driver) fn new(root: PathBuf, limits: Limits) -> Self {
        Self { root, limits, made: BTreeMap::new(), directories: Vec::new(), prepared: Vec::new(), bytes: 0, entries: 0 }
    }

    fn count(&mut self) -> Result<(), Failure> {
        self.entries += 1;
        if self.entries > self.limits.max_entries {
            return Err(refused(format!("the archive has more than {} entries", self.limits.max_entries)));
        }
        Ok(())
    }

    /// Checks that something new may stand at `path`, and makes the directories above it.
    fn place(&mut self, path: &Path) -> Result<PathBuf, Failure> {
        self.count()?;
        let mut above = PathBuf::new();
        for part in path.parent().into_iter().flat_map(Path::components) {
            above.push(part);
            match self.made.get(&above) {
                Some(Made::Directory) => {}
                Some(_) => {
                    let message =
                        format!("the entry `{}` lies behind `{}`, which is no directory", path.display(), above.display());
                    return Err(refused(message));
                }
                None => {
                    self.count()?;
                    let full = self.root.join(&above);
                    fs::create_dir(&full).map_err(|error| io_failure("make the directory", &full, &error))?;
                    self.made.insert(above.clone(), Made::Directory);
                }
            }
        }
        if self.made.contains_key(path) {
            return Err(refused(format!("the archive has `{}` twice", path.display())));
        }
        Ok(self.root.join(path))
    }

    /// A directory. One that is there already is fine: archives often name them again.
    pub(in crate::driver) fn directory(&mut self, path: &Path, meta: Meta) -> Result<(), Failure> {
        if self.made.get(path) != Some(&Made::Directory) {
            let full = self.place(path)?;
            fs::create_dir(&full).map_err(|error| io_failure("make the directory", &full, &error))?;
            self.made.insert(path.to_owned(), Made::Directory);
        }
        self.directories.push((path.to_owned(), meta));
        Ok(())
    }

    /// A file with this content; gives its SHA-256 and size. `declared`: how long the archive says it is.
    pub(in crate::driver) fn file(
        &mut self,
        path: &Path,
        meta: Meta,
        declared: u64,
        content: &mut dyn Read,
        watch: &mut Watch,
    ) -> Result<(String, u64), Failure> {
        let room = self.limits.max_bytes.saturating_sub(self.bytes);
        if declared > room {
            return Err(self.too_big());
        }
        let full = self.place(path)?;
        let failed = |side: Side| match side {
            Side::Read(error) => unreadable(path, &error),
            Side::Write(error) => io_failure("write", &full, &error),
        };
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&full)
            .map_err(|error| io_failure("make", &full, &error))?;
        // One byte more than allowed shows that there is more.
        let mut content = Hashing::new(content.take(room.min(declared).saturating_add(1)));
        write_sparse(&mut content, &mut file, watch).map_err(failed)?;
        let (_, sha256, bytes) = content.finish();
        if bytes > room {
            return Err(self.too_big());
        }
        if bytes != declared {
            let message = format!("the entry `{}` is to be {declared} bytes long, and there are {bytes} or more", path.display());
            return Err(refused(message));
        }
        self.bytes += bytes;
        self.apply(&file, &full, meta)?;
        self.made.insert(path.to_owned(), Made::File);
        Ok((sha256, bytes))
    }

    /// A file of this length that the caller fills in (its parts in any order, on any thread) before the tree is finished. Its
    /// attributes are set at the end; gives where it stands.
    pub(in crate::driver) fn prepare(&mut self, path: &Path, size: u64, meta: Meta) -> Result<PathBuf, Failure> {
        if size > self.limits.max_bytes.saturating_sub(self.bytes) {
            return Err(self.too_big());
        }
        let full = self.place(path)?;
        let file = File::options().write(true).create_new(true).mode(0o600).open(&full);
        file.and_then(|file| file.set_len(size)).map_err(|error| io_failure("make", &full, &error))?;
        self.bytes += size;
        self.made.insert(path.to_owned(), Made::File);
        self.prepared.push((path.to_owned(), meta));
        Ok(full)
    }

    fn too_big(&self) -> Failure {
        refused(format!("the archive holds more than {} bytes", self.limits.max_bytes))
            .help("if it really is so big, raise `max_bytes`; else it is a decompression bomb")
    }

    /// Owner first: setting it takes setuid away.
    fn apply(&self, file: &File, full: &Path, meta: Meta) -> Result<(), Failure> {
        let failed = |error: io::Error| io_failure("set the attributes of", full, &error);
        if let Some((uid, gid)) = meta.owner {
            chown(full, Some(uid), Some(gid)).map_err(failed)?;
        }
        let bits = if self.limits.trusted { 0o7777 } else { 0o777 };
        file.set_permissions(Permissions::from_mode(meta.mode & bits)).map_err(failed)?;
        if let Some(modified) = meta.modified {
            file.set_modified(modified).map_err(failed)?;
        }
        Ok(())
    }

    /// A symbolic link; where it leads is judged at the end, when everything is there.
    pub(in crate::driver) fn symlink(&mut self, path: &Path, target: &Path, owner: Option<(u32, u32)>) -> Result<(), Failure> {
        if target.as_os_str().is_empty() || target.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(refused(format!("the link `{}` leads nowhere", path.display())));
        }
        let full = self.place(path)?;
        std::os::unix::fs::symlink(target, &full).map_err(|error| io_failure("make the link", &full, &error))?;
        if let Some((uid, gid)) = owner {
            lchown(&full, Some(uid), Some(gid)).map_err(|error| io_failure("set the owner of", &full, &error))?;
        }
        self.made.insert(path.to_owned(), Made::Link(target.to_owned()));
        Ok(())
    }

    /// Another name of a file that came before.
    pub(in crate::driver) fn hard_link(&mut self, path: &Path, target: &Path) -> Result<(), Failure> {
        if self.made.get(target) != Some(&Made::File) {
            let message =
                format!("`{}` is another name of `{}`, which is no file that came before it", path.display(), target.display());
            return Err(refused(message));
        }
        let full = self.place(path)?;
        fs::hard_link(self.root.join(target), &full).map_err(|error| io_failure("link", &full, &error))?;
        self.made.insert(path.to_owned(), Made::File);
        Ok(())
    }

    fn link(&self, path: &Path) -> Option<&Path> {
        match self.made.get(path) {
            Some(Made::Link(target)) => Some(target),
            _ => None,
        }
    }

    /// Checks every link, sets the directories' attributes and makes all durable.
    pub(in crate::driver) fn finish(self) -> Result<Written, Failure> {
        if !self.limits.trusted {
            for (path, made) in &self.made {
                if let Made::Link(target) = made
                    && !stays_inside(path, |path| self.link(path))
                {
                    let message = format!("the link `{}` leads out of the archive, to `{}`", path.display(), target.display());
                    return Err(refused(message));
                }
            }
        }
        for (path, meta) in &self.prepared {
            let full = self.root.join(path);
            let file = File::options().write(true).open(&full).map_err(|error| io_failure("open", &full, &error))?;
            self.apply(&file, &full, *meta)?;
        }
        // Deepest first, so that closing a directory does not shut out those below it.
        let mut directories = self.directories.clone();
        directories.sort_by(|(a, _), (b, _)| b.cmp(a));
        for (path, meta) in directories {
            let full = self.root.join(&path);
            let directory = File::open(&full).map_err(|error| io_failure("open", &full, &error))?;
            self.apply(&directory, &full, meta)?;
        }
        let root = File::open(&self.root).map_err(|error| io_failure("open", &self.root, &error))?;
        rustix::fs::syncfs(&root).map_err(|error| io_failure("make durable", &self.root, &error.into()))?;
        Ok(Written { entries: self.entries, bytes: self.bytes })
    }
}

/// Follows a link as the system would, where `target` tells what other links lead to. One that leads to nothing inside is harmless.
pub(in crate::driver) fn stays_inside<'a>(link: &Path, target: impl Fn(&Path) -> Option<&'a Path>) -> bool {
    let mut at = PathBuf::new();
    let mut rest: Vec<OsString> = reversed(link);
    let mut followed = 0;
    while let Some(part) = rest.pop() {
        match Path::new(&part).components().next() {
            None | Some(Component::CurDir) => {}
            Some(Component::ParentDir) => {
                if !at.pop() {
                    return false;
                }
            }
            Some(Component::Normal(name)) => {
                at.push(name);
                if let Some(target) = target(&at) {
                    followed += 1;
                    if followed > 40 {
                        // A circle: the system refuses it too.
                        return true;
                    }
                    at.pop();
                    rest.extend(reversed(target));
                }
            }
            Some(Component::RootDir | Component::Prefix(_)) => return false,
        }
    }
    true
}

fn reversed(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|component| component.as_os_str().to_owned()).collect()
}

/// Which side an error came from.
enum Side {
    Read(io::Error),
    Write(io::Error),
}

/// More came out of an archive than is sensible.
#[derive(Debug, thiserror::Error)]
#[error("too much came out")]
pub(in crate::driver) struct Dense;

/// An archive, or an entry of it, that cannot be read to its end.
pub(in crate::driver) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    if error.get_ref().is_some_and(|inner| inner.is::<Dense>()) {
        return too_dense();
    }
    refused(format!("`{}` cannot be unpacked: {error}", path.display()))
}

/// An archive that holds too much for its size.
pub(in crate::driver) fn too_dense() -> Failure {
    refused("the archive unpacks to absurdly more than its own size")
        .help("if it really does, raise `max_ratio`; else it is a decompression bomb")
}

/// Copies, leaving holes where there are only zeros.
fn write_sparse(from: &mut dyn Read, to: &mut File, watch: &mut Watch) -> Result<(), Side> {
    const BLOCK: usize = 64 * 1024;
    let mut block = vec![0; BLOCK];
    let mut length = 0;
    loop {
        let mut filled = 0;
        while filled < BLOCK {
            match from.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Side::Read(error)),
            }
        }
        let block = &block[..filled];
        length += filled as u64;
        if filled == BLOCK && block.iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Current(BLOCK as i64)).map_err(Side::Write)?;
        } else {
            to.write_all(block).map_err(Side::Write)?;
        }
        watch.advance(filled).map_err(Side::Write)?;
        if filled < BLOCK {
            break;
        }
    }
    // A hole at the end does not by itself make the file as long.
    to.set_len(length).map_err(Side::Write)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::testing::observing;

    fn tree(root: &Path) -> Tree {
        Tree::new(root.to_owned(), Limits { max_bytes: 1000, max_entries: 10, trusted: false })
    }

    fn meta() -> Meta {
        Meta { mode: 0o4755, modified: None, owner: None }
    }

    fn links(list: &[(&str, &str)]) -> Result<Written, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = tree(dir.path());
        for (path, target) in list {
            tree.symlink(Path::new(path), Path::new(target), None)?;
        }
        tree.finish()
    }

    #[test]
    fn links_inside_stay_and_links_out_are_refused() {
        assert!(links(&[("a", "b/../c"), ("d/e", "../a"), ("x", "nowhere")]).is_ok());
        assert!(links(&[("a", "a")]).is_ok());
        for wrong in [
            &[("a", "/etc/passwd")][..],
            &[("a", "..")],
            &[("d/a", "../../x")],
            &[("a", "x/../../y")],
            // Each looks harmless alone; together they lead out.
            &[("p/q/a", "../.."), ("l", "p/q/a/../etc")],
            &[("a", "b"), ("b", "/etc")],
        ] {
            assert!(links(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn nothing_is_written_through_a_link_or_twice() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = tree(dir.path());
        let mut watch = Watch::of(&observing());
        tree.symlink(Path::new("l"), Path::new("."), None).unwrap();
        let behind = tree.file(Path::new("l/f"), meta(), 1, &mut &b"x"[..], &mut watch).unwrap_err();
        assert!(behind.message.contains("no directory"), "{behind}");
        tree.file(Path::new("f"), meta(), 1, &mut &b"x"[..], &mut watch).unwrap();
        assert!(tree.file(Path::new("f"), meta(), 1, &mut &b"x"[..], &mut watch).is_err());
        assert!(tree.directory(Path::new("f"), meta()).is_err());
        assert_eq!(fs::metadata(dir.path().join("f")).unwrap().permissions().mode() & 0o7777, 0o755);
    }

    #[test]
    fn a_file_longer_or_shorter_than_it_says_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = tree(dir.path());
        let mut watch = Watch::of(&observing());
        assert!(tree.file(Path::new("a"), meta(), 5, &mut &b"1234"[..], &mut watch).is_err());
        assert!(tree.file(Path::new("b"), meta(), 3, &mut &b"1234"[..], &mut watch).is_err());
        assert!(tree.file(Path::new("c"), meta(), 1001, &mut io::repeat(0), &mut watch).is_err());
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        assert_eq!(clean(Path::new("./a//b/./c"), 1).unwrap(), Some(PathBuf::from("b/c")));
        assert_eq!(clean(Path::new("a/"), 1).unwrap(), None);
        for wrong in ["/a", "..", "a/../b", "../a"] {
            assert!(clean(Path::new(wrong), 0).is_err(), "{wrong}");
        }
    }
}
