//! The beginning of a dispatcher: everything that a run is given, brought together, and the run announced before it begins.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::back::Back;
use super::delivery::Delivery;
use super::dispatch::{Dispatcher, Given, Phase};
use super::graph::Graph;
use super::invoke::Surroundings;
use super::journal::{self, Entry, Segment, Word, Writer};
use super::probing::Probes;
use super::progress::Progress;
use super::record::Books;
use super::run::{Rules, RunArgs};
use super::scheduler::Scheduler;
use super::scope::Scopes;
use super::secret::collect;
use super::shipping::{self, Cargo, Shipping};
use super::voice::Voice;
use super::{folder, lease};
use crate::driver::Redactor;
use crate::lock::Lock;
use crate::model::name::{Digest, EnvironmentName};
use crate::plan::Plan;
use crate::source::{Diagnostic, Diagnostics, Fault};

/// Actions at once on a host that has not said how many.
const HOST_LIMIT: u32 = 10;

/// How long the store may take to take the first entry.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Why and with what a dispatcher begins.
pub(super) struct Opening {
    /// `apply`, `resume`, `rollback`, `abandon`.
    pub operation: &'static str,
    /// Number of the last entry in the journal.
    pub last: u64,
    /// The plan's digest.
    pub digest: Digest,
    /// The lockfiles from before the run.
    pub base: BTreeMap<EnvironmentName, Lock>,
    /// A person's words.
    pub words: Vec<(u32, Word)>,
    /// How far back a rollback goes.
    pub back: Back,
    /// Number of the next chunk of the journal in a store that other machines reach.
    pub next: u64,
    /// On which other machine the run was begun or gone on with, where it was.
    pub elsewhere: Option<String>,
}

impl Dispatcher {
    /// Opens the journal and announces the run in the history.
    pub(super) async fn open(
        plan: Arc<Plan>,
        graph: Graph,
        progress: Progress,
        args: RunArgs,
        opening: Opening,
    ) -> Result<Self, Diagnostics> {
        let RunArgs {
            run,
            dir,
            who,
            drivers,
            store,
            leases,
            locks,
            instances,
            providers,
            hosts,
            environments,
            host_limits,
            observer,
            journal: medium,
            control,
            clock,
            events,
        } = args;
        let Opening { operation, last, digest, base, words, back, next, elsewhere } = opening;
        let voice = Arc::new(Voice::new(events, Arc::clone(&clock)));
        let rules: Vec<Rules> = graph.environments.iter().map(|name| environments.get(name).copied().unwrap_or_default()).collect();
        let host_limits = graph.hosts.iter().map(|name| host_limits.get(name).copied().unwrap_or(HOST_LIMIT));
        let scheduler = Scheduler::new(rules.iter().map(|rules| rules.concurrency), host_limits);
        let (tell, losses) = mpsc::unbounded_channel();
        let mut aides = JoinSet::new();
        for lease in leases.values() {
            aides.spawn(lease::renew(Arc::clone(&store), Arc::clone(&clock), lease.clone(), tell.clone()));
        }
        let medium = match medium {
            Some(medium) => medium,
            None => Box::new(Segment::create(&folder::journal(&dir)).map_err(|error| cannot_journal(&error))?),
        };
        // One lease is enough: who goes on with the run elsewhere must hold all its environments.
        let lease = leases.values().next().cloned().filter(|_| store.run_files().is_some());
        let (journal, shipping) = match lease {
            None => (Writer::start(medium, last), None),
            Some(lease) => {
                let (medium, bytes) = shipping::tee(medium);
                let journal = Writer::start(medium, last);
                let (store, clock, voice) = (Arc::clone(&store), Arc::clone(&clock), Arc::clone(&voice));
                let (run, dir) = (run.clone(), dir.clone());
                let cargo = Cargo { store, run, lease, dir, next, through: last, clock, voice, tell };
                let shipping = Shipping::start(cargo, bytes, journal.durable());
                (journal, Some(shipping))
            }
        };
        let count = graph.environments.len();
        let token = leases.values().next().map_or(0, |lease| lease.token);
        let mut dispatcher = Self {
            durable: shipping.as_ref().map_or_else(|| journal.durable(), Shipping::reach),
            shipping,
            unmet: vec![0; plan.actions.len()],
            remaining: vec![0; count],
            phases: vec![Phase::Forward; count],
            loose: vec![0; count],
            books: Books::new(plan.changes.len(), base, locks),
            delivery: Delivery::new(Arc::clone(&store), Arc::clone(&clock), leases),
            args: Given { run, who, operation, back, digest, token, store, instances, providers },
            around: Arc::new(Surroundings {
                plan: Arc::clone(&plan),
                drivers,
                hosts,
                observer,
                clock,
                control: control.below(),
                voice,
                dir,
                elsewhere,
            }),
            plan,
            graph,
            progress,
            journal,
            rules,
            scheduler,
            losses,
            aides,
            redact: Redactor::default(),
            lost: None,
            broken: None,
            is_store_away: false,
            instants: VecDeque::new(),
            to_undo: HashMap::new(),
            undo_below: HashMap::new(),
            modes: HashMap::new(),
            secrets: BTreeSet::new(),
            scopes: Scopes::default(),
            files: HashMap::new(),
            waiting: VecDeque::new(),
            waiting_items: VecDeque::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            ticks: mpsc::unbounded_channel(),
            items: mpsc::unbounded_channel(),
            is_stopping: false,
            probes: Probes::default(),
        };
        dispatcher.know_secrets();
        dispatcher.announce().await?;
        dispatcher.begin_run(words);
        Ok(dispatcher)
    }

