//! Items of fanned-out actions: what is known of each, and how a job tells what becomes of them.
//!
//! The live run and the reading of a journal change it through the same functions, as they do [`super::progress`].

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::event::{Direction, Ending};
use crate::driver::FailureKind;
use crate::lang::Value;

/// What is known of one item.
#[derive(Debug, Clone, PartialEq)]
pub enum ItemState {
    /// It has begun; how it ended is not known (yet).
    Began(Timestamp),
    /// It ended.
    Ended(ItemEnd),
}

/// How an item ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemEnd {
    /// How.
    pub ending: Ending,
    /// Which kind of failure, where it did not succeed.
    pub kind: Option<FailureKind>,
    /// What its call gave; redacted where it was read from a journal.
    pub result: Value,
}

impl ItemEnd {
    /// Why it did not succeed; `None`: it did.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match &self.ending {
            Ending::Succeeded | Ending::AlreadyDone | Ending::Tolerated { .. } => None,
            Ending::Failed { message, .. } | Ending::Held { message } => Some(message),
            Ending::Skipped { .. } => Some("it was skipped"),
        }
    }
}

/// Items by key.
pub(super) type Known = BTreeMap<Arc<str>, ItemState>;

/// What is known of the items of all actions.
#[derive(Debug, Default)]
pub struct Items(BTreeMap<(u32, Direction), Known>);

impl Items {
    /// The items of an action that have begun.
    pub(super) fn of(&self, action: u32, direction: Direction) -> Known {
        self.0.get(&(action, direction)).cloned().unwrap_or_default()
    }

    /// Takes in that an item is about to begin.
    pub(super) fn begin(&mut self, action: u32, direction: Direction, item: Arc<str>, at: Timestamp) {
        self.0.entry((action, direction)).or_default().insert(item, ItemState::Began(at));
    }

    /// Takes in how an item ended.
    pub(super) fn end(&mut self, action: u32, direction: Direction, item: Arc<str>, end: ItemEnd) {
        self.0.entry((action, direction)).or_default().insert(item, ItemState::Ended(end));
    }

    /// A person wants what did not succeed to be done again, whatever became of it.
    pub(super) fn retry(&mut self, action: u32, direction: Direction) {
        if let Some(items) = self.0.get_mut(&(action, direction)) {
            items.retain(|_, state| matches!(state, ItemState::Ended(end) if end.failure().is_none()));
        }
    }
}

/// What a job tells of an item.
#[derive(Debug)]
pub(super) struct Said {
    pub action: u32,
    pub direction: Direction,
    pub item: Arc<str>,
    pub what: SaidWhat,
}

/// What happened to the item.
#[derive(Debug)]
pub(super) enum SaidWhat {
    /// It is about to begin. The answer comes once that is durable; none: nothing may begin any more.
    Begins(oneshot::Sender<()>),
    /// It ended.
    Ended(ItemEnd),
}

/// The way from jobs to the dispatcher.
pub(super) type Post = mpsc::UnboundedSender<Said>;
