//! Takes what was done into the lockfile.
//!
//! An instance's entry is always *computed*: the entry from before the run, with the hops on top that are recorded now. So undoing
//! a record needs no inverse and restores exactly what was there, and a resumed run comes to the same bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::graph::{Graph, HopInfo};
use super::progress::{ActionState, Progress};
use super::run::InstanceInput;
use super::scope::{result, steps};
use super::secret::redacted;
use crate::driver::Redactor;
use crate::lang::{Expr, Object, Value};
use crate::lock::{AppliedHop, BackupRef, BackupSet, FollowUp, Lock, Locked, ProviderPin};
use crate::model::name::{Digest, EnvironmentName, InstanceAddr, ProviderName, RunId, StrategyName};
use crate::model::provider::{Provider, Undo};
use crate::plan::{Action, ActionKind, ActionUndo, Change, Decision, Hop, Plan};

/// What a recording reads.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub plan: &'a Plan,
    pub graph: &'a Graph,
    pub progress: &'a Progress,
    pub run: &'a RunId,
    pub providers: &'a BTreeMap<Digest, Arc<Provider>>,
    pub instances: &'a BTreeMap<InstanceAddr, InstanceInput>,
    pub redact: &'a Redactor,
}

/// The lockfiles of a run: as they were, and as they are to be.
#[derive(Debug)]
pub(super) struct Books {
    base: BTreeMap<EnvironmentName, Lock>,
    current: BTreeMap<EnvironmentName, Lock>,
    /// By change: whether something of it is recorded.
    recorded: Vec<bool>,
    /// Changes with something recorded, by environment and provider.
    users: HashMap<(EnvironmentName, ProviderName), u32>,
    /// What undo expressions use, by provider and strategy.
    used: HashMap<(Digest, StrategyName), Option<Used>>,
}

/// Roots with the attributes used of them; no attributes: all.
type Used = BTreeMap<Arc<str>, BTreeSet<Arc<str>>>;

impl Books {
    /// `base`: the lockfiles from before the run. `current`: as they are in the store now.
    pub(super) fn new(changes: usize, base: BTreeMap<EnvironmentName, Lock>, current: BTreeMap<EnvironmentName, Lock>) -> Self {
        Self { base, current, recorded: vec![false; changes], users: HashMap::new(), used: HashMap::new() }
    }

    /// The lockfile of an environment as it is to be.
    pub(super) fn lock(&self, environment: &EnvironmentName) -> Option<&Lock> {
        self.current.get(environment)
    }

    /// All of them.
    pub(super) fn into_locks(self) -> BTreeMap<EnvironmentName, Lock> {
        self.current
    }

    /// Takes in that a lockfile was written.
    pub(super) fn written(&mut self, environment: &EnvironmentName, serial: u64) {
        if let Some(lock) = self.current.get_mut(environment) {
            lock.serial = serial;
        }
    }

    /// Computes the entry of a change's instance anew; answers whether the lockfile changed.
    pub(super) fn refold(&mut self, sources: Sources<'_>, number: usize) -> bool {
        let change = &sources.plan.changes[number];
        let base = self.base.get(&change.environment).and_then(|lock| lock.instances.get(&change.instance));
        let (entry, recorded) = self.fold(sources, number, base.cloned());
        let Some(lock) = self.current.get_mut(&change.environment) else { return false };
        let before = lock.instances.get(&change.instance);
        let mut changed = before != entry.as_ref();
        match entry {
            Some(entry) if changed => drop(lock.instances.insert(change.instance.clone(), entry)),
            Some(_) => {}
            None => changed |= lock.instances.remove(&change.instance).is_some(),
        }
        self.pin(sources, number, recorded) || changed
    }

    fn fold(&mut self, sources: Sources<'_>, number: usize, base: Option<Locked>) -> (Option<Locked>, bool) {
        let Sources { plan, graph, progress, .. } = sources;
        let change = &plan.changes[number];
        let mut entry = base;
        let mut any = false;
        for info in graph.hops_of(number) {
            let record = info.actions.iter().find(|action| matches!(plan.actions[**action as usize].kind, ActionKind::Record));
            let (at, facts) = match record {
                Some(action) if progress.state(*action) == ActionState::Succeeded => {
                    (progress.times[*action as usize].unwrap_or(plan.created), progress.results[*action as usize].as_object())
                }
                // Nothing is to be done to adopt or forget, so that the plan may have no action at all for it.
                None if info.actions.is_empty() && matches!(change.decision, Decision::Adopt | Decision::Forget) => {
                    (progress.began.unwrap_or(plan.created), None)
                }
                _ => break,
            };
            any = true;
            entry = match change.hops.get(info.index as usize) {
                None if change.decision == Decision::Forget || change.to.is_none() => None,
                None => Some(self.content(sources, change, change.to.clone(), entry, facts)),
                Some(hop) => self.apply_hop(sources, Done { change, hop, info, at, facts }, entry),
            };
        }
        if let Some(entry) = &mut entry {
            add_backups(sources, number, entry);
        }
        (entry, any)
    }

