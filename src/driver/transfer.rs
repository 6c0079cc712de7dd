//! Bytes on their way through a driver: counted, hashed, shown as progress, and stopped when Windlass is told to stop.
//!
//! Takes blocking work and runs it off the async threads. Knows no format.

use std::io::{self, Read, Write};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::{Context, Failure, FailureKind, Sink};

/// How many bytes pass between two reports of progress.
const REPORT_EVERY: u64 = 4 * 1024 * 1024;

/// What a piece of blocking work sees of its call: whether to stop, and where progress goes.
pub(super) struct Watch {
    stop: CancellationToken,
    sink: Arc<dyn Sink>,
    done: u64,
    total: Option<u64>,
    reported: u64,
}

impl Watch {
    fn new(stop: CancellationToken, sink: Arc<dyn Sink>) -> Self {
        Self { stop, sink, done: 0, total: None, reported: 0 }
    }

    /// A watch for async work, which looks at the context's cancellation by itself.
    pub(super) fn of(ctx: &Context) -> Self {
        Self::new(ctx.cancel.clone(), ctx.sink.clone())
    }

    /// Begins to count anew, towards `total` bytes.
    pub(super) fn expect(&mut self, total: Option<u64>) {
        (self.done, self.total, self.reported) = (0, total, 0);
    }

    /// These bytes are done; an error when told to stop.
    pub(super) fn advance(&mut self, bytes: usize) -> io::Result<()> {
        self.done += bytes as u64;
        if self.done - self.reported >= REPORT_EVERY || Some(self.done) == self.total {
            self.reported = self.done;
            self.sink.progress(self.done, self.total, "bytes");
        }
        self.go_on()
    }

    /// An error when told to stop. Not `ErrorKind::Interrupted`, which copying loops would try again.
    pub(super) fn go_on(&self) -> io::Result<()> {
        if self.stop.is_cancelled() { Err(io::Error::other("told to stop")) } else { Ok(()) }
    }

    /// What tells to stop, for work on threads of its own.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Where progress goes.
    pub(super) fn sink(&self) -> Arc<dyn Sink> {
        Arc::clone(&self.sink)
    }

    /// Towards how many bytes it counts.
    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Says a line.
    pub(super) fn line(&self, line: &str) {
        self.sink.line(line);
    }

    /// Copies all of `from` to `to`.
    pub(super) fn copy(&mut self, from: &mut dyn Read, to: &mut dyn Write) -> io::Result<u64> {
        let mut chunk = vec![0; 128 * 1024];
        let mut total = 0;
        loop {
            match from.read(&mut chunk) {
                Ok(0) => return Ok(total),
                Ok(count) => {
                    to.write_all(&chunk[..count])?;
                    total += count as u64;
                    self.advance(count)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Runs blocking work that is stopped (and waited for) when the call is cancelled, dropped or takes too long.
pub(super) async fn work<T: Send + 'static>(
    ctx: &Context,
    work: impl FnOnce(&mut Watch) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let stop = ctx.cancel.child_token();
    let _stop_when_dropped = stop.clone().drop_guard();
    let mut watch = Watch::new(stop.clone(), ctx.sink.clone());
    if ctx.cancel.is_cancelled() {
        return Err(Failure::new(FailureKind::Cancelled, "told to stop before it was begun"));
    }
    let mut task = tokio::task::spawn_blocking(move || work(&mut watch));
    let expired = async {
        match ctx.timeout {
            Some(timeout) => {
                tokio::time::sleep(timeout).await;
                timeout
            }
            None => std::future::pending().await,
        }
    };
    let (result, expired) = tokio::select! {
        result = &mut task => (result, None),
        after = expired => {
            stop.cancel();
            (task.await, Some(after))
        }
    };
    match (result, expired) {
        (Ok(Ok(value)), _) => Ok(value),
        (_, Some(after)) => Err(Failure::new(FailureKind::TimedOut, format!("it took longer than {after:?} and was stopped"))),
        (Ok(Err(_)), None) if ctx.cancel.is_cancelled() => {
            Err(Failure::new(FailureKind::Cancelled, "told to stop; what was half done has been removed"))
        }
        (Ok(Err(failure)), None) => Err(failure),
        (Err(error), None) => Err(Failure::new(FailureKind::Failed, format!("the work was given up: {error}"))),
    }
}

/// A reader or writer that hashes and counts what passes.
pub(super) struct Hashing<S> {
    inner: S,
    sha256: Sha256,
    bytes: u64,
}

impl<S> Hashing<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, sha256: Sha256::new(), bytes: 0 }
    }

    /// What it passed to or from, the digest in hexadecimal, and how many bytes passed.
    pub(super) fn finish(self) -> (S, String, u64) {
        (self.inner, hex(&self.sha256.finalize()), self.bytes)
    }
}

impl<S: Read> Read for Hashing<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sha256.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

impl<S: Write> Write for Hashing<S> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.sha256.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A SHA-256 as people write it: 64 hexadecimal digits, perhaps after `sha256:`; in lower case.
pub(super) fn sha256_of_text(text: &str) -> Option<String> {
    let digits = text.trim();
    let digits = digits.strip_prefix("sha256:").unwrap_or(digits);
    (digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digits.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::testing::observing;

    #[test]
    fn a_digest_is_read_however_it_is_written() {
        let digits = "AB".repeat(32);
        assert_eq!(sha256_of_text(&format!("sha256:{digits}")), Some("ab".repeat(32)));
        assert_eq!(sha256_of_text(&digits), Some("ab".repeat(32)));
        for wrong in ["", "sha256:", "abc", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(sha256_of_text(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn work_that_is_cancelled_is_waited_for() {
        let ctx = observing();
        let cancel = ctx.cancel.clone();
        let error = work::<()>(&ctx, move |watch| {
            cancel.cancel();
            let error = watch.copy(&mut io::repeat(0), &mut io::sink()).unwrap_err();
            Err(Failure::new(FailureKind::Failed, error.to_string()))
        })
        .await
        .unwrap_err();
        assert_eq!(error.kind, FailureKind::Cancelled);
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_stopped() {
        let ctx = Context { timeout: Some(std::time::Duration::from_millis(20)), ..observing() };
        let error = work::<()>(&ctx, |watch| {
            let error = watch.copy(&mut io::repeat(0), &mut io::sink()).unwrap_err();
            Err(Failure::new(FailureKind::Failed, error.to_string()))
        })
        .await
        .unwrap_err();
        assert_eq!(error.kind, FailureKind::TimedOut);
    }
}
