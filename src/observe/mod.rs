//! Looking: asks every instance for its facts, many at once, and says of each fact what it is or why it could not be seen.
//!
//! Takes instances with their providers, gives an [`Inventory`]. Changes nothing, compares nothing; one host that does not answer
//! never keeps the others waiting, and is given up after a few calls without an answer.

mod gate;
mod order;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::driver::host::{Host, Hosts};
use crate::driver::{Context, Drivers, Failure, FailureKind, Redactor};
use crate::lang::{Env, Expr, Layered, Object, Scope, Value, Vars};
use crate::lock::Locked;
use crate::model::estate::{self, Instance};
use crate::model::inventory::{Inventory, Observation, Observed};
use crate::model::items;
use crate::model::name::{EnvironmentName, HostName, InstanceAddr};
use crate::model::provider::{CallTemplate, Fact, Provider};
use crate::model::scope::{HopScope, Subject};

use gate::{Gate, Gates, PATIENCE, PER_HOST};
pub use order::asking_only;
use order::waves;

/// Items of one fact that are asked at once.
const ITEMS: usize = 32;

/// An instance to look at.
#[derive(Clone)]
pub struct Target<'a> {
    /// Whose facts.
    pub provider: &'a Provider,
    /// What is known of it.
    pub known: Known<'a>,
    /// Where it lives, as expressions see it; `None`: this machine.
    pub host: Option<&'a estate::Host>,
    /// Where it lives, as drivers reach it.
    pub machine: Arc<dyn Host>,
}

/// Where an instance's settings come from.
#[derive(Clone, Copy)]
pub enum Known<'a> {
    /// The configuration declares it.
    Declared(&'a Instance),
    /// Only the lockfile knows it any more.
    Locked(&'a InstanceAddr, &'a EnvironmentName, &'a Locked),
}

impl Known<'_> {
    /// Its address.
    #[must_use]
    pub fn addr(&self) -> &InstanceAddr {
        match self {
            Self::Declared(instance) => &instance.addr,
            Self::Locked(addr, ..) => addr,
        }
    }

    fn settings(&self) -> Value {
        match self {
            Self::Declared(instance) => Value::Object(Arc::clone(&instance.settings)),
            Self::Locked(_, _, locked) => locked.settings.clone(),
        }
    }
}

/// Looks at every target, at most `concurrency` instances at once in all, and fewer on each host over the network. `hosts` are for
/// facts that look elsewhere; `clock` says when.
pub async fn observe(
    targets: &[Target<'_>],
    drivers: &Drivers,
    hosts: &dyn Hosts,
    concurrency: usize,
    clock: &(dyn Fn() -> Timestamp + Sync),
) -> Inventory {
    let (gates, places) = (Gates::default(), Semaphore::new(concurrency.max(1)));
    let around = Around { drivers, hosts, clock, gates: &gates, places: &places };
    let mut by_host: BTreeMap<Option<&str>, VecDeque<&Target<'_>>> = BTreeMap::new();
    for target in targets {
        let host = (!target.machine.is_local()).then(|| target.machine.name());
        by_host.entry(host).or_default().push_back(target);
    }
    let (mut queues, mut workers) = (Vec::new(), Vec::new());
    for (host, waiting) in by_host {
        let most = if host.is_some() { PER_HOST } else { concurrency.max(1) };
        workers.push(most.min(waiting.len()));
        let gate = waiting.front().and_then(|first| gates.of(&*first.machine));
        queues.push(Queue { gate, waiting: Mutex::new(waiting) });
    }
    let seen = Mutex::new(BTreeMap::new());
    // Boxed one by one, because the compiler does not see that a closure's borrowing future may move between threads.
    let mut working: Vec<BoxFuture<'_, ()>> = Vec::with_capacity(workers.iter().sum());
    for (queue, workers) in queues.iter().zip(workers) {
        for _ in 0..workers {
            working.push(work(queue, around, &seen).boxed());
        }
    }
    join_all(working).await;
    Inventory { instances: seen.into_inner().unwrap_or_else(PoisonError::into_inner) }
}

/// The instances of one host that wait to be looked at.
struct Queue<'a> {
    /// `None`: this machine.
    gate: Option<Arc<Gate>>,
    waiting: Mutex<VecDeque<&'a Target<'a>>>,
}

