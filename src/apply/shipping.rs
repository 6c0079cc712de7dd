//! Brings a run's journal, and small files of its actions, to a store that other machines reach, while the run goes on.
//!
//! A task of its own takes what was made durable on this machine and appends it to the store's journal, in order. An action begins
//! once its beginning stands there; how it ended may come later. While the store is away everything waits here and is tried again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::clock::Clock;
use super::journal::{Durable, Medium, last_sequence};
use super::lease::Lost;
use super::luggage::Packed;
use super::voice::Voice;
use crate::driver::Redactor;
use crate::model::name::{ActionId, RunId};
use crate::state::{Lease, StateError, Store};

/// How often the folders of running actions are looked at.
const SWEEP: Duration = Duration::from_secs(2);
/// Longest pause between two tries to reach the store.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is to be brought, and where.
pub(super) struct Cargo {
    pub store: Arc<dyn Store>,
    pub run: RunId,
    pub lease: Lease,
    /// The run's folder.
    pub dir: PathBuf,
    /// Number of the journal's next chunk.
    pub next: u64,
    /// Number of the last entry that the store has.
    pub through: u64,
    pub clock: Arc<dyn Clock>,
    pub voice: Arc<Voice>,
    /// Told when another has taken the run over.
    pub tell: mpsc::UnboundedSender<Lost>,
}

/// The way of a run to the store.
pub(super) struct Shipping {
    touched: mpsc::UnboundedSender<Touched>,
    reach: watch::Receiver<Durable>,
    task: JoinHandle<bool>,
    clock: Arc<dyn Clock>,
    place: String,
}

/// An action began or ended: its folder may have something new.
struct Touched {
    folder: String,
    is_over: bool,
    redact: Redactor,
}

/// Passes on what it has made durable.
struct Tee {
    medium: Box<dyn Medium>,
    to: mpsc::UnboundedSender<Vec<u8>>,
}

impl Medium for Tee {
    fn commit(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.medium.commit(bytes)?;
        let _ = self.to.send(bytes.to_vec());
        Ok(())
    }

    fn close(&mut self) -> std::io::Result<()> {
        self.medium.close()
    }

    fn simulated(&self) -> Option<Duration> {
        self.medium.simulated()
    }
}

/// A medium whose bytes go to the store as well.
pub(super) fn tee(medium: Box<dyn Medium>) -> (Box<dyn Medium>, mpsc::UnboundedReceiver<Vec<u8>>) {
    let (to, bytes) = mpsc::unbounded_channel();
    (Box::new(Tee { medium, to }), bytes)
}

impl Shipping {
    /// Begins; `local` says how far the journal is durable on this machine.
    pub(super) fn start(cargo: Cargo, bytes: mpsc::UnboundedReceiver<Vec<u8>>, local: watch::Receiver<Durable>) -> Self {
        let (touched, touches) = mpsc::unbounded_channel();
        let (tell, reach) = watch::channel(Durable { through: cargo.through, failure: None });
        let (clock, place) = (Arc::clone(&cargo.clock), cargo.store.describe());
        let shipper = Shipper { cargo, tell, packed: Packed::default(), open: BTreeMap::new(), is_away: false };
        Self { touched, reach, task: tokio::spawn(shipper.run(bytes, touches, local)), clock, place }
    }

    /// How far the journal is durable here and in the store.
    pub(super) fn reach(&self) -> watch::Receiver<Durable> {
        self.reach.clone()
    }

    /// Says that an action began, or that it ended: to be called before the journal says so.
    pub(super) fn touched(&self, action: &ActionId, is_over: bool, redact: &Redactor) {
        let _ = self.touched.send(Touched { folder: action.file_name(), is_over, redact: redact.clone() });
    }

    /// Waits until the store has the journal up to an entry; answers why it has not.
    pub(super) async fn arrived(&self, sequence: u64, patience: Duration) -> Result<(), String> {
        let mut reach = self.reach.clone();
        let arrived = reach.wait_for(|durable| durable.through >= sequence);
        let arrived = tokio::select! {
            arrived = arrived => arrived.is_ok(),
            () = self.clock.sleep(patience) => false,
        };
        if arrived { Ok(()) } else { Err(format!("the journal could not be brought to {}", self.place)) }
    }

    /// Waits for everything that is still on its way, after the journal was closed; answers whether all of it arrived.
    pub(super) async fn close(self, patience: Duration) -> bool {
        let Self { touched, mut task, clock, .. } = self;
        drop(touched);
        let arrived = tokio::select! {
            biased;
            arrived = &mut task => arrived.unwrap_or(false),
            () = clock.sleep(patience) => false,
        };
        task.abort();
        arrived
    }
}

