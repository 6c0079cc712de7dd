//! The world that the tests run in.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use jiff::Timestamp;

use super::memory::Memory;
use crate::apply::event::{Direction, Ending, EventKind};
use crate::apply::{
    Back, Clock, Control, Finished, Hosts, InstanceInput, ResumeOptions, Rules, RunArgs, execute, resume, rollback,
};
use crate::driver::host::{Host, Local};
use crate::driver::{Context, Driver, Drivers, Failure, FailureKind};
use crate::lang::{Expr, Object, Value};
use crate::lock::Lock;
use crate::model::call::{Arg, Call};
use crate::model::driver::DriverSchema;
use crate::model::estate::OnFailure;
use crate::model::inventory::Inventory;
use crate::model::name::{ActionId, Digest, EnvironmentName, HostName, InstanceAddr, Lineage, RunId};
use crate::model::provider::Retry;
use crate::plan::{Action, ActionCheck, ActionKind, ActionUndo, Base, Change, Decision, Hop, Plan};
use crate::source::Diagnostics;
use crate::state::{Holder, Lease, Outcome, Store};

/// What a call does instead of working.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Works(Value),
    /// Works, and takes so long.
    Takes(Duration),
    Fails(FailureKind),
    /// Fails before it does anything, and knows so.
    Refuses,
    /// The effect happens, and then it fails.
    FailsAfter(FailureKind),
    Panics,
    /// Until it is cancelled.
    Hangs,
    /// Not even then.
    Deaf,
}

/// What happened, and what is there.
#[derive(Debug, Default)]
pub(super) struct World {
    /// Effects that are there.
    pub effects: BTreeSet<String>,
    /// Calls by name (`a`, `undo a`), in the order begun.
    pub calls: Vec<String>,
    pub script: HashMap<String, VecDeque<Act>>,
    pub running: usize,
    pub most_running: usize,
    /// Arguments as the driver saw them.
    pub seen: Vec<Object>,
    /// Machines that were asked for; `None`: this one.
    pub places: Vec<Option<String>>,
}

/// The driver `fake`: `do = NAME` makes an effect, `undo = NAME` takes it away, `check = NAME` looks for it.
struct Fake(Arc<Mutex<World>>);

static SCHEMA: DriverSchema = DriverSchema { name: "fake", summary: "", args: &[], results: &[], observes: true };

#[async_trait]
impl Driver for Fake {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    fn knows_untouched(&self) -> bool {
        true
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let text = |name: &str| args.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        if let Some(name) = text("check") {
            return Ok(Value::object([("there", Value::Bool(self.0.lock().unwrap().effects.contains(&name)))]));
        }
        let (name, undone) = match (text("do"), text("undo")) {
            (Some(name), _) => (name.clone(), None),
            (None, Some(name)) => (format!("undo {name}"), Some(name)),
            (None, None) => return Err(Failure::new(FailureKind::Invalid, "what?")),
        };
        let act = {
            let mut world = self.0.lock().unwrap();
            world.calls.push(name.clone());
            world.seen.push(args.clone());
            world.running += 1;
            world.most_running = world.most_running.max(world.running);
            world.script.get_mut(&name).and_then(VecDeque::pop_front).unwrap_or(Act::Works(Value::Null))
        };
        ctx.sink.line(&format!("{name} says hello"));
        if let Act::Takes(time) = act {
            tokio::time::sleep(time).await;
        } else {
            tokio::task::yield_now().await;
        }
        let result = match act {
            Act::Works(ref result) => Ok(result.clone()),
            Act::Takes(_) => Ok(Value::Null),
            Act::Fails(kind) | Act::FailsAfter(kind) => {
                Err(Failure::new(kind, format!("{name} failed")).detail(Value::object([("exit_code", 7u64.into())])))
            }
            Act::Refuses => Err(Failure::new(FailureKind::Failed, format!("{name} was not begun")).untouched()),
            Act::Panics => {
                self.0.lock().unwrap().running -= 1;
                panic!("{name} panics")
            }
            Act::Hangs => {
                ctx.cancel.cancelled().await;
                Err(Failure::new(FailureKind::Cancelled, "cancelled"))
            }
            Act::Deaf => std::future::pending().await,
        };
        let mut world = self.0.lock().unwrap();
        world.running -= 1;
        if result.is_ok() || matches!(act, Act::FailsAfter(_)) {
            match undone {
                Some(undone) => drop(world.effects.remove(&undone)),
                None => drop(world.effects.insert(name)),
            }
        }
        result
    }
}

