//! A look ahead, before a run is taken back: is what its undos put back there?
//!
//! Takes what will be undone, asks the drivers of the undos, and refuses as a whole where something is missing. Changes nothing. What
//! cannot be asked yet (another undo makes it, its machine is away) is left to the rollback itself.

use std::sync::Arc;

use super::attempt::{action_folder, attempt_folder};
use super::back::Way;
use super::event::Direction;
use super::graph::Graph;
use super::place::machine;
use super::progress::{ActionState, Progress};
use super::run::RunArgs;
use super::scope::Scopes;
use super::secret::collect;
use crate::driver::{Context, Failure, FailureKind, Redactor};
use crate::lang::{Env, Expr, Object, Value};
use crate::model::call::{Arg, Call};
use crate::model::scope::RecordedScope;
use crate::plan::{Action, ActionUndo, Plan};
use crate::source::{Diagnostic, Diagnostics, Fault};

/// Refuses a rollback one of whose undos would not find what it puts back.
pub(super) async fn check_there(
    plan: &Plan,
    graph: &Graph,
    progress: &Progress,
    way: &Way,
    args: &RunArgs,
) -> Result<(), Diagnostics> {
    let mut problems = Diagnostics::new();
    let mut scopes = Scopes::default();
    let mut going: Vec<u32> = way.going.iter().copied().collect();
    going.sort_unstable();
    for index in going {
        let action = &plan.actions[index as usize];
        // Of what did not end well there may be nothing to undo.
        let has_ended = progress.state(index) == ActionState::Succeeded;
        let ActionUndo::Call { call, fan_out: None, poll: None, .. } = &action.undo else { continue };
        if !has_ended {
            continue;
        }
        let input = args.instances.get(&plan.changes[action.change as usize].instance);
        let names = scopes.of(plan, graph, progress, input, action).0;
        let ahead = Ahead { plan, action, args, names: Value::Object(names.into()) };
        if let Err(failure) = ahead.look(call).await {
            problems.push(ahead.problem(call, &failure));
        }
    }
    problems.unless_errors(()).map(|_| ())
}

/// One undo to be asked about.
struct Ahead<'a> {
    plan: &'a Plan,
    action: &'a Action,
    args: &'a RunArgs,
    names: Value,
}

impl Ahead<'_> {
    async fn look(&self, call: &Call) -> Result<(), Failure> {
        let change = &self.plan.changes[self.action.change as usize];
        let Some(driver) = self.args.drivers.get(call.driver.as_str()) else { return Ok(()) };
        let Some(given) = self.given(call) else { return Ok(()) };
        let clause = |expr: &Expr| self.eval(expr).ok_or_else(|| "it is not known yet".to_owned());
        let Ok(host) = machine(&*self.args.hosts, change, call, clause) else { return Ok(()) };
        let folder = action_folder(&self.args.dir, &self.action.id);
        let mut secrets = std::collections::BTreeSet::new();
        given.values().for_each(|value| collect(value, &mut secrets));
        let context = Context {
            dir: Some(attempt_folder(&folder, Direction::Undo, 1)),
            redact: Redactor::new(secrets),
            privileged: self.action.privileged,
            ..Context::observing(format!("{}-ahead", self.action.id.file_name()), host)
        };
        let given: Object = given.iter().map(|(name, value)| (Arc::clone(name), value.revealed())).collect();
        match driver.look_ahead(&given, &context).await {
            // That it is away says nothing about what lies there.
            Err(failure) if failure.kind != FailureKind::Unreachable => {
                Err(Failure { message: context.redact.apply(&failure.message).into_owned(), ..failure })
            }
            _ => Ok(()),
        }
    }

    /// The arguments, marks and all, where all are known.
    fn given(&self, call: &Call) -> Option<Object> {
        let mut given = Object::new();
        for (name, arg) in &call.args {
            let value = match arg {
                Arg::Known(value) => value.clone(),
                Arg::Deferred(expr) => self.eval(expr)?,
            };
            if value.has_unknown() {
                return None;
            }
            given.insert(Arc::clone(name), value);
        }
        Some(given)
    }

    fn eval(&self, expr: &Expr) -> Option<Value> {
        let change = &self.plan.changes[self.action.change as usize];
        let provider = change.hops.get(self.action.hop as usize).and_then(|hop| self.args.providers.get(&hop.provider_digest))?;
        let env = Env { files: &**provider, ..Env::pure(self.plan.created) };
        expr.eval(&RecordedScope::new(&self.names, provider, &env), &env).ok()
    }

    fn problem(&self, call: &Call, failure: &Failure) -> Diagnostic {
        let change = &self.plan.changes[self.action.change as usize];
        let detail = format!("`{}` goes back by `{}` of `{}`: {}", change.instance, call.driver, self.action.id, failure.message);
        let summary = if call.driver.as_str() == "backup" { "backup is gone" } else { "what leads back is gone" };
        let advice = failure.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        let help = format!("nothing was undone: bring it back, or go forward, or back by another backup{advice}");
        Diagnostic::error(summary).fault(Fault::Refused).detail(detail).help(help)
    }
}
