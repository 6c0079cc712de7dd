//! A strategy made into actions for one instance on one hop.
//!
//! Takes a [`Blueprint`] and a scope, gives a [`HopDraft`]: actions that know each other by their place in the hop. Never looks at
//! another instance; `order` joins the hops.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::lang::{Env, Expr, Scope, Value};
use crate::model::call::{Arg, Call};
use crate::model::estate::Host;
use crate::model::items::each as each_of;
use crate::model::name::{ActionId, HostName, InstanceAddr, LOCALHOST};
use crate::model::provider::{Retry, Undo};
use crate::source::{Diagnostics, Span};

use super::action::{Action, ActionCheck, ActionKind, ActionUndo};
use super::blueprint::{ArgPrint, Blueprint, CallPrint};
use super::change::Hop;

/// A hop whose actions do not stand in the plan yet.
pub(super) struct HopDraft {
    /// The hop; its list of actions and its point of no return are filled in by `order`.
    pub(super) hop: Hop,
    /// Its actions, sorted; `needs` are places in this list. The last is the record.
    pub(super) actions: Vec<Action>,
}

/// Why a change cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Obstacle {
    /// A sentence.
    pub(super) text: String,
    /// Where the reason is written.
    pub(super) span: Option<Span>,
}

impl Obstacle {
    /// An obstacle that is written nowhere.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), span: None }
    }

    /// What went wrong while evaluating.
    pub(super) fn evaluating(what: &str, problems: &Diagnostics, span: Option<Span>) -> Self {
        let mut texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        texts.dedup();
        let place = problems.iter().find_map(|problem| problem.labels.first()).map(|label| label.span);
        Self { text: format!("{what} cannot be evaluated: {}", texts.join("; ")), span: place.or(span) }
    }
}

/// For whom and for what actions are made.
pub(super) struct Site<'a> {
    /// The instance.
    pub(super) instance: &'a InstanceAddr,
    /// What ids name after the `@`: the version that the hop leads to.
    pub(super) label: &'a str,
    /// What surrounds evaluations.
    pub(super) env: &'a Env<'a>,
    /// The hosts that are declared.
    pub(super) hosts: &'a BTreeMap<HostName, Host>,
    /// What expressions see.
    pub(super) scope: &'a dyn Scope,
}

