//! JSON from a server as values: nothing in it is taken for one of our own marks, and secrets in it are hidden.

use crate::driver::{Context, Redactor};
use crate::lang::{Number, Value};

/// The value of a document. Numbers that are too long for exact decimals become texts.
pub(in crate::driver) fn from_json(json: &serde_json::Value, ctx: &Context) -> Value {
    plain(json, &ctx.redact)
}

pub(super) fn plain(json: &serde_json::Value, redact: &Redactor) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => {
            let text = number.to_string();
            let exact = text.parse::<Number>().or_else(|_| Number::from_scientific(&text));
            exact.map_or_else(|_| Value::string(text), Value::Number)
        }
        serde_json::Value::String(text) => Value::string(redact.apply(text)),
        serde_json::Value::Array(items) => Value::list(items.iter().map(|item| plain(item, redact))),
        serde_json::Value::Object(members) => {
            Value::object(members.iter().map(|(name, member)| (redact.apply(name), plain(member, redact))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::testing::{hiding, observing};

    #[test]
    fn what_looks_like_a_mark_stays_an_object_and_secrets_are_hidden() {
        let ctx = hiding(observing(), "s3cret");
        let json = serde_json::json!({"a": {"$unknown": true}, "b": "x s3cret", "c": 1.50, "d": 1e300});
        let value = from_json(&json, &ctx);
        assert!(!value.has_unknown());
        assert_eq!(value.get("b").unwrap().as_str(), Some("x (sensitive)"));
        assert_eq!(value.get("c"), Some(&Value::Number("1.5".parse().unwrap())));
        assert_eq!(value.get("d").unwrap().kind(), "string");
    }
}
