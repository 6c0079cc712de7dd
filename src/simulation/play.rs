//! Plays a scenario: plans, applies under faults, and acts as the person who looks after what is held; checks what is promised.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::disk::Disk;
use super::driver::{Machines, Sim};
use super::product::{effects, provider};
use super::scenario::{Afterwards, Choice, Fault, Round, Scenario};
use super::store::Shared;
use super::world::{Limits, World};
use crate::apply::event::Direction;
use crate::apply::{
    AbandonedAs, ActionState, Back, Control, Finished, InstanceInput, ResumeOptions, Rules, RunArgs, abandon, execute, inspect,
    resume, rollback,
};
use crate::driver::Drivers;
use crate::lang::Value;
use crate::lock::Lock;
use crate::model::estate::{Estate, Instance, OnFailure};
use crate::model::inventory::{Inventory, Observation, Observed};
use crate::model::name::{Digest, EnvironmentName, InstanceAddr, Lineage, ProviderName, RunId};
use crate::model::provider::Provider;
use crate::plan::{ActionKind, ActionUndo, Change, Plan, PlanInput, PlanOptions, check, plan};
use crate::source::Diagnostics;
use crate::state::{Holder, LEASE_TERM, Lease, Outcome, StateError, Store};

/// So often a person takes up one run before it counts as endless.
const PATIENCE: usize = 40;

/// What a refusal is called where the state could not be had.
const AWAY: &str = "the state is held or away";

/// What became of a scenario.
pub(super) struct Played {
    /// Promises that were not kept.
    pub broken: Vec<String>,
    /// Everything that happened.
    pub trace: Vec<String>,
}

/// Plays a scenario in a folder of its own.
pub(super) fn play(scenario: &Scenario) -> Played {
    let shared_memory = Path::new("/dev/shm");
    let place = if shared_memory.is_dir() { shared_memory.to_owned() } else { std::env::temp_dir() };
    let dir = tempfile::tempdir_in(place).expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let mut stage = Stage::new(scenario, dir.path());
        for (number, round) in scenario.rounds.iter().enumerate() {
            if !stage.round(number, round).await {
                break;
            }
        }
        let mut world = stage.world.look();
        Played { broken: std::mem::take(&mut world.broken), trace: std::mem::take(&mut world.trace) }
    })
}

/// Where a scenario is played.
pub(super) struct Stage<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) dir: &'a Path,
    pub(super) world: World,
    pub(super) store: Shared,
    /// As they are in this round.
    pub(super) providers: BTreeMap<ProviderName, Arc<Provider>>,
    /// All that there ever were.
    by_digest: BTreeMap<Digest, Arc<Provider>>,
    holders: u32,
}

/// What came of taking up a run once.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Taken {
    Killed,
    Ended(Finished),
    /// Nothing was begun.
    Refused(Diagnostics),
}

/// What is done in a round.
#[derive(Clone, Copy)]
struct Case<'a> {
    estate: &'a Estate,
    round: &'a Round,
    made: &'a Arc<Plan>,
    run: &'a RunId,
}

enum Way {
    Apply(Arc<Plan>),
    Resume(ResumeOptions),
    RollBack(Back),
    Abandon,
}

impl<'a> Stage<'a> {
    fn new(scenario: &'a Scenario, dir: &'a Path) -> Self {
        let world = World::new();
        let (providers, by_digest) = (BTreeMap::new(), BTreeMap::new());
        Self { scenario, dir, store: Shared::new(&world), world, providers, by_digest, holders: 0 }
    }

    /// The providers become those of a revision.
    fn revise(&mut self, revision: u8) {
        let revised = self.scenario.products.iter().enumerate().map(|(number, product)| provider(number, product, revision));
        self.providers = revised.map(|provider| (provider.name.clone(), Arc::new(provider))).collect();
        self.by_digest.extend(self.providers.values().map(|provider| (provider.digest.clone(), Arc::clone(provider))));
    }

