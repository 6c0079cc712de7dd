//! The truth: what is deployed, which commands run, which faults are still to come; and what was promised and not kept.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::scenario::{Act, DiskAct, Fault, StoreAct};
use crate::apply::Clock;
use crate::apply::event::Direction;
use crate::model::name::{ActionId, file_name};
use crate::plan::{Change, Plan};

/// One world, shared by everything that takes part in it.
#[derive(Clone)]
pub(super) struct World(Arc<Mutex<Inner>>);

/// What is really there of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Truth {
    pub version: Option<String>,
    pub maintenance: bool,
    /// Effects of steps, with the version that the move leads to.
    pub effects: BTreeSet<(String, String)>,
    /// Which revision of the provider did that.
    revisions: BTreeMap<(String, String), u64>,
    /// What was there before it was removed.
    before: Option<Box<Truth>>,
}

/// What a call does to an instance.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    pub instance: String,
    pub step: String,
    pub undo: bool,
    pub from: Option<String>,
    pub to: String,
    /// Of the provider.
    pub revision: u64,
}

/// A command of the world. One that is supervised goes on when Windlass dies.
#[derive(Debug)]
struct Process {
    deed: Deed,
    ends: Instant,
    supervised: bool,
    generation: u32,
    state: ProcessState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProcessState {
    Running,
    /// Its effect is there, or was cancelled before.
    Over {
        effect: bool,
    },
}

/// One beginning of an action, as the world saw it.
#[derive(Debug)]
struct Start {
    /// Of the action or one of its items, and in which direction.
    key: String,
    action: usize,
    direction: Direction,
    process: usize,
    /// What Windlass was told; `None`: nothing (it was killed).
    told: Option<Told>,
}

/// What Windlass was told of the end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Succeeded,
    Failed,
    Cancelled,
}

/// How much may run at once.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    /// Actions of one environment.
    pub environment: u32,
    /// Actions on one host.
    pub host: u32,
    /// Instances of one provider in one environment with downtime; 0: no such rule.
    pub unavailable: u32,
}

pub(super) struct Inner {
    began: Instant,
    jumped: jiff::SignedDuration,
    pub generation: u32,
    pub kill: CancellationToken,
    pub instances: BTreeMap<String, Truth>,
    processes: Vec<Process>,
    by_folder: HashMap<PathBuf, usize>,
    starts: Vec<Start>,
    /// What people allowed to be done again: actions with their items, and in which direction.
    allowed: HashMap<(usize, Direction), HashSet<String>>,
    faults: Vec<Fault>,
    calls: u8,
    commits: u8,
    writes: u8,
    plan: Option<Arc<Plan>>,
    limits: Limits,
    actions: HashMap<String, usize>,
    /// How often polls looked.
    looks: HashMap<(String, String, String), u64>,
    /// What the journal on the disk says.
    pub durable_begun: HashSet<(ActionId, Direction)>,
    pub durable_items: HashSet<(ActionId, Direction, Arc<str>)>,
    pub durable_items_done: HashSet<(ActionId, Direction, Arc<str>)>,
    pub durable_done: HashSet<ActionId>,
    /// Actions whose undo is held.
    pub undo_held: HashSet<ActionId>,
    pub broken: Vec<String>,
    pub trace: Vec<String>,
}

