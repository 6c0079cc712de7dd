//! How far back a run is taken: all of it, only in some environments, or only to a version that it stood at in between.
//!
//! Takes a person's wish and a run's progress; gives what will be where afterwards, before anything is undone. A wish that would
//! pull something away from under what stays is refused as a whole.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::graph::Graph;
use super::progress::Progress;
use super::record::backups;
use super::run::read_progress;
use super::undo::plan_undo;
use crate::lang::Value;
use crate::lock::Lock;
use crate::model::call::Arg;
use crate::model::name::{EnvironmentName, InstanceAddr};
use crate::plan::{Action, ActionUndo, Change, Plan};
use crate::source::{Diagnostic, Diagnostics, Fault, nearest};
use crate::state::Outcome;

/// How far back a rollback goes. The default is everything that the run has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Back {
    /// Only what it did in these environments; empty: in all.
    pub environments: BTreeSet<EnvironmentName>,
    /// The version that an instance stays at, of those that the run has taken it through. The others go all the way back.
    pub to: BTreeMap<InstanceAddr, Arc<str>>,
}

impl Back {
    /// Whether something of the run is asked to stay.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        !self.environments.is_empty() || !self.to.is_empty()
    }

    /// Whether an environment is meant.
    pub(super) fn is_in(&self, environment: &EnvironmentName) -> bool {
        self.environments.is_empty() || self.environments.contains(environment)
    }

    /// The wishes for instances of one environment.
    pub(super) fn stays(&self, plan: &Plan, environment: &EnvironmentName) -> BTreeMap<InstanceAddr, Arc<str>> {
        let is_it = |change: &Change, instance: &InstanceAddr| change.instance == *instance && change.environment == *environment;
        let here = |instance: &InstanceAddr| plan.changes.iter().any(|change| is_it(change, instance));
        self.to.iter().filter(|(instance, _)| here(instance)).map(|(name, version)| (name.clone(), Arc::clone(version))).collect()
    }
}

/// Where a rollback leaves an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// Which instance.
    pub instance: InstanceAddr,
    /// Where.
    pub environment: EnvironmentName,
    /// Its version now; `None`: it is not there.
    pub now: Option<Arc<str>>,
    /// Its version afterwards.
    pub then: Option<Arc<str>>,
    /// The versions in between, in the order of the way back.
    pub between: Vec<Option<Arc<str>>>,
}

/// What a rollback will come to.
#[derive(Debug)]
pub struct Way {
    /// The instances that it moves, in the plan's order.
    pub landings: Vec<Landing>,
    /// The actions that it undoes.
    pub(super) going: HashSet<u32>,
}

/// The last hop of a change that stays where the instance stays at `version`; `None`: none does.
pub(super) fn last_staying(change: &Change, version: &str) -> Option<u32> {
    change.hops.iter().rposition(|hop| hop.to.as_deref() == Some(version)).and_then(|index| u32::try_from(index).ok())
}

/// Foresees a rollback of the run in a folder. Changes nothing.
///
/// # Errors
/// The folder cannot be read; or the run cannot be taken back so far and no further.
pub fn foresee_back(dir: &Path, back: &Back) -> Result<Way, Diagnostics> {
    let (plan, graph, mut progress) = read_progress(dir)?;
    check(&plan, &graph, &progress, back)?;
    let now: Vec<_> = (0..plan.changes.len()).map(|change| version(&plan, &graph, &progress, change)).collect();
    let selected: Vec<usize> = (0..graph.environments.len()).filter(|number| back.is_in(&graph.environments[*number])).collect();
    for number in &selected {
        let name = &graph.environments[*number];
        progress.undo(name.clone(), None, back.stays(&plan, name));
    }
    let mut going = HashSet::new();
    loop {
        let mut more = Vec::new();
        for environment in &selected {
            more.extend(plan_undo(&plan, &graph, &progress, *environment).actions.into_iter().map(|(action, _)| action));
        }
        if more.is_empty() {
            break;
        }
        for action in &more {
            progress.foresee_undone(*action);
        }
        going.extend(more);
    }
    let mut landings = Vec::new();
    let mut problems = Diagnostics::new();
    for (number, (change, now)) in
        plan.changes.iter().zip(now).enumerate().filter(|(_, (change, _))| back.is_in(&change.environment))
    {
        let then = version(&plan, &graph, &progress, number);
        let asked = back.to.get(&change.instance).or(change.from.as_ref());
        if back.is_limited() && then.as_ref() != asked {
            problems.push(stands_upon(&plan, &graph, &progress, number, back));
        }
        if now != then {
            let (instance, environment) = (change.instance.clone(), change.environment.clone());
            let between = between(change, now.as_ref(), then.as_ref());
            landings.push(Landing { instance, environment, now, then, between });
        }
    }
    problems.unless_errors(Way { landings, going }).map(|(way, _)| way)
}

