//! What a provider's expressions see while planning: `self`, `instance`, `host`, `from`, `to`, `release`, `fact`, `local`, `backup`.
//!
//! A [`Subject`] is one instance, made once; a [`HopScope`] is that instance on one stretch of its way. Locals are evaluated when
//! they are first used and only then. Facts that could not be seen are errors that say why; what becomes known only while applying
//! (`step`, `result`, `error`) is unknown.

pub(crate) mod object;
mod recorded;
pub(crate) mod used;

pub(crate) use self::recorded::RecordedScope;
pub(crate) use self::used::Used;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::object::{host_object, instance_object};
use crate::lang::{Env, Expr, Object, Scope, Value};
use crate::lock::Locked;
use crate::model::estate::{Host, Instance};
use crate::model::inventory::{Observation, Observed};
use crate::model::name::{EnvironmentName, InstanceAddr};
use crate::model::provider::Provider;
use crate::source::nearest;

/// Every root name that this scope answers.
const ROOTS: [&str; 13] =
    ["self", "instance", "host", "from", "to", "release", "restore", "fact", "local", "backup", "step", "result", "error"];
/// How deep locals may use each other; guards the stack.
const DEEPEST_LOCAL: usize = 64;

/// One instance, as expressions see it. Made once, shared by all its hops.
#[derive(Clone)]
pub(crate) struct Subject<'a> {
    /// Whose locals and facts.
    pub(crate) provider: &'a Provider,
    /// Its address, for messages.
    pub(crate) addr: InstanceAddr,
    /// Its environment, for waivers.
    pub(crate) environment: EnvironmentName,
    /// What surrounds evaluations.
    pub(crate) env: Env<'a>,
    settings: Arc<Object>,
    backup: Value,
    instance: Value,
    host: Value,
    observation: Option<&'a Observation>,
    /// What is restored, and where; null for other moves.
    pub(crate) restore: Value,
}

impl<'a> Subject<'a> {
    /// An instance as it is declared.
    pub(crate) fn declared(
        provider: &'a Provider,
        instance: &Instance,
        host: Option<&Host>,
        observation: Option<&'a Observation>,
        env: Env<'a>,
    ) -> Self {
        Self {
            provider,
            addr: instance.addr.clone(),
            environment: instance.environment.clone(),
            env,
            settings: Arc::clone(&instance.settings),
            backup: instance.backup.clone(),
            instance: instance_object(&instance.addr, &instance.provider, &instance.environment, instance.promote_from.as_ref()),
            host: host_object(host),
            observation,
            restore: Value::Null,
        }
    }

    /// An instance that only the lockfile knows any more; its sensitive settings are marks without content.
    pub(crate) fn locked(
        provider: &'a Provider,
        addr: &InstanceAddr,
        environment: &EnvironmentName,
        locked: &Locked,
        host: Option<&Host>,
        observation: Option<&'a Observation>,
        env: Env<'a>,
    ) -> Self {
        let settings = match &locked.settings {
            Value::Object(settings) => Arc::clone(settings),
            _ => Arc::default(),
        };
        let backup = settings.get("backup").cloned().unwrap_or_default();
        Self {
            provider,
            addr: addr.clone(),
            environment: environment.clone(),
            env,
            settings,
            backup,
            instance: instance_object(addr, &locked.provider, environment, None),
            host: host_object(host),
            observation,
            restore: Value::Null,
        }
    }
}

/// An instance on one stretch of its way.
pub(crate) struct HopScope<'a> {
    /// Which instance.
    pub(crate) subject: &'a Subject<'a>,
    from: Value,
    to: Value,
    release: Value,
    /// Locals that were asked for.
    locals: RefCell<BTreeMap<Arc<str>, Local>>,
    /// How many locals are being evaluated inside each other.
    depth: Cell<usize>,
}

/// How far a local got.
#[derive(Clone)]
enum Local {
    Running,
    Done(Result<Value, String>),
}

impl<'a> HopScope<'a> {
    /// The instance between two versions as [`version_object`] makes them (null: nothing is there, or will be), with the release of
    /// the later one.
    pub(crate) fn new(subject: &'a Subject<'a>, from: Value, to: Value, release: Value) -> Self {
        Self { subject, from, to, release, locals: RefCell::default(), depth: Cell::new(0) }
    }
}

