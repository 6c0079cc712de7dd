//! How many looks a host gets at once, and when it is given up, so that a host that does not answer never keeps the others waiting.
//!
//! The first look at a host over the network goes alone: a dead host holds one place of those that all share, and not many.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::driver::host::Host;

/// Looks at once at one host over the network: an SSH server takes ten sessions of a connection, if nobody changed that.
pub(super) const PER_HOST: usize = 8;

/// After so many calls without any answer in between, what remains to be asked of a host is not asked.
pub(super) const SILENCES: usize = 3;

/// A host that says no at once holds nobody up, and is no silent one.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of one host while it is looked at.
pub(super) struct Gate {
    slots: Semaphore,
    answers: AtomicUsize,
    silences: AtomicUsize,
}

impl Gate {
    fn new() -> Self {
        Self { slots: Semaphore::new(1), answers: AtomicUsize::new(0), silences: AtomicUsize::new(0) }
    }

    /// Waits for a place.
    pub(super) async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.slots.acquire().await.ok()
    }

    /// How often it has answered; to be given to [`Self::silent`] for a call that begins now.
    pub(super) fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    /// It has answered, whatever it said. The first answer lets more looks in.
    pub(super) fn answered(&self) {
        self.silences.store(0, Ordering::Relaxed);
        if self.answers.fetch_add(1, Ordering::Relaxed) == 0 {
            self.slots.add_permits(PER_HOST - 1);
        }
    }

    /// A call had no answer. Where others had one meanwhile, it is not the host that is silent.
    pub(super) fn silent(&self, answers: usize) {
        if self.answers() == answers {
            self.silences.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether it is not asked any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.silences.load(Ordering::Relaxed) >= SILENCES
    }
}

/// The gates of one look at the fleet, by the hosts' names.
#[derive(Default)]
pub(super) struct Gates(Mutex<BTreeMap<String, Arc<Gate>>>);

impl Gates {
    /// The gate of a host; this machine has none.
    pub(super) fn of(&self, machine: &dyn Host) -> Option<Arc<Gate>> {
        if machine.is_local() {
            return None;
        }
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(gates.entry(machine.name().to_owned()).or_insert_with(|| Arc::new(Gate::new()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_given_up_after_three_silences_with_no_answer_between() {
        let gate = Gate::new();
        let began = gate.answers();
        gate.silent(began);
        gate.silent(began);
        gate.answered();
        gate.silent(began);
        gate.silent(began);
        gate.silent(began);
        assert!(!gate.is_given_up(), "others were answered while these waited");
        let began = gate.answers();
        for _ in 0..SILENCES {
            assert!(!gate.is_given_up());
            gate.silent(began);
        }
        assert!(gate.is_given_up());
    }

    #[test]
    fn the_first_answer_lets_more_looks_in_and_the_second_none() {
        let gate = Gate::new();
        assert_eq!(gate.slots.available_permits(), 1);
        gate.answered();
        gate.answered();
        assert_eq!(gate.slots.available_permits(), PER_HOST);
    }
}
