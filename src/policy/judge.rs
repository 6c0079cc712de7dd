//! Asking policies about a plan: every `deny` and `warn`, with the waivers that hold them off.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::engine::{Policies, RulePath};
use crate::model::estate::Waiver;
use crate::model::name::{EnvironmentName, InstanceAddr};
use crate::plan::{Effect, Plan, Ruling, Waived};
use crate::source::{Diagnostic, Diagnostics};

/// What a rule may give for each objection.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Objection {
    msg: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    instance: Option<InstanceAddr>,
    #[serde(default)]
    environment: Option<EnvironmentName>,
    #[serde(default)]
    help: Option<String>,
    /// Only a waiver that names an owner counts.
    #[serde(default)]
    owner_required: bool,
}

impl Policies {
    /// Every objection to a plan, denials first, each once. `document` is what [`super::document`] made of it.
    ///
    /// # Errors
    /// A policy that cannot be evaluated, or that gives what is no objection: then nothing is known, and nothing may be applied.
    pub fn judge(&self, document: &Value, plan: &Plan, waivers: &[Waiver], now: Timestamp) -> Result<Vec<Ruling>, Diagnostics> {
        let mut problems = Diagnostics::new();
        let mut rulings = Vec::new();
        let mut engine = self.engine.clone();
        engine.set_input(document.clone().into());
        for rule in &self.rules {
            let effect = match rule.name.as_str() {
                "deny" => Effect::Deny,
                "warn" => Effect::Warn,
                _ => continue,
            };
            match Self::ask(&mut engine, rule).and_then(|said| objections(rule, said)) {
                Ok(said) => rulings.extend(said.into_iter().map(|said| ruling(said, effect, rule, plan, waivers, now))),
                Err(why) => problems.push(
                    Diagnostic::error("policy cannot be evaluated")
                        .detail(format!("{}, rule `{}`: {why}", rule.file, rule.name))
                        .help("correct the policy; `windlass policy test` runs its tests"),
                ),
            }
        }
        rulings.sort();
        rulings.dedup();
        problems.unless_errors(rulings).map(|(rulings, _)| rulings)
    }
}

/// What a rule gave, as objections: a set or list of objects or texts.
fn objections(rule: &RulePath, said: Option<Value>) -> Result<Vec<Objection>, String> {
    let form = format!("write `{} contains {{\"id\": …, \"msg\": …}} if {{ … }}`", rule.name);
    let said = match said {
        None => return Ok(Vec::new()),
        Some(Value::Array(said)) => said,
        Some(other) => return Err(format!("it gives {}, not a set of objections; {form}", kind(&other))),
    };
    let read = |said: Value| match said {
        Value::String(msg) => Ok(Objection { msg, ..Objection::default() }),
        Value::Object(_) => serde_json::from_value(said).map_err(|error| format!("an objection cannot be read: {error}; {form}")),
        other => Err(format!("an objection is {}; {form}", kind(&other))),
    };
    said.into_iter().map(read).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn ruling(said: Objection, effect: Effect, rule: &RulePath, plan: &Plan, waivers: &[Waiver], now: Timestamp) -> Ruling {
    let Objection { msg, id, instance, environment, help, owner_required } = said;
    let id = id.unwrap_or_else(|| rule.package.clone());
    let of =
        |addr: &InstanceAddr| plan.changes.iter().find(|change| change.instance == *addr).map(|change| change.environment.clone());
    let environment = environment.or_else(|| instance.as_ref().and_then(of));
    let mut message = msg;
    let mut waived = None;
    for waiver in waivers.iter().filter(|waiver| *waiver.name == *id && means(waiver, instance.as_ref(), environment.as_ref())) {
        match waiver.until {
            Some(until) if until <= now => message = format!("{message} (its waiver expired at {until})"),
            _ if owner_required && waiver.owner.is_none() => message = format!("{message} (its waiver names no owner)"),
            _ => {
                waived = Some(Waived { reason: waiver.reason.clone(), owner: waiver.owner.clone(), until: waiver.until });
                break;
            }
        }
    }
    Ruling { effect, id, message, help, instance, environment, waived }
}

/// A waiver of one instance or environment does not except what is said of all.
fn means(waiver: &Waiver, instance: Option<&InstanceAddr>, environment: Option<&EnvironmentName>) -> bool {
    waiver.instance.as_ref().is_none_or(|of| Some(of) == instance)
        && waiver.environment.as_ref().is_none_or(|of| Some(of) == environment)
}
