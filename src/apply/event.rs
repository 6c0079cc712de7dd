//! What a run has to say. One closed list: terminal, JSON lines, journal and replay all read it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::driver::FailureKind;
use crate::model::name::{ActionId, InstanceAddr, RunId};
use crate::state::Outcome;

/// Something happened in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The first event of a run or of its resumption.
    RunBegan {
        /// Which run.
        run: RunId,
        /// Actions in the plan.
        actions: usize,
        /// Of these, how many had ended before (a resumption).
        done: usize,
    },
    /// An action is about to begin.
    ActionBegan {
        /// Which.
        action: ActionId,
        /// Forward, or its undo.
        direction: Direction,
        /// The try, from 1.
        attempt: u32,
    },
    /// A line of a running action's output. Redacted.
    ActionOutput {
        /// Which.
        action: ActionId,
        /// Of which item, where the action has several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
        /// The line.
        line: String,
    },
    /// How far a running action is.
    ActionProgress {
        /// Which.
        action: ActionId,
        /// Which item of it; `None`: all of the action.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
        /// Done.
        done: u64,
        /// Of total, where known.
        total: Option<u64>,
        /// In which unit.
        unit: String,
    },
    /// A try failed, and there will be another.
    ActionRetries {
        /// Which.
        action: ActionId,
        /// Which item of it, where the action has several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
        /// Why the try failed.
        message: String,
        /// After which pause.
        pause: Duration,
    },
    /// An action ended.
    ActionEnded {
        /// Which.
        action: ActionId,
        /// Forward, or its undo.
        direction: Direction,
        /// How.
        ending: Ending,
        /// How long it took, retries and pauses included.
        took: Duration,
    },
    /// An item of a fanned-out action is about to be seen to.
    ItemBegan {
        /// Of which action.
        action: ActionId,
        /// Forward, or its undo.
        direction: Direction,
        /// Which.
        item: String,
    },
    /// An item of a fanned-out action ended.
    ItemEnded {
        /// Of which action.
        action: ActionId,
        /// Forward, or its undo.
        direction: Direction,
        /// Which.
        item: String,
        /// How.
        ending: Ending,
        /// How long it took, retries and pauses included.
        took: Duration,
    },
    /// A hop was taken into the lockfile.
    Recorded {
        /// The record action.
        action: ActionId,
        /// The lockfile's serial will be at least this.
        serial: u64,
    },
    /// From here on only a restore leads back.
    PointOfNoReturn {
        /// The action that is about to begin.
        action: ActionId,
    },
    /// A failure: from here on actions are undone.
    UndoBegan {
        /// The action that failed; `None`: a person asked.
        because: Option<ActionId>,
        /// How many actions will be undone.
        actions: usize,
    },
    /// A bracket was opened: the platform is in a state that a later action ends.
    BracketOpened {
        /// Of which instance.
        instance: InstanceAddr,
        /// `maintenance mode`.
        bracket: String,
        /// The action that opens it.
        action: ActionId,
    },
    /// A bracket was closed.
    BracketClosed {
        /// Of which instance.
        instance: InstanceAddr,
        /// `maintenance mode`.
        bracket: String,
        /// How long it was open.
        after: Duration,
    },
    /// A bracket is open where a run ends, or where one is taken up again.
    BracketOpen {
        /// Of which instance.
        instance: InstanceAddr,
        /// `maintenance mode`.
        bracket: String,
        /// Since when.
        since: Timestamp,
    },
    /// A person asked to stop: what runs is finished, nothing new is begun.
    Stopping,
    /// Something that a person should know.
    Warning {
        /// What.
        message: String,
    },
    /// The last event of a run.
    RunEnded {
        /// How.
        outcome: Outcome,
        /// Why, where it did not succeed.
        message: Option<String>,
        /// Seconds without service, in all.
        downtime: Duration,
    },
}

/// Forward, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The action itself.
    Forward,
    /// Its undo.
    Undo,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ending", rename_all = "snake_case")]
pub enum Ending {
    /// It did what it should.
    Succeeded,
    /// Its check said that it was already done.
    AlreadyDone,
    /// It failed in a way that the provider tolerates.
    Tolerated {
        /// What was tolerated.
        message: String,
    },
    /// It failed.
    Failed {
        /// Which kind of failure.
        kind: FailureKind,
        /// What happened.
        message: String,
        /// The end of its output.
        output: Vec<String>,
        /// What to do.
        help: Option<String>,
    },
    /// It was not begun, because of another.
    Skipped {
        /// The action whose failure is the cause.
        because: ActionId,
    },
    /// It had begun and nobody can tell how it ended, or it waits for a person.
    Held {
        /// Why.
        message: String,
    },
}