impl World {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            began: Instant::now(),
            jumped: jiff::SignedDuration::ZERO,
            generation: 0,
            kill: CancellationToken::new(),
            instances: BTreeMap::new(),
            processes: Vec::new(),
            by_folder: HashMap::new(),
            starts: Vec::new(),
            allowed: HashMap::new(),
            faults: Vec::new(),
            calls: 0,
            commits: 0,
            writes: 0,
            plan: None,
            limits: Limits::default(),
            actions: HashMap::new(),
            looks: HashMap::new(),
            durable_begun: HashSet::new(),
            durable_items: HashSet::new(),
            durable_items_done: HashSet::new(),
            durable_done: HashSet::new(),
            undo_held: HashSet::new(),
            broken: Vec::new(),
            trace: Vec::new(),
        })))
    }

    /// Everything in it, with what ended by itself meanwhile.
    pub(super) fn look(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.let_processes_end();
        inner
    }

    /// A new run in it.
    pub(super) fn begin_round(&self, plan: &Arc<Plan>, limits: Limits, faults: &[Fault]) {
        let mut inner = self.look();
        inner.faults = faults.to_vec();
        (inner.calls, inner.commits, inner.writes) = (0, 0, 0);
        inner.starts.clear();
        inner.allowed.clear();
        inner.limits = limits;
        inner.durable_begun.clear();
        inner.durable_items.clear();
        inner.durable_items_done.clear();
        inner.durable_done.clear();
        inner.undo_held.clear();
        inner.actions = plan.actions.iter().enumerate().map(|(index, action)| (action.id.file_name(), index)).collect();
        inner.plan = Some(Arc::clone(plan));
    }

    /// Comes back only for a process of Windlass that is alive.
    pub(super) async fn only_alive(&self, generation: u32) {
        if self.look().generation != generation {
            std::future::pending::<()>().await;
        }
    }

    /// Windlass ends in good order: nothing that it left behind writes any more.
    pub(super) fn exit(&self) {
        self.look().generation += 1;
    }

    /// Windlass dies now. What it did itself is done where `done`, and what it had a supervisor for goes on.
    pub(super) fn kill(&self, done: bool) {
        let mut inner = self.look();
        inner.say("killed");
        let generation = inner.generation;
        for index in 0..inner.processes.len() {
            let process = &inner.processes[index];
            if process.state == ProcessState::Running && process.generation == generation && !process.supervised {
                inner.end(index, done);
            }
        }
        inner.generation += 1;
        inner.kill.cancel();
        inner.kill = CancellationToken::new();
    }
}