    /// One change of the estate, seen through to its end; answers whether the story can go on.
    async fn round(&mut self, number: usize, round: &Round) -> bool {
        self.revise(round.revision);
        let estate = self.estate(round);
        let Some(locks) = self.locks(&estate) else { return false };
        let mut made = self.decide(&estate, &locks);
        if let Some(opens) = made.gates.iter().filter(|gate| !gate.open).filter_map(|gate| gate.opens).max() {
            let wait = opens.duration_since(self.world.look().now()).unsigned_abs();
            tokio::time::sleep(wait + Duration::from_secs(1)).await;
            made = self.decide(&estate, &locks);
        }
        if let Some(gate) = made.gates.iter().find(|gate| !gate.open) {
            self.world.look().accuse(format!("a gate is not open when it should be: {gate:?}"));
        }
        if made.changes.is_empty() {
            return true;
        }
        // As a saved plan is read.
        let made: Plan = serde_json::from_slice(&made.bytes().expect("a plan can be written")).expect("a plan can be read");
        let made = Arc::new(made);
        self.world.look().say(&format!("round {number}: {} actions", made.actions.len()));
        let before = self.world.look().instances.clone();
        let unavailable = round.rollout.max_unavailable;
        let limits = Limits { environment: round.concurrency, host: round.host_limit, unavailable };
        self.world.begin_round(&made, limits, &round.faults);
        let timed = self.world.look().timed_faults();
        let run = RunId::new(format!("run-{number}"));
        let case = Case { estate: &estate, round, made: &made, run: &run };
        let apply = Way::Apply(Arc::clone(&made));
        let Some(mut finished) = self.see_through(case, apply, &round.choices, timed).await else { return false };
        self.judge(&estate, &made, &before, &finished);
        if finished.record.outcome == Outcome::Succeeded
            && let Some(back) = afterwards(round, &made)
        {
            self.world.look().say(&format!("a person takes it back: {:?}", back.to));
            let Some(again) = self.see_through(case, Way::RollBack(back), &[], Vec::new()).await else { return false };
            finished = again;
            self.judge(&estate, &made, &before, &finished);
        }
        if finished.record.outcome == Outcome::Abandoned {
            self.stays_abandoned(case).await;
        }
        finished.record.outcome != Outcome::Abandoned && self.world.look().broken.is_empty()
    }

    /// What was ended by word is not taken up again.
    async fn stays_abandoned(&mut self, case: Case<'_>) {
        for _ in 0..PATIENCE {
            match self.take(Way::Resume(ResumeOptions::default()), case, Vec::new()).await {
                Taken::Refused(problems) if problems.iter().all(|problem| problem.summary == AWAY) => {}
                Taken::Refused(_) => return,
                Taken::Killed | Taken::Ended(_) => return self.world.look().accuse("a run that was abandoned was resumed"),
            }
        }
    }

    /// Plans, and has the checker look at it.
    fn decide(&self, estate: &Estate, locks: &BTreeMap<EnvironmentName, Lock>) -> Plan {
        let now = self.world.look().now();
        let (inventory, options, durations) = (self.inventory(estate, now), PlanOptions::default(), BTreeMap::new());
        let input = PlanInput {
            estate,
            providers: &self.providers,
            applied_providers: &self.by_digest,
            inventory: &inventory,
            locks,
            durations: &durations,
            now,
            options: &options,
        };
        let (made, report) = plan(&input);
        let objections = check(&made, &report, &input);
        if !objections.is_empty() {
            self.world.look().accuse(format!("the checker objects to a plan: {objections:?}"));
        }
        made
    }

