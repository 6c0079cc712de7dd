//! The truth: what is deployed, which commands run, which faults are still to come; and what was promised and not kept.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::process::{Deed, Process, ProcessState, Start};
use super::scenario::{Act, DiskAct, Fault, LookAct, StoreAct};
use crate::apply::Clock;
use crate::apply::event::Direction;
use crate::apply::journal::Word;
use crate::model::name::ActionId;
use crate::plan::Plan;

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
    pub revisions: BTreeMap<(String, String), u64>,
    /// What was there before it was removed.
    pub before: Option<Box<Truth>>,
}

impl Truth {
    /// What steps have left of a version becomes what it was at first.
    pub(super) fn restore(&mut self, first: &Self, version: &str) {
        self.effects.retain(|(_, to)| to != version);
        self.effects.extend(first.effects.iter().filter(|(_, to)| to == version).cloned());
        self.revisions.retain(|(_, to), _| to != version);
        self.revisions
            .extend(first.revisions.iter().filter(|((_, to), _)| to == version).map(|(place, made)| (place.clone(), *made)));
    }
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
    /// Processes of Windlass that are paused, or were and woke up after others had gone on; until when.
    paused: HashMap<u32, Instant>,
    pub instances: BTreeMap<String, Truth>,
    pub processes: Vec<Process>,
    pub by_folder: HashMap<PathBuf, usize>,
    /// Folders whose command is never begun any more.
    pub forbidden: HashSet<PathBuf>,
    /// Until when the store, and hosts, cannot be reached.
    cut: Option<Instant>,
    away: HashMap<String, Instant>,
    pub starts: Vec<Start>,
    /// What people allowed to be done again: actions with their items, and in which direction.
    pub allowed: HashMap<(usize, Direction), HashSet<String>>,
    faults: Vec<Fault>,
    calls: u8,
    checks: u8,
    commits: u8,
    writes: u8,
    pub plan: Option<Arc<Plan>>,
    pub limits: Limits,
    /// Other machines may take the run over.
    pub is_shared: bool,
    pub actions: HashMap<String, usize>,
    /// How often polls looked.
    looks: HashMap<(String, String, String), u64>,
    /// What the journal on the disk says.
    pub durable_begun: HashSet<(ActionId, Direction)>,
    pub durable_items: HashSet<(ActionId, Direction, Arc<str>)>,
    pub durable_items_done: HashSet<(ActionId, Direction, Arc<str>)>,
    pub durable_done: HashSet<ActionId>,
    /// Actions whose undo is held.
    pub undo_held: HashSet<ActionId>,
    /// What people were asked to do, by action.
    pub asked: HashMap<(usize, Direction), Deed>,
    /// What they have confirmed, and what else they have said.
    pub confirmed: HashSet<(ActionId, Direction)>,
    pub said: HashSet<(ActionId, Word)>,
    /// Files with answers that other machines have not seen.
    pub answered: Vec<PathBuf>,
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
            paused: HashMap::new(),
            instances: BTreeMap::new(),
            processes: Vec::new(),
            by_folder: HashMap::new(),
            forbidden: HashSet::new(),
            cut: None,
            away: HashMap::new(),
            starts: Vec::new(),
            allowed: HashMap::new(),
            faults: Vec::new(),
            calls: 0,
            checks: 0,
            commits: 0,
            writes: 0,
            plan: None,
            limits: Limits::default(),
            is_shared: false,
            actions: HashMap::new(),
            looks: HashMap::new(),
            durable_begun: HashSet::new(),
            durable_items: HashSet::new(),
            durable_items_done: HashSet::new(),
            durable_done: HashSet::new(),
            undo_held: HashSet::new(),
            asked: HashMap::new(),
            confirmed: HashSet::new(),
            said: HashSet::new(),
            answered: Vec::new(),
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
        (inner.calls, inner.checks, inner.commits, inner.writes) = (0, 0, 0, 0);
        inner.starts.clear();
        inner.allowed.clear();
        inner.limits = limits;
        inner.durable_begun.clear();
        inner.durable_items.clear();
        inner.durable_items_done.clear();
        inner.durable_done.clear();
        inner.undo_held.clear();
        inner.asked.clear();
        inner.confirmed.clear();
        inner.said.clear();
        inner.actions = plan.actions.iter().enumerate().map(|(index, action)| (action.id.file_name(), index)).collect();
        inner.plan = Some(Arc::clone(plan));
    }

    /// Comes back only for a process of Windlass that is alive, and where it is paused only once it wakes up.
    pub(super) async fn only_alive(&self, generation: u32) {
        let wakes = {
            let world = self.look();
            if world.is_current(generation) {
                return;
            }
            world.paused.get(&generation).copied()
        };
        match wakes {
            Some(wakes) => tokio::time::sleep_until(wakes).await,
            None => std::future::pending::<()>().await,
        }
    }

    /// Windlass is paused for so many seconds, and nobody can tell that from its death. What it has begun goes on.
    pub(super) fn pause(&self, seconds: u8) {
        let mut inner = self.look();
        inner.say(&format!("paused for {seconds} s"));
        let generation = inner.generation;
        inner.paused.insert(generation, Instant::now() + Duration::from_secs(seconds.into()));
        inner.generation += 1;
        inner.kill.cancel();
        inner.kill = CancellationToken::new();
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
    /// Whether this is the process of Windlass that has the run.
    pub(super) fn is_current(&self, generation: u32) -> bool {
        self.generation == generation
    }

    /// Whether a process of Windlass does nothing any more.
    pub(super) fn is_dead(&self, generation: u32) -> bool {
        !self.is_current(generation) && !self.paused.contains_key(&generation)
    }

    /// Whether Windlass is in the middle of a call that nobody supervises.
    pub(super) fn is_in_call(&self) -> bool {
        let runs = |process: &Process| process.state == ProcessState::Running && process.generation == self.generation;
        self.processes.iter().any(|process| runs(process) && !process.supervised)
    }

    pub(super) fn is_paused(&self, generation: u32) -> bool {
        self.paused.contains_key(&generation)
    }

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
        let (timed, others) = std::mem::take(&mut self.faults).into_iter().partition(|fault| {
            !matches!(fault, Fault::Call { .. } | Fault::Look { .. } | Fault::Commit { .. } | Fault::Write { .. })
        });
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

    pub(super) fn next_look(&mut self) -> Option<LookAct> {
        let now = self.checks;
        self.checks = self.checks.saturating_add(1);
        self.take(|fault| match fault {
            Fault::Look { number, act } if *number == now => Some(*act),
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

    /// The store cannot be reached for so many seconds.
    pub(super) fn cut(&mut self, seconds: u8) {
        self.cut = Some(Instant::now() + Duration::from_secs(seconds.into()));
        self.say(&format!("the store is away for {seconds} s"));
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_some_and(|until| Instant::now() < until)
    }

    /// A host cannot be reached for so many seconds.
    pub(super) fn drop_host(&mut self, host: u8, seconds: u8) {
        self.away.insert(format!("h{host}"), Instant::now() + Duration::from_secs(seconds.into()));
        self.say(&format!("host h{host} is away for {seconds} s"));
    }

    /// When all hosts can be reached.
    pub(super) fn all_back(&self) -> Instant {
        self.away.values().copied().max().unwrap_or_else(Instant::now)
    }

    pub(super) fn is_away(&self, host: &str) -> bool {
        self.away.get(host).is_some_and(|until| Instant::now() < *until)
    }

    /// Something happens to the journal some commits from now.
    pub(super) fn soon(&mut self, commits: u8, act: DiskAct) {
        self.faults.push(Fault::Commit { number: self.commits.saturating_add(commits), act });
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
