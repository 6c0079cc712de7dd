//! Letting a run run: gathers what it is given, shows its events, passes Ctrl-C on, and says how it ended.
#![expect(clippy::disallowed_methods, reason = "a door to the clock")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use super::args::{RunArgs as RunFlags, RunFormat};
use super::exit::Exit;
use super::hold::{Hold, who};
use super::machines::Machines;
use super::problem::state_problem;
use super::session::{Session, encode_provider};
use crate::apply::{self, Control, Finished, Hosts as _, InstanceInput, Listener, Observer, Rules, SystemClock};
use crate::driver::Drivers;
use crate::lang::Value;
use crate::lock::Lock;
use crate::model::duration::parse_duration;
use crate::model::estate::{Estate, Instance};
use crate::model::inventory::Observation;
use crate::model::name::{Digest, EnvironmentName, InstanceAddr, ProviderName, RunId};
use crate::model::provider::Provider;
use crate::observe::{Known, Target, asking_only, observe};
use crate::plan::Plan;
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::state::Holder;
use crate::view::{Lines, Progress};

/// The folder of a run.
pub(super) fn run_dir(session: &Session, run: &RunId) -> PathBuf {
    session.place.hidden.join("runs").join(run.as_str())
}

impl Session {
    /// Everything that a run is given. Keeps the providers of the plan, so that its hops can be undone by them later.
    pub(super) async fn run_args(
        &mut self,
        run: &RunId,
        plan: &Plan,
        hold: &Hold,
        locks: BTreeMap<EnvironmentName, Lock>,
        flags: &RunFlags,
        control: &Control,
    ) -> Result<apply::RunArgs, Diagnostics> {
        let providers = self.applied_providers(&locks, Some(plan)).await?;
        for provider in self.providers.values().filter(|provider| plan.providers.contains_key(&provider.name)) {
            let content = encode_provider(&provider.files);
            self.store.keep(&provider.digest, &content).await.map_err(|error| state_problem(&error))?;
        }
        check_providers(plan, &providers)?;
        self.fetch_undone(plan).await?;
        let rules = |environment: &crate::model::estate::Environment| Rules {
            concurrency: flags.parallelism.unwrap_or(environment.concurrency),
            on_failure: environment.on_failure,
        };
        Ok(apply::RunArgs {
            run: run.clone(),
            dir: run_dir(self, run),
            who: who(),
            drivers: self.place.drivers.clone(),
            store: Arc::clone(&self.store),
            leases: hold.leases.clone(),
            locks,
            instances: self.estate.instances.iter().map(|(addr, instance)| (addr.clone(), input(instance))).collect(),
            providers,
            hosts: Arc::clone(&self.machines) as Arc<dyn apply::Hosts>,
            environments: self.estate.environments.iter().map(|(name, environment)| (name.clone(), rules(environment))).collect(),
            host_limits: self.estate.hosts.iter().map(|(name, host)| (name.clone(), host.concurrency)).collect(),
            observer: Some(Arc::new(Looker {
                estate: self.estate.clone(),
                providers: self.providers.clone(),
                machines: Arc::clone(&self.machines),
                drivers: self.place.drivers.clone(),
            })),
            journal: None,
            control: control.clone(),
            clock: Arc::new(SystemClock),
            events: self.listener(plan, flags),
        })
    }

    /// Brings here what runs on other machines have kept, where the plan undoes what they did.
    async fn fetch_undone(&self, plan: &Plan) -> Result<(), Diagnostics> {
        if self.store.run_files().is_none() {
            return Ok(());
        }
        let hops = plan.changes.iter().flat_map(|change| &change.hops);
        let runs: BTreeSet<&RunId> = hops.filter_map(|hop| hop.reverts.as_ref()).collect();
        for run in runs {
            apply::fetch(&run_dir(self, run), run, &*self.store).await?;
        }
        Ok(())
    }