    fn apply_hop(&mut self, sources: Sources<'_>, done: Done<'_>, entry: Option<Locked>) -> Option<Locked> {
        let Done { change, hop, info, at, facts } = done;
        let to = hop.to.clone()?;
        if matches!(change.decision, Decision::Backup | Decision::Restore) {
            // The instance is what it was, and so is the way back from it; only what a restore has brought is seen anew.
            return entry.map(|entry| match facts {
                Some(facts) if change.decision == Decision::Restore && change.host == entry.host => Locked {
                    observed: facts.iter().map(|(name, value)| (Arc::clone(name), redacted(value, sources.redact))).collect(),
                    ..entry
                },
                _ => entry,
            });
        }
        let is_last = info.index as usize + 1 == change.hops.len();
        // Brought back is what is again as it was recorded. What is not stays recorded as it was, so that it stays drift.
        let kept = (change.decision == Decision::Reconfigure && change.settings.is_empty()).then_some(entry.as_ref()).flatten();
        let kept = kept.map(|entry| entry.observed.clone()).unwrap_or_default();
        let mut entry = self.content(sources, change, Some(Arc::clone(&to)), entry, facts);
        entry.observed.extend(kept);
        if hop.reverts.is_some() {
            entry.hops.pop();
            entry.follow_ups.retain(|owed| Some(&owed.version) != hop.from.as_ref());
        } else {
            let irreversible = info.point_of_no_return.and_then(|action| sources.plan.actions.get(action as usize));
            let irreversible =
                irreversible.map(|action| action.kind.step().map_or_else(|| action.id.to_string(), ToString::to_string));
            if irreversible.is_some() {
                // What lies beneath cannot be reached any more by undoing.
                entry.hops.clear();
            }
            let applied = AppliedHop {
                from: hop.from.clone(),
                to: Arc::clone(&to),
                route: Arc::clone(&hop.route),
                strategy: hop.strategy.clone(),
                provider: hop.provider_digest.clone(),
                run: sources.run.clone(),
                at,
                scope: self.scope(sources, hop, info),
                irreversible,
            };
            entry.hops.push(applied);
        }
        if is_last {
            for note in change.notes.iter().filter(|note| note.follow_up) {
                if !entry.follow_ups.iter().any(|owed| owed.name == note.name && owed.version == to) {
                    let (name, text, version) = (Arc::clone(&note.name), note.text.clone(), Arc::clone(&to));
                    entry.follow_ups.push(FollowUp { name, text, version, since: at });
                }
            }
        }
        Some(entry)
    }

    /// The entry with the change's version and settings, on top of what was there.
    fn content(
        &self,
        sources: Sources<'_>,
        change: &Change,
        version: Option<Arc<str>>,
        entry: Option<Locked>,
        facts: Option<&Object>,
    ) -> Locked {
        let (hops, backups, follow_ups, observed, depends_on) = match entry {
            Some(entry) => (entry.hops, entry.backups, entry.follow_ups, entry.observed, entry.depends_on),
            None => Default::default(),
        };
        let input = sources.instances.get(&change.instance);
        Locked {
            provider: change.provider.clone(),
            version: version.unwrap_or_default(),
            host: change.host.clone(),
            settings: redacted(&change.recorded, sources.redact),
            settings_digest: change.settings_digest.clone(),
            seals: change.seals.clone(),
            observed: facts.map_or(observed, |facts| {
                facts.iter().map(|(name, value)| (Arc::clone(name), redacted(value, sources.redact))).collect()
            }),
            depends_on: input.map_or(depends_on, |input| input.depends_on.clone()),
            hops,
            backups,
            follow_ups,
        }
    }

