//! How far a run is: the state of every action, and the only ways from one state to another.
//!
//! The live run and the reading of a journal change it through the same functions, so that a resumed run cannot see its past
//! differently from how it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::back::last_staying;
use super::bracket::Brackets;
use super::event::{Direction, Ending};
use super::graph::{Graph, HopInfo};
use super::item::{ItemEnd, Items};
use super::journal::{Entry, Word};
use crate::driver::FailureKind;
use crate::lang::Value;
use crate::model::name::{ActionId, EnvironmentName, InstanceAddr};
use crate::plan::{ActionKind, Plan};
use crate::state::Outcome;

/// The state of one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionState {
    /// It has not begun.
    Planned,
    /// It has begun; how it ended is not known (yet).
    Running,
    /// It did what it should, or was already done, or a person said so.
    Succeeded,
    /// It failed.
    Failed,
    /// Nobody can tell how it ended, or it waits for a person.
    Held,
    /// Its undo has begun.
    Undoing,
    /// It was reversed.
    Undone,
    /// Its undo failed, or nobody can tell how that ended.
    UndoHeld,
}

/// What may happen to an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is about to begin.
    Begin(Direction),
    /// It was about to begin, and nothing was called.
    Withdraw(Direction),
    /// It did what it should.
    Succeed(Direction),
    /// It failed.
    Fail(Direction),
    /// Its outcome is not known.
    Hold(Direction),
    /// A person's word.
    Decide(Word),
}

impl ActionState {
    /// The state after a step; `None`: that cannot happen in this state.
    #[must_use]
    pub fn after(self, step: Step) -> Option<Self> {
        use ActionState as S;
        use Direction::{Forward, Undo};
        Some(match (self, step) {
            // A failed or held one may be tried again when its check or the provider says that this is safe.
            (S::Planned | S::Failed | S::Held, Step::Begin(Forward)) => S::Running,
            (S::Running, Step::Withdraw(Forward)) => S::Planned,
            // A record action ends without having begun.
            (S::Running | S::Planned, Step::Succeed(Forward)) => S::Succeeded,
            (S::Running, Step::Fail(Forward)) => S::Failed,
            (S::Running, Step::Hold(Forward)) => S::Held,
            // One that is planned again by a person's word may have left something when it was tried before.
            (S::Planned | S::Succeeded | S::Failed | S::Held | S::UndoHeld, Step::Begin(Undo)) => S::Undoing,
            // A held one, where it never came to call anything.
            (S::Undoing | S::UndoHeld, Step::Withdraw(Undo)) => S::Held,
            // Where there is nothing to call, it ends without having begun.
            (S::Planned | S::Undoing | S::Succeeded | S::Failed | S::Held, Step::Succeed(Undo)) => S::Undone,
            (S::Undoing, Step::Fail(Undo) | Step::Hold(Undo)) => S::UndoHeld,
            (S::Failed | S::Held | S::Running, Step::Decide(Word::Retry)) => S::Planned,
            (S::Failed | S::Held | S::Running, Step::Decide(Word::Skip)) => S::Succeeded,
            (S::Planned | S::Failed | S::Held | S::Running, Step::Decide(Word::Done)) => S::Succeeded,
            (S::UndoHeld | S::Undoing, Step::Decide(Word::Retry)) => S::Succeeded,
            (S::UndoHeld | S::Undoing, Step::Decide(Word::Skip)) => S::Undone,
            _ => return None,
        })
    }

    /// Whether it needs a person, or failed.
    #[must_use]
    pub fn is_stuck(self) -> bool {
        matches!(self, Self::Failed | Self::Held | Self::UndoHeld)
    }

    /// Whether something of it may be there: it was begun and not reversed.
    #[must_use]
    pub fn has_effect(self) -> bool {
        !matches!(self, Self::Planned | Self::Undone)
    }
}

impl std::fmt::Display for ActionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::UndoHeld => "held while it was undone",
        })
    }
}

