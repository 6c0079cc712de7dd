//! Files that survive a power cut: written beside, synced, renamed, and the folder synced.
#![expect(clippy::disallowed_methods, reason = "a door to the file system")]

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

/// Replaces a file by `content`, so that a reader sees the old or the new whole, whatever happens. Keeps the old one's mode;
/// a new one gets `mode`.
///
/// # Errors
/// As the file system says; the old file is then untouched.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    make_folder(dir)?;
    let mode = fs::metadata(path).map_or(mode, |metadata| metadata.permissions().mode() & 0o7777);
    let mut file = tempfile::Builder::new().prefix(".windlass-").tempfile_in(dir)?;
    file.write_all(content)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}

/// Makes a folder and those above it where they are missing, for their owner alone, whatever the umask is.
///
/// # Errors
/// As the file system says.
pub(crate) fn make_folder(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Reads a file; `None` where there is none.
///
/// # Errors
/// As the file system says.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The size of a file in bytes; 0 where there is none.
///
/// # Errors
/// As the file system says.
pub(crate) fn size(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}