    /// The hop's scope, reduced to what its undo may use, and the step results that must be kept.
    fn scope(&mut self, sources: Sources<'_>, hop: &Hop, info: &HopInfo) -> Value {
        let used = self
            .used
            .entry((hop.provider_digest.clone(), hop.strategy.clone()))
            .or_insert_with(|| sources.providers.get(&hop.provider_digest).and_then(|provider| used(provider, &hop.strategy)));
        let mut scope = match (hop.scope.as_object(), used) {
            (Some(scope), Some(used)) => reduce(scope, used),
            (Some(scope), None) => scope.clone(),
            (None, _) => Object::new(),
        };
        scope.remove("step");
        let actions = steps(sources.plan, &info.actions);
        let mut kept = Object::new();
        for (step, path) in &hop.keep {
            let result = actions.get(&**step).and_then(|actions| result(sources.plan, sources.progress, actions));
            if let Some(result) = result {
                let step = kept.entry(Arc::clone(step)).or_insert_with(|| Value::object([("result", Value::Null)]));
                let before = step.get("result").cloned().unwrap_or_default();
                *step = Value::object([("result", select(before, &result, path))]);
            }
        }
        if !kept.is_empty() {
            scope.insert("step".into(), Value::Object(kept.into()));
        }
        redacted(&Value::Object(scope.into()), sources.redact)
    }

    /// Pins the provider while anything of this run that it did is recorded.
    fn pin(&mut self, sources: Sources<'_>, number: usize, recorded: bool) -> bool {
        if std::mem::replace(&mut self.recorded[number], recorded) == recorded {
            return false;
        }
        let change = &sources.plan.changes[number];
        let users = self.users.entry((change.environment.clone(), change.provider.clone())).or_default();
        *users = if recorded { *users + 1 } else { users.saturating_sub(1) };
        let pin = if *users > 0 {
            sources.plan.providers.get(&change.provider).map(|digest| ProviderPin {
                version: sources.providers.get(digest).map(|provider| provider.version.clone()).unwrap_or_default(),
                digest: digest.clone(),
            })
        } else {
            self.base.get(&change.environment).and_then(|lock| lock.providers.get(&change.provider)).cloned()
        };
        let Some(lock) = self.current.get_mut(&change.environment) else { return false };
        let changed = lock.providers.get(&change.provider) != pin.as_ref();
        match pin {
            Some(pin) => drop(lock.providers.insert(change.provider.clone(), pin)),
            None => drop(lock.providers.remove(&change.provider)),
        }
        changed
    }
}

/// A hop that was recorded.
struct Done<'a> {
    change: &'a Change,
    hop: &'a Hop,
    info: &'a HopInfo,
    at: Timestamp,
    facts: Option<&'a Object>,
}

/// Adds the backups that the change's steps have made, unless an undo has taken one away. They stay when the hop is undone.
fn add_backups(sources: Sources<'_>, number: usize, entry: &mut Locked) {
    let Sources { plan, graph, progress, run, .. } = sources;
    let change = &plan.changes[number];
    for info in graph.hops_of(number) {
        for action in &info.actions {
            let content = &plan.actions[*action as usize];
            let is_there = match progress.state(*action) {
                ActionState::Succeeded | ActionState::UndoHeld => true,
                ActionState::Undone => !matches!(content.undo, ActionUndo::Call { .. }),
                _ => false,
            };
            let results = backups(content, &progress.results[*action as usize]);
            for backup in results.into_iter().filter(|_| is_there) {
                let text = |name: &str| backup.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
                let (Some(id), Some(location)) = (text("id"), text("location")) else { continue };
                let verified = backup.get("verified").and_then(Value::as_bool);
                if let Some(known) = entry.backups.iter_mut().find(|known| known.id == id && known.location == location) {
                    // A later step has read it back.
                    known.verified = verified.unwrap_or(known.verified);
                    continue;
                }
                let hop = change.hops.get(info.index as usize);
                let version = hop.and_then(|hop| hop.from.clone().or_else(|| hop.to.clone()));
                entry.backups.push(BackupRef {
                    id: sources.redact.apply(&id).into_owned(),
                    location: sources.redact.apply(&location).into_owned(),
                    method: text("method").unwrap_or_default(),
                    version: version.unwrap_or_else(|| Arc::clone(&entry.version)),
                    at: progress.times[*action as usize].unwrap_or(plan.created),
                    run: run.clone(),
                    size: match backup.get("size") {
                        Some(Value::Number(size)) => u64::try_from(*size).ok(),
                        _ => None,
                    },
                    verified: verified.unwrap_or(false),
                    path: text("path").map(|path| sources.redact.apply(&path).into_owned()),
                    consistent: backup.get("consistent").and_then(Value::as_bool).unwrap_or(true),
                    set: backup.get("set").and_then(set),
                    excluded: excluded(backup),
                });
            }
        }
    }
}

