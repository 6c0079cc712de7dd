//! One file of a journal, as its writer sees it.
#![expect(clippy::disallowed_methods, reason = "a door to the journal's files")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// First preallocation; each further one doubles, up to [`LARGEST`].
const SMALLEST: u64 = 64 << 10;
/// Largest preallocation.
const LARGEST: u64 = 4 << 20;

/// Where entries go. A trait, so that a simulated disk can lose writes.
pub trait Medium: Send + 'static {
    /// Appends and makes durable. After an error nothing counts as appended, and the same bytes may be given again.
    ///
    /// # Errors
    /// What the system says: disk full, input/output error.
    fn commit(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Gives back what was allocated and not used. After it nothing is appended.
    ///
    /// # Errors
    /// What the system says; what was committed is safe all the same.
    fn close(&mut self) -> io::Result<()>;

    /// How long committing takes on a simulated disk: the writer lets that time pass and commits where it stands, so that a run is
    /// the same every time. `None`: it blocks, and gets a thread of its own.
    fn simulated(&self) -> Option<std::time::Duration> {
        None
    }
}

impl Medium for Box<dyn Medium> {
    fn commit(&mut self, bytes: &[u8]) -> io::Result<()> {
        (**self).commit(bytes)
    }

    fn close(&mut self) -> io::Result<()> {
        (**self).close()
    }

    fn simulated(&self) -> Option<std::time::Duration> {
        (**self).simulated()
    }
}

/// A segment on a file system.
///
/// Space is allocated ahead by writing zeros, in steps that double: making an entry durable then does not grow the file (measured
/// on ext4: 0.09 ms against 0.12 ms), and when the disk fills up there is still room to write down how ended what had begun.
#[derive(Debug)]
pub struct Segment {
    file: File,
    /// Where it lies, and its number there.
    folder: PathBuf,
    number: u32,
    written: u64,
    allocated: u64,
    step: u64,
}

impl Segment {
    /// Makes the next segment in a journal's folder. The folder's entry is durable when this returns.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let made = !folder.exists();
        make_folder(folder)?;
        let number = list(folder)?.last().map_or(1, |(number, _)| number + 1);
        let path = folder.join(format!("{number:06}.log"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        crash_point!("journal.created");
        sync_folder(folder)?;
        if let (true, Some(parent)) = (made, folder.parent()) {
            sync_folder(parent)?;
        }
        Ok(Self { file, folder: folder.to_owned(), number, written: 0, allocated: 0, step: SMALLEST })
    }

    /// A process that was paused until another took over writes no more: the reader would pass it over, too.
    fn check_newest(&self) -> io::Result<()> {
        match list(&self.folder)?.last() {
            Some((newest, _)) if *newest > self.number => Err(io::Error::other("another process goes on with this run")),
            _ => Ok(()),
        }
    }

    fn make_room(&mut self, needed: u64) -> io::Result<()> {
        if needed <= self.allocated {
            return Ok(());
        }
        let until = needed.max(self.allocated + self.step);
        let zeros = vec![0u8; usize::try_from(self.step).unwrap_or(1 << 16)];
        let mut place = self.allocated.max(self.written);
        while place < until {
            let part = usize::try_from((until - place).min(zeros.len() as u64)).unwrap_or(zeros.len());
            self.file.write_all_at(&zeros[..part], place)?;
            place += part as u64;
        }
        self.file.sync_all()?;
        self.allocated = until;
        self.step = (self.step * 2).min(LARGEST);
        Ok(())
    }
}

impl Medium for Segment {
    fn commit(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.check_newest()?;
        let end = self.written + bytes.len() as u64;
        // Room ahead is only for speed: where the disk has none left, the entry itself may still fit.
        let roomy = self.make_room(end).is_ok();
        self.file.write_all_at(bytes, self.written)?;
        crash_point!("journal.written");
        if roomy {
            self.file.sync_data()?
        } else {
            self.file.sync_all()?
        }
        crash_point!("journal.synced");
        self.written = end;
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.file.set_len(self.written)?;
        self.file.sync_all()
    }
}

/// The segments in a journal's folder, in order.
pub(super) fn list(folder: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".log"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            segments.push((number, path));
        }
    }
    segments.sort();
    Ok(segments)
}

/// Makes a folder and those above it, for their owner alone, whatever the umask is.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes a folder's entries durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
