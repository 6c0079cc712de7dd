//! The dispatcher: the one task that owns a run's state.
//!
//! Actions run as tasks of their own and report back; the journal says how far it is durable; the store says what became of a write.
//! All of it comes together here, one message at a time. What is decided on that ground stands in `settle`, the end in `finish`.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinError, JoinSet};

use super::bracket::{Bracket, News};
use super::clock::between;
use super::delivery::{Delivery, GATHER, Written};
use super::event::{Direction, Ending, EventKind};
use super::graph::Graph;
use super::invoke::{self, Job, Mode, Report, Surroundings, Told, carry_out};
use super::item::{ItemEnd, Post, Said, SaidWhat};
use super::journal::{Durable, Entry, Writer};
use super::lease::Lost;
use super::probing::Probes;
use super::progress::{ActionState, End, Progress};
use super::record::{Books, Sources};
use super::run::{Finished, Rules};
use super::scheduler::Scheduler;
use super::scope::Scopes;
use super::secret::{collect, redacted};
use super::shipping::Shipping;
use crate::driver::{FailureKind, Redactor};
use crate::lang::Value;
use crate::model::name::Digest;
use crate::plan::{Action, ActionKind, ActionUndo, Plan};
use crate::source::Diagnostics;

/// What an environment is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Actions begin as they become ready.
    Forward,
    /// After a failure: what runs ends, and what is past its point of no return goes on to the end of its hop.
    Draining {
        /// The cause; none where it was decided before that the environment is undone.
        because: Option<u32>,
    },
    /// What was done is undone.
    Undoing,
    /// Nothing more happens.
    Ended,
}

/// The one task that owns a run's state.
pub(super) struct Dispatcher {
    pub(super) around: Arc<Surroundings>,
    pub(super) plan: Arc<Plan>,
    pub(super) graph: Graph,
    pub(super) progress: Progress,
    pub(super) args: Given,
    pub(super) books: Books,
    pub(super) delivery: Delivery,
    pub(super) journal: Writer,
    /// Where the store is reached by other machines.
    pub(super) shipping: Option<Shipping>,
    pub(super) phases: Vec<Phase>,
    pub(super) rules: Vec<Rules>,
    pub(super) redact: Redactor,
    /// Why nothing more may be written to the store.
    pub(super) lost: Option<String>,
    /// Why the journal cannot be written.
    pub(super) broken: Option<Arc<str>>,
    pub(super) is_store_away: bool,
    pub(super) scheduler: Scheduler,
    /// Ready, and nothing is to be called for them.
    pub(super) instants: VecDeque<(u32, Direction)>,
    /// By action: how many of its needs have not succeeded.
    pub(super) unmet: Vec<u32>,
    /// Actions that will be undone: how many others must be undone before.
    pub(super) to_undo: HashMap<u32, u32>,
    /// By action that is to be undone: those that come next below it.
    pub(super) undo_below: HashMap<u32, Vec<u32>>,
    /// What is known of actions that are not fresh.
    pub(super) modes: HashMap<u32, Mode>,
    /// By environment: running actions that take no room.
    pub(super) loose: Vec<u32>,
    /// By environment: actions that have not succeeded.
    pub(super) remaining: Vec<usize>,
    pub(super) secrets: BTreeSet<String>,
    pub(super) scopes: Scopes,
    pub(super) files: HashMap<Digest, Files>,
    pub(super) durable: watch::Receiver<Durable>,
    pub(super) waiting: VecDeque<(u64, u32, Direction, Mode)>,
    /// Items that may begin once the journal is durable up to that entry.
    pub(super) waiting_items: VecDeque<(u64, oneshot::Sender<()>)>,
    pub(super) tasks: JoinSet<Report>,
    pub(super) running: HashMap<task::Id, (u32, Direction)>,
    pub(super) aides: JoinSet<()>,
    /// What jobs tell of their items.
    pub(super) items: (Post, mpsc::UnboundedReceiver<Said>),
    pub(super) losses: mpsc::UnboundedReceiver<Lost>,
    pub(super) ticks: (mpsc::UnboundedSender<()>, mpsc::UnboundedReceiver<()>),
    pub(super) is_stopping: bool,
    pub(super) probes: Probes,
}

