//! A strategy prepared for many instances: sorted once, its constant arguments evaluated once.
//!
//! Takes a provider's strategy and gives a [`Blueprint`]; `instantiate` and `revert` read it. Knows no instance.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::lang::{Env, Expr, Vars};
use crate::model::call::Arg;
use crate::model::name::{DriverName, StepName};
use crate::model::provider::{CallTemplate, Provider, Step, Strategy, Undo};

use super::spread::Spread;
use super::used::Used;

/// A strategy, ready to be made into actions. Steps are in an order in which every step stands after those that it waits for.
pub(super) struct Blueprint<'p> {
    /// Of what.
    pub(super) strategy: &'p Strategy,
    /// The steps, sorted.
    pub(super) steps: Vec<StepPrint<'p>>,
    /// Step results that undo expressions use.
    pub(super) keep: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// The names that its expressions use, through locals too: what a hop's scope keeps.
    pub(super) used: Used,
    /// Whether any expression refers to a step's result.
    pub(super) uses_results: bool,
    index: HashMap<&'p str, usize>,
}

/// A step of a [`Blueprint`].
pub(super) struct StepPrint<'p> {
    /// The step.
    pub(super) step: &'p Step,
    /// Its title, shared by all its actions.
    pub(super) title: Arc<str>,
    /// What it waits for: indices of smaller steps.
    pub(super) after: Vec<usize>,
    /// (A probe) What it watches: indices of greater steps.
    pub(super) during: Vec<usize>,
    /// What it does.
    pub(super) call: CallPrint<'p>,
    /// What asks whether it is done.
    pub(super) check: Option<CallPrint<'p>>,
    /// What reverses it, where a call does.
    pub(super) undo: Option<CallPrint<'p>>,
    /// How long it is expected to take.
    pub(super) estimate: Option<Duration>,
    /// How long it took in earlier runs.
    pub(super) spread: Option<Spread>,
    /// How long its undo took in earlier runs that went back over an applied hop.
    pub(super) undo_spread: Option<Spread>,
    ancestors: Vec<bool>,
}

/// A call whose constant arguments are known.
pub(super) struct CallPrint<'p> {
    /// Which driver.
    pub(super) driver: &'p DriverName,
    /// Arguments in the order written.
    pub(super) args: Vec<(&'p Arc<str>, ArgPrint<'p>)>,
    /// On which host, where it says.
    pub(super) on: Option<&'p Expr>,
}

/// An argument of a [`CallPrint`].
pub(super) enum ArgPrint<'p> {
    /// The same for every instance.
    Constant(Arg),
    /// Evaluated for each.
    Varies(&'p Expr),
}

impl<'p> Blueprint<'p> {
    /// Prepares a strategy.
    ///
    /// # Errors
    /// A clause that names what is wrong with the strategy: a step that waits for one that is not there, or a cycle.
    pub(super) fn new(
        provider: &'p Provider,
        strategy: &'p Strategy,
        durations: &std::collections::BTreeMap<String, Spread>,
        env: &Env<'_>,
    ) -> Result<Self, String> {
        let order = sorted(strategy)?;
        let index: HashMap<&str, usize> =
            order.iter().enumerate().map(|(place, &declared)| (strategy.steps[declared].name.as_str(), place)).collect();
        let mut steps: Vec<StepPrint<'p>> = Vec::with_capacity(order.len());
        for &declared in &order {
            let step = &strategy.steps[declared];
            let after: Vec<usize> = step
                .after
                .iter()
                .filter_map(|name| index.get(name.as_str()).copied())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect();
            let mut ancestors = vec![false; order.len()];
            for &before in &after {
                ancestors[before] = true;
                for (place, &is) in steps[before].ancestors.iter().enumerate() {
                    ancestors[place] |= is;
                }
            }
            let measured = |undo: &str| durations.get(&format!("{}/{}/{undo}{}", provider.name, strategy.name, step.name)).copied();
            let recorded = measured("");
            steps.push(StepPrint {
                step,
                title: if step.title.is_empty() { step.name.as_str().into() } else { step.title.as_str().into() },
                after,
                during: step.during.iter().filter_map(|name| index.get(name.as_str()).copied()).collect(),
                call: CallPrint::new(&step.call, env),
                check: step.check.as_ref().map(|check| CallPrint::new(&check.call, env)),
                undo: match &step.undo {
                    Undo::Call { call, .. } => Some(CallPrint::new(call, env)),
                    Undo::Harmless | Undo::Irreversible => None,
                },
                estimate: recorded.map(|spread| spread.typical).or(step.estimate),
                spread: recorded,
                undo_spread: measured("undo:"),
                ancestors,
            });
        }
        Ok(Self {
            strategy,
            keep: kept(provider, strategy),
            used: used(provider, strategy),
            uses_results: strategy.steps.iter().flat_map(expressions).any(|expr| uses_step(provider, expr)),
            steps,
            index,
        })
    }