impl HopScope<'_> {
    /// Evaluates an expression of the provider; problems as clauses.
    pub(crate) fn eval(&self, expr: &Expr) -> Result<Value, String> {
        evaluate(expr, self, &self.subject.env)
    }

    /// Evaluates a condition. What is not `true` or `false`, or known only while applying, is a problem.
    pub(crate) fn holds(&self, condition: &Expr) -> Result<bool, String> {
        match self.eval(condition)?.unmark().0 {
            Value::Bool(truth) => Ok(*truth),
            Value::Unknown => Err("its value becomes known only while applying".to_owned()),
            other => Err(format!("it is a {} and not true or false", other.kind())),
        }
    }

    /// Evaluates a text for people. A sensitive one is not shown.
    pub(crate) fn text(&self, template: &Expr) -> Result<String, String> {
        match self.eval(template)? {
            Value::Sensitive(_) => Err("it holds a sensitive value".to_owned()),
            Value::String(text) => Ok(text.to_string()),
            Value::Unknown => Err("its value becomes known only while applying".to_owned()),
            other => serde_json::to_string(&other).map_err(|error| error.to_string()),
        }
    }

    /// The plain object that `Hop.scope` holds: of what expressions use, that which is known. Facts that were not seen and locals
    /// that cannot be evaluated are left out. A local that waits for a step's result is left out too, and what it uses is kept.
    pub(crate) fn captured(&self, used: &Used) -> Value {
        let mut used = used.clone();
        let mut waiting: Vec<Arc<str>> = used.names("local", &self.subject.provider.locals);
        let mut seen: BTreeSet<Arc<str>> = waiting.iter().cloned().collect();
        while let Some(name) = waiting.pop() {
            if let (Ok(value), Some(expr)) = (self.local(&name), self.subject.provider.locals.get(&name))
                && value.has_unknown()
            {
                let inner = Used::of([expr]);
                waiting.extend(
                    inner.names("local", &self.subject.provider.locals).into_iter().filter(|name| seen.insert(name.clone())),
                );
                used.merge(inner);
            }
        }
        let captured = used.roots.keys().filter_map(|root| Some((Arc::clone(root), self.captured_root(root, &used)?)));
        Value::Object(Arc::new(captured.collect()))
    }

    fn captured_root(&self, root: &str, used: &Used) -> Option<Value> {
        let Provider { facts, locals, .. } = self.subject.provider;
        match root {
            "self" if used.is_whole(root) => Some(self.own()),
            "self" => Some(self.selection(root, used.names(root, self.subject.settings.iter()))),
            "fact" => Some(self.selection(root, used.names(root, facts))),
            "local" => Some(self.selection(root, used.names(root, locals))),
            "instance" | "host" | "from" | "to" | "release" | "restore" | "backup" => {
                self.resolve(root, &[]).and_then(Result::ok).map(|(value, _)| value)
            }
            _ => None,
        }
    }

    fn selection(&self, root: &str, names: Vec<Arc<str>>) -> Value {
        let known = names.into_iter().filter_map(|name| match self.resolve(root, &[&name])? {
            Ok((value, 1)) if !value.has_unknown() => Some((name, value)),
            _ => None,
        });
        Value::Object(Arc::new(known.collect()))
    }

    /// `self` as one object: the settings and the backup block.
    fn own(&self) -> Value {
        let mut own = Object::clone(&self.subject.settings);
        for name in self.subject.provider.settings.keys() {
            own.entry(Arc::clone(name)).or_insert(Value::Null);
        }
        own.insert("backup".into(), self.subject.backup.clone());
        Value::Object(Arc::new(own))
    }

    fn setting(&self, name: &str) -> Option<Value> {
        let Subject { settings, backup, provider, .. } = self.subject;
        if name == "backup" {
            return Some(backup.clone());
        }
        settings.get(name).cloned().or_else(|| provider.settings.contains_key(name).then_some(Value::Null))
    }

    fn fact(&self, name: &str) -> Result<Value, String> {
        let Subject { observation, provider, addr, .. } = self.subject;
        match observation.map(|seen| seen.facts.get(name)) {
            Some(Some(Observed::Value(value))) => Ok(value.clone()),
            Some(Some(Observed::Unseen(why))) => Err(format!("`fact.{name}` of {addr} could not be seen: {why}")),
            Some(None) if provider.facts.contains_key(name) => Err(format!("`fact.{name}` of {addr} was not looked at")),
            None if provider.facts.contains_key(name) => Err(format!("{addr} was not looked at, so `fact.{name}` is not known")),
            _ => Err(unknown("fact", name, provider, provider.facts.keys())),
        }
    }

    fn facts(&self) -> Result<Value, String> {
        let mut facts = Object::new();
        for name in self.subject.provider.facts.keys() {
            facts.insert(Arc::clone(name), self.fact(name)?);
        }
        Ok(Value::Object(Arc::new(facts)))
    }

    fn local(&self, name: &str) -> Result<Value, String> {
        match self.locals.borrow().get(name) {
            Some(Local::Done(result)) => return result.clone(),
            Some(Local::Running) => return Err(format!("`local.{name}` uses itself")),
            None => {}
        }
        let Subject { provider, env, .. } = self.subject;
        let Some((name, expr)) = provider.locals.get_key_value(name) else {
            return Err(unknown("local", name, provider, provider.locals.keys()));
        };
        let depth = self.depth.get();
        if depth >= DEEPEST_LOCAL {
            return Err(format!("`local.{name}` is used through more than {DEEPEST_LOCAL} other locals"));
        }
        self.locals.borrow_mut().insert(Arc::clone(name), Local::Running);
        self.depth.set(depth + 1);
        let result = evaluate(expr, self, env);
        self.depth.set(depth);
        self.locals.borrow_mut().insert(Arc::clone(name), Local::Done(result.clone()));
        result
    }

    fn all_locals(&self) -> Result<Value, String> {
        let mut locals = Object::new();
        for name in self.subject.provider.locals.keys() {
            locals.insert(Arc::clone(name), self.local(name)?);
        }
        Ok(Value::Object(Arc::new(locals)))
    }
}