    /// Shows events: bars on a terminal, lines elsewhere, JSON lines where asked for.
    fn listener(&self, plan: &Plan, flags: &RunFlags) -> Listener {
        let terminal = self.place.terminal;
        let verbose = self.place.verbose > 0;
        if flags.format == RunFormat::Json {
            return Box::new(move |event| {
                if let Ok(line) = serde_json::to_string(event) {
                    terminal.data(&(line + "\n"));
                }
            });
        }
        if terminal.moves {
            let downtime = plan.changes.iter().filter_map(|change| plan.downtime(&change.instance)).sum::<Duration>();
            let known = |duration: Duration| (!duration.is_zero()).then_some(duration);
            let mut progress = Progress::new(terminal.err, verbose, known(plan.duration()), known(downtime));
            return Box::new(move |event| progress.event(event));
        }
        let mut lines = Lines::new(terminal.err, verbose);
        Box::new(move |event| {
            if let Some(line) = lines.line(event) {
                terminal.say(&line);
            }
        })
    }

    /// Facts that count for drift, of one observation.
    pub(super) fn drift_facts(&self, provider: &ProviderName, seen: Option<&Observation>) -> BTreeMap<Arc<str>, Value> {
        self.providers.get(provider).map(|provider| drift_facts(provider, seen)).unwrap_or_default()
    }
}

/// A hop is carried out and undone by the provider that it was planned with, and by no other.
fn check_providers(plan: &Plan, providers: &BTreeMap<Digest, Arc<Provider>>) -> Result<(), Diagnostics> {
    let hops = plan.changes.iter().flat_map(|change| change.hops.iter().map(move |hop| (&change.provider, &hop.provider_digest)));
    let missing: BTreeSet<_> = hops.filter(|(_, digest)| !providers.contains_key(*digest)).collect();
    let missing: Diagnostics = missing
        .into_iter()
        .map(|(name, digest)| {
            Diagnostic::error("provider of the plan is not there")
                .fault(Fault::Refused)
                .detail(format!("provider `{name}` has changed since the plan was made, and {digest} was not kept"))
                .help("bring that version of the provider back; or make a new plan")
        })
        .collect();
    if missing.has_errors() { Err(missing) } else { Ok(()) }
}

/// What apply is given of an instance.
pub(super) fn input(instance: &Instance) -> InstanceInput {
    InstanceInput { settings: (*instance.settings).clone(), depends_on: instance.depends_on.clone() }
}

fn drift_facts(provider: &Provider, seen: Option<&Observation>) -> BTreeMap<Arc<str>, Value> {
    let counting = provider.facts.iter().filter(|(_, fact)| fact.drift && !fact.sensitive);
    counting.filter_map(|(name, _)| Some((Arc::clone(name), seen?.value(name)?.clone()))).collect()
}

/// Looks at an instance after a hop.
struct Looker {
    estate: Estate,
    providers: BTreeMap<ProviderName, Arc<Provider>>,
    machines: Arc<Machines>,
    drivers: Drivers,
}

#[async_trait]
impl Observer for Looker {
    async fn observe(&self, addr: &InstanceAddr, _version: Option<&str>) -> BTreeMap<Arc<str>, Value> {
        let Some(provider) = self.provider(addr) else { return BTreeMap::new() };
        if !provider.facts.values().any(|fact| fact.drift) {
            return BTreeMap::new();
        }
        drift_facts(provider, self.look(addr, provider).await.ok().as_ref())
    }

    async fn healthy(&self, addr: &InstanceAddr) -> Result<(), String> {
        const FACT: &str = "healthy";
        let Some(provider) = self.provider(addr).filter(|provider| provider.facts.contains_key(FACT)) else { return Ok(()) };
        let seen = self.look(addr, &asking_only(provider, FACT)).await.map_err(|why| format!("cannot be asked: {why}"))?;
        match (seen.value(FACT), seen.unseen(FACT)) {
            (Some(Value::Bool(true) | Value::Null), _) => Ok(()),
            (Some(Value::Bool(false)), _) => Err("is not healthy".to_owned()),
            (Some(other), _) => Err(format!("cannot be asked: its fact `healthy` is a {} and no bool", other.kind())),
            (None, why) => Err(format!("cannot be asked whether it is healthy: {}", why.unwrap_or("nothing was seen"))),
        }
    }
}

impl Looker {
    fn provider(&self, addr: &InstanceAddr) -> Option<&Provider> {
        Some(self.providers.get(&self.estate.instances.get(addr)?.provider)?)
    }