    /// The place of a step in [`Blueprint::steps`].
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Whether step `before` has surely ended when step `place` begins.
    pub(super) fn is_ancestor(&self, before: usize, place: usize) -> bool {
        self.steps[place].ancestors[before]
    }

    /// The names of all steps, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &StepName> {
        self.steps.iter().map(|print| &print.step.name)
    }
}

impl<'p> CallPrint<'p> {
    fn new(call: &'p CallTemplate, env: &Env<'_>) -> Self {
        let args = call
            .args
            .iter()
            .map(|(name, expr)| {
                // A constant that cannot be evaluated is left to the instances, so that its error is told with a place.
                let constant = if expr.references().is_empty() { expr.eval(&Vars::default(), env).ok() } else { None };
                let print = match constant {
                    Some(value) if !value.has_unknown() && !value.has_sensitive() => ArgPrint::Constant(Arg::Known(value)),
                    _ => ArgPrint::Varies(expr),
                };
                (name, print)
            })
            .collect();
        Self { driver: &call.driver, args, on: call.on.as_ref() }
    }
}

/// Indices of declared steps, so that every step comes after those that it waits for; otherwise as declared.
fn sorted(strategy: &Strategy) -> Result<Vec<usize>, String> {
    let declared: HashMap<&str, usize> =
        strategy.steps.iter().enumerate().map(|(place, step)| (step.name.as_str(), place)).collect();
    let mut waiting: Vec<usize> = vec![0; strategy.steps.len()];
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); strategy.steps.len()];
    for (place, step) in strategy.steps.iter().enumerate() {
        for name in &step.after {
            let Some(&before) = declared.get(name.as_str()) else {
                return Err(format!(
                    "step `{}` of strategy `{}` waits for step `{name}`, which there is not",
                    step.name, strategy.name
                ));
            };
            followers[before].push(place);
            waiting[place] += 1;
        }
        for name in &step.during {
            let Some(&watched) = declared.get(name.as_str()) else {
                return Err(format!(
                    "step `{}` of strategy `{}` looks on beside step `{name}`, which there is not",
                    step.name, strategy.name
                ));
            };
            followers[place].push(watched);
            waiting[watched] += 1;
        }
    }
    let mut ready: BTreeSet<usize> = (0..waiting.len()).filter(|&place| waiting[place] == 0).collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(place) = ready.pop_first() {
        order.push(place);
        for &follower in &followers[place] {
            waiting[follower] -= 1;
            if waiting[follower] == 0 {
                ready.insert(follower);
            }
        }
    }
    if order.len() == waiting.len() {
        return Ok(order);
    }
    let stuck: Vec<String> =
        (0..waiting.len()).filter(|&place| waiting[place] > 0).map(|place| format!("`{}`", strategy.steps[place].name)).collect();
    Err(format!("steps of strategy `{}` wait for each other: {}", strategy.name, stuck.join(", ")))
}

