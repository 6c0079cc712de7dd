//! Looking: asks every instance for its facts, many at once, and says of each fact what it is or why it could not be seen.
//!
//! Takes instances with their providers, gives an [`Inventory`]. Changes nothing, compares nothing; one host that does not answer
//! never keeps the others waiting for longer than its own timeouts.

mod order;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;

use crate::driver::host::Host;
use crate::driver::{Context, Drivers, Failure, Redactor};
use crate::lang::{Env, Layered, Object, Scope, Value, Vars};
use crate::lock::Locked;
use crate::model::estate::{self, Instance};
use crate::model::inventory::{Inventory, Observation, Observed};
use crate::model::name::{EnvironmentName, InstanceAddr};
use crate::model::provider::{CallTemplate, Fact, Provider};
use crate::model::scope::{HopScope, Subject};

use order::waves;

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

/// Looks at every target, at most `concurrency` instances at once. `clock` says when.
pub async fn observe(
    targets: &[Target<'_>],
    drivers: &Drivers,
    concurrency: usize,
    clock: &(dyn Fn() -> Timestamp + Sync),
) -> Inventory {
    let mut instances = BTreeMap::new();
    // Boxed one by one, because the compiler does not see that a closure's borrowing future may move between threads.
    let mut looks: Vec<BoxFuture<'_, _>> = Vec::with_capacity(targets.len());
    for target in targets {
        looks.push(look(target, drivers, clock).boxed());
    }
    let mut looks = futures_util::stream::iter(looks).buffer_unordered(concurrency.max(1));
    while let Some((addr, observation)) = looks.next().await {
        instances.insert(addr, observation);
    }
    Inventory { instances }
}

/// Looks at one instance: facts that need no other at once, then those that need them, and so on.
async fn look(target: &Target<'_>, drivers: &Drivers, clock: &(dyn Fn() -> Timestamp + Sync)) -> (InstanceAddr, Observation) {
    let mut seen = Observation { at: clock(), facts: BTreeMap::new() };
    let redact = Redactor::new(target.known.settings().secrets());
    for wave in waves(target.provider) {
        let asked = join_all(wave.into_iter().map(|(name, fact)| {
            let seen = &seen;
            let redact = redact.clone();
            async move { (Arc::clone(name), ask(target, name, fact, seen, redact, drivers, clock()).await) }
        }))
        .await;
        seen.facts.extend(asked);
    }
    seen.at = clock();
    (target.known.addr().clone(), seen)
}

/// Asks for one fact.
async fn ask(
    target: &Target<'_>,
    name: &str,
    fact: &Fact,
    seen: &Observation,
    redact: Redactor,
    drivers: &Drivers,
    now: Timestamp,
) -> Observed {
    let answer = async {
        // Scopes are not kept over a wait: they are cheap to make and cannot move between threads.
        let applies = fact.when.as_ref().map_or(Ok(true), |when| with_scope(target, seen, now, |scope| scope.holds(when)))?;
        if !applies {
            return Ok(Value::Null);
        }
        let result = match &fact.call {
            Some(call) => call_driver(target, name, fact, call, seen, &redact, drivers, now).await?,
            None => Value::Null,
        };
        match &fact.value {
            None => Ok(result),
            Some(value) => with_scope(target, seen, now, |scope| {
                let result = Vars::new([("result", result)]);
                evaluate(value, &Layered { inner: &result, outer: scope }, now)
            }),
        }
    };
    match answer.await {
        Ok(value) if fact.sensitive => Observed::Value(value.sensitive()),
        Ok(value) => Observed::Value(value),
        Err(why) => Observed::Unseen(redact.apply(&why).into_owned()),
    }
}

/// Calls the fact's driver, within the fact's time.
#[expect(clippy::too_many_arguments, reason = "everything that surrounds one call")]
async fn call_driver(
    target: &Target<'_>,
    name: &str,
    fact: &Fact,
    call: &CallTemplate,
    seen: &Observation,
    redact: &Redactor,
    drivers: &Drivers,
    now: Timestamp,
) -> Result<Value, String> {
    let args = with_scope(target, seen, now, |scope| {
        call.args
            .iter()
            .map(|(name, expr)| Ok((Arc::clone(name), scope.eval(expr)?.revealed())))
            .collect::<Result<Object, String>>()
    })?;
    let driver = drivers.get(call.driver.as_str()).ok_or_else(|| format!("there is no driver `{}`", call.driver))?;
    let context = Context {
        timeout: Some(fact.timeout),
        redact: redact.clone(),
        ..Context::observing(format!("{}:{name}", target.known.addr().file_name()), Arc::clone(&target.machine))
    };
    match tokio::time::timeout(fact.timeout, driver.run(&args, &context)).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(Failure { message, .. })) => Err(message),
        Err(_) => Err(format!("no answer within {}", format_args!("{} s", fact.timeout.as_secs_f64()))),
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

fn evaluate(expr: &crate::lang::Expr, scope: &dyn Scope, now: Timestamp) -> Result<Value, String> {
    expr.eval(scope, &Env::pure(now)).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests;