/// How far a run is.
#[derive(Debug)]
pub struct Progress {
    /// By action.
    pub states: Vec<ActionState>,
    /// By action: its result; null where there is none.
    pub results: Vec<Value>,
    /// Brackets that the run has opened.
    pub brackets: Brackets,
    /// What is known of the items of fanned-out actions.
    pub items: Items,
    /// By action: when it ended last; when it began, where it has not ended.
    pub times: Vec<Option<Timestamp>>,
    /// By action: it failed before anything was called, so nothing of it is there.
    pub untouched: Vec<bool>,
    /// Why an action failed or is held; stays when it is undone after that.
    pub reasons: BTreeMap<u32, (FailureKind, String)>,
    /// Environments in which it was decided to undo, with the failure that is the cause.
    pub undoing: BTreeMap<EnvironmentName, Option<ActionId>>,
    /// In environments that are undone by a person's wish: the version that an instance stays at, where it does not go all the way.
    pub stays: BTreeMap<EnvironmentName, BTreeMap<InstanceAddr, Arc<str>>>,
    /// How it ended, where it did.
    pub ended: Option<Outcome>,
    /// When it first began.
    pub began: Option<Timestamp>,
    /// Measured seconds and how often, by `provider/strategy/step`.
    pub durations: BTreeMap<String, (f64, u32)>,
    down: Vec<Down>,
    /// By action: an earlier try may have done something, whatever the last one says of itself.
    tried: Vec<bool>,
    /// What begun actions were before, for those that are withdrawn.
    before: BTreeMap<u32, Before>,
}

/// An action before it was begun.
#[derive(Debug, Clone)]
struct Before {
    state: ActionState,
    reason: Option<(FailureKind, String)>,
    untouched: bool,
}

/// Downtime of one change's instance.
#[derive(Debug, Clone, Copy, Default)]
struct Down {
    since: Option<Timestamp>,
    total: std::time::Duration,
}

