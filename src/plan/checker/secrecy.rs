//! Whether the plan holds no secret, and whether what it leaves to apply can be had then.

use std::collections::{HashMap, HashSet};

use crate::lang::{Expr, Reference, Value};
use crate::model::call::{Arg, Call};
use crate::model::fan_out::FanOut;
use crate::model::inventory::Observed;
use crate::model::poll::Poll;
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
        let undo = match &action.undo {
            ActionUndo::Call { call, .. } => Some(call),
            ActionUndo::Harmless | ActionUndo::Irreversible => None,
        };
        for (what, expr, undoes) in manner(action) {
            // `result` is what the call gave; `each` names the items that are told apart here.
            let mut references = expr.references();
            references.retain(|reference| !matches!((what, &*reference.root), ("poll", "result") | ("fan_out", "each")));
            for reference in &references {
                if let Some(missing) = missing(plan, action, hop, reference, undoes) {
                    violations.push(format!("`{what}` of {} uses {missing}", action.id));
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

/// How the calls of an action are made: expressions of `poll` and `fan_out`, and whether they belong to the undo.
fn manner(action: &Action) -> Vec<(&'static str, &Expr, bool)> {
    let (undo_poll, undo_items) = match &action.undo {
        ActionUndo::Call { poll, fan_out, .. } => (poll.as_deref(), fan_out.as_deref()),
        ActionUndo::Harmless | ActionUndo::Irreversible => (None, None),
    };
    let both = [(action.poll.as_deref(), action.fan_out.as_deref(), false), (undo_poll, undo_items, true)];
    let mut found = Vec::new();
    for (poll, fan_out, undoes) in both {
        found.extend(poll.into_iter().flat_map(Poll::expressions).map(|expr| ("poll", expr, undoes)));
        found.extend(fan_out.into_iter().flat_map(FanOut::expressions).map(|expr| ("fan_out", expr, undoes)));
    }
    found
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
        ("each", _) => (action.each.is_none() && !fans_out(action, undoes)).then(|| "`each`, and it is not fanned out".to_owned()),
        (root, _) => hop.scope.get(root).is_none().then(|| format!("`{root}`, which is not in its scope")),
    }
}

fn fans_out(action: &Action, undoes: bool) -> bool {
    match (&action.undo, undoes) {
        (_, false) => action.fan_out.is_some(),
        (ActionUndo::Call { fan_out, .. }, true) => fan_out.is_some(),
        (ActionUndo::Harmless | ActionUndo::Irreversible, true) => false,
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
