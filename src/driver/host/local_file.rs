//! File operations on this machine, each atomic and durable: what it said it did survives a power cut.
//!
//! Blocking. Takes paths, gives results or a failure that names the path and the system's reason.
#![expect(clippy::disallowed_methods, reason = "a door to the files of this machine")]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command as System;

use jiff::Timestamp;

use super::{Attributes, Content, Entry, Kind, Space, Stat, User, io_failure};
use crate::driver::{Failure, FailureKind};

pub(crate) fn stat(path: &Path, follow: bool) -> Result<Option<Stat>, Failure> {
    let metadata = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
    match metadata {
        Ok(metadata) => Ok(Some(of_metadata(path, &metadata))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(io_failure("look at", path, &error)),
    }
}

fn of_metadata(path: &Path, metadata: &Metadata) -> Stat {
    let kind = metadata.file_type();
    let kind = if kind.is_file() {
        Kind::File
    } else if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        Kind::Symlink
    } else {
        debug_assert!(kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device());
        Kind::Other
    };
    let target = (kind == Kind::Symlink).then(|| fs::read_link(path).ok()).flatten();
    Stat {
        kind,
        size: metadata.size(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        modified: Timestamp::from_second(metadata.mtime()).unwrap_or_default(),
        target: target.map(|target| target.to_string_lossy().into_owned()),
    }
}

pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Content>, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_failure("read", path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| io_failure("read", path, &error))?;
    let truncated = bytes.len() as u64 > limit;
    if truncated {
        bytes.pop();
    }
    Ok(Some(Content { bytes, truncated }))
}

/// Writes beside the file, makes that durable, puts it in the file's place, and makes that durable. Until it is in place, a failure
/// has touched nothing.
pub(crate) fn write(path: &Path, source: &mut dyn Read, attributes: &Attributes) -> Result<(), Failure> {
    let real = real_path(path).map_err(Failure::untouched)?;
    put(path, &real, source, attributes).map_err(Failure::untouched)?;
    sync_dir(parent(&real))
}

fn put(path: &Path, real: &Path, source: &mut dyn Read, attributes: &Attributes) -> Result<(), Failure> {
    let failed = |error: std::io::Error| io_failure("write", path, &error);
    let old = match fs::symlink_metadata(real) {
        Ok(metadata) if metadata.is_dir() => return Err(failed(ErrorKind::IsADirectory.into())),
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let parent = parent(real);
    let name = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut prefix: String = name.chars().take(40).collect();
    prefix.insert(0, '.');
    prefix.push_str(".windlass-");
    let mut temporary = tempfile::Builder::new().prefix(&prefix).tempfile_in(parent).map_err(failed)?;
    std::io::copy(source, temporary.as_file_mut()).map_err(failed)?;
    temporary.flush().map_err(failed)?;
    let own = temporary.as_file().metadata().map_err(failed)?;
    let owner = attributes.owner.or_else(|| old.as_ref().map(|old| (old.uid(), old.gid())));
    if let Some((uid, gid)) = owner
        && (uid, gid) != (own.uid(), own.gid())
    {
        std::os::unix::fs::chown(temporary.path(), Some(uid), Some(gid)).map_err(|error| {
            io_failure("write", path, &error)
                .help(format!("it belongs to user {uid} and group {gid}, and only root may keep it so"))
        })?;
    }
    let mode = attributes.mode.or_else(|| old.as_ref().map(|old| old.mode() & 0o7777)).unwrap_or(0o644);
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(mode)).map_err(failed)?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(real).map(drop).map_err(|error| failed(error.error))
}

/// Where the bytes really lie: a link in front of a configuration file stays a link.
fn real_path(path: &Path) -> Result<PathBuf, Failure> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => {
            fs::canonicalize(path).map_err(|error| io_failure("follow the link", path, &error))
        }
        _ => Ok(path.to_owned()),
    }
}

pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes what was created, renamed or removed in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Failure> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| io_failure("make durable the directory", dir, &error))
}

pub(crate) fn list(path: &Path) -> Result<Vec<Entry>, Failure> {
    let failed = |error: std::io::Error| io_failure("list", path, &error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Gone meanwhile: as if it had never been listed.
        if let Some(stat) = stat(&entry.path(), false)? {
            entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), stat });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

pub(crate) fn make_dir(path: &Path, attributes: &Attributes) -> Result<(), Failure> {
    let failed = |error: std::io::Error| io_failure("make the directory", path, &error);
    let new = !path.is_dir();
    if new {
        // Every directory made on the way has to be in the one above it after a crash.
        let first_kept = path.ancestors().skip(1).find(|above| above.is_dir()).map(Path::to_owned);
        let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(failed);
        // What was made above it hurts nobody.
        made.map_err(|failure| if path.exists() { failure } else { failure.untouched() })?;
        for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            sync_dir(above)?;
            if Some(above) == first_kept.as_deref() {
                break;
            }
        }
    }
    if let Some((uid, gid)) = attributes.owner {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(failed)?;
    }
    if let Some(mode) = attributes.mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(())
}

