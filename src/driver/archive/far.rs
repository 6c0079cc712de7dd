//! An archive of another machine, read from here piece by piece, so that whoever looks into one need not know where it lies.
//!
//! Only what is asked for travels: the beginning of a tar for a member near its front, the end of a zip for its table.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Handle;

use super::unpack;
use crate::driver::host::{Command, Kind, Stat};
use crate::driver::{Context, Failure, FailureKind};

/// The first piece; each that follows on it is twice as long.
const FIRST: usize = 512 * 1024;
/// No piece is longer.
const LONGEST: usize = 8 * 1024 * 1024;
/// How long a piece may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// The bytes of a file, `$2` of them from the one of number `$1` (beginning at one) on.
const PIECE: &str = r#"tail -c "+$1" -- "$3" | head -c "$2""#;

/// An archive's bytes, wherever they lie.
pub(super) trait Bytes: Read + Seek {}

impl<T: Read + Seek> Bytes for T {}

/// How archives are opened: on this machine, or on that of a call.
#[derive(Clone)]
pub(super) enum Reach {
    /// Here.
    Here,
    /// On the host of this context, asked from a thread that may block.
    There(Box<Context>, Handle),
}

impl Reach {
    /// Where the call's instance lives. To be called on a thread of the runtime.
    pub(super) fn of(ctx: &Context) -> Self {
        if ctx.host.is_local() { Self::Here } else { Self::There(Box::new(ctx.clone()), Handle::current()) }
    }

    /// Opens a regular file; gives its size.
    pub(super) fn open(&self, path: &Path) -> Result<(Box<dyn Bytes>, u64), Failure> {
        match self {
            Self::Here => unpack::open(path).map(|(file, size)| (Box::new(file) as Box<dyn Bytes>, size)),
            Self::There(ctx, runtime) => {
                let stat = runtime.block_on(file_there(path, ctx))?;
                let far = Far {
                    ctx: Context::clone(ctx),
                    runtime: runtime.clone(),
                    path: path.to_owned(),
                    stat,
                    at: 0,
                    piece: Vec::new(),
                    begins: 0,
                    next: FIRST,
                };
                let size = far.stat.size;
                Ok((Box::new(far), size))
            }
        }
    }
}

/// What a regular file of another machine is.
pub(super) async fn file_there(path: &Path, ctx: &Context) -> Result<Stat, Failure> {
    let failed = |why: &str| Failure::new(FailureKind::Failed, format!("cannot read `{}`: {why}", path.display()));
    match ctx.host.stat(path, true).await? {
        None => Err(failed("it does not exist")),
        Some(stat) if stat.kind == Kind::File => Ok(stat),
        Some(_) => Err(failed("it is not a file")),
    }
}

/// A file of another machine.
struct Far {
    ctx: Context,
    runtime: Handle,
    path: PathBuf,
    stat: Stat,
    at: u64,
    piece: Vec<u8>,
    begins: u64,
    next: usize,
}

impl Far {
    fn fetch(&mut self) -> io::Result<()> {
        let follows = !self.piece.is_empty() && self.at == self.begins + self.piece.len() as u64;
        self.next = if follows { (self.next * 2).min(LONGEST) } else { FIRST };
        let left = usize::try_from(self.stat.size - self.at).unwrap_or(usize::MAX);
        let length = self.next.min(left);
        let path = self.path.to_string_lossy().into_owned();
        let words = ["/bin/sh", "-c", PIECE, "sh"].map(str::to_owned);
        let args = [(self.at + 1).to_string(), length.to_string(), path];
        let command =
            Command { keep: length, stream: false, timeout: Some(PATIENCE), ..Command::new(words.into_iter().chain(args)) };
        let output =
            self.runtime.block_on(self.ctx.host.run(&command, &self.ctx)).map_err(|failure| io::Error::other(failure.message))?;
        if output.stdout.bytes.len() != length {
            let words = output.last_words();
            let why = if words.is_empty() { "it was changed while it was read" } else { &words };
            return Err(io::Error::other(format!("`{}` on {}: {why}", self.path.display(), self.ctx.host.name())));
        }
        (self.piece, self.begins) = (output.stdout.bytes, self.at);
        Ok(())
    }

    /// A file that is replaced between two pieces would be a mixture of both.
    fn check_unchanged(&self) -> io::Result<()> {
        let now = self.runtime.block_on(file_there(&self.path, &self.ctx)).map_err(|failure| io::Error::other(failure.message))?;
        if now == self.stat { Ok(()) } else { Err(io::Error::other("it was changed while it was read")) }
    }
}

impl Read for Far {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.at >= self.stat.size {
            return Ok(0);
        }
        let is_held = self.begins <= self.at && self.at < self.begins + self.piece.len() as u64;
        if !is_held {
            self.fetch()?;
            if self.at + self.piece.len() as u64 == self.stat.size {
                self.check_unchanged()?;
            }
        }
        let from = usize::try_from(self.at - self.begins).map_err(io::Error::other)?;
        let count = buffer.len().min(self.piece.len() - from);
        buffer[..count].copy_from_slice(&self.piece[from..from + count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Far {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.stat.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "before the beginning"))?;
        Ok(self.at)
    }
}