impl Progress {
    /// Nothing has begun.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let count = plan.actions.len();
        Self {
            states: vec![ActionState::Planned; count],
            results: vec![Value::Null; count],
            brackets: Brackets::default(),
            items: Items::default(),
            times: vec![None; count],
            untouched: vec![false; count],
            reasons: BTreeMap::new(),
            undoing: BTreeMap::new(),
            stays: BTreeMap::new(),
            ended: None,
            began: None,
            durations: BTreeMap::new(),
            down: vec![Down::default(); plan.changes.len()],
            tried: vec![false; count],
            before: BTreeMap::new(),
        }
    }

    /// The state of an action.
    #[must_use]
    pub fn state(&self, action: u32) -> ActionState {
        self.states[action as usize]
    }

    /// Whether something of an action is there: it has begun, was not undone, and did not fail before it called anything. What an
    /// earlier try has left is there also when a person has asked for another, until that one begins.
    pub(super) fn is_there(&self, action: u32) -> bool {
        let (state, place) = (self.state(action), action as usize);
        (state.has_effect() || state == ActionState::Planned && self.tried[place]) && !self.untouched[place]
    }

    /// Takes in that an action is about to begin.
    pub(super) fn begin(
        &mut self,
        plan: &Plan,
        graph: &Graph,
        action: u32,
        direction: Direction,
        at: Timestamp,
    ) -> Result<(), String> {
        let place = action as usize;
        let (reason, untouched) = (self.reasons.get(&action).cloned(), self.untouched[place]);
        let before = Before { state: self.states[place], reason, untouched };
        self.step(plan, action, Step::Begin(direction))?;
        self.before.insert(action, before);
        self.times[place] = Some(at);
        self.brackets.begin(action, &plan.actions[place], direction, at);
        if direction == Direction::Forward {
            self.reasons.remove(&action);
            self.untouched[place] = false;
        }
        self.account(plan, graph, action, at);
        Ok(())
    }

    /// Takes in that nothing was called after all: the action is what it was before.
    pub(super) fn withdraw(&mut self, plan: &Plan, action: u32, direction: Direction) -> Result<(), String> {
        self.step(plan, action, Step::Withdraw(direction))?;
        self.brackets.withdraw(action, self.times[action as usize]);
        self.reasons.remove(&action);
        if let Some(Before { state, reason, untouched }) = self.before.remove(&action) {
            self.states[action as usize] = state;
            self.untouched[action as usize] = untouched;
            self.reasons.extend(reason.map(|reason| (action, reason)));
        }
        Ok(())
    }

    /// Takes in how an action ended.
    pub(super) fn end(&mut self, plan: &Plan, graph: &Graph, action: u32, end: End<'_>) -> Result<(), String> {
        let End { direction, ending, kind, result, at } = end;
        let kind = kind.unwrap_or(FailureKind::Failed);
        let (step, reason) = match ending {
            Ending::Succeeded | Ending::AlreadyDone | Ending::Tolerated { .. } => (Step::Succeed(direction), None),
            Ending::Failed { message, .. } => (Step::Fail(direction), Some(message)),
            Ending::Held { message } => (Step::Hold(direction), Some(message)),
            Ending::Skipped { .. } => return Err("a skipped action is never written down".to_owned()),
        };
        self.measure(plan, action, direction, ending, at);
        self.step(plan, action, step)?;
        // An undo that never began may be taken back later.
        if step != Step::Fail(Direction::Undo) || kind != FailureKind::NotBegun {
            self.before.remove(&action);
        }
        let place = action as usize;
        match reason {
            None => self.brackets.succeed(action, &plan.actions[place], direction, at),
            // Nothing was called.
            Some(_) if has_done_nothing(kind) => self.brackets.withdraw(action, self.times[place]),
            Some(_) => {}
        }
        self.times[place] = Some(at);
        match (direction, reason) {
            (_, Some(message)) => {
                if direction == Direction::Forward {
                    self.untouched[place] = has_done_nothing(kind) && !self.tried[place];
                    self.tried[place] |= !has_done_nothing(kind);
                }
                self.reasons.insert(action, (kind, message.clone()));
                // Its undo needs to know which items are there.
                if direction == Direction::Forward && !result.is_null() {
                    self.results[place] = result;
                }
            }
            (Direction::Forward, None) => self.results[place] = result,
            (Direction::Undo, None) => {}
        }
        self.account(plan, graph, action, at);
        Ok(())
    }

    /// Takes in a person's word.
    pub(super) fn decide(&mut self, plan: &Plan, graph: &Graph, action: u32, word: Word, at: Timestamp) -> Result<(), String> {
        let direction = match self.state(action) {
            ActionState::UndoHeld | ActionState::Undoing => Direction::Undo,
            _ => Direction::Forward,
        };
        if word == Word::Retry && matches!(self.state(action), ActionState::Running | ActionState::Held) {
            self.tried[action as usize] = true;
        }
        self.step(plan, action, Step::Decide(word))?;
        match word {
            Word::Retry => self.items.retry(action, direction),
            Word::Skip | Word::Done => self.brackets.succeed(action, &plan.actions[action as usize], direction, at),
        }
        self.reasons.remove(&action);
        self.times[action as usize] = Some(at);
        self.account(plan, graph, action, at);
        Ok(())
    }

    /// Takes in an entry of the journal of an earlier process. `index` finds actions by name.
    pub(super) fn replay(
        &mut self,
        plan: &Plan,
        graph: &Graph,
        index: &std::collections::HashMap<&ActionId, u32>,
        entry: Entry,
    ) -> Result<(), String> {
        let find = |action: &ActionId| index.get(action).copied().ok_or_else(|| format!("action `{action}` is not in the plan"));
        match entry {
            Entry::Opened { at, .. } => {
                self.began.get_or_insert(at);
                self.ended = None;
                Ok(())
            }
            Entry::Began { at, action, direction } => self.begin(plan, graph, find(&action)?, direction, at),
            Entry::Withdrawn { action, direction, .. } => self.withdraw(plan, find(&action)?, direction),
            Entry::Ended { at, action, direction, ending, kind, result } => {
                let end = End { direction, ending: &ending, kind, result, at };
                self.end(plan, graph, find(&action)?, end)
            }
            Entry::ItemBegan { at, action, direction, item } => {
                self.items.begin(find(&action)?, direction, item, at);
                Ok(())
            }
            Entry::ItemEnded { action, direction, item, ending, kind, result, .. } => {
                self.items.end(find(&action)?, direction, item, ItemEnd { ending, kind, result });
                Ok(())
            }
            Entry::UndoBegan { environment, because, stays, .. } => {
                self.undo(environment, because, stays);
                Ok(())
            }
            Entry::Decided { at, action, word, .. } => self.decide(plan, graph, find(&action)?, word, at),
            Entry::RunEnded { outcome, .. } => {
                self.ended = Some(outcome);
                Ok(())
            }
        }
    }

    /// Takes in that an environment is undone. `stays`: the instances that go back no further than to a version.
    pub(super) fn undo(
        &mut self,
        environment: EnvironmentName,
        because: Option<ActionId>,
        stays: BTreeMap<InstanceAddr, Arc<str>>,
    ) {
        self.undoing.insert(environment.clone(), because);
        self.stays.insert(environment, stays);
    }

    /// Takes an action for undone, in a look ahead.
    pub(super) fn foresee_undone(&mut self, action: u32) {
        self.states[action as usize] = ActionState::Undone;
    }

    /// Whether a person has said at which version a change's instance stays.
    pub(super) fn has_wish(&self, plan: &Plan, change: u32) -> bool {
        let change = &plan.changes[change as usize];
        self.stays.get(&change.environment).is_some_and(|stays| stays.contains_key(&change.instance))
    }

    /// Whether a hop stays because a person asked to go back no further.
    pub(super) fn is_to_stay(&self, plan: &Plan, graph: &Graph, hop: usize) -> bool {
        let HopInfo { change, index, .. } = graph.hops[hop];
        let change = &plan.changes[change as usize];
        let wanted = self.stays.get(&change.environment).and_then(|stays| stays.get(&change.instance));
        wanted.and_then(|version| last_staying(change, version)).is_some_and(|last| index <= last)
    }

    /// Whether the point of no return of a hop was passed.
    pub(super) fn is_past_return(&self, graph: &Graph, hop: usize) -> bool {
        graph.hops[hop].irreversible.iter().any(|action| self.is_there(*action))
    }

    /// Whether the instance of a change does not serve: a hop has taken it down and is not through.
    pub(super) fn is_down(&self, plan: &Plan, graph: &Graph, change: usize) -> bool {
        graph.hops_of(change).iter().any(|hop| {
            let mut begun = 0;
            let mut done = 0;
            for action in hop.actions.iter().filter(|action| plan.actions[**action as usize].downtime) {
                let state = self.state(*action);
                begun += u32::from(self.is_there(*action));
                done += u32::from(state == ActionState::Succeeded);
            }
            begun > 0 && done < hop.downtime_actions
        })
    }

    /// Downtime of all instances in all, also of those that are still down at `now`.
    #[must_use]
    pub fn downtime(&self, now: Timestamp) -> std::time::Duration {
        self.down
            .iter()
            .map(|down| down.total + down.since.map_or_else(Default::default, |since| super::clock::between(since, now)))
            .sum()
    }

    fn step(&mut self, plan: &Plan, action: u32, step: Step) -> Result<(), String> {
        let state = &mut self.states[action as usize];
        match state.after(step) {
            Some(next) => {
                *state = next;
                Ok(())
            }
            None => Err(format!("action `{}` is {state:?}: {step:?} cannot follow", plan.actions[action as usize].id)),
        }
    }

    fn account(&mut self, plan: &Plan, graph: &Graph, action: u32, at: Timestamp) {
        let action = &plan.actions[action as usize];
        if graph.hops[graph.hop(action)].downtime_actions == 0 {
            return;
        }
        let change = action.change as usize;
        let is_down = self.is_down(plan, graph, change);
        let down = &mut self.down[change];
        match (down.since, is_down) {
            (None, true) => down.since = Some(at),
            (Some(since), false) => {
                down.total += super::clock::between(since, at);
                down.since = None;
            }
            _ => {}
        }
    }

    fn measure(&mut self, plan: &Plan, action: u32, direction: Direction, ending: &Ending, at: Timestamp) {
        let (Some(began), Direction::Forward, Ending::Succeeded) = (self.times[action as usize], direction, ending) else { return };
        let action = &plan.actions[action as usize];
        // A probe lasts as long as what it watches.
        if action.probe.is_some() {
            return;
        }
        let change = &plan.changes[action.change as usize];
        if let (Some(step), Some(hop)) = (action.kind.step(), change.hops.get(action.hop as usize)) {
            let undo = if matches!(action.kind, ActionKind::Revert { .. }) { "undo:" } else { "" };
            let entry = self.durations.entry(format!("{}/{}/{undo}{step}", change.provider, hop.strategy)).or_default();
            entry.0 += super::clock::between(began, at).as_secs_f64();
            entry.1 += 1;
        }
    }
}

/// Whether a failure of that kind has left nothing that could be undone.
pub(super) fn has_done_nothing(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Invalid | FailureKind::NotBegun)
}

/// How an action ended, to be taken in.
pub(super) struct End<'a> {
    pub direction: Direction,
    pub ending: &'a Ending,
    pub kind: Option<FailureKind>,
    pub result: Value,
    pub at: Timestamp,
}