/// Makes the actions of a hop. `hop` comes without actions and with the captured scope.
///
/// # Errors
/// Everything that cannot be evaluated.
pub(super) fn instantiate(site: &Site<'_>, blueprint: &Blueprint<'_>, mut hop: Hop) -> Result<HopDraft, Vec<Obstacle>> {
    let presence = presence(site, blueprint, None)?;
    let mut problems = Vec::new();
    let mut actions: Vec<Action> = Vec::with_capacity(blueprint.steps.len() + 1);
    let mut places: Vec<Places> = Vec::with_capacity(blueprint.steps.len());
    for (place, print) in blueprint.steps.iter().enumerate() {
        let before = || {
            let mut before: Vec<u32> = Vec::new();
            for &step in &print.after {
                before.extend_from_slice(places[step].ends());
            }
            before.sort_unstable();
            before.dedup();
            before
        };
        let items: &[Item] = match &presence[place] {
            Presence::Dropped(_) => {
                let through = before();
                places.push(Places::Through(through));
                continue;
            }
            Presence::Once => &[Item { key: None, each: None }],
            Presence::Each(items) => items,
        };
        let mut needs = before();
        if needs.len() > 1 && items.len() > 1 && needs.len() * items.len() > JOIN_ABOVE {
            let join = joint(site, print.step.name.as_str(), needs);
            needs = vec![index(actions.len())];
            actions.push(join);
        }
        let mut made = Vec::with_capacity(items.len());
        let later = Value::object([("key", Value::Unknown), ("value", Value::Unknown)]);
        let each_of = |fans_out: bool| if fans_out { Some(&later) } else { None };
        let undo_fans_out = matches!(&print.step.undo, Undo::Call { fan_out: Some(_), .. });
        for item in items {
            let (each, undo_each) = (each_of(print.step.fan_out.is_some()), each_of(undo_fans_out));
            let view = StepScope {
                site,
                blueprint,
                presence: &presence,
                place,
                own: false,
                each: each.or(item.each.as_ref()),
                undo_each: undo_each.or(item.each.as_ref()),
            };
            let mut maker = Maker { view, env: site.env, hosts: site.hosts, problems: &mut problems };
            if let Some(fan_out) = &print.step.fan_out {
                maker.try_out(&fan_out.items, "`items` of `fan_out`");
            }
            let Some(call) = maker.call(&print.call) else { continue };
            let check = match (&print.check, &print.step.check) {
                (Some(asks), Some(check)) => maker.call(asks).map(|call| ActionCheck { call, done: check.done.clone() }),
                _ => None,
            };
            let undo = maker.undo(&print.step.undo, print.undo.as_ref());
            made.push(index(actions.len()));
            actions.push(Action {
                id: ActionId::new(site.instance, site.label, print.step.name.as_str(), item.key.as_deref()),
                change: 0,
                hop: 0,
                kind: ActionKind::Step { step: print.step.name.clone(), call },
                needs: needs.clone(),
                title: print.title.clone(),
                each: item.each.clone(),
                check,
                undo,
                repeatable: print.step.repeatable,
                downtime: print.step.downtime,
                privileged: print.step.privileged,
                retry: print.step.retry,
                timeout: print.step.timeout,
                tolerate: print.step.tolerate.clone(),
                poll: print.step.poll.clone(),
                probe: print.step.probe.clone(),
                during: Vec::new(),
                fan_out: print.step.fan_out.clone(),
                opens: print.step.opens.clone(),
                closes: print.step.closes.clone(),
                progress: print.step.progress.clone(),
                estimate: print.estimate,
                spread: print.spread,
            });
        }
        places.push(Places::Actions(made));
    }
    for (place, print) in blueprint.steps.iter().enumerate() {
        if let Places::Actions(probes) = &places[place] {
            let watched = print.during.iter().filter_map(|&step| match &places[step] {
                Places::Actions(actions) => Some(actions),
                Places::Through(_) => None,
            });
            let mut during: Vec<u32> = watched.flatten().copied().collect();
            during.sort_unstable();
            for &probe in probes {
                actions[probe as usize].during.clone_from(&during);
            }
        }
    }
    if !problems.is_empty() {
        problems.dedup();
        return Err(problems);
    }
    hop.keep.clone_from(&blueprint.keep);
    if blueprint.uses_results {
        remember_dropped(&mut hop.scope, blueprint, &presence);
    }
    let record = record(site, &actions, hop.to.as_deref());
    actions.push(record);
    Ok(HopDraft { hop, actions })
}

/// More edges than this between two groups of actions are drawn through one point in between.
pub(super) const JOIN_ABOVE: usize = 64;

/// Where a step's actions stand.
enum Places {
    /// It has these.
    Actions(Vec<u32>),
    /// It has none: what waits for it waits for these.
    Through(Vec<u32>),
}

impl Places {
    fn ends(&self) -> &[u32] {
        match self {
            Self::Actions(places) | Self::Through(places) => places,
        }
    }
}

/// Whether a step is part of a hop.
pub(super) enum Presence {
    /// No; what its result is for those who ask.
    Dropped(Value),
    /// Once.
    Once,
    /// Once for each of these.
    Each(Vec<Item>),
}

/// An item of a fan-out; without a key where the step is not fanned out.
#[derive(Clone)]
pub(super) struct Item {
    /// What the action's id says.
    pub(super) key: Option<Arc<str>>,
    /// `each`.
    pub(super) each: Option<Value>,
}