/// The matched set that a backup says it is a part of.
fn set(value: &Value) -> Option<BackupSet> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let parts = value.get("parts").and_then(Value::as_list).unwrap_or_default();
    let parts = parts.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    Some(BackupSet { name: text("name")?, part: text("part")?, parts })
}

/// What a backup leaves out: sets by their names, other patterns as they are.
fn excluded(backup: &Value) -> Vec<String> {
    let texts = |value: Option<&Value>| -> Vec<String> {
        value.and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    };
    let sets = backup.get("excluded").and_then(Value::as_object);
    let named: Vec<String> = sets.into_iter().flat_map(|sets| sets.values()).flat_map(|patterns| texts(Some(patterns))).collect();
    let mut excluded: Vec<String> = sets.into_iter().flat_map(|sets| sets.keys()).map(ToString::to_string).collect();
    excluded.extend(texts(backup.get("exclude")).into_iter().filter(|pattern| !named.contains(pattern)));
    excluded
}

/// The backups that an action's result tells of; a fanned-out one may have made one for each item.
pub(super) fn backups<'a>(action: &Action, result: &'a Value) -> Vec<&'a Value> {
    let items = result.get("items").and_then(Value::as_object).filter(|_| action.fan_out.is_some());
    let of_items = items.into_iter().flat_map(Object::values).filter_map(|item| item.get("backup"));
    result.get("backup").into_iter().chain(of_items).filter(|backup| backup.as_object().is_some()).collect()
}

/// What the undo calls of a strategy use, also by way of the provider's locals.
fn used(provider: &Provider, strategy: &StrategyName) -> Option<Used> {
    let strategy = provider.strategies.get(strategy)?;
    let mut used = Used::new();
    let mut locals: Vec<Arc<str>> = Vec::new();
    for step in &strategy.steps {
        if let Undo::Call { call, poll, fan_out, .. } = &step.undo {
            fan_out.iter().flat_map(|fan_out| fan_out.expressions()).for_each(|expr| use_expr(expr, &mut used, &mut locals));
            call.exprs()
                .chain(poll.iter().flat_map(|poll| poll.expressions()))
                .for_each(|expr| use_expr(expr, &mut used, &mut locals));
        }
        // A fanned-out step is fanned out again when it is undone.
        step.for_each.iter().chain(&step.when).for_each(|expr| use_expr(expr, &mut used, &mut locals));
    }
    let mut seen = BTreeSet::new();
    while let Some(local) = locals.pop() {
        if let (Some(expr), true) = (provider.locals.get(&local), seen.insert(Arc::clone(&local))) {
            use_expr(expr, &mut used, &mut locals);
        }
    }
    Some(used)
}

fn use_expr(expr: &Expr, used: &mut Used, locals: &mut Vec<Arc<str>>) {
    for reference in expr.references() {
        let known = used.get(&reference.root).is_some_and(BTreeSet::is_empty);
        match reference.path.first() {
            Some(name) => {
                if &*reference.root == "local" {
                    locals.push(Arc::clone(name));
                }
                if !known {
                    used.entry(reference.root).or_default().insert(Arc::clone(name));
                }
            }
            None => drop(used.insert(reference.root, BTreeSet::new())),
        }
    }
}

fn reduce(scope: &Object, used: &Used) -> Object {
    let mut reduced = Object::new();
    for (root, names) in used {
        let Some(value) = scope.get(root) else { continue };
        let value = match value.as_object() {
            Some(attributes) if !names.is_empty() => {
                Value::object(names.iter().filter_map(|name| Some((name, attributes.get(name)?.clone()))))
            }
            _ => value.clone(),
        };
        reduced.insert(Arc::clone(root), value);
    }
    reduced
}

/// `kept` with what the path selects of `result` added.
fn select(kept: Value, result: &Value, path: &[Arc<str>]) -> Value {
    match (path.split_first(), result.as_object()) {
        (Some((name, rest)), Some(attributes)) => {
            let mut kept = kept.as_object().cloned().unwrap_or_default();
            let below = kept.remove(name).unwrap_or_default();
            if let Some(value) = attributes.get(name) {
                kept.insert(Arc::clone(name), select(below, value, rest));
            }
            Value::Object(kept.into())
        }
        // The whole, or a list of a fanned-out step.
        _ => result.clone(),
    }
}
