//! Plays a scenario: plans, applies under faults, and acts as the person who looks after what is held; checks what is promised.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{JoinHandle, LocalSet};

use super::disk::Disk;
use super::driver::{Asks, Home, Machines, Sim};
use super::person::confirm_all;
use super::product::provider;
use super::scenario::{Afterwards, Choice, Fault, Round, Scenario};
use super::store::Shared;
use super::twist::Person;
use super::world::{Limits, World};
use crate::apply::{
    AbandonedAs, Back, Control, Finished, InstanceInput, ResumeOptions, Rules, RunArgs, abandon, execute, resume, rollback,
};
use crate::driver::Drivers;
use crate::lang::Value;
use crate::lock::Lock;
use crate::model::estate::{Estate, Instance, OnFailure};
use crate::model::inventory::{Inventory, Observation, Observed};
use crate::model::name::{Digest, EnvironmentName, InstanceAddr, Lineage, ProviderName, RunId};
use crate::model::provider::Provider;
use crate::plan::{Change, Hop, Plan, PlanInput, PlanOptions, check, plan};
use crate::source::Diagnostics;
use crate::state::{LEASE_TERM, Lease, Outcome, StateError, Store};

/// So often a person takes up one run before it counts as endless.
pub(super) const PATIENCE: usize = 40;

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
    let story = async {
        let mut stage = Stage::new(scenario, dir.path());
        for (number, round) in scenario.rounds.iter().enumerate() {
            if !stage.round(number, round).await {
                break;
            }
        }
        let mut world = stage.world.look();
        Played { broken: std::mem::take(&mut world.broken), trace: std::mem::take(&mut world.trace) }
    };
    // Processes that are paused are tasks of their own.
    if scenario.is_shared { LocalSet::new().block_on(&runtime, story) } else { runtime.block_on(story) }
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
    pub(super) holders: u32,
    /// On which machine the run is now, and how often it was taken up.
    pub(super) machine: u8,
    pub(super) taken_up: usize,
    /// Processes that were paused, and have not ended since.
    pub(super) sleepers: Vec<JoinHandle<Result<Finished, Diagnostics>>>,
}

/// What came of taking up a run once.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Taken {
    Killed,
    Ended(Finished),
    /// Nothing was begun.
    Refused(Diagnostics),
}

impl From<Result<Finished, Diagnostics>> for Taken {
    fn from(result: Result<Finished, Diagnostics>) -> Self {
        match result {
            Ok(finished) => Self::Ended(finished),
            Err(problems) => Self::Refused(problems),
        }
    }
}

/// What is done in a round.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) estate: &'a Estate,
    pub(super) round: &'a Round,
    pub(super) made: &'a Arc<Plan>,
    pub(super) run: &'a RunId,
}

/// What a run comes to.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Came {
    Through(Finished),
    /// A person has ended it by word.
    ByWord(AbandonedAs),
    /// It cannot be told any further.
    Nowhere,
}

/// What a change of what is wanted comes to.
enum Ends {
    Well,
    /// A person has ended it by word. Of these instances, nothing is left to do.
    ByWord(Vec<InstanceAddr>),
    Nowhere,
}

enum Way {
    Apply(Arc<Plan>),
    Resume(ResumeOptions),
    RollBack(Back),
    Abandon(AbandonedAs),
}

impl<'a> Stage<'a> {
    fn new(scenario: &'a Scenario, dir: &'a Path) -> Self {
        let world = World::new();
        let (providers, by_digest) = (BTreeMap::new(), BTreeMap::new());
        Self {
            scenario,
            dir,
            store: Shared::new(&world, scenario.is_shared),
            world,
            providers,
            by_digest,
            holders: 0,
            machine: 0,
            taken_up: 0,
            sleepers: Vec::new(),
        }
    }

    /// The providers become those of a revision.
    fn revise(&mut self, revision: u8) {
        let revised = self.scenario.products.iter().enumerate().map(|(number, product)| provider(number, product, revision));
        self.providers = revised.map(|provider| (provider.name.clone(), Arc::new(provider))).collect();
        self.by_digest.extend(self.providers.values().map(|provider| (provider.digest.clone(), Arc::clone(provider))));
    }