/// Evaluates `when` and `for_each` of every step. `results` are recorded step results, where the hop was applied long ago.
///
/// # Errors
/// Every one that cannot be evaluated.
pub(super) fn presence(
    site: &Site<'_>,
    blueprint: &Blueprint<'_>,
    results: Option<&dyn Scope>,
) -> Result<Vec<Presence>, Vec<Obstacle>> {
    let mut presence: Vec<Presence> = Vec::with_capacity(blueprint.steps.len());
    let mut problems = Vec::new();
    for (place, print) in blueprint.steps.iter().enumerate() {
        let known = {
            let view = StepScope { site, blueprint, presence: &presence, place, own: false, each: None, undo_each: None };
            let scope: &dyn Scope = results.unwrap_or(&view);
            let what = |part: &str| format!("`{part}` of step `{}`", print.step.name);
            match print.step.when.as_ref().map(|when| truth(when, scope, site.env, &what("when"))) {
                Some(Ok(false)) => Ok(Presence::Dropped(Value::Null)),
                Some(Err(problem)) => Err(problem),
                Some(Ok(true)) | None => match &print.step.for_each {
                    None => Ok(Presence::Once),
                    Some(each) => items(each, scope, site.env, &what("for_each")).map(|items| match items.is_empty() {
                        true => Presence::Dropped(Value::list([])),
                        false => Presence::Each(items),
                    }),
                },
            }
        };
        presence.push(known.unwrap_or_else(|problem| {
            problems.push(problem);
            Presence::Once
        }));
    }
    // Where nothing of what it watches is done, there is nothing to watch.
    for (place, print) in blueprint.steps.iter().enumerate().filter(|(_, print)| print.step.probe.is_some()) {
        if print.during.iter().all(|&step| matches!(presence[step], Presence::Dropped(_))) {
            presence[place] = Presence::Dropped(Value::Null);
        }
    }
    if problems.is_empty() { Ok(presence) } else { Err(problems) }
}

fn truth(when: &Expr, scope: &dyn Scope, env: &Env<'_>, what: &str) -> Result<bool, Obstacle> {
    let value = when.eval(scope, env).map_err(|problems| Obstacle::evaluating(what, &problems, when.span()))?;
    match value.unmark().0 {
        Value::Bool(truth) => Ok(*truth),
        Value::Unknown => Err(Obstacle {
            text: format!("{what} depends on what becomes known only while applying; it must be known when planning"),
            span: when.span(),
        }),
        other => Err(Obstacle { text: format!("{what} must be true or false, and is {}", other.kind()), span: when.span() }),
    }
}

fn items(each: &Expr, scope: &dyn Scope, env: &Env<'_>, what: &str) -> Result<Vec<Item>, Obstacle> {
    let refuse = |why: &str| Obstacle { text: format!("{what} {why}"), span: each.span() };
    let value = each.eval(scope, env).map_err(|problems| Obstacle::evaluating(what, &problems, each.span()))?;
    if value.has_sensitive() {
        return Err(refuse("is sensitive, and its keys would stand in the plan; use `nonsensitive` on what may be shown"));
    }
    if value.has_unknown() {
        return Err(refuse("depends on what becomes known only while applying; it must be known when planning"));
    }
    let items = crate::model::items::items(&value).map_err(|why| refuse(&why))?;
    Ok(items.into_iter().map(|(key, value)| Item { each: Some(each_of(&key, &value)), key: Some(key) }).collect())
}

/// Evaluates calls in one step's view.
pub(super) struct Maker<'a, S> {
    /// What expressions see.
    pub(super) view: S,
    /// What surrounds evaluations.
    pub(super) env: &'a Env<'a>,
    /// The hosts that are declared.
    pub(super) hosts: &'a BTreeMap<HostName, Host>,
    /// What could not be evaluated.
    pub(super) problems: &'a mut Vec<Obstacle>,
}