pub(super) struct Steady;

#[async_trait]
impl Clock for Steady {
    fn now(&self) -> Timestamp {
        thread_local!(static START: tokio::time::Instant = tokio::time::Instant::now());
        let passed = START.with(|start| tokio::time::Instant::now().saturating_duration_since(*start));
        "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap() + passed
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

/// Every name is this machine; remembers the names that were asked for.
struct Machines(Arc<Mutex<World>>);

impl Hosts for Machines {
    fn host(&self, name: Option<&HostName>) -> Result<Arc<dyn Host>, Failure> {
        self.0.lock().unwrap().places.push(name.map(ToString::to_string));
        Ok(Arc::new(Local::new([])))
    }
}

/// A step of a made-up strategy.
#[derive(Clone)]
pub(super) struct S {
    pub name: String,
    pub undo: U,
    pub checked: bool,
    pub repeatable: bool,
    pub downtime: bool,
    pub attempts: u32,
    pub tolerate: Vec<&'static str>,
    pub timeout: Option<Duration>,
    pub args: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum U {
    Call,
    Harmless,
    Never,
}

pub(super) fn step(name: &str) -> S {
    S {
        name: name.to_owned(),
        undo: U::Call,
        checked: false,
        repeatable: false,
        downtime: false,
        attempts: 1,
        tolerate: Vec::new(),
        timeout: None,
        args: Vec::new(),
    }
}

/// A plan in the making: one change each, one hop each, steps in a chain, a record at the end.
#[derive(Default)]
pub(super) struct Making {
    changes: Vec<Change>,
    actions: Vec<Action>,
    records: Vec<u32>,
}

fn call(pairs: impl IntoIterator<Item = (String, Arg)>) -> Call {
    Call {
        driver: "fake".into(),
        args: pairs.into_iter().map(|(name, arg)| (name.into(), arg)).collect::<IndexMap<Arc<str>, Arg>>(),
        on: None,
    }
}

fn known(name: &str, value: &str) -> (String, Arg) {
    (name.to_owned(), Arg::Known(value.into()))
}

impl Making {
    /// Adds an instance; `after`: numbers of changes whose record it waits for.
    pub(super) fn instance(mut self, name: &str, environment: &str, host: Option<&str>, after: &[usize], steps: &[S]) -> Self {
        let number = self.changes.len() as u32;
        let instance = InstanceAddr::from_text(format!("fake.{name}"));
        let mut needs: Vec<u32> = after.iter().map(|change| self.records[*change]).collect();
        let mut indices = Vec::new();
        let mut point_of_no_return = None;
        for step in steps {
            let index = self.actions.len() as u32;
            let effect = format!("{name}.{}", step.name);
            if step.undo == U::Never {
                point_of_no_return.get_or_insert(index);
            }
            let mut args = vec![known("do", &effect)];
            args.extend(step.args.iter().map(|(name, text)| ((*name).to_owned(), Arg::Deferred(Expr::parse(text).unwrap()))));
            self.actions.push(Action {
                id: ActionId::new(&instance, "2", &step.name, None),
                change: number,
                hop: 0,
                kind: ActionKind::Step { step: step.name.as_str().into(), call: call(args) },
                needs: std::mem::replace(&mut needs, vec![index]),
                title: step.name.as_str().into(),
                each: None,
                check: step.checked.then(|| ActionCheck {
                    call: call([known("check", &effect)]),
                    done: Some(Expr::parse("result.there").unwrap()),
                }),
                undo: match step.undo {
                    U::Call => ActionUndo::Call {
                        call: call([known("undo", &effect)]),
                        restores_data: false,
                        downtime: false,
                        retry: Retry { attempts: step.attempts, backoff: Duration::from_secs(1) },
                        timeout: None,
                        poll: None,
                        fan_out: None,
                        opens: None,
                        closes: None,
                    },
                    U::Harmless => ActionUndo::Harmless,
                    U::Never => ActionUndo::Irreversible,
                },
                repeatable: step.repeatable,
                downtime: step.downtime,
                privileged: false,
                retry: Retry { attempts: step.attempts, backoff: Duration::from_secs(1) },
                timeout: step.timeout,
                tolerate: step.tolerate.iter().map(|text| Expr::parse(text).unwrap()).collect(),
                poll: None,
                probe: None,
                during: Vec::new(),
                fan_out: None,
                opens: None,
                closes: None,
                progress: None,
                estimate: None,
                spread: None,
            });
            indices.push(index);
        }
        let record = self.actions.len() as u32;
        self.actions.push(Action {
            id: ActionId::new(&instance, "2", "record", None),
            change: number,
            hop: 0,
            kind: ActionKind::Record,
            needs,
            title: "Record".into(),
            each: None,
            check: None,
            undo: ActionUndo::Harmless,
            repeatable: true,
            downtime: false,
            privileged: false,
            retry: Retry::default(),
            timeout: None,
            tolerate: Vec::new(),
            poll: None,
            probe: None,
            during: Vec::new(),
            fan_out: None,
            opens: None,
            closes: None,
            progress: None,
            estimate: None,
            spread: None,
        });
        indices.push(record);
        self.records.push(record);
        self.changes.push(Change {
            instance,
            provider: "fake".into(),
            environment: environment.into(),
            host: host.map(Into::into),
            decision: Decision::Install,
            from: None,
            to: Some("2".into()),
            why: Vec::new(),
            hops: vec![Hop {
                from: None,
                to: Some("2".into()),
                route: "direct".into(),
                strategy: "in_place".into(),
                provider_digest: Digest::of(b"fake"),
                reverts: None,
                scope: Value::object([(
                    "self",
                    Value::object([("home", "/opt".into()), ("password", Value::Unknown.sensitive())]),
                )]),
                actions: indices,
                point_of_no_return,
                keep: Vec::new(),
                downtime: None,
                downtime_spread: None,
                risk: 0,
            }],
            settings: Vec::new(),
            recorded: Value::object([("home", "/opt".into())]),
            settings_digest: Digest::of(b"settings"),
            seals: std::collections::BTreeMap::new(),
            accepted: Vec::new(),
            notes: Vec::new(),
            preflights: Vec::new(),
        });
        self
    }

    pub(super) fn plan(self) -> Plan {
        let environments: BTreeSet<EnvironmentName> = self.changes.iter().map(|change| change.environment.clone()).collect();
        Plan {
            format: crate::plan::FORMAT,
            tool_version: "0".to_owned(),
            created: "2026-01-01T00:00:00Z".parse().unwrap(),
            bases: environments.into_iter().map(|name| (name, Base { lineage: Lineage::new("l"), serial: 0 })).collect(),
            configuration: Digest::of(b"c"),
            providers: [("fake".into(), Digest::of(b"fake"))].into(),
            revised: Vec::new(),
            changes: self.changes,
            actions: self.actions,
            gates: Vec::new(),
            inventory: Inventory::default(),
        }
    }
}

/// One test's surroundings.
pub(super) struct Stage {
    pub dir: tempfile::TempDir,
    pub world: Arc<Mutex<World>>,
    pub store: Arc<Memory>,
    pub control: Control,
    pub rules: Rules,
    pub host_limit: u32,
    pub events: Arc<Mutex<Vec<EventKind>>>,
    pub secret: Option<&'static str>,
    /// `user@host`.
    pub who: &'static str,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            world: Arc::default(),
            store: Arc::default(),
            control: Control::new(),
            rules: Rules { concurrency: 10, on_failure: OnFailure::Rollback },
            host_limit: 10,
            events: Arc::default(),
            secret: None,
            who: "me@here",
        }
    }

    pub(super) fn script(&self, name: &str, acts: impl IntoIterator<Item = Act>) {
        self.world.lock().unwrap().script.insert(name.to_owned(), acts.into_iter().collect());
    }

    pub(super) fn run_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("run")
    }

