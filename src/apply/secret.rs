//! Secrets: where they go into a scope, and how they are kept out of everything that is written.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::driver::Redactor;
use crate::lang::{Object, Value};

/// Puts sensitive content where a plan has only a mark. What is not sensitive stays as planned: an undone hop keeps the settings
/// that it was applied with.
pub(super) fn inject(planned: &Value, content: &Value) -> Value {
    match (planned, content) {
        (Value::Sensitive(inner), content) if matches!(**inner, Value::Unknown) => content.clone().sensitive(),
        (Value::Object(planned), Value::Object(content)) => Value::object(
            planned.iter().map(|(name, value)| (name, content.get(name).map_or_else(|| value.clone(), |new| inject(value, new)))),
        ),
        (Value::List(planned), Value::List(content)) if planned.len() == content.len() => {
            Value::list(planned.iter().zip(content.iter()).map(|(value, new)| inject(value, new)))
        }
        (planned, _) => planned.clone(),
    }
}

/// Puts sensitive content into one root of a scope.
pub(super) fn inject_root(scope: &mut Object, root: &str, content: &Object) {
    if let Some(planned) = scope.get(root)
        && planned.has_sensitive()
    {
        let new = inject(planned, &Value::Object(content.clone().into()));
        scope.insert(root.into(), new);
    }
}

/// Collects every text that is sensitive in a value.
pub(super) fn collect(value: &Value, secrets: &mut BTreeSet<String>) {
    match value {
        Value::Sensitive(inner) => collect_all(inner, secrets),
        Value::List(items) => items.iter().for_each(|item| collect(item, secrets)),
        Value::Object(attributes) => attributes.values().for_each(|value| collect(value, secrets)),
        _ => {}
    }
}

fn collect_all(value: &Value, secrets: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            secrets.insert(text.to_string());
            // Output comes line by line: every line of a key is one.
            secrets.extend(text.lines().map(str::trim).filter(|line| line.len() > 8).map(ToOwned::to_owned));
        }
        Value::Number(number) => {
            secrets.insert(number.to_string());
        }
        Value::List(items) => items.iter().for_each(|item| collect_all(item, secrets)),
        Value::Object(attributes) => attributes.values().for_each(|value| collect_all(value, secrets)),
        Value::Sensitive(inner) => collect_all(inner, secrets),
        Value::Null | Value::Bool(_) | Value::Unknown => {}
    }
}

/// The value as it may be written: a text that holds a secret becomes a mark without content, and so does an object that has it in
/// a name. Not "(sensitive)": what is used later must be refused or filled again, rather than be something else.
pub(crate) fn redacted(value: &Value, redact: &Redactor) -> Value {
    let holds = |text: &str| matches!(redact.apply(text), Cow::Owned(_));
    match value {
        Value::String(text) if holds(text) => Value::Unknown.sensitive(),
        Value::Number(number) if holds(&number.to_string()) => Value::Unknown.sensitive(),
        Value::List(items) => Value::list(items.iter().map(|item| redacted(item, redact))),
        Value::Object(attributes) if attributes.keys().any(|name| holds(name)) => Value::Unknown.sensitive(),
        Value::Object(attributes) => Value::object(attributes.iter().map(|(name, value)| (name.as_ref(), redacted(value, redact)))),
        Value::Sensitive(_) => Value::Unknown.sensitive(),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str) -> Value {
        Value::string(text).sensitive()
    }

    #[test]
    fn only_marks_without_content_are_filled() {
        let planned = Value::object([
            ("password", Value::Unknown.sensitive()),
            ("port", 1u64.into()),
            ("nested", Value::object([("key", Value::Unknown.sensitive()), ("name", "old".into())])),
        ]);
        let content = Value::object([
            ("password", marked("hunter22")),
            ("port", 2u64.into()),
            ("nested", Value::object([("key", marked("abcd")), ("name", "new".into())])),
            ("extra", marked("more")),
        ]);
        let filled = inject(&planned, &content);
        assert_eq!(filled.get("password"), Some(&marked("hunter22")));
        assert_eq!(filled.get("port"), Some(&1u64.into()));
        assert_eq!(filled.get("nested").unwrap().get("key"), Some(&marked("abcd")));
        assert_eq!(filled.get("nested").unwrap().get("name"), Some(&"old".into()));
        assert_eq!(filled.get("extra"), None);
    }

    #[test]
    fn a_text_with_a_secret_is_written_as_a_mark() {
        let mut secrets = BTreeSet::new();
        collect(
            &Value::object([("a", Value::object([("b", "hunter22".into())]).sensitive()), ("c", "public".into())]),
            &mut secrets,
        );
        let redact = Redactor::new(secrets);
        let result =
            Value::object([("stdout", "x hunter22 y".into()), ("plain", "public".into()), ("list", Value::list([marked("z")]))]);
        let written = serde_json::to_string(&redacted(&result, &redact)).unwrap();
        assert_eq!(written, r#"{"list":[{"$sensitive":true}],"plain":"public","stdout":{"$sensitive":true}}"#);
    }

    #[test]
    fn an_object_with_a_secret_in_a_name_is_a_mark_and_is_filled_again_as_a_whole() {
        let redact = Redactor::new(BTreeSet::from(["KYLIN".to_owned()]));
        let before = Value::object([("environment", Value::object([("KYLIN_DIR", "/opt".into())])), ("port", 1u64.into())]);
        let written = redacted(&before, &redact);
        assert_eq!(serde_json::to_string(&written).unwrap(), r#"{"environment":{"$sensitive":true},"port":1}"#);
        let filled = inject(&written, &before);
        assert_eq!(filled.get("environment"), Some(&Value::object([("KYLIN_DIR", "/opt".into())]).sensitive()));
    }

    #[test]
    fn each_line_of_a_long_secret_is_one() {
        let mut secrets = BTreeSet::new();
        collect(&marked("-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\n-----END KEY-----\n"), &mut secrets);
        assert_eq!(Redactor::new(secrets).apply("line MIIEpAIBAAKCAQEA"), "line (sensitive)");
    }
}