impl<S: View> Maker<'_, S> {
    /// A call with its arguments; `None` where one of them could not be evaluated.
    pub(super) fn call(&mut self, print: &CallPrint<'_>) -> Option<Call> {
        let before = self.problems.len();
        let mut call = Call { driver: print.driver.clone(), args: indexmap::IndexMap::with_capacity(print.args.len()), on: None };
        for (name, arg) in &print.args {
            let arg = match arg {
                ArgPrint::Constant(arg) => arg.clone(),
                ArgPrint::Varies(expr) => match expr.eval(&self.view, self.env) {
                    Ok(value) if value.has_unknown() || value.has_sensitive() => Arg::Deferred((*expr).clone()),
                    Ok(value) => Arg::Known(value),
                    Err(problems) => {
                        let what = format!("argument `{name}` of `{}` in step `{}`", print.driver, self.view.step());
                        self.problems.push(Obstacle::evaluating(&what, &problems, expr.span()));
                        continue;
                    }
                },
            };
            call.args.insert(Arc::clone(name), arg);
        }
        call.on = print.on.and_then(|on| self.place(on));
        (self.problems.len() == before).then_some(call)
    }

    /// Evaluates what apply will evaluate, so that what cannot be is known now.
    fn try_out(&mut self, expr: &Expr, what: &str) {
        if let Err(problems) = expr.eval(&self.view, self.env) {
            let what = format!("{what} in step `{}`", self.view.step());
            self.problems.push(Obstacle::evaluating(&what, &problems, expr.span()));
        }
    }

    /// The host that a call is made on, where it is not the instance's.
    fn place(&mut self, on: &Expr) -> Option<Arg> {
        let what = format!("`on` in step `{}`", self.view.step());
        let mut refuse = |text: String| {
            self.problems.push(Obstacle { text, span: on.span() });
            None
        };
        let value = match on.eval(&self.view, self.env) {
            Ok(value) => value,
            Err(problems) => {
                self.problems.push(Obstacle::evaluating(&what, &problems, on.span()));
                return None;
            }
        };
        match &value {
            Value::Null => None,
            value if value.has_unknown() || value.has_sensitive() => Some(Arg::Deferred(on.clone())),
            Value::String(name) if &**name == LOCALHOST || self.hosts.contains_key(&**name) => Some(Arg::Known(value)),
            Value::String(name) => {
                let known = crate::source::nearest(name, self.hosts.keys().map(HostName::as_str));
                let known = known.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                refuse(format!("{what} is `{name}`, and the configuration declares no such host{known}"))
            }
            other => refuse(format!("{what} must be the name of a host, and is {}", other.kind())),
        }
    }

    fn undo(&mut self, undo: &Undo, print: Option<&CallPrint<'_>>) -> ActionUndo {
        match (undo, print) {
            (Undo::Call { restores_data, downtime, retry, timeout, poll, fan_out, opens, closes, call: _ }, Some(print)) => {
                self.view.after();
                self.call(print).map_or(ActionUndo::Harmless, |call| ActionUndo::Call {
                    call,
                    restores_data: *restores_data,
                    downtime: *downtime,
                    retry: *retry,
                    timeout: *timeout,
                    poll: poll.clone(),
                    fan_out: fan_out.clone(),
                    opens: opens.clone(),
                    closes: closes.clone(),
                })
            }
            (Undo::Irreversible, _) => ActionUndo::Irreversible,
            (Undo::Harmless | Undo::Call { .. }, _) => ActionUndo::Harmless,
        }
    }
}

/// A scope that belongs to a step.
pub(super) trait View: Scope {
    /// Which.
    fn step(&self) -> &str;
    /// From now on the step is done: its own result may be used.
    fn after(&mut self);
}

/// What a step's expressions see: `each`, the results of the steps before it, and the hop's names.
struct StepScope<'a> {
    site: &'a Site<'a>,
    blueprint: &'a Blueprint<'a>,
    presence: &'a [Presence],
    place: usize,
    own: bool,
    each: Option<&'a Value>,
    /// What `each` is once the step is done.
    undo_each: Option<&'a Value>,
}

impl View for StepScope<'_> {
    fn step(&self) -> &str {
        self.blueprint.steps[self.place].step.name.as_str()
    }

    fn after(&mut self) {
        self.own = true;
        self.each = self.undo_each;
    }
}