    pub(super) fn args(&self, plan: &Plan) -> RunArgs {
        let environments: BTreeSet<EnvironmentName> = plan.changes.iter().map(|change| change.environment.clone()).collect();
        let at = Timestamp::UNIX_EPOCH;
        let holder = Holder {
            id: "h".to_owned(),
            who: "me@here".to_owned(),
            pid: 1,
            operation: "apply".to_owned(),
            run: None,
            since: at,
            heartbeat: at,
        };
        let lock = |name: &EnvironmentName| {
            let found = self.store.locks.lock().unwrap().get(name).cloned();
            found.unwrap_or_else(|| Lock::fresh(name.clone(), Lineage::new("l")))
        };
        let input = || {
            let password = self.secret.map_or(Value::Unknown, Value::string).sensitive();
            InstanceInput { settings: [("password".into(), password)].into(), ..InstanceInput::default() }
        };
        let events = Arc::clone(&self.events);
        RunArgs {
            run: RunId::new("r1"),
            dir: self.run_dir(),
            who: self.who.to_owned(),
            drivers: Drivers::new().with(Fake(Arc::clone(&self.world))),
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            leases: environments
                .iter()
                .map(|name| (name.clone(), Lease { environment: name.clone(), holder: holder.clone(), token: 1 }))
                .collect(),
            locks: environments.iter().map(|name| (name.clone(), lock(name))).collect(),
            instances: plan.changes.iter().map(|change| (change.instance.clone(), input())).collect(),
            providers: BTreeMap::new(),
            hosts: Arc::new(Machines(Arc::clone(&self.world))),
            environments: environments.iter().map(|name| (name.clone(), self.rules)).collect(),
            host_limits: plan.changes.iter().filter_map(|change| Some((change.host.clone()?, self.host_limit))).collect(),
            observer: None,
            journal: None,
            control: self.control.clone(),
            clock: Arc::new(Steady),
            events: Box::new(move |event| events.lock().unwrap().push(event.kind.clone())),
        }
    }

