//! Goes through the members of an archive, one after the other, without unpacking anything.
//!
//! Takes an archive of this machine or of another, gives each member's name and content to whoever visits. Names that lead out of the archive and
//! absurd sizes are refused, as they are when it is unpacked.

use std::cell::Cell;
use std::io::{self, Read, Seek as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::far::{Bytes, Reach};
use super::format::{Format, decompressed};
use super::tree::{clean, refused, too_dense, unreadable};
use super::unpack::{Bounded, RATIO_FROM, ends_whole, unknown_format};
use crate::driver::Failure;
use crate::driver::transfer::Watch;

/// An archive and how it is gone through.
pub(super) struct Members {
    pub(super) archive: PathBuf,
    /// How it is opened.
    pub(super) reach: Reach,
    /// Folders at the beginning of each name that are left out.
    pub(super) strip: usize,
    pub(super) max_entries: u64,
    pub(super) max_ratio: u64,
}

/// One member.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) kind: MemberKind,
    pub(super) size: u64,
    pub(super) mode: u32,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MemberKind {
    /// It has content of its own.
    File,
    /// A folder.
    Directory,
    /// Leads there.
    Symlink(String),
    /// Another name of that member.
    HardLink(String),
    /// A device, a pipe, or something newer.
    Other,
}

impl MemberKind {
    /// For results.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::File | Self::HardLink(_) => "file",
            Self::Directory => "directory",
            Self::Symlink(_) => "symlink",
            Self::Other => "other",
        }
    }
}

/// Sees a member and may read its content.
pub(super) type Visit<'a> = dyn FnMut(&Member, &mut dyn Read, &mut Watch) -> Result<ControlFlow<()>, Failure> + 'a;

impl Members {
    /// Visits the members in the archive's order, until the visitor has seen enough.
    pub(super) fn each(&self, watch: &mut Watch, visit: &mut Visit<'_>) -> Result<(), Failure> {
        let (mut file, size) = self.reach.open(&self.archive)?;
        let failed = |error: io::Error| unreadable(&self.archive, &error);
        let mut head = Vec::new();
        file.by_ref().take(512).read_to_end(&mut head).map_err(failed)?;
        file.rewind().map_err(failed)?;
        let format = Format::of_content(&head).ok_or_else(|| unknown_format(&self.archive))?;
        let limit = RATIO_FROM.saturating_add(size.saturating_mul(self.max_ratio));
        watch.expect(None);
        match format {
            Format::Zip => self.each_zipped(file, limit, watch, visit),
            _ => self.each_tarred(decompressed(format, file).map_err(failed)?, limit, watch, visit),
        }
    }

    fn each_tarred(
        &self,
        content: Box<dyn Read + '_>,
        limit: u64,
        watch: &mut Watch,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        use tar::EntryType;
        let zeros = Rc::new(Cell::new(0));
        let failed = |error: io::Error| unreadable(&self.archive, &error);
        let mut archive = tar::Archive::new(Bounded::new(content, limit, zeros.clone()));
        let mut count = 0;
        for entry in archive.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            watch.go_on().map_err(failed)?;
            let kind = entry.header().entry_type();
            let name = entry.path().map_err(failed)?.into_owned();
            if kind == EntryType::XGlobalHeader {
                continue;
            }
            let Some(path) = clean(&name, self.strip)? else { continue };
            let target = entry.link_name().map_err(failed)?.map(std::borrow::Cow::into_owned);
            let is_folder = name.as_os_str().as_encoded_bytes().ends_with(b"/");
            let kind = match (kind, target) {
                (EntryType::Directory, _) => MemberKind::Directory,
                (EntryType::Regular | EntryType::Continuous, _) if is_folder => MemberKind::Directory,
                (EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse, _) => MemberKind::File,
                (EntryType::Symlink, Some(target)) => MemberKind::Symlink(text(&target)),
                (EntryType::Link, Some(target)) => {
                    clean(&target, self.strip)?.map_or(MemberKind::Other, |target| MemberKind::HardLink(text(&target)))
                }
                _ => MemberKind::Other,
            };
            let mode = entry.header().mode().map_err(failed)? & 0o7777;
            let member = Member { name: text(&path), kind, size: entry.size(), mode };
            count = self.count(count)?;
            if visit(&member, &mut entry, watch)?.is_break() {
                return Ok(());
            }
        }
        ends_whole(&self.archive, archive.into_inner(), zeros.get())
    }

    fn each_zipped(&self, file: Box<dyn Bytes>, limit: u64, watch: &mut Watch, visit: &mut Visit<'_>) -> Result<(), Failure> {
        let failed = |error: zip::result::ZipError| refused(format!("`{}` cannot be read: {error}", self.archive.display()));
        let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(failed)?;
        let (mut count, mut total) = (0, 0_u64);
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(failed)?;
            watch.go_on().map_err(|error| unreadable(&self.archive, &error))?;
            total = total.saturating_add(entry.size());
            if total > limit {
                return Err(too_dense());
            }
            let name = entry.name().map_err(failed)?.into_owned();
            let Some(path) = clean(Path::new(&name), self.strip)? else { continue };
            const KIND: u32 = 0o170_000;
            let mode = entry.unix_mode();
            let kind = match mode.map(|mode| mode & KIND) {
                _ if entry.is_dir() => MemberKind::Directory,
                Some(0o120_000) => {
                    let mut target = Vec::new();
                    let read = entry.by_ref().take(4096).read_to_end(&mut target);
                    read.map_err(|error| unreadable(&path, &error))?;
                    MemberKind::Symlink(String::from_utf8_lossy(&target).into_owned())
                }
                None | Some(0 | 0o100_000) => MemberKind::File,
                Some(_) => MemberKind::Other,
            };
            let size = entry.size();
            let member = Member { name: text(&path), kind, size, mode: mode.unwrap_or(0o644) & 0o7777 };
            count = self.count(count)?;
            // One byte more than is said shows that there is more.
            if visit(&member, &mut entry.take(size.saturating_add(1)), watch)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn count(&self, before: u64) -> Result<u64, Failure> {
        let count = before + 1;
        if count > self.max_entries {
            return Err(refused(format!("the archive has more than {} entries", self.max_entries)));
        }
        Ok(count)
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
