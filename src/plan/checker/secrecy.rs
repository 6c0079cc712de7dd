//! Whether the plan holds no secret, and whether what it leaves to apply can be had then.

use std::collections::{HashMap, HashSet};

use crate::lang::{Expr, Reference, Value};
use crate::model::call::{Arg, Call};
use crate::model::inventory::Observed;
use crate::plan::Plan;
use crate::plan::action::{Action, ActionUndo};
use crate::plan::change::Hop;

pub(super) fn check(plan: &Plan, violations: &mut Vec<String>) {
    for change in &plan.changes {
        let settings = change.settings.iter().flat_map(|setting| [&setting.before, &setting.after]);
        if settings.chain([&change.recorded]).chain(change.hops.iter().map(|hop| &hop.scope)).any(tells) {
            violations.push(format!("the change of {} holds a sensitive value", change.instance));
        }
    }
    for (instance, observation) in &plan.inventory.instances {
        if observation.facts.values().any(|fact| matches!(fact, Observed::Value(value) if tells(value))) {
            violations.push(format!("the inventory of {instance} holds a sensitive value"));
        }
    }
    let mut references: HashMap<&str, Vec<Reference>> = HashMap::new();
    for action in &plan.actions {
        let Some(hop) = plan.changes.get(action.change as usize).and_then(|change| change.hops.get(action.hop as usize)) else {
            continue;
        };
        if action.each.as_ref().is_some_and(tells) {
            violations.push(format!("{} holds a sensitive value", action.id));
        }
        let (undo, undo_poll) = match &action.undo {
            ActionUndo::Call { call, poll, .. } => (Some(call), poll.as_ref()),
            ActionUndo::Harmless | ActionUndo::Irreversible => (None, None),
        };
        let polls = action.poll.iter().map(|poll| (poll, false)).chain(undo_poll.map(|poll| (poll, true)));
        for (poll, undoes) in polls {
            for expr in poll.expressions() {
                for reference in expr.references().iter().filter(|reference| &*reference.root != "result") {
                    if let Some(missing) = missing(plan, action, hop, reference, undoes) {
                        violations.push(format!("`poll` of {} uses {missing}", action.id));
                    }
                }
            }
        }
        for expr in action.probe.iter().flat_map(|probe| &probe.pass) {
            for reference in expr.references().iter().filter(|reference| &*reference.root != "result") {
                if let Some(missing) = missing(plan, action, hop, reference, false) {
                    violations.push(format!("`probe` of {} uses {missing}", action.id));
                }
            }
        }
        let calls = action.kind.call().into_iter().chain(action.check.as_ref().map(|check| &check.call)).map(|call| (call, false));
        for (call, undoes) in calls.chain(undo.map(|call| (call, true))) {
            arguments(plan, action, hop, call, undoes, &mut references, violations);
        }
    }
}

/// Whether a value holds what no output may show. A mark without content is none.
fn tells(value: &Value) -> bool {
    match value {
        Value::Sensitive(inner) => !matches!(**inner, Value::Unknown),
        Value::List(items) => items.iter().any(tells),
        Value::Object(attributes) => attributes.values().any(tells),
        _ => false,
    }
}

fn arguments<'p>(
    plan: &Plan,
    action: &Action,
    hop: &Hop,
    call: &'p Call,
    undoes: bool,
    references: &mut HashMap<&'p str, Vec<Reference>>,
    violations: &mut Vec<String>,
) {
    for (name, arg) in call.given() {
        match arg {
            Arg::Known(value) if value.has_sensitive() || value.has_unknown() => {
                violations.push(format!("argument `{name}` of {} is said to be known and is not", action.id));
            }
            Arg::Known(_) => {}
            Arg::Deferred(expr) => {
                let references = references.entry(expr.text()).or_insert_with(|| Expr::references(expr));
                for reference in references.iter() {
                    if let Some(missing) = missing(plan, action, hop, reference, undoes) {
                        violations.push(format!("argument `{name}` of {} uses {missing}", action.id));
                    }
                }
            }
        }
    }
}

/// What an expression refers to that will not be there when it is evaluated.
fn missing(plan: &Plan, action: &Action, hop: &Hop, reference: &Reference, undoes: bool) -> Option<String> {
    match (&*reference.root, reference.path.first()) {
        ("step", Some(step)) => {
            let own = undoes && action.kind.step().is_some_and(|own| own.as_str() == &**step);
            let recorded = hop.scope.get("step").is_some_and(|steps| steps.get(step).is_some());
            (!own && !recorded && !comes_before(plan, action, step))
                .then(|| format!("the result of step `{step}`, which may not have ended"))
        }
        ("step", None) => None,
        ("each", _) => action.each.is_none().then(|| "`each`, and it is not fanned out".to_owned()),
        (root, _) => hop.scope.get(root).is_none().then(|| format!("`{root}`, which is not in its scope")),
    }
}

/// Whether an action of that step, in the same hop, is among what an action needs.
fn comes_before(plan: &Plan, action: &Action, step: &str) -> bool {
    let mut open: Vec<u32> = action.needs.clone();
    let mut seen: HashSet<u32> = open.iter().copied().collect();
    while let Some(at) = open.pop() {
        let Some(before) = plan.actions.get(at as usize) else { continue };
        if (before.change, before.hop) != (action.change, action.hop) {
            continue;
        }
        if before.kind.step().is_some_and(|name| name.as_str() == step) {
            return true;
        }
        open.extend(before.needs.iter().copied().filter(|need| seen.insert(*need)));
    }
    false
}