type Files = Arc<BTreeMap<Arc<str>, Arc<[u8]>>>;

/// What of [`RunArgs`] is still asked for.
pub(super) struct Given {
    pub run: crate::model::name::RunId,
    pub who: String,
    pub operation: &'static str,
    pub back: super::back::Back,
    pub digest: Digest,
    /// That of the first environment's lease.
    pub token: u64,
    pub store: Arc<dyn crate::state::Store>,
    pub instances: BTreeMap<crate::model::name::InstanceAddr, super::run::InstanceInput>,
    pub providers: BTreeMap<Digest, Arc<crate::model::provider::Provider>>,
}

impl Dispatcher {
    /// Runs to the end.
    pub(super) async fn run(mut self) -> Result<Finished, Diagnostics> {
        loop {
            self.start_what_may();
            if self.is_over() {
                return Ok(self.finish().await);
            }
            let control = self.around.control.clone();
            let is_broken = self.broken.is_some();
            tokio::select! {
                biased;
                Some(joined) = self.tasks.join_next_with_id() => self.on_joined(joined),
                Ok(()) = self.durable.changed(), if !is_broken => self.on_durable(),
                written = self.delivery.landed() => self.on_written(written),
                Some(lost) = self.losses.recv() => self.on_lost(&lost),
                Some(probe) = self.probes.looked.1.recv() => self.on_looked(probe),
                Some(()) = self.ticks.1.recv() => self.deliver(),
                Some(said) = self.items.1.recv() => self.on_item(said),
                () = control.stopped(), if !self.is_stopping => self.on_stop(),
            }
        }
    }

    /// Writes down that an action is about to begin; it does once that is durable.
    pub(super) fn begin(&mut self, action: u32, direction: Direction, mode: Mode) {
        let at = self.around.clock.now();
        let plan = Arc::clone(&self.plan);
        let content = &plan.actions[action as usize];
        let hop = self.graph.hop(content);
        // A step of a rollback is the way back itself.
        let goes_back = matches!(content.kind, ActionKind::Revert { .. });
        let is_final = self.graph.hops[hop].irreversible.contains(&action) && !self.progress.is_past_return(&self.graph, hop);
        if direction == Direction::Forward && !goes_back && is_final {
            self.around.voice.say(EventKind::PointOfNoReturn { action: content.id.clone() });
        }
        let sequence = if matches!(self.progress.state(action), ActionState::Running | ActionState::Undoing) {
            // An earlier process wrote it down.
            self.journal.durable().borrow().through
        } else {
            if let Err(bug) = self.progress.begin(&plan, &self.graph, action, direction, at) {
                self.around.voice.warn(bug);
            }
            self.say_brackets();
            self.journal.append(&Entry::Began { at, action: content.id.clone(), direction })
        };
        if let Some(shipping) = &self.shipping {
            shipping.touched(&self.plan.actions[action as usize].id, false, &self.redact);
        }
        crash_point!("apply.begin");
        if sequence <= self.durable.borrow().through {
            self.spawn(action, direction, mode);
        } else {
            self.waiting.push_back((sequence, action, direction, mode));
        }
    }

    fn on_durable(&mut self) {
        let Durable { through, failure } = self.durable.borrow_and_update().clone();
        if let Some(failure) = failure {
            self.around.voice.warn(format!("the journal cannot be written, so nothing more is begun: {failure}"));
            self.broken = Some(failure);
            // Without an answer nothing begins.
            self.waiting_items.clear();
            return;
        }
        while let Some((sequence, action, direction, mode)) = self.waiting.front().copied() {
            if sequence > through {
                break;
            }
            self.waiting.pop_front();
            self.spawn(action, direction, mode);
        }
        while self.waiting_items.front().is_some_and(|(sequence, _)| *sequence <= through) {
            if let Some((_, answer)) = self.waiting_items.pop_front() {
                let _ = answer.send(());
            }
        }
        if self.lost.is_none() {
            self.delivery.release(through);
        }
    }