    /// Takes a way, and takes the run up again until it has ended.
    async fn see_through(&mut self, case: Case<'_>, first: Way, choices: &[Choice], mut timed: Vec<Fault>) -> Option<Finished> {
        let Case { estate, made, run, .. } = case;
        let (mut way, mut choices) = (first, choices.iter().copied());
        let mut went_back = false;
        let mut seen = BTreeSet::new();
        for _ in 0..PATIENCE {
            let begun = self.world.look().starts.len();
            let taken = self.take(way, case, std::mem::take(&mut timed)).await;
            self.read_everything(estate, run);
            if matches!(taken, Taken::Refused(_)) && self.world.look().starts.len() > begun {
                self.world.look().accuse("it was refused, and something was begun");
            }
            let has_begun = self.dir.join(run.as_str()).join("journal").exists();
            way = match taken {
                Taken::Killed if !has_begun => Way::Apply(Arc::clone(made)),
                Taken::Killed => Way::Resume(ResumeOptions::default()),
                Taken::Refused(_) if !has_begun => Way::Apply(Arc::clone(made)),
                // It was killed when it had ended the run by word.
                Taken::Refused(problems) if problems.iter().all(|problem| problem.summary == "the run was abandoned") => {
                    self.judge_history(run, Outcome::Abandoned);
                    return None;
                }
                Taken::Refused(problems) => {
                    self.world.look().say(&format!("refused: {}", sentence(&problems)));
                    // A killed process may have delivered everything before: then there is nothing left to resume.
                    Way::Resume(ResumeOptions::default())
                }
                Taken::Ended(finished) => {
                    let outcome = finished.record.outcome;
                    self.judge_brackets(made, &finished);
                    self.world.look().say(&format!("ended: {outcome:?} {:?}", finished.record.message));
                    if matches!(outcome, Outcome::Succeeded | Outcome::RolledBack | Outcome::Abandoned) {
                        self.judge_history(run, outcome);
                        return Some(finished);
                    }
                    if finished.problems.is_empty() && outcome == Outcome::Held {
                        self.world.look().accuse("a run is held, and nobody says why");
                    }
                    // A person brings back what is away.
                    let back = self.world.look().all_back();
                    tokio::time::sleep_until(back).await;
                    let choice = choices.next().unwrap_or(Choice::Resume);
                    let nothing_else = std::mem::replace(&mut went_back, choice == Choice::RollBack);
                    match (choice, self.words(made, run)) {
                        (Choice::RollBack, _) => Way::RollBack(Back::default()),
                        (Choice::Abandon, _) => Way::Abandon,
                        (Choice::JustResume, _) => Way::Resume(ResumeOptions::default()),
                        (Choice::Resume, Some(words)) => {
                            let state = format!("{words:?}");
                            let nothing_new = words == ResumeOptions::default() && !seen.insert(state);
                            match (nothing_new, nothing_else) {
                                (false, _) => Way::Resume(words),
                                // What one environment undid and another has built upon waits for a person to choose a direction.
                                (true, false) => {
                                    went_back = true;
                                    Way::RollBack(Back::default())
                                }
                                (true, true) if self.is_past_return(made, run) => Way::Abandon,
                                (true, true) => Way::Resume(words),
                            }
                        }
                        (Choice::Resume, None) => return None,
                    }
                }
            };
        }
        self.world.look().accuse("the run never ended");
        None
    }

    /// Takes a run up once, until it ends or Windlass is killed.
    async fn take(&mut self, way: Way, case: Case<'_>, timed: Vec<Fault>) -> Taken {
        let control = Control::new();
        let args = match self.args(case, &control).await {
            Ok(args) => args,
            Err(error) => {
                // A person tries again a little later.
                tokio::time::sleep(LEASE_TERM).await;
                let refusal = crate::source::Diagnostic::error(AWAY).detail(error.to_string());
                return Taken::Refused(refusal.into());
            }
        };
        let leases: Vec<Lease> = args.leases.values().cloned().collect();
        let kill = self.world.look().kill.clone();
        let aides: Vec<_> = timed
            .into_iter()
            .map(|fault| tokio::spawn(happen(self.world.clone(), self.store.clone(), control.clone(), fault)))
            .collect();
        let going = async {
            match way {
                Way::Apply(plan) => execute(plan, args).await,
                Way::Resume(options) => resume(options, args).await,
                Way::RollBack(back) => rollback(&back, args).await,
                Way::Abandon => abandon("nothing else leads on", AbandonedAs::Failed, args).await,
            }
        };
        let taken = tokio::select! {
            biased;
            () = kill.cancelled() => Taken::Killed,
            result = going => match result {
                Ok(finished) => Taken::Ended(finished),
                Err(problems) => Taken::Refused(problems),
            },
        };
        for aide in aides {
            aide.abort();
        }
        if matches!(taken, Taken::Killed) {
            // Let what was aborted go, and what the dead process had before it pass.
            tokio::time::sleep(Duration::from_millis(500)).await;
        } else {
            for lease in leases {
                let _ = self.store.release(&lease).await;
            }
            self.world.exit();
        }
        taken
    }

