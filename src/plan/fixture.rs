//! A small world to plan in, for tests: two products, a database and an application, and what applying a plan would leave behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::sample::{environment, expr, fact, instance, now, observed, provider_of, req, route};
use super::{Decision, Plan, PlanInput, PlanOptions, Report, VerdictKind, check, plan};
use crate::lang::{Type, Value};
use crate::lock::{AppliedHop, Lock, Locked};
use crate::model::estate::{Estate, Instance};
use crate::model::inventory::Inventory;
use crate::model::name::{Digest, EnvironmentName, InstanceAddr, Lineage, ProviderName, RunId};
use crate::model::provider::{CallTemplate, Movement, OnChange, Provider, Retry, Route, Setting, Step, Strategy, Undo};

/// Everything that a plan is made from, owned.
pub(super) struct World {
    pub(super) estate: Estate,
    pub(super) providers: BTreeMap<ProviderName, Arc<Provider>>,
    pub(super) applied: BTreeMap<Digest, Arc<Provider>>,
    pub(super) inventory: Inventory,
    pub(super) locks: BTreeMap<EnvironmentName, Lock>,
    pub(super) options: PlanOptions,
    runs: u32,
}

/// A call of `exec`.
pub(super) fn call(args: &[(&str, &str)]) -> CallTemplate {
    let args = args.iter().map(|(name, text)| (Arc::from(*name), expr(text))).collect();
    CallTemplate { driver: "exec".into(), args, on: None, span: None }
}

/// An undo by a call.
pub(super) fn undone_by(command: &str, restores_data: bool, downtime: bool) -> Undo {
    Undo::Call {
        call: call(&[("command", command)]),
        restores_data,
        downtime,
        retry: Retry::default(),
        timeout: None,
        poll: None,
        fan_out: None,
        opens: None,
        closes: None,
    }
}

/// A step.
pub(super) fn step(name: &str, after: &[&str], command: &str, undo: Undo) -> Step {
    Step {
        name: name.into(),
        title: format!("Do {name}"),
        after: after.iter().map(|name| (*name).into()).collect(),
        when: None,
        for_each: None,
        call: call(&[("command", command), ("constant", "[1, 2]")]),
        check: None,
        undo,
        repeatable: false,
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
        downtime: false,
        privileged: false,
        estimate: None,
        note: None,
        span: None,
    }
}

/// A strategy.
pub(super) fn strategy(name: &str, steps: Vec<Step>) -> Strategy {
    Strategy { name: name.into(), description: String::new(), steps, span: None }
}

/// A step with downtime, estimated at a minute.
pub(super) fn down(mut step: Step) -> Step {
    step.downtime = true;
    step.estimate = Some(std::time::Duration::from_secs(60));
    step
}