/// Something to be brought.
enum Parcel<'a> {
    /// A file of the run.
    File { name: &'a str, content: &'a [u8] },
    /// A part of its journal.
    Chunk { number: u64, content: &'a [u8] },
}

impl Cargo {
    async fn put(&self, parcel: &Parcel<'_>) -> Result<(), StateError> {
        let Some(files) = self.store.run_files() else { return Ok(()) };
        match parcel {
            Parcel::File { name, content } => files.put_file(&self.run, name, content, &self.lease).await,
            Parcel::Chunk { number, content } => files.append(&self.run, *number, content, &self.lease).await,
        }
    }
}

/// Another has taken the run over: nothing more may be brought.
struct Taken(String);

struct Shipper {
    cargo: Cargo,
    tell: watch::Sender<Durable>,
    packed: Packed,
    /// Folders of actions that are running, or have ended since the last look; whether they have.
    open: BTreeMap<String, (bool, Redactor)>,
    is_away: bool,
}

impl Shipper {
    /// Until the journal is closed and everything arrived (true), or another has the run (false).
    async fn run(
        mut self,
        mut bytes: mpsc::UnboundedReceiver<Vec<u8>>,
        mut touches: mpsc::UnboundedReceiver<Touched>,
        mut local: watch::Receiver<Durable>,
    ) -> bool {
        let mut is_closed = false;
        let mut is_failing = false;
        while !is_closed {
            let mut batch = Vec::new();
            let clock = Arc::clone(&self.cargo.clock);
            tokio::select! {
                more = bytes.recv() => match more {
                    Some(more) => batch = more,
                    None => is_closed = true,
                },
                Some(touched) = touches.recv() => self.touch(touched),
                Ok(()) = local.changed(), if !is_failing => {
                    let failure = local.borrow_and_update().failure.clone();
                    is_failing = failure.is_some();
                    if is_failing {
                        self.tell.send_modify(|durable| durable.failure = failure);
                    }
                }
                () = clock.sleep(SWEEP), if !self.open.is_empty() => {}
            }
            while let Ok(more) = bytes.try_recv() {
                batch.extend(more);
            }
            // After the bytes: an action's folder is said to have something new before the journal says that it ended.
            while let Ok(touched) = touches.try_recv() {
                self.touch(touched);
            }
            if let Err(Taken(why)) = self.bring(&batch).await {
                let environment = self.cargo.lease.environment.clone();
                let _ = self.cargo.tell.send(Lost { environment, why });
                return false;
            }
        }
        true
    }

    fn touch(&mut self, touched: Touched) {
        let Touched { folder, is_over, redact } = touched;
        self.open.insert(folder, (is_over, redact));
    }

    /// Brings what is new in folders, then a part of the journal: what it says has ended has its files there.
    async fn bring(&mut self, batch: &[u8]) -> Result<(), Taken> {
        let open = std::mem::take(&mut self.open);
        for (folder, (_, redact)) in &open {
            for piece in self.packed.changed(&self.cargo.dir, folder, redact) {
                self.insist(&Parcel::File { name: &piece.name, content: &piece.content }).await?;
                self.packed.brought(piece);
            }
        }
        // Folders of actions that still run are looked at again.
        self.open.extend(open.into_iter().filter(|(_, (is_over, _))| !is_over));
        let Some(through) = last_sequence(batch) else { return Ok(()) };
        self.insist(&Parcel::Chunk { number: self.cargo.next, content: batch }).await?;
        self.cargo.next += 1;
        self.tell.send_modify(|durable| durable.through = through);
        Ok(())
    }

    /// Tries until the store has taken it.
    async fn insist(&mut self, parcel: &Parcel<'_>) -> Result<(), Taken> {
        let mut pause = Duration::from_millis(250);
        loop {
            match self.cargo.put(parcel).await {
                Ok(()) => {
                    self.is_away = false;
                    return Ok(());
                }
                Err(error @ (StateError::Fenced(_) | StateError::Moved { .. })) => return Err(Taken(error.to_string())),
                Err(error) => {
                    // Once, not with every try.
                    if !std::mem::replace(&mut self.is_away, true) {
                        self.cargo.voice.warn(format!("nothing new is begun until the store has the journal: {error}"));
                    }
                }
            }
            self.cargo.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