/// Looks at one instance of a host after the other.
async fn work(queue: &Queue<'_>, around: Around<'_>, seen: &Mutex<BTreeMap<InstanceAddr, Observation>>) {
    loop {
        // The host's place first: who waits for a host takes no place away from the others.
        let _own = match &queue.gate {
            Some(gate) => gate.enter().await,
            None => None,
        };
        let Some(target) = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { return };
        let _place = around.places.acquire().await;
        let (addr, observation) = look(target, around).await;
        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(addr, observation);
    }
}

/// What all looks share.
#[derive(Clone, Copy)]
struct Around<'a> {
    drivers: &'a Drivers,
    hosts: &'a dyn Hosts,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
    gates: &'a Gates,
    places: &'a Semaphore,
}

/// Looks at one instance: facts that need no other at once, then those that need them, and so on.
async fn look(target: &Target<'_>, around: Around<'_>) -> (InstanceAddr, Observation) {
    let mut seen = Observation { at: (around.clock)(), facts: BTreeMap::new() };
    let redact = Redactor::new(target.known.settings().secrets());
    for wave in waves(target.provider) {
        let asked = join_all(wave.into_iter().map(|(name, fact)| {
            let asking = Asking { target, around, name, fact, seen: &seen, redact: &redact, now: (around.clock)() };
            async move { (Arc::clone(name), asking.ask().await) }
        }))
        .await;
        seen.facts.extend(asked);
    }
    seen.at = (around.clock)();
    (target.known.addr().clone(), seen)
}

/// What became of one item: its name and value, or why it was not seen.
type Answer = Result<(Arc<str>, Value), String>;

/// One fact that is asked for, with all that surrounds it.
#[derive(Clone, Copy)]
struct Asking<'a> {
    target: &'a Target<'a>,
    around: Around<'a>,
    name: &'a str,
    fact: &'a Fact,
    seen: &'a Observation,
    redact: &'a Redactor,
    now: Timestamp,
}

