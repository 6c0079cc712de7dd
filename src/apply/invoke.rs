//! Carries one action out: a step or its undo, a pause, a look at what was recorded.
//!
//! Runs as a task of its own and touches nothing of the run's state: it takes everything it needs and gives a [`Report`]. How a
//! driver is called stands in `errand`.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::clock::{Clock, between};
use super::control::Control;
use super::errand::{Errand, Work};
use super::event::{Direction, Ending, EventKind};
use super::item::{Known, Post};
use super::probe::Line;
use super::run::{Hosts, Observer};
use super::voice::Voice;
use crate::driver::{Drivers, FailureKind, Redactor};
use crate::lang::{Value, Vars};
use crate::model::provider::Provider;
use crate::plan::{Action, ActionKind, Change, Plan};

/// What all actions of a run share.
pub(super) struct Surroundings {
    pub plan: Arc<Plan>,
    pub drivers: Drivers,
    pub hosts: Arc<dyn Hosts>,
    pub observer: Option<Arc<dyn Observer>>,
    pub clock: Arc<dyn Clock>,
    pub control: Control,
    pub voice: Arc<Voice>,
    /// The run's folder.
    pub dir: PathBuf,
    /// Which other machine had the run before this process, where one had.
    pub elsewhere: Option<String>,
}

/// One action to carry out.
pub(super) struct Job {
    pub around: Arc<Surroundings>,
    pub index: u32,
    pub direction: Direction,
    pub mode: Mode,
    pub scope: Vars,
    /// Whose locals and files expressions use.
    pub provider: Option<Arc<Provider>>,
    pub files: Arc<BTreeMap<Arc<str>, Arc<[u8]>>>,
    pub redact: Redactor,
    /// (A probe) To the dispatcher.
    pub line: Option<Line>,
    /// What is known of its items, where it is fanned out.
    pub items: Known,
    /// Where it tells what becomes of them.
    pub post: Post,
}

/// What is known when an action is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It has not begun, or may be done whatever was before.
    Fresh,
    /// It had begun, and how it ended is not known.
    Recover {
        /// When it had begun.
        since: Timestamp,
        /// Whether it is done again where that is safe. Otherwise only its outcome is found out, because it will be undone.
        again: bool,
    },
    /// It waited for a person: it is asked again in the folder in which the answer stands.
    Asked,
    /// It has failed in an earlier process: done again where that is safe.
    Recheck,
    /// (Undo) It did not succeed, so that there may be nothing to undo.
    Incomplete,
}

/// What became of a job.
#[derive(Debug)]
pub(super) struct Report {
    pub index: u32,
    pub direction: Direction,
    pub outcome: Told,
}

/// What a job tells.
#[derive(Debug)]
pub(super) enum Told {
    /// Nothing was called.
    Withdrawn,
    /// It was stopped between items: those that had begun have ended.
    Unfinished,
    /// It ended.
    Ended {
        ending: Ending,
        kind: Option<FailureKind>,
        /// The real one, secrets included.
        result: Value,
    },
}

impl Told {
    /// The same with what of its result is known.
    pub(super) fn giving(self, known: Value) -> Self {
        match self {
            Self::Ended { ending, kind, result: _ } => Self::Ended { ending, kind, result: known },
            told => told,
        }
    }
}

/// Carries an action out.
pub(super) async fn carry_out(job: Job) -> Report {
    let plan = Arc::clone(&job.around.plan);
    let action = &plan.actions[job.index as usize];
    let (index, direction) = (job.index, job.direction);
    let outcome = match (&action.kind, direction) {
        (ActionKind::Pause(pause), Direction::Forward) => job.pause(action, *pause).await,
        (ActionKind::Record, Direction::Forward) => job.observe(action).await,
        (ActionKind::Verify { instances, within }, Direction::Forward) => job.verify(action, instances, *within).await,
        _ => job.call(action, &plan.changes[action.change as usize]).await,
    };
    Report { index, direction, outcome }
}

impl Job {
    async fn pause(&self, action: &Action, pause: Duration) -> Told {
        let clock = &self.around.clock;
        let passed = match self.mode {
            Mode::Recover { since, .. } => between(since, clock.now()),
            Mode::Fresh | Mode::Asked | Mode::Recheck | Mode::Incomplete => Duration::ZERO,
        };
        self.say_begun(action, 1);
        tokio::select! {
            () = clock.sleep(pause.saturating_sub(passed)) => succeeded(Value::Null),
            () = self.around.control.stopped() => Told::Withdrawn,
        }
    }

    async fn observe(&self, action: &Action) -> Told {
        let change = &self.around.plan.changes[action.change as usize];
        let version = change.hops.get(action.hop as usize).map_or(change.to.as_ref(), |hop| hop.to.as_ref());
        let facts = match &self.around.observer {
            Some(observer) => observer.observe(&change.instance, version.map(|version| &**version)).await,
            None => BTreeMap::new(),
        };
        succeeded(Value::Object(facts.into()))
    }

    async fn call(&self, action: &Action, change: &Change) -> Told {
        match Work::of(action, self.direction) {
            Some(work) => match work.fan_out {
                Some(fan_out) => self.fan_out(action, change, work, fan_out).await,
                None => Errand::new(self, action, change, work).run().await,
            },
            None => succeeded(Value::Null),
        }
    }

    pub(super) fn say_begun(&self, action: &Action, attempt: u32) {
        let (action, direction) = (action.id.clone(), self.direction);
        self.around.voice.say(EventKind::ActionBegan { action, direction, attempt });
    }
}

pub(super) fn succeeded(result: Value) -> Told {
    Told::Ended { ending: Ending::Succeeded, kind: None, result }
}

pub(super) fn already_done(result: Value) -> Told {
    Told::Ended { ending: Ending::AlreadyDone, kind: None, result }
}

/// What a driver's panic is: a failure, and a defect.
pub(super) fn panicked(panic: &(dyn Any + Send), redact: &Redactor) -> Told {
    let said = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    let said = redact.apply(&said.unwrap_or_default()).into_owned();
    let message = format!("the driver panicked: {said}");
    let help = Some("this is a defect of Windlass: please report it".to_owned());
    let ending = Ending::Failed { kind: FailureKind::Failed, message, output: Vec::new(), help };
    Told::Ended { ending, kind: Some(FailureKind::Failed), result: Value::Null }
}

pub(super) fn held(kind: FailureKind, message: String) -> Told {
    Told::Ended { ending: Ending::Held { message }, kind: Some(kind), result: Value::Null }
}