    /// Looks with this provider's facts.
    async fn look(&self, addr: &InstanceAddr, provider: &Provider) -> Result<Observation, String> {
        let unknown = || "it is not declared any more".to_owned();
        let instance = self.estate.instances.get(addr).ok_or_else(unknown)?;
        let machine = self.machines.host(instance.host.as_ref()).map_err(|failure| failure.message)?;
        let host = instance.host.as_ref().and_then(|name| self.estate.hosts.get(name));
        let target = Target { provider, known: Known::Declared(instance), host, machine };
        let mut inventory = observe(&[target], &self.drivers, &*self.machines, 1, &|| Timestamp::now()).await;
        inventory.instances.remove(addr).ok_or_else(unknown)
    }
}

/// The file in a run's folder by which `windlass stop` tells the process that applies.
pub(super) const STOP_FILE: &str = "stop";

/// How often a run looks for [`STOP_FILE`].
const STOP_LOOK: Duration = Duration::from_millis(300);

/// Ctrl-C or SIGTERM once, or `windlass stop`: finish what runs, and stop. A second signal: terminate.
fn listen_to_signals(control: &Control, dir: PathBuf) -> tokio::task::JoinHandle<()> {
    let control = control.clone();
    tokio::spawn(async move {
        // Listened to from the beginning: a second signal that follows hard upon the first is not missed.
        let (Ok(mut interrupts), Ok(mut terminations)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
            return;
        };
        let mut asked = false;
        let stop = dir.join(STOP_FILE);
        loop {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
                () = tokio::time::sleep(STOP_LOOK) => {
                    if !asked && stop.exists() {
                        control.stop();
                    }
                    continue;
                }
            }
            if asked {
                control.terminate();
                return;
            }
            asked = true;
            control.stop();
        }
    })
}

/// How often a run looks in a shared store for a wish to stop.
const STORE_LOOK: Duration = Duration::from_secs(2);

/// What another machine keeps in a shared store to stop this holder. A holder is never the same twice, so no wish outlives it.
pub(super) fn stop_wish(holder: &Holder) -> Digest {
    Digest::of(format!("windlass stop {}", holder.id).as_bytes())
}

/// `windlass stop` on another machine, where the store is reached by others: finish what runs, and stop.
fn listen_to_store(control: &Control, session: &Session, hold: &Hold) -> Option<tokio::task::JoinHandle<()>> {
    session.store.run_files()?;
    let wishes: Vec<Digest> = hold.leases.values().map(|lease| stop_wish(&lease.holder)).collect();
    let (control, store) = (control.clone(), Arc::clone(&session.store));
    Some(tokio::spawn(async move {
        loop {
            tokio::time::sleep(STORE_LOOK).await;
            for wish in &wishes {
                // A store that is away is the lease's business.
                if let Ok(Some(_)) = store.kept(wish).await {
                    control.stop();
                    return;
                }
            }
        }
    }))
}

/// Whoever may stop a run: signals, and `windlass stop` from here or from another machine.
pub(super) struct Ears(Vec<tokio::task::JoinHandle<()>>);

impl Ears {
    /// Listens until it is dropped.
    pub(super) fn open(control: &Control, run: &RunId, session: &Session, hold: &Hold) -> Self {
        let here = listen_to_signals(control, run_dir(session, run));
        Self(std::iter::once(here).chain(listen_to_store(control, session, hold)).collect())
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// Says what a person must know, gives the exit code.
pub(super) fn finished(session: &Session, finished: &Finished) -> Exit {
    let Finished { record, problems, .. } = finished;
    session.place.terminal.problems(problems, &session.place.sources);
    Exit::of_outcome(record.outcome)
}

/// The environments that a plan changes, in order.
pub(super) fn environments_of(plan: &Plan) -> Vec<EnvironmentName> {
    plan.bases.keys().cloned().collect()
}

/// Reads `--lock-timeout`.
pub(super) fn patience(flags: &RunFlags) -> Result<Option<Duration>, Diagnostics> {
    let Some(text) = &flags.lock_timeout else { return Ok(None) };
    parse_duration(text).map(Some).map_err(|why| {
        Diagnostic::error("duration cannot be read")
            .detail(format!("`--lock-timeout {text}`: {why}"))
            .help("write it like `90s` or `10m`")
            .into()
    })
}
