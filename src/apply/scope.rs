//! What the deferred expressions of a hop see: the planned scope with secrets put in, and the results of its steps.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::graph::Graph;
use super::progress::{ActionState, Progress};
use super::run::InstanceInput;
use super::secret::inject_root;
use crate::lang::{Expr, Object, Value, Vars};
use crate::model::call::{Arg, Call};
use crate::model::name::StepName;
use crate::plan::{Action, ActionKind, ActionUndo, Plan};

/// Scopes of the hops that are under way.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    hops: HashMap<usize, HopScope>,
}

#[derive(Debug)]
struct HopScope {
    base: Arc<Object>,
    steps: BTreeMap<StepName, Vec<u32>>,
}

impl Scopes {
    /// The scope of an action's expressions. Steps are put in only as far as the expressions name them.
    pub(super) fn of(
        &mut self,
        plan: &Plan,
        graph: &Graph,
        progress: &Progress,
        input: Option<&InstanceInput>,
        action: &Action,
    ) -> Vars {
        let number = graph.hop(action);
        let hop = self.hops.entry(number).or_insert_with(|| HopScope::new(plan, graph, number, input));
        let mut scope = Vars((*hop.base).clone());
        if let Some(wanted) = wanted_steps(action) {
            let mut steps = scope.0.get("step").and_then(Value::as_object).cloned().unwrap_or_default();
            for (step, actions) in &hop.steps {
                if (wanted.is_empty() || wanted.contains(step.as_str()))
                    && let Some(result) = result(plan, progress, actions)
                {
                    steps.insert(step.as_str().into(), Value::object([("result", result)]));
                }
            }
            scope.0.insert("step".into(), Value::Object(steps.into()));
        }
        if let Some(each) = &action.each {
            scope.set("each", each.clone());
        }
        scope
    }

    /// Forgets a hop that is through.
    pub(super) fn forget(&mut self, hop: usize) {
        self.hops.remove(&hop);
    }
}

impl HopScope {
    fn new(plan: &Plan, graph: &Graph, number: usize, input: Option<&InstanceInput>) -> Self {
        let info = &graph.hops[number];
        let change = &plan.changes[info.change as usize];
        let base = filled(change.hops.get(info.index as usize).map_or(&Value::Null, |hop| &hop.scope), input);
        Self { base: Arc::new(base), steps: steps(plan, &info.actions) }
    }
}

/// A hop's planned scope with the content of what is sensitive put in.
pub(super) fn filled(planned: &Value, input: Option<&InstanceInput>) -> Object {
    let mut scope = planned.as_object().cloned().unwrap_or_default();
    if let Some(input) = input {
        inject_root(&mut scope, "self", &input.settings);
    }
    scope
}

/// The actions of each step of a hop, in the plan's order. Undone steps of an earlier run keep their recorded results.
pub(super) fn steps(plan: &Plan, actions: &[u32]) -> BTreeMap<StepName, Vec<u32>> {
    let mut steps: BTreeMap<StepName, Vec<u32>> = BTreeMap::new();
    for index in actions {
        if let ActionKind::Step { step, .. } = &plan.actions[*index as usize].kind {
            steps.entry(step.clone()).or_default().push(*index);
        }
    }
    steps
}

/// A step's result: a list where it was fanned out, null for items that have none. `None`: no action of it has ended well.
pub(super) fn result(plan: &Plan, progress: &Progress, actions: &[u32]) -> Option<Value> {
    let value = |index: &u32| progress.results[*index as usize].clone();
    let has_result = |index: &&u32| {
        let state = progress.state(**index);
        matches!(state, ActionState::Succeeded) || !progress.results[**index as usize].is_null()
    };
    actions.iter().find(has_result)?;
    match actions {
        [one] if plan.actions[*one as usize].each.is_none() => Some(value(one)),
        many => Some(Value::list(many.iter().map(value))),
    }
}

/// The steps that an action's expressions name; empty: maybe all; `None`: it names none.
fn wanted_steps(action: &Action) -> Option<BTreeSet<String>> {
    let mut wanted = BTreeSet::new();
    let mut all = false;
    let mut any = false;
    let mut look = |expr: &Expr| {
        for reference in expr.references() {
            if &*reference.root == "step" {
                any = true;
                match reference.path.first() {
                    Some(step) => drop(wanted.insert(step.to_string())),
                    None => all = true,
                }
            }
        }
    };
    let look_at_call = |call: &Call, look: &mut dyn FnMut(&Expr)| {
        for (_, arg) in call.given() {
            if let Arg::Deferred(expr) = arg {
                look(expr);
            }
        }
    };
    if let Some(call) = action.kind.call() {
        look_at_call(call, &mut look);
    }
    if let Some(check) = &action.check {
        look_at_call(&check.call, &mut look);
        check.done.iter().for_each(&mut look);
    }
    if let ActionUndo::Call { call, poll, fan_out, .. } = &action.undo {
        fan_out.iter().flat_map(|fan_out| fan_out.expressions()).for_each(&mut look);
        look_at_call(call, &mut look);
        poll.iter().flat_map(|poll| poll.expressions()).for_each(&mut look);
    }
    action.tolerate.iter().for_each(&mut look);
    action.poll.iter().flat_map(|poll| poll.expressions()).for_each(&mut look);
    action.probe.iter().flat_map(|probe| &probe.pass).for_each(&mut look);
    action.fan_out.iter().flat_map(|fan_out| fan_out.expressions()).for_each(&mut look);
    if all {
        wanted.clear();
    }
    any.then_some(wanted)
}