impl StepScope<'_> {
    fn result(&self, path: &[&str]) -> Result<(Value, usize), String> {
        let Some((&name, rest)) = path.split_first() else { return Ok((Value::Unknown, 0)) };
        let Some(place) = self.blueprint.place(name) else {
            let names = self.blueprint.names().map(|name| name.as_str());
            let nearest = crate::source::nearest(name, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(format!("there is no step `{name}` in strategy `{}`{nearest}", self.blueprint.strategy.name));
        };
        if !(self.blueprint.is_ancestor(place, self.place) || self.own && place == self.place) {
            return Err(format!("step `{name}` has not surely ended when step `{}` begins: add it to `after`", self.step()));
        }
        match (self.presence.get(place), rest.first()) {
            (Some(Presence::Dropped(result)), Some(&"result")) => Ok((result.clone(), 2)),
            (Some(Presence::Dropped(result)), _) => Ok((Value::object([("result", result.clone())]), 1)),
            (_, Some(&"result")) => Ok((Value::Unknown, 2)),
            _ => Ok((Value::object([("result", Value::Unknown)]), 1)),
        }
    }
}

impl Scope for StepScope<'_> {
    fn resolve(&self, root: &str, path: &[&str]) -> Option<Result<(Value, usize), String>> {
        match root {
            "step" => Some(self.result(path)),
            "each" => self.each.map(|each| Ok((each.clone(), 0))),
            _ => self.site.scope.resolve(root, path),
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.site.scope.names();
        names.push("step".to_owned());
        names.extend(self.each.map(|_| "each".to_owned()));
        names
    }
}

/// Deferred expressions may ask for the results of steps that are not part of the hop: they are told here.
fn remember_dropped(scope: &mut Value, blueprint: &Blueprint<'_>, presence: &[Presence]) {
    let dropped: Vec<(&str, Value)> = blueprint
        .steps
        .iter()
        .zip(presence)
        .filter_map(|(print, presence)| match presence {
            Presence::Dropped(result) => Some((print.step.name.as_str(), Value::object([("result", result.clone())]))),
            Presence::Once | Presence::Each(_) => None,
        })
        .collect();
    if dropped.is_empty() {
        return;
    }
    let mut names = scope.as_object().cloned().unwrap_or_default();
    names.insert("step".into(), Value::object(dropped));
    *scope = Value::Object(names.into());
}

/// The landmark at the end of a hop: needs every action that nothing else in the hop needs.
pub(super) fn record(site: &Site<'_>, actions: &[Action], to: Option<&str>) -> Action {
    let mut needed = vec![false; actions.len()];
    for action in actions {
        for &before in &action.needs {
            needed[before as usize] = true;
        }
    }
    let needs = (0..actions.len()).filter(|&place| !needed[place]).map(index).collect();
    let title = to.map_or_else(|| "Record the removal".to_owned(), |to| format!("Record {to}"));
    landmark(site.instance, site.label, "(record)", ActionKind::Record, needs, title)
}

/// A point between two groups of actions.
pub(super) fn joint(site: &Site<'_>, step: &str, needs: Vec<u32>) -> Action {
    let what = format!("(before {step})");
    let kind = ActionKind::Pause(std::time::Duration::ZERO);
    landmark(site.instance, site.label, &what, kind, needs, "Wait for what comes before".to_owned())
}

/// An action that touches nothing. Its id has parentheses, which no step's name can have.
pub(super) fn landmark(
    instance: &InstanceAddr,
    label: &str,
    what: &str,
    kind: ActionKind,
    needs: Vec<u32>,
    title: String,
) -> Action {
    Action {
        id: ActionId::new(instance, label, what, None),
        change: 0,
        hop: 0,
        kind,
        needs,
        title: title.into(),
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
    }
}

/// A place in a list as plans hold it. Plans are far smaller than 2^32 actions.
pub(super) fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