    fn spawn(&mut self, action: u32, direction: Direction, mode: Mode) {
        let content = &self.plan.actions[action as usize];
        let change = &self.plan.changes[content.change as usize];
        let input = self.args.instances.get(&change.instance);
        let scope = self.scopes.of(&self.plan, &self.graph, &self.progress, input, content);
        let hop = change.hops.get(content.hop as usize);
        let provider = hop.and_then(|hop| self.args.providers.get(&hop.provider_digest)).cloned();
        let files = match hop {
            Some(hop) => {
                let providers = &self.args.providers;
                let files = self.files.entry(hop.provider_digest.clone());
                Arc::clone(files.or_insert_with_key(|digest| {
                    Arc::new(providers.get(digest).map(|provider| provider.files.clone()).unwrap_or_default())
                }))
            }
            None => Files::default(),
        };
        let is_probe = direction == Direction::Forward && content.probe.is_some();
        let is_late = content.during.iter().any(|watched| self.progress.state(*watched) != ActionState::Planned);
        let line = is_probe.then(|| self.probes.begin(action, is_late));
        let (around, redact) = (Arc::clone(&self.around), self.redact.clone());
        let (items, post) = (self.progress.items.of(action, direction), self.items.0.clone());
        let job = Job { around, index: action, direction, mode, scope, provider, files, redact, items, post, line };
        let handle = self.tasks.spawn(carry_out(job));
        self.running.insert(handle.id(), (action, direction));
    }

    fn on_joined(&mut self, joined: Result<(task::Id, Report), JoinError>) {
        // What it said of its items came before its end.
        while let Ok(said) = self.items.1.try_recv() {
            self.on_item(said);
        }
        match joined {
            Ok((id, report)) => {
                self.running.remove(&id);
                self.on_report(report);
            }
            Err(error) => {
                let Some((index, direction)) = self.running.remove(&error.id()) else { return };
                let outcome = match error.try_into_panic() {
                    Ok(panic) => invoke::panicked(&*panic, &self.redact),
                    Err(_) => invoke::held(FailureKind::Unknown, "it was given up while it ran".to_owned()),
                };
                self.on_report(Report { index, direction, outcome });
            }
        }
    }

    /// Takes in how an action ended, writes it down, and sees what follows.
    pub(super) fn on_report(&mut self, report: Report) {
        let Report { index, direction, outcome } = report;
        self.leave_room(index);
        self.probes.end(index);
        let at = self.around.clock.now();
        match outcome {
            Told::Withdrawn => self.withdraw(index, direction),
            // As if it had been killed between two items: a resumed run goes on with the others.
            Told::Unfinished => {}
            Told::Ended { ending, kind, result } => {
                self.learn_secrets(&result);
                let began = self.progress.times[index as usize].unwrap_or(at);
                self.write_end(index, direction, &ending, kind, &result, at);
                if direction == Direction::Forward && (self.progress.state(index) == ActionState::Succeeded || !result.is_null()) {
                    // The journal has it redacted; expressions of this process see the real one.
                    self.progress.results[index as usize] = result;
                }
                self.say_ended(index, direction, ending, between(began, at));
                self.follow(index, direction);
            }
        }
    }

    /// Takes in what a job tells of one of its items, and writes it down.
    fn on_item(&mut self, said: Said) {
        let Said { action: index, direction, item, what } = said;
        let (at, action) = (self.around.clock.now(), self.plan.actions[index as usize].id.clone());
        match what {
            SaidWhat::Begins(answer) => {
                // Without an answer nothing begins.
                if !self.is_halted() {
                    self.progress.items.begin(index, direction, Arc::clone(&item), at);
                    let sequence = self.journal.append(&Entry::ItemBegan { at, action, direction, item });
                    self.waiting_items.push_back((sequence, answer));
                }
            }
            SaidWhat::Ended(end) => {
                self.learn_secrets(&end.result);
                let ItemEnd { ending, kind, result } = end.clone();
                let result = redacted(&result, &self.redact);
                self.progress.items.end(index, direction, Arc::clone(&item), end);
                self.journal.append(&Entry::ItemEnded { at, action, direction, item, ending, kind, result });
                crash_point!("apply.item_ended");
            }
        }
    }

