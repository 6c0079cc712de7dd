//! Writes a journal: many entries share one `fdatasync`.
//!
//! [`Writer::append`] only puts an entry into a buffer and answers its number. A task of its own takes whatever has gathered, writes
//! it, makes it durable, and says up to which number that is so. While one batch is being made durable the next one gathers.

use std::sync::Arc;
use std::sync::Mutex;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::{Entry, Medium, frame};

/// How far a journal is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durable {
    /// Every entry up to this number is.
    pub through: u64,
    /// Why the last attempt failed, where it did. The entries are kept and tried again with the next ones.
    pub failure: Option<Arc<str>>,
}

/// The one writer of a journal.
#[derive(Debug)]
pub struct Writer {
    gathered: Arc<Gathered>,
    durable: watch::Receiver<Durable>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Gathered {
    batch: Mutex<Batch>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Number of its first entry; 0: it is empty.
    first: u64,
    /// Number of the last entry ever appended.
    last: u64,
    closing: bool,
}

impl Writer {
    /// Starts writing to a medium; `last` is the number of the last entry in earlier segments, 0 where there is none.
    #[must_use]
    pub fn start(medium: impl Medium, last: u64) -> Self {
        let gathered = Arc::new(Gathered { batch: Mutex::new(Batch { last, ..Batch::default() }), wake: Notify::new() });
        let (tell, durable) = watch::channel(Durable { through: last, failure: None });
        let task = tokio::spawn(write(Arc::clone(&gathered), Box::new(medium), tell));
        Self { gathered, durable, task: Some(task) }
    }

    /// Appends an entry and answers its number. It is durable once [`Durable::through`] has reached that.
    pub fn append(&self, entry: &Entry) -> u64 {
        let mut batch = lock(&self.gathered.batch);
        let sequence = batch.last + 1;
        let first = if batch.first == 0 { sequence } else { batch.first };
        if let Err(error) = frame::encode(entry, sequence, first, &mut batch.bytes) {
            // Only an absurdly large result gets here; what happened is kept without it.
            let plain = without_result(entry, &error.to_string());
            if frame::encode(&plain, sequence, first, &mut batch.bytes).is_err() {
                return batch.last;
            }
        }
        batch.first = first;
        batch.last = sequence;
        drop(batch);
        self.gathered.wake.notify_one();
        sequence
    }

    /// Tries once more to write what could not be written.
    pub fn retry(&self) {
        self.gathered.wake.notify_one();
    }

    /// Number of the last entry appended.
    #[must_use]
    pub fn last(&self) -> u64 {
        lock(&self.gathered.batch).last
    }

    /// Watches how far it is durable.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.clone()
    }

    /// Makes everything durable, gives back unused space and ends.
    ///
    /// # Errors
    /// Why entries could not be made durable.
    pub async fn close(mut self) -> Result<(), Arc<str>> {
        lock(&self.gathered.batch).closing = true;
        self.gathered.wake.notify_one();
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
        self.durable.borrow().failure.clone().map_or(Ok(()), Err)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.gathered.batch).closing = true;
        self.gathered.wake.notify_one();
    }
}

async fn write(gathered: Arc<Gathered>, mut medium: Box<dyn Medium>, tell: watch::Sender<Durable>) {
    let mut kept = Vec::new();
    loop {
        gathered.wake.notified().await;
        let (through, closing) = {
            let mut batch = lock(&gathered.batch);
            if kept.is_empty() {
                kept = std::mem::take(&mut batch.bytes);
            } else {
                kept.append(&mut batch.bytes);
            }
            batch.first = 0;
            (batch.last, batch.closing)
        };
        if !kept.is_empty() {
            let result;
            if let Some(pause) = medium.simulated() {
                tokio::time::sleep(pause).await;
                result = medium.commit(&kept);
            } else {
                // A blocking thread, not this one: the disk may take long, and a paused test clock must not run on meanwhile.
                let done = tokio::task::spawn_blocking(move || {
                    let result = medium.commit(&kept);
                    (medium, kept, result)
                });
                let Ok((back, bytes, done)) = done.await else {
                    tell.send_modify(|durable| durable.failure = Some("the journal's writer panicked".into()));
                    return;
                };
                (medium, kept, result) = (back, bytes, done);
            }
            match result {
                Ok(()) => {
                    kept.clear();
                    tell.send_replace(Durable { through, failure: None });
                }
                Err(error) => {
                    tell.send_modify(|durable| durable.failure = Some(error.to_string().into()));
                }
            }
        }
        if closing && medium.simulated().is_some() {
            let _ = medium.close();
            return;
        }
        if closing {
            let _ = tokio::task::spawn_blocking(move || medium.close()).await;
            return;
        }
    }
}