/// The version that the hops that are there have led to.
fn version(plan: &Plan, graph: &Graph, progress: &Progress, change: usize) -> Option<Arc<str>> {
    let content = &plan.changes[change];
    let last = graph.hops_of(change).iter().rev().find(|hop| hop.actions.iter().any(|action| progress.is_there(*action)));
    match last {
        Some(hop) => content.hops.get(hop.index as usize).map_or(content.to.clone(), |hop| hop.to.clone()),
        None => content.from.clone(),
    }
}

/// The versions that a change's way back passes.
fn between(change: &Change, now: Option<&Arc<str>>, then: Option<&Arc<str>>) -> Vec<Option<Arc<str>>> {
    let stations = change.hops.iter().map(|hop| hop.to.as_ref()).rev();
    stations.skip_while(|station| *station != now).skip(1).take_while(|station| *station != then).map(|to| to.cloned()).collect()
}

fn check(plan: &Plan, graph: &Graph, progress: &Progress, back: &Back) -> Result<(), Diagnostics> {
    let refusal = |summary, detail| Diagnostic::error(summary).fault(Fault::Refused).detail(detail);
    let mut problems = Diagnostics::new();
    for name in back.environments.iter().filter(|name| !graph.environments.contains(name)) {
        let known = graph.environments.iter().map(EnvironmentName::as_str).collect::<Vec<_>>().join(", ");
        let detail = format!("the run moved nothing in environment `{name}`");
        problems.push(refusal("environment is not in the run", detail).help(format!("it moved something in: {known}")));
    }
    for (instance, wanted) in &back.to {
        let Some(number) = plan.changes.iter().position(|change| change.instance == *instance) else {
            let near = nearest(instance.as_str(), plan.changes.iter().map(|change| change.instance.as_str()));
            let help = near
                .map_or_else(|| "`windlass history RUN` shows what it moved".to_owned(), |near| format!("did you mean `{near}`?"));
            problems.push(refusal("instance is not in the run", format!("the run did not move `{instance}`")).help(help));
            continue;
        };
        let change = &plan.changes[number];
        if !back.is_in(&change.environment) {
            let detail = format!("`{instance}` is in environment `{}`, which --env does not name", change.environment);
            problems.push(refusal("contradiction", detail).help("name that environment too, or leave the instance out"));
            continue;
        }
        if change.from.as_ref() == Some(wanted) {
            continue;
        }
        let done = |hop: &super::graph::HopInfo| {
            hop.actions.iter().all(|action| progress.state(*action) == super::progress::ActionState::Succeeded)
        };
        let hops = graph.hops_of(number);
        let reached: Vec<&str> =
            hops.iter().take_while(|hop| done(hop)).filter_map(|hop| change.hops.get(hop.index as usize)?.to.as_deref()).collect();
        if !reached.contains(&&**wanted) {
            let stood: Vec<&str> = change.from.as_deref().into_iter().chain(reached).collect();
            let detail = format!("the run did not bring `{instance}` to {wanted}, or that was undone");
            problems.push(
                refusal("version is not on the way back", detail).help(format!("it stands or stood at: {}", stood.join(", "))),
            );
        }
    }
    if problems.has_errors() { Err(problems) } else { Ok(()) }
}