    /// One change of what is wanted, seen through to its end; answers whether the story can go on.
    async fn round(&mut self, number: usize, round: &Round) -> bool {
        self.revise(round.revision);
        let estate = self.estate(round);
        let settled = match self.change(&RunId::new(format!("run-{number}")), &estate, round, &[]).await {
            Ends::Well => return true,
            Ends::ByWord(settled) if round.person.goes_on => settled,
            Ends::ByWord(_) | Ends::Nowhere => return false,
        };
        // The environments can be used: the same is wanted once more, and nothing goes wrong.
        let (faults, choices, afterwards) = (Vec::new(), Vec::new(), Afterwards::Keeps);
        let calm = Round { faults, choices, afterwards, person: Person::default(), ..round.clone() };
        let back = self.world.look().all_back();
        tokio::time::sleep_until(back).await;
        matches!(self.change(&RunId::new(format!("run-{number}-again")), &estate, &calm, &settled).await, Ends::Well)
    }

    /// Plans, and sees that through. `settled`: of these, nothing may be left to do.
    async fn change(&mut self, run: &RunId, estate: &Estate, round: &Round, settled: &[InstanceAddr]) -> Ends {
        let Some(locks) = self.locks(estate) else { return Ends::Nowhere };
        let mut made = self.decide(estate, &locks);
        if let Some(opens) = made.gates.iter().filter(|gate| !gate.open).filter_map(|gate| gate.opens).max() {
            let wait = opens.duration_since(self.world.look().now()).unsigned_abs();
            tokio::time::sleep(wait + Duration::from_secs(1)).await;
            made = self.decide(estate, &locks);
        }
        if let Some(gate) = made.gates.iter().find(|gate| !gate.open) {
            self.world.look().accuse(format!("a gate is not open when it should be: {gate:?}"));
        }
        if let Some(change) = made.changes.iter().find(|change| settled.contains(&change.instance)) {
            self.world.look().accuse(format!("a person has said that all is done, and a plan moves {} once more", change.instance));
        }
        if made.changes.is_empty() {
            return Ends::Well;
        }
        // As a saved plan is read.
        let made: Plan = serde_json::from_slice(&made.bytes().expect("a plan can be written")).expect("a plan can be read");
        let made = Arc::new(made);
        self.world.look().say(&format!("{run}: {} actions", made.actions.len()));
        let before = self.world.look().instances.clone();
        let unavailable = round.rollout.max_unavailable;
        let limits = Limits { environment: round.concurrency, host: round.host_limit, unavailable };
        self.world.look().is_shared = self.scenario.is_shared;
        self.world.begin_round(&made, limits, &round.faults);
        let mut timed = self.world.look().timed_faults();
        timed.extend(round.person.early.map(|after| Fault::Confirm { after }));
        timed.extend(round.moves.pause.map(|(after, seconds)| Fault::Pause { after, seconds }));
        self.taken_up = 0;
        let case = Case { estate, round, made: &made, run };
        let mut came = self.see_through(case, Way::Apply(Arc::clone(&made)), &round.choices, timed).await;
        self.see_to_others().await;
        if let Came::Through(finished) = &came {
            self.judge(estate, &made, &before, finished);
            if let Some(back) = afterwards(round, &made).filter(|_| finished.record.outcome == Outcome::Succeeded) {
                self.world.look().say(&format!("a person takes it back: {:?}", back.to));
                came = self.see_through(case, Way::RollBack(back), &[], Vec::new()).await;
                self.see_to_others().await;
                if let Came::Through(finished) = &came {
                    self.judge(estate, &made, &before, finished);
                }
            }
        }
        let how = match came {
            Came::Through(_) if self.world.look().broken.is_empty() => return Ends::Well,
            Came::Through(_) | Came::Nowhere => return Ends::Nowhere,
            Came::ByWord(how) => how,
        };
        self.judge_word(estate, &made, &locks, how);
        self.stays_abandoned(case).await;
        if how == AbandonedAs::Failed && round.person.goes_on {
            self.clean_up(&made, &before).await;
        }
        let settled = match how {
            AbandonedAs::Succeeded => made.changes.iter().map(|change| change.instance.clone()).collect(),
            AbandonedAs::Failed => Vec::new(),
        };
        if self.world.look().broken.is_empty() { Ends::ByWord(settled) } else { Ends::Nowhere }
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
    async fn see_through(&mut self, case: Case<'_>, first: Way, choices: &[Choice], mut timed: Vec<Fault>) -> Came {
        let Case { estate, made, run, round } = case;
        let mut answers = round.person.answers.iter().copied();
        // As what the run is ended by word; and how often it has come to rest.
        let (mut word, mut rests) = (AbandonedAs::Failed, 0);
        let (mut way, mut choices) = (first, choices.iter().copied());
        let mut went_back = false;
        let mut seen = BTreeSet::new();
        for _ in 0..PATIENCE {
            let begun = self.world.look().starts.len();
            let taken = self.take(way, case, std::mem::take(&mut timed)).await;
            self.read_everything(estate, run);
            self.go_elsewhere(case).await;
            if matches!(taken, Taken::Refused(_)) && self.world.look().starts.len() > begun {
                self.world.look().accuse("it was refused, and something was begun");
            }
            let has_begun = self.run_dir(run).join("journal").exists();
            if matches!(taken, Taken::Killed) && round.person.quick {
                confirm_all(&self.world, &self.run_dir(run));
                self.share(case).await;
            }
            way = match taken {
                // Who has done everything by hand says so again.
                Taken::Killed if word == AbandonedAs::Succeeded => Way::Abandon(word),
                Taken::Killed if !has_begun => Way::Apply(Arc::clone(made)),
                Taken::Killed => Way::Resume(ResumeOptions::default()),
                Taken::Refused(_) if !has_begun => Way::Apply(Arc::clone(made)),
                // It was killed when it had ended the run by word.
                Taken::Refused(problems) if problems.iter().all(|problem| problem.summary == "the run was abandoned") => {
                    self.judge_history(run, Outcome::Abandoned);
                    return Came::ByWord(word);
                }
                Taken::Refused(problems) => {
                    self.world.look().say(&format!("refused: {}", sentence(&problems)));
                    if word == AbandonedAs::Succeeded {
                        way = Way::Abandon(word);
                        continue;
                    }
                    // A killed process may have delivered everything before: then there is nothing left to resume.
                    Way::Resume(ResumeOptions::default())
                }
                Taken::Ended(finished) => {
                    let outcome = finished.record.outcome;
                    self.judge_brackets(made, &finished);
                    self.world.look().say(&format!("ended: {outcome:?} {:?}", finished.record.message));
                    if matches!(outcome, Outcome::Succeeded | Outcome::RolledBack | Outcome::Abandoned) {
                        self.judge_history(run, outcome);
                        return if outcome == Outcome::Abandoned { Came::ByWord(word) } else { Came::Through(finished) };
                    }
                    if finished.problems.is_empty() && outcome == Outcome::Held {
                        self.world.look().accuse("a run is held, and nobody says why");
                    }
                    // A person brings back what is away.
                    let back = self.world.look().all_back();
                    tokio::time::sleep_until(back).await;
                    self.see_to_others().await;
                    let gives_up = round.person.gives_up == Some(rests);
                    rests += 1;
                    let choice = if gives_up { Choice::Abandon } else { choices.next().unwrap_or(Choice::Resume) };
                    let choice = if word == AbandonedAs::Succeeded { Choice::Abandon } else { choice };
                    let nothing_else = std::mem::replace(&mut went_back, choice == Choice::RollBack);
                    match (choice, self.words(made, run)) {
                        (Choice::RollBack, _) => Way::RollBack(Back::default()),
                        (Choice::Abandon, _) => {
                            word = self.choose_word(case).await;
                            Way::Abandon(word)
                        }
                        (Choice::JustResume, _) => Way::Resume(ResumeOptions::default()),
                        (Choice::Resume, Some(mut words)) => {
                            let waited = self.answer(case, &mut answers, &mut words);
                            self.share(case).await;
                            let state = format!("{words:?}");
                            let nothing_new = !waited && words == ResumeOptions::default() && !seen.insert(state);
                            match (nothing_new, nothing_else) {
                                (false, _) => Way::Resume(words),
                                // What one environment undid and another has built upon waits for a person to choose a direction.
                                (true, false) => {
                                    went_back = true;
                                    Way::RollBack(Back::default())
                                }
                                (true, true) if self.is_past_return(made, run) => {
                                    word = self.choose_word(case).await;
                                    Way::Abandon(word)
                                }
                                (true, true) => Way::Resume(words),
                            }
                        }
                        (Choice::Resume, None) => return Came::Nowhere,
                    }
                }
            };
        }
        self.world.look().accuse("the run never ended");
        Came::Nowhere
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
            .map(|fault| {
                tokio::spawn(happen(self.world.clone(), self.store.clone(), control.clone(), self.run_dir(case.run), fault))
            })
            .collect();
        let going = async move {
            match way {
                Way::Apply(plan) => execute(plan, args).await,
                Way::Resume(options) => resume(options, args).await,
                Way::RollBack(back) => rollback(&back, args).await,
                Way::Abandon(how) => abandon("nothing else leads on", how, args).await,
            }
        };
        let taken = if self.scenario.is_shared {
            self.go(tokio::task::spawn_local(going), &kill).await
        } else {
            tokio::select! {
                biased;
                () = kill.cancelled() => Taken::Killed,
                result = going => result.into(),
            }
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
        let leases = self.hold(estate, run).await?;
        let mut locks = BTreeMap::new();
        for environment in estate.environments.keys() {
            let fresh = || Lock::fresh(environment.clone(), Lineage::new(format!("lineage of {environment}")));
            locks.insert(environment.clone(), self.store.read(environment).await?.unwrap_or_else(fresh));
        }
        let dir = self.run_dir(run);
        let home = Home { folder: self.home(), is_shared: self.scenario.is_shared };
        let on_failure = if round.halt { OnFailure::Halt } else { OnFailure::Rollback };
        let world = self.world.clone();
        let disk = Disk::next(&self.world, &dir, Duration::from_millis(round.disk.into()), !self.scenario.is_shared);
        let input = |instance: &Instance| InstanceInput { depends_on: instance.depends_on.clone(), ..InstanceInput::default() };
        Ok(RunArgs {
            run: run.clone(),
            dir,
            who: self.who(),
            drivers: Drivers::new().with(Sim::new(&self.world, &home)).with(Asks::new(&self.world)),
            store: Arc::new(self.store.for_process()),
            leases,
            locks,
            instances: estate.instances.iter().map(|(addr, instance)| (addr.clone(), input(instance))).collect(),
            providers: self.by_digest.clone(),
            hosts: Arc::new(Machines(self.world.clone(), home)),
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

    /// The revision of the provider by which a hop goes.
    pub(super) fn revision_of(&self, hop: &Hop) -> u64 {
        let version = self.by_digest.get(&hop.provider_digest).map(|provider| provider.version.to_string());
        version.and_then(|version| version.rsplit('.').next()?.parse().ok()).unwrap_or_default()
    }

    /// The folder of a run.
    pub(super) fn run_dir(&self, run: &RunId) -> PathBuf {
        self.home().join(run.as_str())
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
async fn happen(world: World, store: Shared, control: Control, run: PathBuf, fault: Fault) {
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
        Fault::Pause { after, seconds } => {
            tokio::time::sleep(Duration::from_millis(500 * u64::from(after))).await;
            // Not in the middle of a call that ends with it.
            while world.look().is_in_call() {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            world.pause(seconds);
        }
        Fault::Confirm { after } => {
            seconds(after).await;
            confirm_all(&world, &run);
        }
        Fault::Call { .. } | Fault::Look { .. } | Fault::Commit { .. } | Fault::Write { .. } => {}
    }
}

pub(super) fn sentence(problems: &Diagnostics) -> String {
    problems.iter().map(|problem| format!("{problem}: {}", problem.detail)).collect::<Vec<_>>().join("; ")
}
