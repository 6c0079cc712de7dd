//! What an action's driver would be given if it ran now: for previews, before anything is done.
//!
//! Takes a finished plan and what the configuration knows of the instance. Results of earlier steps are not known here; an argument
//! that needs one makes the whole call unknown. Calls nothing.

use std::collections::BTreeSet;

use super::run::InstanceInput;
use super::scope::filled;
use super::secret::collect;
use crate::driver::Redactor;
use crate::lang::{Env, Object, Value, Vars};
use crate::model::call::Arg;
use crate::plan::{Action, Plan};

/// Shorter secrets are not hidden by a [`Redactor`].
const SHORTEST: usize = 4;

/// A call's arguments as they would be now.
#[derive(Debug, Clone)]
pub struct Foreseen {
    /// By name, free of marks and unknowns: they hold secrets.
    pub args: Object,
    /// Hides the secrets of the instance and of the arguments, also quoted or encoded as documents write them.
    pub redact: Redactor,
}

/// The arguments of an action's call, as far as all of them are known before anything is done. `None` where one is not, or where one
/// holds a secret that could not be hidden in what is shown: a bool, or a text of fewer than four characters.
#[must_use]
pub fn arguments_now(plan: &Plan, action: &Action, input: &InstanceInput) -> Option<Foreseen> {
    let call = action.kind.call()?;
    let hop = plan.changes.get(action.change as usize)?.hops.get(action.hop as usize)?;
    let mut scope = Vars(filled(&hop.scope, Some(input)));
    if let Some(each) = &action.each {
        scope.set("each", each.clone());
    }
    let env = Env::pure(plan.created);
    let mut secrets = BTreeSet::new();
    input.settings.values().for_each(|value| collect(value, &mut secrets));
    let mut args = Object::new();
    for (name, arg) in &call.args {
        let value = match arg {
            Arg::Known(value) => value.clone(),
            Arg::Deferred(expr) => expr.eval(&scope, &env).ok()?,
        };
        if value.has_unknown() || !can_be_hidden(&value, false) {
            return None;
        }
        collect(&value, &mut secrets);
        args.insert(name.clone(), value.revealed());
    }
    let disguised: Vec<String> = secrets.iter().flat_map(|secret| disguises(secret)).collect();
    Some(Foreseen { args, redact: Redactor::new(secrets.into_iter().chain(disguised)) })
}

fn can_be_hidden(value: &Value, marked: bool) -> bool {
    let long = |text: &str| text.is_empty() || text.chars().count() >= SHORTEST;
    match value {
        Value::Sensitive(inner) => can_be_hidden(inner, true),
        Value::List(items) => items.iter().all(|item| can_be_hidden(item, marked)),
        Value::Object(attributes) => attributes.values().all(|value| can_be_hidden(value, marked)),
        Value::String(text) => !marked || long(text),
        Value::Number(number) => !marked || long(&number.to_string()),
        Value::Bool(_) => !marked,
        Value::Null | Value::Unknown => true,
    }
}

/// How documents write a text: in JSON and YAML, quoted for a shell, in Base64.
fn disguises(secret: &str) -> Vec<String> {
    use base64::Engine as _;
    let json = serde_json::Value::from(secret).to_string();
    let inner = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or(&json).to_owned();
    let engine = &base64::engine::general_purpose::STANDARD;
    let mut texts = vec![inner, secret.replace('\'', r"'\''"), engine.encode(secret)];
    texts.retain(|text| text != secret);
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_however_a_document_writes_it() {
        let secret = "it's \"quoted\"";
        let redact = Redactor::new(std::iter::once(secret.to_owned()).chain(disguises(secret)));
        for written in [secret, r#"it's \"quoted\""#, r#"it'\''s "quoted""#, "aXQncyAicXVvdGVkIg=="] {
            assert_eq!(redact.apply(&format!("<{written}>")), "<(sensitive)>", "{written}");
        }
    }

    #[test]
    fn what_could_not_be_hidden_is_said() {
        let secret = |value: Value| Value::object([("a", Value::list([value.sensitive()]))]);
        assert!(can_be_hidden(&secret("long enough".into()), false));
        assert!(can_be_hidden(&secret("".into()), false));
        assert!(can_be_hidden(&Value::object([("a", "b".into()), ("c", true.into())]), false));
        assert!(!can_be_hidden(&secret("abc".into()), false));
        assert!(!can_be_hidden(&secret(true.into()), false));
        assert!(!can_be_hidden(&secret(22u64.into()), false));
        assert!(!can_be_hidden(&secret(Value::object([("deep", "x".into())])), false));
    }
}
