//! The disk under a journal: it takes its time, fills up, and loses what was not yet promised when power fails.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::scenario::DiskAct;
use super::world::{Inner, World};
use crate::apply::event::{Direction, Ending};
use crate::apply::journal::{Entry, Medium, Word};

/// A segment on the simulated disk, for one process of Windlass.
pub(super) struct Disk {
    world: World,
    path: PathBuf,
    generation: u32,
    pause: Duration,
    /// Whether what is durable here counts; else what came to the store.
    counts: bool,
}

impl Disk {
    /// The next segment in the journal of a run's folder.
    pub(super) fn next(world: &World, run: &Path, pause: Duration, counts: bool) -> Self {
        let folder = run.join("journal");
        let number = std::fs::read_dir(&folder).map_or(0, Iterator::count) + 1;
        let generation = world.look().generation;
        Self { world: world.clone(), path: folder.join(format!("{number:06}.log")), generation, pause, counts }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        OpenOptions::new().create(true).append(true).open(&self.path)?.write_all(bytes)
    }

    fn learn(&self, bytes: &[u8]) {
        if self.counts {
            learn(&mut self.world.look(), bytes);
        }
    }
}

/// What is durable now, for those who judge.
pub(super) fn learn(world: &mut Inner, bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(start) = line.iter().position(|byte| *byte == b'{') else { continue };
        match serde_json::from_slice(&line[start..]) {
            Ok(Entry::Began { action, direction, .. }) => {
                world.durable_begun.insert((action, direction));
            }
            Ok(Entry::ItemBegan { action, direction, item, .. }) => {
                world.durable_items.insert((action, direction, item));
            }
            Ok(Entry::ItemEnded { action, direction, item, ending, .. }) => {
                if matches!(ending, Ending::Succeeded | Ending::AlreadyDone | Ending::Tolerated { .. }) {
                    world.durable_items_done.insert((action, direction, item));
                }
            }
            Ok(Entry::Ended { action, direction, ending, .. }) => {
                let good = matches!(ending, Ending::Succeeded | Ending::AlreadyDone | Ending::Tolerated { .. });
                world.undo_held.remove(&action);
                if matches!(ending, Ending::Succeeded | Ending::AlreadyDone) {
                    world.judge_end(&action, direction);
                }
                match (direction, good) {
                    (Direction::Forward, true) => world.durable_done.insert(action),
                    (Direction::Undo, true) => world.durable_done.remove(&action),
                    (Direction::Undo, false) => world.undo_held.insert(action),
                    (Direction::Forward, false) => false,
                };
            }
            Ok(Entry::Decided { action, word, .. }) if !world.said.contains(&(action.clone(), word)) => {
                world.accuse(format!("the journal has a word about {action} that nobody has said: {word:?}"));
            }
            Ok(Entry::Decided { action, word: Word::Skip | Word::Done, .. }) => {
                if world.undo_held.remove(&action) {
                    world.durable_done.remove(&action);
                } else {
                    world.durable_done.insert(action);
                }
            }
            Ok(_) => {}
            Err(error) => world.accuse(format!("the journal has a line that is no entry: {error}")),
        }
    }
}

impl Medium for Disk {
    fn commit(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.world.look().is_dead(self.generation) {
            return Err(io::Error::other("the process is dead"));
        }
        let is_current = self.world.look().is_current(self.generation);
        let act = if is_current { self.world.look().next_commit() } else { None };
        match act {
            Some(DiskAct::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(DiskAct::Torn(percent)) => {
                let part = &bytes[..bytes.len() * usize::from(percent) / 100];
                self.write(part)?;
                let whole = part.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                self.learn(&part[..whole]);
                self.world.kill(false);
                Err(io::Error::other("power failed"))
            }
            Some(DiskAct::Killed) => {
                self.write(bytes)?;
                self.learn(bytes);
                self.world.kill(true);
                Err(io::Error::other("the process is dead"))
            }
            None => {
                self.write(bytes)?;
                self.learn(bytes);
                Ok(())
            }
        }
    }

    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn simulated(&self) -> Option<Duration> {
        Some(self.pause)
    }
}