    /// What a result marks as a secret is hidden from now on.
    fn learn_secrets(&mut self, result: &Value) {
        if result.has_sensitive() {
            let mut new = BTreeSet::new();
            collect(result, &mut new);
            new.retain(|secret| !self.secrets.contains(secret));
            self.redact = self.redact.also(new.iter().cloned());
            self.secrets.extend(new);
        }
    }

    pub(super) fn write_end(
        &mut self,
        index: u32,
        direction: Direction,
        ending: &Ending,
        kind: Option<FailureKind>,
        result: &Value,
        at: jiff::Timestamp,
    ) {
        let plan = Arc::clone(&self.plan);
        let action = plan.actions[index as usize].id.clone();
        let result = redacted(result, &self.redact);
        let end = End { direction, ending, kind, result: result.clone(), at };
        if let Err(bug) = self.progress.end(&plan, &self.graph, index, end) {
            self.around.voice.warn(bug);
        }
        if let Some(shipping) = &self.shipping {
            shipping.touched(&action, true, &self.redact);
        }
        self.say_brackets();
        self.journal.append(&Entry::Ended { at, action, direction, ending: ending.clone(), kind, result });
        crash_point!("apply.ended");
    }

    pub(super) fn withdraw(&mut self, index: u32, direction: Direction) {
        let plan = Arc::clone(&self.plan);
        let (at, action) = (self.around.clock.now(), plan.actions[index as usize].id.clone());
        if let Err(bug) = self.progress.withdraw(&plan, index, direction) {
            self.around.voice.warn(bug);
        }
        self.say_brackets();
        self.journal.append(&Entry::Withdrawn { at, action, direction });
    }

    /// What was to begin and cannot, because the journal cannot say so.
    pub(super) fn withdraw_waiting(&mut self) {
        for (_, action, direction, _) in std::mem::take(&mut self.waiting) {
            self.leave_room(action);
            self.withdraw(action, direction);
        }
    }

    /// Says which brackets were opened or closed.
    pub(super) fn say_brackets(&mut self) {
        for news in self.progress.brackets.take_news() {
            let (News::Opened(Bracket { change, name, by, opened, closed })
            | News::Closed(Bracket { change, name, by, opened, closed })) = &news;
            let (instance, bracket) = (self.plan.changes[*change as usize].instance.clone(), name.to_string());
            self.around.voice.say(match news {
                News::Opened(_) => {
                    EventKind::BracketOpened { instance, bracket, action: self.plan.actions[*by as usize].id.clone() }
                }
                News::Closed(_) => {
                    EventKind::BracketClosed { instance, bracket, after: between(*opened, closed.unwrap_or(*opened)) }
                }
            });
        }
    }

    /// Says which brackets are open.
    pub(super) fn say_open_brackets(&self) {
        for Bracket { change, name, opened, .. } in self.progress.brackets.open() {
            let (instance, bracket) = (self.plan.changes[*change as usize].instance.clone(), name.to_string());
            self.around.voice.say(EventKind::BracketOpen { instance, bracket, since: *opened });
        }
    }

    pub(super) fn say_ended(&self, index: u32, direction: Direction, ending: Ending, took: std::time::Duration) {
        let action = self.plan.actions[index as usize].id.clone();
        self.around.voice.say(EventKind::ActionEnded { action, direction, ending, took });
    }

    fn leave_room(&mut self, index: u32) {
        let action = &self.plan.actions[index as usize];
        let environment = self.graph.environment(action);
        if takes_room(action) {
            self.scheduler.release(environment, self.graph.host(action));
        } else {
            self.loose[environment] = self.loose[environment].saturating_sub(1);
        }
    }