/// Why an instance cannot go back as far as was asked for.
fn stands_upon(plan: &Plan, graph: &Graph, progress: &Progress, number: usize, back: &Back) -> Diagnostic {
    let instance = &plan.changes[number].instance;
    let stays = graph.hops_of(number).iter().flat_map(|hop| &hop.actions).copied().filter(|action| progress.is_there(*action));
    let others: BTreeSet<String> = stays
        .flat_map(|action| graph.dependents(action).iter().copied())
        .filter(|dependent| progress.is_there(*dependent))
        .map(|dependent| &plan.changes[plan.actions[dependent as usize].change as usize])
        .filter(|change| change.instance != *instance)
        .map(|change| format!("`{}` ({})", change.instance, change.environment))
        .collect();
    let problem = Diagnostic::error("run cannot be taken back so far").fault(Fault::Refused);
    if others.is_empty() {
        let detail = format!("`{instance}` is past its point of no return, or only a part of it can be undone");
        return problem
            .detail(detail)
            .help("`windlass rollback` of the whole run says what is left, and from which backup it comes back");
    }
    let detail =
        format!("`{instance}` would be taken from under {}, which would stay", others.into_iter().collect::<Vec<_>>().join(", "));
    problem.detail(detail).help(if back.environments.is_empty() {
        "say in `--to` for those, too, at which version they stay; or let them go all the way back"
    } else {
        "name those environments too, or leave out --env: what was built upon others goes back first"
    })
}

/// An undo that needs a backup is refused while nothing was undone yet, where the lockfile does not have that backup any more.
///
/// Only of a run that has succeeded: what one that was killed has made may not have come to the lockfile yet.
pub(super) fn check_backups(
    plan: &Plan,
    graph: &Graph,
    progress: &Progress,
    way: &Way,
    locks: &BTreeMap<EnvironmentName, Lock>,
) -> Result<(), Diagnostics> {
    let mut problems = Diagnostics::new();
    if progress.ended != Some(Outcome::Succeeded) {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    for action in way.going.iter().copied() {
        let content = &plan.actions[action as usize];
        let change = &plan.changes[content.change as usize];
        let Some(entry) = locks.get(&change.environment).and_then(|lock| lock.instances.get(&change.instance)) else { continue };
        let steps = asked_steps(content);
        let Some(hop) = graph.hops_of(content.change as usize).get(content.hop as usize) else { continue };
        for other in hop.actions.iter().copied() {
            let maker = &plan.actions[other as usize];
            let is_asked = maker.kind.step().is_some_and(|step| steps.contains(step.as_str()));
            for backup in backups(maker, &progress.results[other as usize]).into_iter().filter(|_| is_asked) {
                let Some(id) = backup.get("id").and_then(Value::as_str) else { continue };
                if entry.backups.iter().all(|known| known.id != id) && seen.insert((content.change, id.to_owned())) {
                    let detail = format!("`{}` goes back by the backup `{id}`, which is not there any more", change.instance);
                    let help = "nothing was undone: go back by another backup (`windlass backup list`), or forward";
                    problems.push(Diagnostic::error("backup is gone").fault(Fault::Refused).detail(detail).help(help));
                }
            }
        }
    }
    if problems.has_errors() { Err(problems) } else { Ok(()) }
}

/// The steps whose results the undo of an action asks for.
fn asked_steps(action: &Action) -> BTreeSet<Arc<str>> {
    let ActionUndo::Call { call, .. } = &action.undo else { return BTreeSet::new() };
    let references = call.args.values().filter_map(|arg| match arg {
        Arg::Deferred(expr) => Some(expr.references()),
        Arg::Known(_) => None,
    });
    let references = references.flatten();
    references.filter(|reference| &*reference.root == "step").filter_map(|reference| reference.path.first().cloned()).collect()
}