fn without_result(entry: &Entry, why: &str) -> Entry {
    let mut entry = entry.clone();
    if let Entry::Ended { result, .. } | Entry::ItemEnded { result, .. } = &mut entry {
        *result = crate::lang::Value::string(format!("(not kept: {why})"));
    }
    entry
}

fn lock(batch: &Mutex<Batch>) -> std::sync::MutexGuard<'_, Batch> {
    // A panic while appending leaves at worst an entry that the reader refuses.
    batch.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{Segment, read};
    use super::*;
    use crate::state::Outcome;
    use std::io;

    fn entry(text: &str) -> Entry {
        Entry::RunEnded { at: jiff::Timestamp::UNIX_EPOCH, outcome: Outcome::Held, message: Some(text.to_owned()) }
    }

    async fn until(writer: &Writer, sequence: u64) {
        writer.durable().wait_for(|durable| durable.through >= sequence).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_said_to_be_durable_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("journal");
        let writer = Writer::start(Segment::create(&folder).unwrap(), 0);
        for number in 1..=500u64 {
            assert_eq!(writer.append(&entry(&number.to_string())), number);
            if number % 100 == 0 {
                until(&writer, number).await;
                assert!(read(&folder).unwrap().entries.len() >= number as usize);
            }
        }
        writer.close().await.unwrap();
        let contents = read(&folder).unwrap();
        assert_eq!((contents.entries.len(), contents.last, contents.torn), (500, 500, None));
    }

    #[tokio::test]
    async fn a_second_segment_goes_on_counting() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..3u64 {
            let writer = Writer::start(Segment::create(dir.path()).unwrap(), round * 2);
            writer.append(&entry("a"));
            writer.append(&entry("b"));
            writer.close().await.unwrap();
        }
        assert_eq!(read(dir.path()).unwrap().last, 6);
    }

    #[tokio::test]
    async fn who_was_overtaken_is_told_and_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let paused = Writer::start(Segment::create(dir.path()).unwrap(), 0);
        paused.append(&entry("first"));
        until(&paused, 1).await;
        let next = Writer::start(Segment::create(dir.path()).unwrap(), 1);
        paused.append(&entry("late"));
        let mut durable = paused.durable();
        let state = durable.wait_for(|durable| durable.failure.is_some()).await.unwrap().clone();
        assert!(state.through == 1 && state.failure.unwrap().contains("another process goes on"));
        next.append(&entry("second"));
        next.close().await.unwrap();
        let contents = read(dir.path()).unwrap();
        assert_eq!(contents.entries, [entry("first"), entry("second")]);
    }

    /// Fails so often, then works.
    struct Full {
        failures: u32,
        bytes: Arc<Mutex<Vec<u8>>>,
    }

    impl Medium for Full {
        fn commit(&mut self, bytes: &[u8]) -> io::Result<()> {
            if self.failures > 0 {
                self.failures -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.lock().unwrap().extend_from_slice(bytes);
            Ok(())
        }

        fn close(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn entries_of_a_failed_write_are_written_with_the_next_ones() {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let writer = Writer::start(Full { failures: 1, bytes: Arc::clone(&bytes) }, 0);
        writer.append(&entry("first"));
        writer.durable().wait_for(|durable| durable.failure.is_some()).await.unwrap();
        assert_eq!(writer.durable().borrow().through, 0);
        writer.append(&entry("second"));
        until(&writer, 2).await;
        assert_eq!(writer.durable().borrow().failure, None);
        let text = String::from_utf8(bytes.lock().unwrap().clone()).unwrap();
        assert!(text.find("first").unwrap() < text.find("second").unwrap());
    }

    #[tokio::test]
    async fn closing_says_that_the_disk_is_full() {
        let writer = Writer::start(Full { failures: 9, bytes: Arc::default() }, 0);
        writer.append(&entry("first"));
        assert!(writer.close().await.is_err());
    }
}
