//! How a run speaks: one place through which every event goes, in order, and none after the last.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::clock::Clock;
use super::event::{Event, EventKind};
use crate::driver::{Redactor, Sink};
use crate::model::name::ActionId;

/// Takes events.
pub type Listener = Box<dyn FnMut(&Event) + Send>;

/// How many lines of output a failure carries.
const TAIL: usize = 20;

/// Passes events on to the listener. A slow listener slows the speakers down; nothing piles up.
pub(super) struct Voice {
    listener: Mutex<Option<Listener>>,
    clock: Arc<dyn Clock>,
}

impl Voice {
    pub(super) fn new(listener: Listener, clock: Arc<dyn Clock>) -> Self {
        Self { listener: Mutex::new(Some(listener)), clock }
    }

    /// Says something.
    pub(super) fn say(&self, kind: EventKind) {
        let last = matches!(kind, EventKind::RunEnded { .. });
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listen) = listener.as_mut() {
            listen(&Event { at: self.clock.now(), kind });
        }
        if last {
            // What an aborted driver's thread still says comes too late.
            *listener = None;
        }
    }

    pub(super) fn warn(&self, message: impl Into<String>) {
        self.say(EventKind::Warning { message: message.into() });
    }
}

/// What one action says.
pub(super) struct ActionVoice {
    voice: Arc<Voice>,
    action: ActionId,
    redact: Redactor,
    tail: Mutex<VecDeque<String>>,
}

impl ActionVoice {
    pub(super) fn new(voice: Arc<Voice>, action: ActionId, redact: Redactor) -> Self {
        Self { voice, action, redact, tail: Mutex::default() }
    }

    /// The last lines that it said.
    pub(super) fn tail(&self) -> Vec<String> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Sink for ActionVoice {
    fn line(&self, line: &str) {
        // Drivers redact what they say; a second time costs little and holds for a driver that forgot.
        let line = self.redact.apply(line).into_owned();
        {
            let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line.clone());
        }
        self.voice.say(EventKind::ActionOutput { action: self.action.clone(), line });
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        let (action, unit) = (self.action.clone(), unit.to_owned());
        self.voice.say(EventKind::ActionProgress { action, done, total, unit });
    }
}