    /// Every secret that the configuration and an unsaved plan hold.
    fn know_secrets(&mut self) {
        for input in self.args.instances.values() {
            for value in input.settings.values() {
                collect(value, &mut self.secrets);
            }
        }
        for hop in self.plan.changes.iter().flat_map(|change| &change.hops) {
            collect(&hop.scope, &mut self.secrets);
        }
        self.redact = Redactor::new(self.secrets.iter().cloned());
    }

    /// The first entry, durable, before the history hears of the run.
    async fn announce(&mut self) -> Result<(), Diagnostics> {
        let Given { run, who, operation, digest, .. } = &self.args;
        let at = self.around.clock.now();
        self.progress.began.get_or_insert(at);
        let (run, plan, operation, who) = (run.clone(), digest.clone(), (*operation).to_owned(), who.clone());
        let opened = self.journal.append(&Entry::Opened { at, format: journal::FORMAT, run, plan, operation, who });
        let mut local = self.journal.durable();
        let durable = local.wait_for(|durable| durable.through >= opened || durable.failure.is_some()).await;
        if let Some(failure) = durable.ok().and_then(|durable| durable.failure.clone()) {
            return Err(cannot_journal(&failure).into());
        }
        if let Some(shipping) = &self.shipping {
            tokio::select! {
                arrived = shipping.arrived(opened, PATIENCE) => arrived.map_err(|why| not_begun(&why))?,
                Some(lost) = self.losses.recv() => return Err(not_begun(&lost.why).into()),
            }
        }
        let record = self.record(crate::state::Outcome::Running, None);
        self.args.store.put_run(&record).await.map_err(|error| not_begun(&format!("the history: {error}")))?;
        self.warn_of_another_machine();
        Ok(())
    }

    /// What is on "this machine" is on another one now.
    fn warn_of_another_machine(&self) {
        if let Some(elsewhere) = &self.around.elsewhere
            && self.plan.changes.iter().any(|change| change.host.is_none())
        {
            let message = format!(
                "the run was carried out on `{elsewhere}` before; instances without a host are taken to be on this machine"
            );
            self.around.voice.warn(message);
        }
    }
}

fn not_begun(why: &str) -> Diagnostic {
    Diagnostic::error("the run cannot be written down")
        .fault(Fault::Platform)
        .detail(why)
        .help("nothing was begun: see to the store and try again")
}

fn cannot_journal(error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error("the journal cannot be written")
        .fault(Fault::Platform)
        .detail(error.to_string())
        .help("make room, or see to the permissions of the run's folder; nothing was begun")
}
