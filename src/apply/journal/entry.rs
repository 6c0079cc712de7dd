//! One line of a journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::apply::event::{Direction, Ending};
use crate::driver::FailureKind;
use crate::lang::Value;
use crate::model::name::{ActionId, Digest, EnvironmentName, InstanceAddr, RunId};
use crate::state::Outcome;

/// Something that a resumption must know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// The first entry of every segment: a process took up the run.
    Opened {
        /// When.
        at: Timestamp,
        /// [`super::FORMAT`].
        format: u32,
        /// Which run.
        run: RunId,
        /// Digest of `plan.json`.
        plan: Digest,
        /// `apply`, `resume`, `rollback`.
        operation: String,
        /// `user@host`.
        who: String,
    },
    /// An action is about to begin. Durable before it does.
    Began {
        /// When.
        at: Timestamp,
        /// Which.
        action: ActionId,
        /// Forward, or its undo.
        direction: Direction,
    },
    /// What [`Entry::Began`] said did not come to pass: nothing was called.
    Withdrawn {
        /// When.
        at: Timestamp,
        /// Which.
        action: ActionId,
        /// Forward, or its undo.
        direction: Direction,
    },
    /// An action ended. Durable before anything that needs it begins.
    Ended {
        /// When.
        at: Timestamp,
        /// Which.
        action: ActionId,
        /// Forward, or its undo.
        direction: Direction,
        /// How.
        ending: Ending,
        /// Which kind of failure, where it did not succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<FailureKind>,
        /// The step's result, redacted; of a record action the facts observed after it.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        result: Value,
    },
    /// An item of a fanned-out action is about to begin. Durable before it does. Since format 2.
    ItemBegan {
        /// When.
        at: Timestamp,
        /// Of which action.
        action: ActionId,
        /// Forward, or its undo.
        direction: Direction,
        /// Which item.
        item: Arc<str>,
    },
    /// An item of a fanned-out action ended. Since format 2.
    ItemEnded {
        /// When.
        at: Timestamp,
        /// Of which action.
        action: ActionId,
        /// Forward, or its undo.
        direction: Direction,
        /// Which item.
        item: Arc<str>,
        /// How.
        ending: Ending,
        /// Which kind of failure, where it did not succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<FailureKind>,
        /// What its call gave, redacted.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        result: Value,
    },
    /// It was decided to undo what the run has done in an environment.
    UndoBegan {
        /// When.
        at: Timestamp,
        /// Where.
        environment: EnvironmentName,
        /// The action whose failure is the cause; `None`: a person asked.
        because: Option<ActionId>,
        /// The version at which an instance stays, where a person asked to go back no further. Since format 3.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        stays: BTreeMap<InstanceAddr, Arc<str>>,
    },
    /// A person's word on an action.
    Decided {
        /// When.
        at: Timestamp,
        /// Which.
        action: ActionId,
        /// What it is to be taken as.
        word: Word,
        /// Who.
        who: String,
    },
    /// The run ended, or this process's part of it.
    RunEnded {
        /// When.
        at: Timestamp,
        /// How.
        outcome: Outcome,
        /// Why, where it did not succeed.
        message: Option<String>,
    },
}

/// What a person says about an action that is held or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Do it again (or its undo, where that is what is held).
    Retry,
    /// It is done, or need not be (or its undo, where that is what is held).
    Skip,
    /// The whole run is declared done by hand, this with it, whether it was begun or not.
    Done,
}