impl Asking<'_> {
    async fn ask(&self) -> Observed {
        match self.answer().await {
            Ok(value) if self.fact.sensitive => Observed::Value(value.sensitive()),
            Ok(value) => Observed::Value(value),
            Err(why) => Observed::Unseen(self.redact.apply(&why).into_owned()),
        }
    }

    async fn answer(&self) -> Result<Value, String> {
        // Scopes are not kept over a wait: they are cheap to make and cannot move between threads.
        let holds = |when| with_scope(self.target, self.seen, self.now, |scope| scope.holds(when));
        if !self.fact.when.as_ref().map_or(Ok(true), holds)? {
            return Ok(Value::Null);
        }
        let Some(for_each) = &self.fact.for_each else { return self.once(None, self.name).await };
        let over = self.eval(for_each, None, None)?;
        let items = items::items(over.unmark().0).map_err(|why| format!("`for_each` {why}"))?;
        let mut asking: Vec<BoxFuture<'_, Answer>> = Vec::with_capacity(items.len());
        for (key, value) in items {
            asking.push(
                async move {
                    let label = format!("{}:{key}", self.name);
                    match self.once(Some(items::each(&key, &value)), &label).await {
                        Ok(value) => Ok((key, value)),
                        Err(why) => Err(format!("`{key}`: {why}")),
                    }
                }
                .boxed(),
            );
        }
        let answers: Vec<_> = futures_util::stream::iter(asking).buffered(ITEMS).collect().await;
        let (mut values, mut problems) = (Object::new(), Vec::new());
        for answer in answers {
            match answer {
                Ok((key, value)) => drop(values.insert(key, value)),
                Err(why) => problems.push(why),
            }
        }
        if problems.is_empty() { Ok(Value::Object(values.into())) } else { Err(problems.join("; ")) }
    }

    /// Asks once, for one item where there are several.
    async fn once(&self, each: Option<Value>, label: &str) -> Result<Value, String> {
        let result = match &self.fact.call {
            Some(call) => self.call(call, each.as_ref(), label).await?,
            None => Value::Null,
        };
        match &self.fact.value {
            None => Ok(result),
            Some(value) => self.eval(value, each.as_ref(), Some(result)),
        }
    }

    /// Calls the fact's driver, within the fact's time.
    async fn call(&self, call: &CallTemplate, each: Option<&Value>, label: &str) -> Result<Value, String> {
        let mut args = Object::new();
        for (name, expr) in &call.args {
            args.insert(Arc::clone(name), self.eval(expr, each, None)?.revealed());
        }
        let drivers = self.around.drivers;
        let driver = drivers.get(call.driver.as_str()).ok_or_else(|| format!("there is no driver `{}`", call.driver))?;
        let machine = match &call.on {
            None => Arc::clone(&self.target.machine),
            Some(on) => match self.eval(on, each, None)?.revealed() {
                Value::Null => Arc::clone(&self.target.machine),
                Value::String(name) => {
                    self.around.hosts.host(Some(&HostName::new(&*name))).map_err(|Failure { message, .. }| message)?
                }
                other => return Err(format!("`on` must be the name of a host, and is {}", other.kind())),
            },
        };
        let gate = self.around.gates.of(&*machine);
        if gate.as_ref().is_some_and(|gate| gate.is_given_up()) {
            return Err(format!("host `{}` does not answer, so it was not asked", machine.name()));
        }
        let context = Context {
            timeout: Some(self.fact.timeout),
            redact: self.redact.clone(),
            ..Context::observing(format!("{}:{label}", self.target.known.addr().file_name()), machine)
        };
        let (began, answers) = (Instant::now(), gate.as_ref().map_or(0, |gate| gate.answers()));
        let answer = tokio::time::timeout(self.fact.timeout, driver.run(&args, &context)).await;
        if let Some(gate) = &gate {
            match &answer {
                Err(_) | Ok(Err(Failure { kind: FailureKind::TimedOut, .. })) => gate.silent(answers),
                Ok(Err(Failure { kind: FailureKind::Unreachable, .. })) if began.elapsed() >= PATIENCE => gate.silent(answers),
                Ok(Err(Failure { kind: FailureKind::Unreachable, .. })) => {}
                Ok(_) => gate.answered(),
            }
        }
        match answer {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(Failure { message, .. })) => Err(message),
            Err(_) => Err(format!("no answer within {}", format_args!("{} s", self.fact.timeout.as_secs_f64()))),
        }
    }

    /// Evaluates over the instance, with `each` and `result` where there are such.
    fn eval(&self, expr: &Expr, each: Option<&Value>, result: Option<Value>) -> Result<Value, String> {
        with_scope(self.target, self.seen, self.now, |scope| {
            let mut names = Vars::default();
            each.into_iter().for_each(|each| names.set("each", each.clone()));
            result.into_iter().for_each(|result| names.set("result", result));
            evaluate(expr, &Layered { inner: &names, outer: scope }, self.now)
        })
    }
}

/// Lets `work` evaluate over the instance with the facts seen so far.
fn with_scope<T>(target: &Target<'_>, seen: &Observation, now: Timestamp, work: impl FnOnce(&HopScope<'_>) -> T) -> T {
    let Target { provider, known, host, .. } = target;
    let env = Env::pure(now);
    let subject = match known {
        Known::Declared(instance) => Subject::declared(provider, instance, *host, Some(seen), env),
        Known::Locked(addr, environment, locked) => Subject::locked(provider, addr, environment, locked, *host, Some(seen), env),
    };
    work(&HopScope::new(&subject, Value::Null, Value::Null, Value::Null))
}

fn evaluate(expr: &Expr, scope: &dyn Scope, now: Timestamp) -> Result<Value, String> {
    expr.eval(scope, &Env::pure(now)).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests;