/// Every expression of a step.
fn expressions(step: &Step) -> impl Iterator<Item = &Expr> {
    let undo = match &step.undo {
        Undo::Call { call, poll, fan_out, .. } => Some((call, poll, fan_out)),
        Undo::Harmless | Undo::Irreversible => None,
    };
    let check = step.check.as_ref();
    step.call
        .exprs()
        .chain(&step.when)
        .chain(&step.for_each)
        .chain(check.into_iter().flat_map(|check| check.call.exprs().chain(&check.done)))
        .chain(undo.into_iter().flat_map(|(call, poll, fan_out)| {
            let more = poll.iter().flat_map(|poll| poll.expressions());
            call.exprs().chain(more).chain(fan_out.iter().flat_map(|fan_out| fan_out.expressions()))
        }))
        .chain(&step.tolerate)
        .chain(step.poll.iter().flat_map(|poll| poll.expressions()))
        .chain(step.probe.iter().flat_map(|probe| &probe.pass))
        .chain(step.fan_out.iter().flat_map(|fan_out| fan_out.expressions()))
}

/// What expressions of a strategy use. What a local uses counts too: apply computes a sensitive one again.
fn used(provider: &Provider, strategy: &Strategy) -> Used {
    let mut used = Used::of(strategy.steps.iter().flat_map(expressions));
    let mut seen: BTreeSet<Arc<str>> = BTreeSet::new();
    loop {
        let mut more = used.names("local", &provider.locals);
        more.retain(|name| seen.insert(name.clone()));
        if more.is_empty() {
            return used;
        }
        for expr in more.iter().filter_map(|name| provider.locals.get(name)) {
            used.add(expr);
        }
    }
}

fn uses_step(provider: &Provider, expr: &Expr) -> bool {
    let mut found = BTreeSet::new();
    results(provider, expr, &mut BTreeSet::new(), &mut found);
    !found.is_empty()
}

/// Step results that the undo of a strategy's steps use, locals looked through.
fn kept(provider: &Provider, strategy: &Strategy) -> Vec<(Arc<str>, Vec<Arc<str>>)> {
    let mut found = BTreeSet::new();
    for step in &strategy.steps {
        if let Undo::Call { call, poll, fan_out, .. } = &step.undo {
            let more = poll.iter().flat_map(|poll| poll.expressions());
            let more = more.chain(fan_out.iter().flat_map(|fan_out| fan_out.expressions()));
            for expr in call.exprs().chain(more) {
                results(provider, expr, &mut BTreeSet::new(), &mut found);
            }
            // Which actions there were to undo is decided again when the hop is undone.
            for expr in step.when.iter().chain(&step.for_each) {
                results(provider, expr, &mut BTreeSet::new(), &mut found);
            }
        }
    }
    if found.iter().any(|(step, _)| &**step == EVERY_STEP) {
        return strategy.steps.iter().map(|step| (Arc::from(step.name.as_str()), Vec::new())).collect();
    }
    found.into_iter().collect()
}

/// Stands for `step` used as a whole; no step can have this name.
const EVERY_STEP: &str = "*";

fn results(provider: &Provider, expr: &Expr, seen: &mut BTreeSet<Arc<str>>, found: &mut BTreeSet<(Arc<str>, Vec<Arc<str>>)>) {
    for reference in expr.references() {
        match (&*reference.root, reference.path.split_first()) {
            ("step", Some((step, rest))) => {
                let below = match rest.split_first() {
                    Some((first, below)) if &**first == "result" => below.to_vec(),
                    _ => Vec::new(),
                };
                found.insert((step.clone(), below));
            }
            ("step", None) => {
                found.insert((EVERY_STEP.into(), Vec::new()));
            }
            ("local", Some((name, _))) => {
                if let Some(local) = provider.locals.get(name).filter(|_| seen.insert(name.clone())) {
                    results(provider, local, seen, found);
                }
            }
            _ => {}
        }
    }
}