    async fn args(&mut self, case: Case<'_>, control: &Control) -> Result<RunArgs, StateError> {
        let Case { estate, round, run, .. } = case;
        let mut leases = BTreeMap::new();
        let mut locks = BTreeMap::new();
        for environment in estate.environments.keys() {
            self.holders += 1;
            let now = self.world.look().now();
            let holder = Holder {
                id: format!("holder-{}", self.holders),
                who: "somebody@here".to_owned(),
                pid: self.holders,
                operation: "apply".to_owned(),
                run: Some(run.clone()),
                since: now,
                heartbeat: now,
            };
            let mut lease = self.store.acquire(environment, &holder).await;
            if matches!(lease, Err(StateError::Held { .. })) {
                // Who was killed holds it until the term is over; where the clock was put back, a person breaks it.
                tokio::time::sleep(LEASE_TERM).await;
                lease = self.store.acquire(environment, &holder).await;
            }
            if let Err(StateError::Held { holder: held, .. }) = &lease {
                self.store.break_lease(environment, held).await?;
                lease = self.store.acquire(environment, &holder).await;
            }
            leases.insert(environment.clone(), lease?);
            let fresh = || Lock::fresh(environment.clone(), Lineage::new(format!("lineage of {environment}")));
            locks.insert(environment.clone(), self.store.read(environment).await?.unwrap_or_else(fresh));
        }
        let dir = self.dir.join(run.as_str());
        let on_failure = if round.halt { OnFailure::Halt } else { OnFailure::Rollback };
        let world = self.world.clone();
        let disk = Disk::next(&self.world, &dir, Duration::from_millis(round.disk.into()));
        let input = |instance: &Instance| InstanceInput { depends_on: instance.depends_on.clone(), ..InstanceInput::default() };
        Ok(RunArgs {
            run: run.clone(),
            dir,
            who: "somebody@here".to_owned(),
            drivers: Drivers::new().with(Sim::new(&self.world)),
            store: Arc::new(self.store.for_process()),
            leases,
            locks,
            instances: estate.instances.iter().map(|(addr, instance)| (addr.clone(), input(instance))).collect(),
            providers: self.by_digest.clone(),
            hosts: Arc::new(Machines(self.world.clone())),
            environments: estate
                .environments
                .keys()
                .map(|name| (name.clone(), Rules { concurrency: round.concurrency, on_failure }))
                .collect(),
            host_limits: estate.hosts.iter().map(|(name, host)| (name.clone(), host.concurrency)).collect(),
            observer: None,
            journal: Some(Box::new(disk)),
            control: control.clone(),
            clock: Arc::new(self.world.clone()),
            events: Box::new(move |event| {
                let text = serde_json::to_string(&event.kind).unwrap_or_default();
                world.look().say(&text);
            }),
        })
    }

    /// What an honest person says of everything that is held; `None`: the run cannot be read.
    fn words(&self, made: &Plan, run: &RunId) -> Option<ResumeOptions> {
        let (_, progress) = match inspect(&self.dir.join(run.as_str())) {
            Ok(seen) => seen,
            Err(problems) => {
                self.world.look().accuse(format!("a run cannot be read: {}", sentence(&problems)));
                return None;
            }
        };
        let mut options = ResumeOptions::default();
        let mut world = self.world.look();
        for (index, action) in made.actions.iter().enumerate() {
            let state = progress.states[index];
            if !state.is_stuck() {
                continue;
            }
            let is_undo = state == ActionState::UndoHeld;
            let hop = &made.changes[action.change as usize].hops[action.hop as usize];
            let instance = made.changes[action.change as usize].instance.as_str();
            let done = match &action.kind {
                // What a probe has seen cannot be seen again.
                ActionKind::Step { .. } if action.probe.is_some() => true,
                ActionKind::Step { step, .. } => {
                    let to = hop.to.as_deref().unwrap_or_default();
                    let mut parts =
                        self.effects(instance, step.as_str()).into_iter().map(|part| world.is_done(instance, &part, to));
                    if is_undo { parts.all(|done| !done) } else { parts.all(|done| done) }
                }
                // The undo of an earlier hop: done where its effect is gone.
                ActionKind::Revert { step, .. } => {
                    let from = hop.from.as_deref().unwrap_or_default();
                    let parts = self.effects(instance, step.as_str());
                    !parts.iter().any(|part| world.is_done(instance, part, from))
                }
                _ => false,
            };
            if done {
                options.skip.push(action.id.clone());
            } else {
                let direction = if is_undo { Direction::Undo } else { Direction::Forward };
                world.allow(index, direction);
                options.retry.push(action.id.clone());
            }
        }
        Some(options)
    }