    pub(super) async fn apply(&self, plan: &Plan) -> Finished {
        execute(Arc::new(plan.clone()), self.args(plan)).await.unwrap()
    }

    pub(super) async fn resume(&self, plan: &Plan, options: ResumeOptions) -> Result<Finished, Diagnostics> {
        resume(options, self.args(plan)).await
    }

    pub(super) async fn roll_back(&self, plan: &Plan) -> Result<Finished, Diagnostics> {
        rollback(&Back::default(), self.args(plan)).await
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.world.lock().unwrap().calls.clone()
    }

    pub(super) fn effects(&self) -> Vec<String> {
        self.world.lock().unwrap().effects.iter().cloned().collect()
    }

    /// The versions in the store's lockfile.
    pub(super) fn recorded(&self, environment: &str) -> Vec<String> {
        let locks = self.store.locks.lock().unwrap();
        locks.get(environment).map(|lock| lock.instances.keys().map(ToString::to_string).collect()).unwrap_or_default()
    }

    /// How an action ended, by the events.
    pub(super) fn ending(&self, action: &str, wanted: Direction) -> Option<Ending> {
        self.events.lock().unwrap().iter().rev().find_map(|event| match event {
            EventKind::ActionEnded { action: id, direction, ending, .. } if id.as_str() == action && *direction == wanted => {
                Some(ending.clone())
            }
            _ => None,
        })
    }

    /// What must hold after any run, however it ended.
    pub(super) fn check(&self, finished: &Finished) {
        let events = self.events.lock().unwrap();
        let ends = events.iter().filter(|event| matches!(event, EventKind::RunEnded { .. })).count();
        let begins = events.iter().filter(|event| matches!(event, EventKind::RunBegan { .. })).count();
        assert_eq!(ends, begins);
        assert!(matches!(events.last(), Some(EventKind::RunEnded { outcome, .. }) if *outcome == finished.record.outcome));
        let is_good = finished.record.outcome == Outcome::Succeeded;
        assert_eq!(is_good, finished.record.message.is_none(), "{:?}", finished.record);
        if finished.record.outcome == Outcome::Held {
            assert!(!finished.problems.is_empty(), "held, and nobody says why");
        }
    }
}

/// Every text in a folder, for searching.
pub(super) fn all_text(dir: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&all_text(&path));
        } else {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
    text
}