impl Inner {
    pub(super) fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap_or(Timestamp::UNIX_EPOCH);
        start + self.began.elapsed() + self.jumped
    }

    pub(super) fn jump(&mut self, minutes: i8) {
        self.jumped += jiff::SignedDuration::from_mins(minutes.into());
        self.say(&format!("the clock jumps by {minutes} minutes"));
    }

    pub(super) fn say(&mut self, what: &str) {
        let line = format!("{:>8} {what}", self.began.elapsed().as_millis());
        self.trace.push(line);
    }

    /// A promise was not kept.
    pub(super) fn accuse(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.say(&format!("BROKEN: {what}"));
        self.broken.push(what);
    }

    /// A person allows to do an action again.
    pub(super) fn allow(&mut self, action: usize, direction: Direction) {
        self.allowed.insert((action, direction), HashSet::new());
    }

    /// A poll looks; answers how often it has.
    pub(super) fn looked(&mut self, instance: &str, step: &str, to: &str) -> u64 {
        let looks = self.looks.entry((instance.to_owned(), step.to_owned(), to.to_owned())).or_default();
        *looks += 1;
        *looks
    }

    /// The faults that come by the clock.
    pub(super) fn timed_faults(&mut self) -> Vec<Fault> {
        let (timed, others) = std::mem::take(&mut self.faults)
            .into_iter()
            .partition(|fault| matches!(fault, Fault::Kill { .. } | Fault::Steal { .. } | Fault::Jump { .. } | Fault::Stop { .. }));
        self.faults = others;
        timed
    }

    fn take<T>(&mut self, wanted: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let (index, found) = self.faults.iter().enumerate().find_map(|(index, fault)| Some((index, wanted(fault)?)))?;
        self.faults.remove(index);
        Some(found)
    }

    pub(super) fn next_call(&mut self) -> Option<Act> {
        let now = self.calls;
        self.calls = self.calls.saturating_add(1);
        self.take(|fault| match fault {
            Fault::Call { number, act } if *number == now => Some(*act),
            _ => None,
        })
    }

    pub(super) fn next_commit(&mut self) -> Option<DiskAct> {
        let now = self.commits;
        self.commits = self.commits.saturating_add(1);
        self.take(|fault| match fault {
            Fault::Commit { number, act } if *number == now => Some(*act),
            _ => None,
        })
    }

    pub(super) fn next_write(&mut self) -> Option<StoreAct> {
        let now = self.writes;
        self.writes = self.writes.saturating_add(1);
        self.take(|fault| match fault {
            Fault::Write { number, act } if *number == now => Some(*act),
            _ => None,
        })
    }

    /// The process that was begun with this folder.
    pub(super) fn in_folder(&self, folder: &PathBuf) -> Option<usize> {
        self.by_folder.get(folder).copied()
    }

    /// Begins a command; checks what is promised of beginnings.
    pub(super) fn start(&mut self, key: &str, deed: Deed, takes: Duration, folder: Option<&PathBuf>, supervised: bool) -> usize {
        let process = self.processes.len();
        let ends = Instant::now() + takes;
        let generation = self.generation;
        self.say(&format!("begins {key}"));
        self.processes.push(Process { deed, ends, supervised, generation, state: ProcessState::Running });
        self.judge_start(key, process);
        if let Some(folder) = folder {
            self.by_folder.insert(folder.clone(), process);
        }
        process
    }

    fn judge_start(&mut self, key: &str, process: usize) {
        let (name, direction) = match key.strip_suffix("-undo") {
            Some(name) => (name, Direction::Undo),
            None => (key, Direction::Forward),
        };
        let Some(plan) = self.plan.clone() else { return };
        let item = self.processes[process].deed.step.split_once('#').map(|(_, item)| Arc::<str>::from(item));
        let known = match &item {
            None => self.actions.get(name).copied(),
            Some(item) => plan.actions.iter().position(|action| file_name(&format!("{}#{item}", action.id)) == name),
        };
        let Some(index) = known else { return self.accuse(format!("{key} is no action of the plan")) };
        let action = &plan.actions[index];
        if !self.durable_begun.contains(&(action.id.clone(), direction)) {
            self.accuse(format!("{key} began before the journal said so"));
        }
        if let Some(item) = &item
            && !self.durable_items.contains(&(action.id.clone(), direction, Arc::clone(item)))
        {
            self.accuse(format!("{key} began before the journal said so of the item"));
        }
        for need in action.needs.iter().filter(|_| direction == Direction::Forward) {
            let need = &plan.actions[*need as usize];
            if !self.durable_done.contains(&need.id) {
                self.accuse(format!("{key} began before {} had ended in the journal", need.id));
            }
        }
        if direction == Direction::Undo {
            for other in plan.actions.iter().filter(|other| other.needs.contains(&(index as u32))) {
                let stands = self.durable_done.contains(&other.id) && !matches!(other.undo, crate::plan::ActionUndo::Harmless);
                if stands {
                    self.accuse(format!("{key} is undone before {}, which was built upon it", other.id));
                }
            }
        }
        self.judge_revision(key, process);
        self.judge_repetition(key, index, direction);
        self.starts.push(Start { key: key.to_owned(), action: index, direction, process, told: None });
        self.judge_limits(&plan, index, direction);
    }

    /// The undo is that of the provider which did it.
    fn judge_revision(&mut self, key: &str, process: usize) {
        let Deed { instance, step, undo, to, revision, .. } = self.processes[process].deed.clone();
        let made = self.instances.get(&instance).and_then(|truth| truth.revisions.get(&(step, to)).copied());
        if undo && let Some(made) = made.filter(|made| *made != revision) {
            self.accuse(format!("{key}: what revision {made} of the provider did is undone as revision {revision} would"));
        }
    }

    fn judge_repetition(&mut self, key: &str, index: usize, direction: Direction) {
        // The last start of this key counts only where the action did not go the other way since.
        let of_action = self.starts.iter().rposition(|start| start.action == index && start.direction != direction);
        let last = self.starts.iter().rposition(|start| start.key == key);
        let Some(start) = last.filter(|last| of_action.is_none_or(|other| other < *last)).map(|last| &self.starts[last]) else {
            return;
        };
        let item = self.processes[start.process].deed.step.split_once('#').map(|(_, item)| Arc::<str>::from(item));
        let (told, state) = (start.told, self.processes[start.process].state);
        let allowed = self.allowed.get_mut(&(index, direction)).is_some_and(|used| used.insert(key.to_owned()));
        let Some(action) = self.plan.as_ref().map(|plan| &plan.actions[index]) else { return };
        let is_unsure = item.is_some_and(|item| !self.durable_items_done.contains(&(action.id.clone(), direction, item)));
        let what = match (told, state) {
            _ if action.repeatable => None,
            (_, ProcessState::Running) => Some("while it still ran"),
            (Some(Told::Failed), _) => None,
            // A person's word is on all items that the journal does not know to have succeeded.
            _ if allowed && is_unsure => None,
            (Some(Told::Succeeded), _) => Some("though it had succeeded"),
            (_, ProcessState::Over { effect: true }) => Some("though it was done"),
            (_, ProcessState::Over { effect: false }) => {
                (action.check.is_none() && !allowed).then_some("though nobody could know that it was not done")
            }
        };
        if let Some(what) = what {
            self.accuse(format!("{key} was begun again {what}"));
        }
    }

    /// Nothing runs beside more than may.
    fn judge_limits(&mut self, plan: &Plan, index: usize, direction: Direction) {
        let generation = self.generation;
        let running: BTreeSet<usize> = self
            .starts
            .iter()
            .filter(|start| {
                let process = &self.processes[start.process];
                process.generation == generation && process.state == ProcessState::Running
            })
            .map(|start| start.action)
            .collect();
        let change = |action: usize| &plan.changes[plan.actions[action].change as usize];
        let (own, limits) = (change(index), self.limits);
        let beside = |like: &dyn Fn(&Change) -> bool| running.iter().filter(|other| like(change(**other))).count();
        let mut broken = Vec::new();
        let here = beside(&|other| other.environment == own.environment);
        if here > limits.environment as usize {
            broken.push(format!("{here} actions at once in {}, where {} may", own.environment, limits.environment));
        }
        let on_host = beside(&|other| own.host.is_some() && other.host == own.host);
        if on_host > limits.host as usize {
            broken.push(format!("{on_host} actions at once on one host, where {} may", limits.host));
        }
        // Installations and removals take no turns.
        let is_served = |change: &Change| change.from.is_some() && change.to.is_some();
        let is_down = |other: &&usize| plan.actions[**other].downtime && is_served(change(**other));
        let alike = |other: &&usize| (&change(**other).provider, &change(**other).environment) == (&own.provider, &own.environment);
        let down: BTreeSet<&str> =
            running.iter().filter(is_down).filter(alike).map(|other| change(*other).instance.as_str()).collect();
        if limits.unavailable > 0 && direction == Direction::Forward && down.len() > limits.unavailable as usize {
            broken.push(format!("{down:?} have downtime at once, where {} may", limits.unavailable));
        }
        broken.into_iter().for_each(|what| self.accuse(what));
    }

    /// When a process ends by itself.
    pub(super) fn ends(&self, process: usize) -> Instant {
        self.processes[process].ends
    }

    pub(super) fn is_running(&self, process: usize) -> bool {
        self.processes[process].state == ProcessState::Running
    }

    /// Whether a process that is over did what it should.
    pub(super) fn has_effect(&self, process: usize) -> bool {
        self.processes[process].state == ProcessState::Over { effect: true }
    }

    /// Windlass hears how a call ended.
    pub(super) fn tell(&mut self, process: usize, told: Told) {
        if let Some(start) = self.starts.iter_mut().rfind(|start| start.process == process) {
            start.told = Some(told);
        }
    }

    /// Ends a process, with or without its effect.
    pub(super) fn end(&mut self, process: usize, effect: bool) {
        if !self.is_running(process) {
            return;
        }
        self.processes[process].state = ProcessState::Over { effect };
        let Deed { instance, step, undo, from, to, revision } = self.processes[process].deed.clone();
        let what = match (effect, undo) {
            (false, _) => "nothing of",
            (true, false) => "done",
            (true, true) => "undone",
        };
        self.say(&format!("{what} {instance} {step} ({to})"));
        if !effect {
            return;
        }
        let truth = self.instances.entry(instance).or_default();
        let place = (step.clone(), to.clone());
        match undo {
            false => drop(truth.revisions.insert(place, revision)),
            true => drop(truth.revisions.remove(&place)),
        }
        match (step.as_str(), undo) {
            ("version", false) => truth.version = Some(to),
            ("version", true) => truth.version = from,
            ("remove", false) => *truth = Truth { before: Some(Box::new(std::mem::take(truth))), ..Truth::default() },
            ("remove", true) => {
                if let Some(before) = truth.before.take() {
                    *truth = *before;
                }
            }
            ("enter", undo) => truth.maintenance = !undo,
            ("leave", undo) => truth.maintenance = undo,
            (_, false) => drop(truth.effects.insert((step, to))),
            (_, true) => drop(truth.effects.remove(&(step, to))),
        }
    }

    /// Whether what a step does is there.
    pub(super) fn is_done(&self, instance: &str, step: &str, to: &str) -> bool {
        if step == "well" {
            return self.instances.get(instance).is_none_or(|truth| !truth.maintenance);
        }
        let Some(truth) = self.instances.get(instance) else { return false };
        match step {
            "version" => truth.version.as_deref() == Some(to),
            "remove" => truth.version.is_none(),
            "enter" => truth.maintenance,
            "leave" => !truth.maintenance,
            _ => truth.effects.contains(&(step.to_owned(), to.to_owned())),
        }
    }

    fn let_processes_end(&mut self) {
        let now = Instant::now();
        // A process whose caller lives is ended by it; one that was left alone ends by itself.
        let generation = self.generation;
        let over =
            |process: &Process| process.state == ProcessState::Running && process.generation != generation && process.ends <= now;
        for index in 0..self.processes.len() {
            if over(&self.processes[index]) {
                self.end(index, true);
            }
        }
    }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        self.look().now()
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}
