//! Packs a folder into a tar, in one go: the archive stands complete or not at all.
#![expect(clippy::disallowed_methods, reason = "a door: reads the files that are packed")]

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::format::Format;
use super::of_archive;
use super::walk::{Found, globs, walk};
use crate::driver::host::{io_failure, local_file};
use crate::driver::http::whole;
use crate::driver::intent::Intent;
use crate::driver::transfer::{Hashing, Watch};
use crate::driver::{Failure, FailureKind};
use crate::lang::Value;

/// What is packed, and how.
pub(super) struct Pack {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
    pub(super) exclude: Vec<String>,
    /// Where it is written down that the archive is now put in its place.
    pub(super) intent: Intent,
}

/// An archive that was made.
pub(super) struct Packed {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Packed {
    /// The result of `pack`.
    pub(super) fn result(&self, to: &Path) -> Value {
        of_archive(to, &self.sha256, self.bytes, whole(self.entries))
    }
}

impl Pack {
    /// Packs; until the complete archive is put in its place, nothing is touched.
    pub(super) fn run(&self, watch: &mut Watch) -> Result<Packed, Failure> {
        let packed = self.put(watch).map_err(Failure::untouched)?;
        local_file::sync_dir(local_file::parent(&self.to))?;
        Ok(packed)
    }

    fn put(&self, watch: &mut Watch) -> Result<Packed, Failure> {
        let failed = |error: io::Error| io_failure("write", &self.to, &error);
        let name = self.to.to_string_lossy();
        let format = Format::of_name(&name).ok_or_else(|| {
            Failure::new(FailureKind::Invalid, format!("archive: `{name}` must end in `.tar.gz`, `.tar.zst` or `.tar`"))
        })?;
        if !self.from.is_dir() {
            return Err(Failure::new(FailureKind::Failed, format!("`{}` is not a directory", self.from.display())));
        }
        let exclude = globs(&self.exclude).map_err(|error| Failure::new(FailureKind::Invalid, error.to_string()))?;
        let walk = walk(&self.from, &exclude)?;
        watch.expect(Some(walk.bytes));
        let mut staging =
            tempfile::Builder::new().prefix(".windlass-pack-").tempfile_in(local_file::parent(&self.to)).map_err(failed)?;
        let own = staging.as_file().metadata().map_err(failed)?;
        let mut found = walk.found;
        // An archive that is made inside the folder does not hold itself.
        found.retain(|found| found.metadata.ino() != own.ino() || found.metadata.dev() != own.dev());
        found.retain(|found| self.from.join(&found.path) != self.to);
        let mut hashing = Hashing::new(io::BufWriter::new(staging.as_file_mut()));
        match format {
            Format::TarGz => {
                let gzip = flate2::write::GzEncoder::new(&mut hashing, flate2::Compression::default());
                self.write(&found, gzip, watch)?.finish().map_err(failed)?;
            }
            Format::TarZst => {
                let encoder = zstd::stream::write::Encoder::new(&mut hashing, 3).and_then(|mut encoder| {
                    encoder.multithread(threads())?;
                    encoder.include_checksum(true)?;
                    Ok(encoder)
                });
                self.write(&found, encoder.map_err(failed)?, watch)?.finish().map_err(failed)?;
            }
            Format::Tar | Format::Zip => drop(self.write(&found, &mut hashing, watch)?),
        }
        let (mut buffered, sha256, bytes) = hashing.finish();
        buffered.flush().map_err(failed)?;
        drop(buffered);
        staging.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(failed)?;
        staging.as_file().sync_all().map_err(failed)?;
        let packed = Packed { entries: found.len() as u64, bytes, sha256 };
        self.intent.declare(&packed.result(&self.to))?;
        staging.persist(&self.to).map_err(|error| failed(error.error))?;
        Ok(packed)
    }

    fn write<W: Write>(&self, found: &[Found], to: W, watch: &mut Watch) -> Result<W, Failure> {
        let mut writer = TarWriter::new(to);
        for found in found {
            let full = self.from.join(&found.path);
            let done = if found.metadata.is_file() {
                match writer.other_name(&found.path, &found.metadata) {
                    Some(first) => writer.hard_link(found, &first),
                    None => File::open(&full).and_then(|file| {
                        let mut content = Exactly { inner: file, left: found.metadata.len(), watch };
                        writer.file(found, &mut content)
                    }),
                }
            } else {
                writer.other(found)
            };
            done.map_err(|error| io_failure("pack", &full, &error))?;
        }
        writer.finish().map_err(|error| io_failure("write", &self.to, &error))
    }
}

/// How many threads compress.
pub(in crate::driver) fn threads() -> u32 {
    std::thread::available_parallelism().map_or(1, |threads| u32::try_from(threads.get()).unwrap_or(1)).min(8)
}

/// Exactly as many bytes as were promised: a file that grew is cut, one that shrank is filled up with zeros.
pub(in crate::driver) struct Exactly<'a, R> {
    pub(in crate::driver) inner: R,
    pub(in crate::driver) left: u64,
    pub(in crate::driver) watch: &'a mut Watch,
}

impl<R: Read> Read for Exactly<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = match self.inner.read(&mut buffer[..most])? {
            0 => {
                buffer[..most].fill(0);
                most
            }
            count => count,
        };
        self.left -= count as u64;
        self.watch.advance(count)?;
        Ok(count)
    }
}

/// A tar as every tar reads it: GNU headers, numeric owners, hard links kept.
pub(in crate::driver) struct TarWriter<W: Write> {
    builder: tar::Builder<W>,
    names: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> TarWriter<W> {
    pub(in crate::driver) fn new(to: W) -> Self {
        Self { builder: tar::Builder::new(to), names: HashMap::new() }
    }

    /// The name under which a file with several names was written before; remembers this one otherwise.
    pub(in crate::driver) fn other_name(&mut self, path: &Path, metadata: &Metadata) -> Option<PathBuf> {
        if metadata.nlink() < 2 {
            return None;
        }
        let id = (metadata.dev(), metadata.ino());
        let known = self.names.get(&id).cloned();
        if known.is_none() {
            self.names.insert(id, path.to_owned());
        }
        known
    }

    fn header(metadata: &Metadata, kind: tar::EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(metadata.uid().into());
        header.set_gid(metadata.gid().into());
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
        header.set_size(size);
        header
    }

    pub(in crate::driver) fn file(&mut self, found: &Found, content: &mut dyn Read) -> io::Result<()> {
        let mut header = Self::header(&found.metadata, tar::EntryType::Regular, found.metadata.len());
        self.builder.append_data(&mut header, &found.path, content)
    }

    pub(in crate::driver) fn hard_link(&mut self, found: &Found, first: &Path) -> io::Result<()> {
        let mut header = Self::header(&found.metadata, tar::EntryType::Link, 0);
        self.builder.append_link(&mut header, &found.path, first)
    }

    /// A directory or symbolic link.
    pub(in crate::driver) fn other(&mut self, found: &Found) -> io::Result<()> {
        match &found.target {
            Some(target) => {
                let mut header = Self::header(&found.metadata, tar::EntryType::Symlink, 0);
                self.builder.append_link(&mut header, &found.path, target)
            }
            None => {
                let mut header = Self::header(&found.metadata, tar::EntryType::Directory, 0);
                self.builder.append_data(&mut header, &found.path, io::empty())
            }
        }
    }

    pub(in crate::driver) fn finish(self) -> io::Result<W> {
        self.builder.into_inner()
    }
}
