//! How a run speaks: one place through which every event goes, in order, and none after the last.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rust_decimal::prelude::ToPrimitive as _;

use super::clock::Clock;
use super::event::{Event, EventKind};
use crate::driver::{Redactor, Sink};
use crate::lang::{Env, Expr, Value, Vars};
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
    /// How far it is, in percent, over `line`.
    progress: Option<Expr>,
    /// For which item it speaks, where the action has several.
    item: Option<Arc<str>>,
}

impl ActionVoice {
    pub(super) fn new(voice: Arc<Voice>, action: ActionId, redact: Redactor, progress: Option<Expr>) -> Self {
        Self { voice, action, redact, tail: Mutex::default(), progress, item: None }
    }

    /// The same for one item of the action.
    pub(super) fn of_item(self, item: Arc<str>) -> Self {
        Self { item: Some(item), ..self }
    }

    fn item(&self) -> Option<String> {
        self.item.as_ref().map(ToString::to_string)
    }

    /// What a line of output tells of how far the action is; most lines tell nothing, and an expression that fails neither.
    fn percent(&self, line: &str) -> Option<u64> {
        let value =
            self.progress.as_ref()?.eval(&Vars::new([("line", Value::string(line))]), &Env::pure(Timestamp::UNIX_EPOCH)).ok()?;
        match value {
            Value::Number(number) => number.trunc().to_u64().map(|percent| percent.min(100)),
            _ => None,
        }
    }

    /// Keeps a line for a failure to carry.
    fn keep(&self, line: &str) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(line.to_owned());
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
        self.keep(&line);
        let percent = self.percent(&line);
        self.voice.say(EventKind::ActionOutput { action: self.action.clone(), item: self.item(), line });
        if let Some(percent) = percent {
            self.progress(percent, Some(100), "%");
        }
    }

    fn progress(&self, done: u64, total: Option<u64>, unit: &str) {
        let (action, unit) = (self.action.clone(), unit.to_owned());
        self.voice.say(EventKind::ActionProgress { action, item: self.item(), done, total, unit });
    }
}

/// An action's voice that says nothing, and keeps the last lines for a failure.
pub(super) struct Hushed(pub Arc<ActionVoice>);

impl Sink for Hushed {
    fn line(&self, line: &str) {
        self.0.keep(&self.0.redact.apply(line));
    }

    fn progress(&self, _done: u64, _total: Option<u64>, _unit: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::SystemClock;

    #[test]
    fn lines_of_output_tell_how_far_a_step_is() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let listener: Listener = Box::new(move |event| ear.lock().expect("no panic").push(event.kind.clone()));
        let voice = Arc::new(Voice::new(listener, Arc::new(SystemClock)));
        let progress = Expr::parse(r#"tonumber(regex("^([0-9]+)%", line)[0])"#).expect("an expression");
        let action = ActionVoice::new(voice, ActionId::from_text("a.b@1:c"), Redactor::default(), Some(progress));
        for line in ["starting", "40% of it", "250% of it"] {
            action.line(line);
        }
        let percents = heard
            .lock()
            .expect("no panic")
            .iter()
            .filter_map(|kind| match kind {
                EventKind::ActionProgress { done, total, .. } => Some((*done, *total)),
                _ => None,
            })
            .collect::<Vec<_>>();
        assert_eq!(percents, [(40, Some(100)), (100, Some(100))]);
    }
}