pub(crate) fn remove(path: &Path, recursive: bool) -> Result<(), Failure> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() && recursive => fs::remove_dir_all(path),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    let told = |failure: Failure| if recursive { failure } else { failure.untouched() };
    match removed {
        Ok(()) => sync_dir(parent(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
            Err(told(io_failure("remove", path, &error)).help("write `recursive = true` to remove all that is in it"))
        }
        Err(error) => Err(told(io_failure("remove", path, &error))),
    }
}

pub(crate) fn symlink(target: &Path, path: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| io_failure("make the link", path, &error).untouched();
    if fs::read_link(path).is_ok_and(|now| now == target) {
        return Ok(());
    }
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Err(failed(ErrorKind::IsADirectory.into()));
    }
    let parent = parent(path);
    let temporary = tempfile::Builder::new().prefix(".windlass-").tempdir_in(parent).map_err(failed)?;
    let link = temporary.path().join("link");
    std::os::unix::fs::symlink(target, &link).map_err(failed)?;
    fs::rename(&link, path).map_err(failed)?;
    sync_dir(parent)
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    let moved = fs::rename(from, to);
    moved
        .map_err(|error| match error.kind() {
            ErrorKind::CrossesDevices => Failure::new(
                FailureKind::Failed,
                format!("cannot move `{}` to `{}`: they are on different file systems", from.display(), to.display()),
            ),
            _ => io_failure(&format!("move to `{}`", to.display()), from, &error),
        })
        .map_err(Failure::untouched)?;
    sync_dir(parent(to))?;
    sync_dir(parent(from))
}

pub(crate) fn space(path: &Path) -> Result<Space, Failure> {
    let vfs = rustix::fs::statvfs(path).map_err(|error| io_failure("look at the room on", path, &error.into()))?;
    Ok(Space { free: vfs.f_bavail.saturating_mul(vfs.f_frsize), total: vfs.f_blocks.saturating_mul(vfs.f_frsize) })
}

/// Asks `getent`, which knows directories like LDAP; without it the file.
pub(crate) fn user(name: &str) -> Result<Option<User>, Failure> {
    match System::new("getent").args(["passwd", "--", name]).output() {
        Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).lines().find_map(User::of_passwd)),
        Err(_) => {
            let path = Path::new("/etc/passwd");
            let text = fs::read_to_string(path).map_err(|error| io_failure("read", path, &error))?;
            Ok(text.lines().filter_map(User::of_passwd).find(|user| user.name == name || user.uid.to_string() == name))
        }
    }
}

/// A new file that only its owner may read, for appending.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
        write(path, &mut text.as_bytes(), &Attributes::default())
    }

    #[test]
    fn a_rewritten_file_keeps_its_mode_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write_text(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(list(dir.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_new_file_is_readable_by_all_whatever_the_temporary_one_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_text(&path, "x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
    }

    #[test]
    fn a_link_in_front_of_a_file_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        write_text(&link, "new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    }

    #[test]
    fn writing_over_a_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = write_text(dir.path(), "x").unwrap_err();
        assert!(error.message.contains("is a directory"), "{error}");
    }

    #[test]
    fn a_directory_that_is_not_empty_is_only_removed_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        fs::create_dir_all(path.join("e")).unwrap();
        assert!(remove(&path, false).unwrap_err().help.is_some());
        remove(&path, true).unwrap();
        assert!(!path.exists());
        remove(&path, true).unwrap();
    }

    #[test]
    fn removing_a_link_spares_what_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        remove(&link, true).unwrap();
        assert!(real.exists() && !link.exists());
    }

    #[test]
    fn a_link_is_replaced_in_one_go() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("current");
        symlink(Path::new("v1"), &link).unwrap();
        symlink(Path::new("v2"), &link).unwrap();
        assert_eq!(stat(&link, false).unwrap().unwrap().target.as_deref(), Some("v2"));
        assert_eq!(list(dir.path()).unwrap().len(), 1);
    }

    #[test]
    fn only_the_beginning_of_a_big_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 3).unwrap().unwrap(), Content { bytes: b"123".to_vec(), truncated: true });
        assert!(!read(&path, 5).unwrap().unwrap().truncated);
        assert!(read(&dir.path().join("absent"), 5).unwrap().is_none());
    }

    #[test]
    fn what_lies_below_a_file_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "x").unwrap();
        assert!(stat(&path.join("below"), true).unwrap().is_none());
    }

    #[test]
    fn root_is_a_user() {
        assert_eq!(user("root").unwrap().map(|user| user.uid), Some(0));
        assert!(user("no-such-user-here").unwrap().is_none());
    }
}
