//! How far a backup, a check or a restore is, told from many threads.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustic_core::{Progress, ProgressBars, ProgressType, RusticProgress};

use crate::driver::transfer::Watch;
use crate::driver::{Silent, Sink};

/// How many bytes pass between two reports.
const REPORT_EVERY: u64 = 4 * 1024 * 1024;

/// Counts bytes towards a total.
#[derive(Clone)]
pub(super) struct Meter {
    sink: Arc<dyn Sink>,
    total: Option<u64>,
    done: Arc<AtomicU64>,
}

impl Meter {
    /// Reports where the watch does.
    pub(super) fn of(watch: &Watch) -> Self {
        Self { sink: watch.sink(), total: watch.total(), done: Arc::default() }
    }

    /// Reports nowhere.
    pub(super) fn silent() -> Self {
        Self { sink: Arc::new(Silent), total: None, done: Arc::default() }
    }

    /// So many bytes more are done.
    pub(super) fn add(&self, bytes: u64) {
        let before = self.done.fetch_add(bytes, Ordering::Relaxed);
        let done = before + bytes;
        if before / REPORT_EVERY != done / REPORT_EVERY || Some(done) == self.total {
            self.sink.progress(done, self.total, "bytes");
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Meter").field("done", &self.done).finish_non_exhaustive()
    }
}

/// The library tells of many things; only the bytes of a backup are of interest.
impl ProgressBars for Meter {
    fn progress(&self, kind: ProgressType, prefix: &str) -> Progress {
        if matches!(kind, ProgressType::Bytes) && prefix.starts_with("backing up") {
            return Progress::new(self.clone());
        }
        Progress::hidden()
    }
}

impl RusticProgress for Meter {
    fn is_hidden(&self) -> bool {
        false
    }
    fn set_length(&self, _length: u64) {}
    fn set_title(&self, _title: &str) {}
    fn inc(&self, bytes: u64) {
        self.add(bytes);
    }
    fn finish(&self) {}
}