/// A product with versions 1.0, 1.1, 2.0, 2.1 and 3.0; 3.0 can be reached from 2.x only.
pub(super) fn product(name: &str) -> Provider {
    let mut provider = provider_of(name, &["1.0", "1.1", "2.0", "2.1", "3.0"]);
    let setting = |ty: Type, on_change: OnChange, sensitive: bool| Setting {
        ty,
        required: false,
        default: None,
        sensitive,
        description: String::new(),
        validations: Vec::new(),
        on_change,
        span: None,
    };
    provider.settings = IndexMap::from_iter([
        (Arc::from("port"), setting(Type::Number, OnChange::Reconfigure, false)),
        (Arc::from("home"), setting(Type::String, OnChange::Refuse, false)),
        (Arc::from("timeout"), setting(Type::String, OnChange::Ignore, false)),
        (Arc::from("password"), setting(Type::String, OnChange::Reconfigure, true)),
    ]);
    provider.facts = IndexMap::from_iter([(Arc::from("version"), fact()), (Arc::from("jobs"), fact())]);
    provider.locals = IndexMap::from_iter([(Arc::from("unit"), expr(r#""${instance.name}.service""#))]);
    let way = |name: &str, movement: Movement, from: Option<&str>, to: Option<&str>, strategy: &str| Route {
        movement,
        from: from.map(req),
        to: to.map(req),
        strategy: strategy.into(),
        ..route(name)
    };
    provider.routes = vec![
        way("install", Movement::Install, None, None, "fresh"),
        way("within", Movement::Upgrade, Some("< 3"), Some("< 3"), "in_place"),
        way("major", Movement::Upgrade, Some(">= 2, < 3"), Some(">= 3"), "in_place"),
        way("settings", Movement::Reconfigure, None, None, "settings"),
        way("away", Movement::Remove, None, None, "away"),
    ];
    let in_place = strategy(
        "in_place",
        vec![
            step("download", &[], r#"["fetch", to.text]"#, Undo::Harmless),
            step("backup", &[], r#"["backup", self.password]"#, undone_by(r#"["forget", step.backup.result.id]"#, false, false)),
            down(step(
                "stop",
                &["download", "backup"],
                r#"["stop", local.unit]"#,
                undone_by(r#"["start", local.unit]"#, false, true),
            )),
            down(step(
                "migrate",
                &["stop"],
                r#"["migrate", from.text]"#,
                undone_by(r#"["restore", step.backup.result.id]"#, true, true),
            )),
            down(step("start", &["migrate"], r#"["start", local.unit]"#, undone_by(r#"["stop", local.unit]"#, false, true))),
        ],
    );
    let one =
        |name: &str| strategy(name, vec![step(name, &[], r#"["do", instance.name]"#, undone_by(r#"["undo"]"#, false, false))]);
    let away = strategy("away", vec![down(step("delete", &[], r#"["rm", self.home]"#, Undo::Irreversible))]);
    provider.strategies = [in_place, one("fresh"), one("settings"), away].into_iter().map(|one| (one.name.clone(), one)).collect();
    provider
}

impl World {
    /// Nothing declared; products `app` and `db`, environments `production` and `test`.
    pub(super) fn new() -> Self {
        let mut world = Self {
            estate: Estate::default(),
            providers: BTreeMap::new(),
            applied: BTreeMap::new(),
            inventory: Inventory::default(),
            locks: BTreeMap::new(),
            options: PlanOptions::default(),
            runs: 0,
        };
        for name in ["production", "test"] {
            world.estate.environments.insert(name.into(), environment(name));
            world.locks.insert(name.into(), Lock::fresh(name.into(), Lineage::new(format!("lineage-{name}"))));
        }
        world.teach(product("app"));
        world.teach(product("db"));
        world
    }

    /// Adds or replaces a provider; the one before stays known by its digest.
    pub(super) fn teach(&mut self, provider: Provider) {
        let provider = Arc::new(provider);
        self.applied.insert(provider.digest.clone(), Arc::clone(&provider));
        self.providers.insert(provider.name.clone(), provider);
    }

    /// Changes a provider, which gives it another digest.
    pub(super) fn reteach(&mut self, name: &str, change: impl FnOnce(&mut Provider)) {
        let mut provider = Provider::clone(&self.providers[name]);
        change(&mut provider);
        provider.digest = Digest::of(format!("{name} {} {}", self.runs, self.applied.len()).as_bytes());
        self.teach(provider);
    }

    /// Declares `PROVIDER.NAME`, of which nothing is there unless something was seen before.
    pub(super) fn declare(&mut self, addr: &str, version: &str, depends_on: &[&str]) -> &mut Instance {
        let (provider, name) = addr.split_once('.').unwrap();
        let mut made = instance(provider, name, version);
        made.depends_on = depends_on.iter().map(InstanceAddr::from_text).collect();
        let key = made.addr.clone();
        let nothing = || observed(&[("version", Ok(Value::Null)), ("jobs", Ok(Value::Null))]);
        self.inventory.instances.entry(key.clone()).or_insert_with(nothing);
        self.estate.instances.insert(key.clone(), made);
        self.estate.instances.get_mut(&key).unwrap()
    }

    /// Declares another version.
    pub(super) fn want(&mut self, addr: &str, version: &str) {
        self.estate.instances.get_mut(addr).unwrap().version = version.into();
    }

    /// Sets settings, and the digest over those that are not sensitive.
    pub(super) fn set(&mut self, addr: &str, settings: &[(&str, Value)]) {
        let instance = self.estate.instances.get_mut(addr).unwrap();
        let settings = Value::object(settings.iter().map(|(name, value)| (*name, value.clone())));
        instance.settings = Arc::new(settings.as_object().unwrap().clone());
        instance.settings_digest = Digest::of(&serde_json::to_vec(&settings).unwrap());
    }

    /// What is there is this version; `None`: nothing.
    pub(super) fn see(&mut self, addr: &str, version: Option<&str>) {
        let version = version.map_or(Value::Null, Value::from);
        let seen = observed(&[("version", Ok(version)), ("jobs", Ok(Value::Null))]);
        self.inventory.instances.insert(InstanceAddr::from_text(addr), seen);
    }

    pub(super) fn input<'w>(&'w self, durations: &'w BTreeMap<String, crate::plan::Spread>) -> PlanInput<'w> {
        PlanInput {
            estate: &self.estate,
            providers: &self.providers,
            applied_providers: &self.applied,
            inventory: &self.inventory,
            locks: &self.locks,
            durations,
            now: now(),
            options: &self.options,
        }
    }

    /// Plans twice; the bytes must be the same, and the checker must find nothing, also in what is read back from them.
    pub(super) fn plan(&self) -> (Plan, Report) {
        let durations = BTreeMap::new();
        let input = self.input(&durations);
        let (made, report) = plan(&input);
        assert_eq!(check(&made, &report, &input), Vec::<String>::new());
        let (again, _) = plan(&input);
        let bytes = made.bytes().unwrap();
        assert_eq!(bytes, again.bytes().unwrap(), "the same input gave other bytes");
        let read: Plan = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(read.digest().unwrap(), made.digest().unwrap(), "a plan that is read back is another");
        assert_eq!(check(&read, &report, &input), Vec::<String>::new());
        (made, report)
    }

    /// Plans, and makes the world as it would be after the plan was applied.
    pub(super) fn converge(&mut self) -> Plan {
        let (plan, _) = self.plan();
        self.runs += 1;
        for change in &plan.changes {
            let lock = self.locks.get_mut(&change.environment).unwrap();
            lock.serial += 1;
            let Some(to) = &change.to else {
                lock.instances.remove(&change.instance);
                self.inventory.instances.remove(&change.instance);
                continue;
            };
            let depends_on = self.estate.instances.get(&change.instance).map(|declared| declared.depends_on.clone());
            let locked = lock.instances.entry(change.instance.clone()).or_insert_with(|| Locked {
                provider: change.provider.clone(),
                version: to.clone(),
                host: None,
                settings: Value::Null,
                settings_digest: Digest::of(b""),
                seals: std::collections::BTreeMap::new(),
                observed: BTreeMap::new(),
                depends_on: Vec::new(),
                hops: Vec::new(),
                backups: Vec::new(),
                follow_ups: Vec::new(),
            });
            if change.decision == Decision::Adopt && *to != locked.version {
                locked.hops.clear();
            }
            locked.version = to.clone();
            // Through text, as a lockfile would be.
            locked.settings = through_text(&change.recorded);
            locked.settings_digest = change.settings_digest.clone();
            locked.seals = change.seals.clone();
            locked.depends_on = depends_on.unwrap_or_default();
            for hop in &change.hops {
                if hop.reverts.is_some() {
                    locked.hops.pop();
                    continue;
                }
                let mut scope = hop.scope.as_object().unwrap().clone();
                let result = || Value::object([("result", Value::object([("id", Value::from("b-1"))]))]);
                scope.insert("step".into(), Value::object(hop.keep.iter().map(|(step, _)| (step, result()))));
                let irreversible =
                    hop.point_of_no_return.and_then(|at| plan.actions[at as usize].kind.step().map(ToString::to_string));
                locked.hops.push(AppliedHop {
                    from: hop.from.clone(),
                    to: hop.to.clone().unwrap(),
                    route: hop.route.clone(),
                    strategy: hop.strategy.clone(),
                    provider: hop.provider_digest.clone(),
                    run: RunId::new(format!("run-{}", self.runs)),
                    at: now(),
                    scope: through_text(&Value::Object(scope.into())),
                    irreversible,
                });
            }
            self.see(change.instance.as_str(), Some(to));
        }
        plan
    }
}

fn through_text(value: &Value) -> Value {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

/// The verdict on an instance.
pub(super) fn verdict(report: &Report, addr: &str) -> (VerdictKind, String) {
    let verdict = report.verdicts.iter().find(|verdict| verdict.instance.as_str() == addr).unwrap();
    (verdict.kind, verdict.why.join("\n"))
}

/// The ids of a plan's actions, in order.
pub(super) fn ids(plan: &Plan) -> Vec<&str> {
    plan.actions.iter().map(|action| action.id.as_str()).collect()
}

/// Whether `after` waits for `before`, directly or through others.
pub(super) fn waits(plan: &Plan, after: &str, before: &str) -> bool {
    let place =
        |id: &str| ids(plan).iter().position(|known| *known == id).unwrap_or_else(|| panic!("no action {id}: {:#?}", ids(plan)));
    let (after, before) = (place(after), place(before));
    let mut open = vec![after];
    while let Some(at) = open.pop() {
        if plan.actions[at].needs.iter().any(|need| *need as usize == before) {
            return true;
        }
        open.extend(plan.actions[at].needs.iter().map(|need| *need as usize).filter(|need| *need > before));
    }
    false
}
