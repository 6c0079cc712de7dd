//! Values without the content of what is sensitive: all that a plan may hold.

use crate::lang::{Object, Value};

/// The value, in which every sensitive part is a mark without content. Shares what needs no change.
pub(super) fn redacted(value: &Value) -> Value {
    match value {
        Value::Sensitive(_) => Value::Unknown.sensitive(),
        Value::List(items) if value.has_sensitive() => Value::list(items.iter().map(redacted)),
        Value::Object(attributes) if value.has_sensitive() => {
            Value::Object(attributes.iter().map(|(name, value)| (name.clone(), redacted(value))).collect::<Object>().into())
        }
        plain => plain.clone(),
    }
}

/// Whether two values are the same as far as can be told: what is sensitive is taken for the same.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Sensitive(_), Value::Sensitive(_)) => true,
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other.iter()).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let null = Value::Null;
            let names = one.keys().chain(other.keys());
            // An attribute that is null is one that is not there.
            names.into_iter().all(|name| same(one.get(name).unwrap_or(&null), other.get(name).unwrap_or(&null)))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::{redacted, same};
    use crate::lang::Value;

    #[test]
    fn no_secret_stays_however_deep() {
        let value = Value::object([("a", Value::list([Value::from("hidden").sensitive(), Value::from("shown")]))]);
        let text = format!("{:?}", redacted(&value));
        assert!(!text.contains("hidden") && text.contains("shown"), "{text}");
    }

    #[test]
    fn a_secret_is_taken_for_the_same_and_its_neighbours_are_compared() {
        let value = |secret: &str, open: i64| Value::object([("s", Value::from(secret).sensitive()), ("o", Value::from(open))]);
        assert!(same(&value("a", 1), &redacted(&value("b", 1))));
        assert!(!same(&value("a", 1), &value("a", 2)));
        assert!(same(&Value::object([("x", Value::Null)]), &Value::object::<&str>([])));
    }
}