impl Scope for HopScope<'_> {
    fn resolve(&self, root: &str, path: &[&str]) -> Option<Result<(Value, usize), String>> {
        let whole = |value: Value| Some(Ok((value, 0)));
        match (root, path.first()) {
            ("self", Some(name)) => match self.setting(name) {
                Some(value) => Some(Ok((value, 1))),
                None => whole(self.own()),
            },
            ("self", None) => whole(self.own()),
            ("fact", Some(name)) => Some(self.fact(name).map(|value| (value, 1))),
            ("fact", None) => Some(self.facts().map(|value| (value, 0))),
            ("local", Some(name)) => Some(self.local(name).map(|value| (value, 1))),
            ("local", None) => Some(self.all_locals().map(|value| (value, 0))),
            ("instance", _) => whole(self.subject.instance.clone()),
            ("host", _) => whole(self.subject.host.clone()),
            ("backup", _) => whole(self.subject.backup.clone()),
            ("from", _) => whole(self.from.clone()),
            ("to", _) => whole(self.to.clone()),
            ("release", _) => whole(self.release.clone()),
            ("restore", _) => whole(self.subject.restore.clone()),
            ("step" | "result" | "error", _) => whole(Value::Unknown),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        ROOTS.iter().map(ToString::to_string).collect()
    }
}

fn evaluate(expr: &Expr, scope: &dyn Scope, env: &Env<'_>) -> Result<Value, String> {
    expr.eval(scope, env).map_err(|problems| {
        let clauses: Vec<&str> =
            problems.iter().map(|problem| if problem.detail.is_empty() { &*problem.summary } else { &*problem.detail }).collect();
        clauses.join("; ")
    })
}

fn unknown<'n>(root: &str, name: &str, provider: &Provider, names: impl Iterator<Item = &'n Arc<str>>) -> String {
    let hint =
        nearest(name, names.map(|known| &**known)).map(|near| format!("; did you mean `{root}.{near}`?")).unwrap_or_default();
    format!("the provider {} has no `{root}.{name}`{hint}", provider.name)
}