    /// The effects that a step of an instance has.
    fn effects(&self, instance: &str, step: &str) -> Vec<String> {
        let product = instance.strip_prefix('p').and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        match product.and_then(|product| self.scenario.products.get(product)) {
            Some(product) => effects(product, step),
            None => vec![step.to_owned()],
        }
    }

    /// Whether something that cannot be undone was done: then a person may have to end the run by word.
    fn is_past_return(&self, made: &Plan, run: &RunId) -> bool {
        let Ok((_, progress)) = inspect(&self.dir.join(run.as_str())) else { return false };
        made.actions
            .iter()
            .enumerate()
            .any(|(index, action)| progress.states[index].has_effect() && matches!(action.undo, ActionUndo::Irreversible))
    }

    pub(super) fn locks(&self, estate: &Estate) -> Option<BTreeMap<EnvironmentName, Lock>> {
        let read = |name: &EnvironmentName| match self.store.lock(name) {
            Ok(lock) => {
                let fresh = || Lock::fresh(name.clone(), Lineage::new(format!("lineage of {name}")));
                Some((name.clone(), lock.unwrap_or_else(fresh)))
            }
            Err(why) => {
                self.world.look().accuse(format!("the lockfile of {name} cannot be read: {why}"));
                None
            }
        };
        estate.environments.keys().map(read).collect()
    }

    /// What is seen: the truth.
    fn inventory(&self, estate: &Estate, at: Timestamp) -> Inventory {
        let world = self.world.look();
        let known = world.instances.keys().map(InstanceAddr::from_text);
        let seen = |addr: InstanceAddr| {
            let version = world.instances.get(addr.as_str()).and_then(|truth| truth.version.clone());
            let version = version.map_or(Value::Null, Value::from);
            let facts = BTreeMap::from([(Arc::from("version"), Observed::Value(version))]);
            (addr, Observation { at, facts })
        };
        Inventory { instances: estate.instances.keys().cloned().chain(known).map(seen).collect() }
    }
}

/// How far a person takes a run back that has succeeded; `None`: not at all.
fn afterwards(round: &Round, made: &Plan) -> Option<Back> {
    let index = match round.afterwards {
        Afterwards::Keeps => return None,
        Afterwards::GoesBack => return Some(Back::default()),
        Afterwards::GoesBackTo(index) => index,
    };
    let between = |change: &Change| Some((change.instance.clone(), change.hops.first()?.to.clone()?));
    let longer = made.changes.iter().filter(|change| change.hops.len() > 1);
    let ways: Vec<_> = longer.filter_map(between).collect();
    let to = if ways.is_empty() { BTreeMap::new() } else { BTreeMap::from([ways[index.index(ways.len())].clone()]) };
    Some(Back { to, ..Back::default() })
}

/// Something that comes by the clock.
async fn happen(world: World, store: Shared, control: Control, fault: Fault) {
    let seconds = |after: u8| tokio::time::sleep(Duration::from_secs(after.into()));
    match fault {
        Fault::Kill { after, done } => {
            tokio::time::sleep(Duration::from_millis(500 * u64::from(after))).await;
            world.kill(done);
        }
        Fault::Steal { after } => {
            seconds(after).await;
            world.look().say("another took the lease");
            store.steal();
        }
        Fault::Jump { after, minutes } => {
            seconds(after).await;
            world.look().jump(minutes);
        }
        Fault::Stop { after, hard } => {
            seconds(after).await;
            world.look().say("a person asks to stop");
            if hard { control.terminate() } else { control.stop() }
        }
        Fault::Cut { after, seconds: long } => {
            seconds(after).await;
            world.look().cut(long);
        }
        Fault::Drop { host, after, seconds: long } => {
            seconds(after).await;
            world.look().drop_host(host, long);
        }
        Fault::Call { .. } | Fault::Look { .. } | Fault::Commit { .. } | Fault::Write { .. } => {}
    }
}

pub(super) fn sentence(problems: &Diagnostics) -> String {
    problems.iter().map(|problem| format!("{problem}: {}", problem.detail)).collect::<Vec<_>>().join("; ")
}