    fn on_stop(&mut self) {
        self.is_stopping = true;
        if self.shipping.is_some() {
            // A store that is away may never have the entries.
            self.waiting_items.clear();
        }
        self.around.voice.say(EventKind::Stopping);
    }

    fn on_lost(&mut self, lost: &Lost) {
        let message = format!("the state of environment `{}` is no longer held: {}", lost.environment, lost.why);
        self.lose(message);
    }

    /// Another may write by now: nothing more is begun, what runs is cancelled, and nothing is written to the store.
    fn lose(&mut self, message: String) {
        self.around.voice.warn(&message);
        self.lost.get_or_insert(message);
        self.around.control.terminate();
    }

    fn on_written(&mut self, written: Written) {
        let Written { environment, serial, result } = written;
        match result {
            Ok(()) => {
                self.is_store_away = false;
                self.books.written(&environment, serial);
            }
            Err(error @ crate::state::StateError::Unreachable { .. }) => {
                let message =
                    format!("the lockfile of environment `{environment}` could not be written and will be tried again: {error}");
                // Once, not with every try.
                if !std::mem::replace(&mut self.is_store_away, true) {
                    self.around.voice.warn(message);
                }
            }
            Err(error) => self.lose(format!("the lockfile of environment `{environment}` cannot be written: {error}")),
        }
        if !self.delivery.due().is_empty() {
            self.arm();
        }
    }

    /// Computes an instance's lockfile entry anew.
    pub(super) fn refold(&mut self, change: usize) {
        let sources = Sources {
            plan: &self.plan,
            graph: &self.graph,
            progress: &self.progress,
            run: &self.args.run,
            providers: &self.args.providers,
            instances: &self.args.instances,
            redact: &self.redact,
        };
        if self.books.refold(sources, change) && self.delivery.changed(&self.plan.changes[change].environment) {
            self.arm();
        }
    }

    /// Has the changed lockfiles written in a while.
    fn arm(&mut self) {
        let (clock, tell) = (Arc::clone(&self.around.clock), self.ticks.0.clone());
        self.aides.spawn(async move {
            clock.sleep(GATHER).await;
            let _ = tell.send(());
        });
        while self.aides.try_join_next().is_some() {}
    }

    /// Starts to write every lockfile that has changed.
    pub(super) fn deliver(&mut self) {
        if self.lost.is_none() {
            let last = self.journal.last();
            for environment in self.delivery.due() {
                if let Some(lock) = self.books.lock(&environment) {
                    self.delivery.stage(lock, last);
                }
            }
            let through = self.durable.borrow().through;
            self.delivery.release(through);
        }
    }

    pub(super) fn forget_scope(&mut self, action: u32) {
        self.scopes.forget(self.graph.hop(&self.plan.actions[action as usize]));
    }

    pub(super) fn is_quiet(&self) -> bool {
        // What waits for a journal that cannot take it has not begun, and need not.
        let is_given_up =
            self.broken.is_some() || self.lost.is_some() || (self.shipping.is_some() && self.around.control.is_stopping());
        self.tasks.is_empty() && self.instants.is_empty() && (self.waiting.is_empty() || is_given_up)
    }
}

/// Whether an action counts against the limits.
pub(super) fn takes_room(action: &Action) -> bool {
    !matches!(action.kind, ActionKind::Pause(_)) && action.probe.is_none()
}

/// Whether there is nothing to call to go in this direction.
pub(super) fn is_instant(plan: &Plan, action: u32, direction: Direction, observes: bool) -> bool {
    let action = &plan.actions[action as usize];
    match (&action.kind, direction) {
        (ActionKind::Record | ActionKind::Verify { .. }, Direction::Forward) => !observes,
        (ActionKind::Pause(_) | ActionKind::Step { .. } | ActionKind::Revert { .. }, Direction::Forward) => false,
        (ActionKind::Pause(_) | ActionKind::Record | ActionKind::Verify { .. }, Direction::Undo) => true,
        (_, Direction::Undo) => !matches!(action.undo, ActionUndo::Call { .. }),
    }
}
