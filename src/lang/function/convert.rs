//! Conversion between the primitive kinds, and the one order that all values have.
//!
//! Takes values, gives values or nothing where there is no conversion; says nothing itself.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::{Number, Value};

/// The text of a number: plain digits, without zeros that say nothing.
pub(super) fn number_text(number: &Number) -> String {
    number.normalize().to_string()
}

/// Reads a number: digits, a point, an exponent. Nothing is rounded: what does not fit in 28 digits is refused.
pub(super) fn parse_number(text: &str) -> Option<Number> {
    // The crate's own parser takes `1_000`, which is no number of the language.
    if !text.ends_with(|last: char| last.is_ascii_digit()) || text.contains('_') {
        return None;
    }
    match text.split_once(['e', 'E']) {
        None => Number::from_str_exact(text).ok(),
        Some((base, exponent)) => {
            let base = Number::from_str_exact(base).ok()?.normalize();
            let exponent: i32 = exponent.parse().ok()?;
            if base.is_zero() {
                return Some(Number::ZERO);
            }
            let number = Number::from_scientific(&format!("{base}e{exponent}")).ok()?;
            Some(number.normalize())
        }
    }
}

/// A primitive value as text; nothing for null and for compound values.
pub(super) fn text_of(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number_text(number).into()),
        Value::Bool(truth) => Some(if *truth { "true" } else { "false" }.into()),
        _ => None,
    }
}

/// A number, or a text that is one.
pub(super) fn number_of(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(*number),
        Value::String(text) => parse_number(text),
        _ => None,
    }
}

/// A bool, or a text that is one.
pub(super) fn bool_of(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => match &**text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The order in which sets are kept: by kind, then by content (numbers by size, texts by code point).
pub(super) fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        // What shares its parts may be too large to walk; that a part equals itself is known without.
        (Value::List(left), Value::List(right)) if Arc::ptr_eq(left, right) => Ordering::Equal,
        (Value::Object(left), Value::Object(right)) if Arc::ptr_eq(left, right) => Ordering::Equal,
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => left.cmp(right),
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::List(left), Value::List(right)) => {
            let differing = left.iter().zip(right.iter()).map(|(left, right)| compare(left, right)).find(|order| order.is_ne());
            differing.unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        (Value::Object(left), Value::Object(right)) => {
            let pairs = left.iter().zip(right.iter());
            let differing = pairs
                .map(|((left_name, left), (right_name, right))| left_name.cmp(right_name).then_with(|| compare(left, right)))
                .find(|order| order.is_ne());
            differing.unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        (Value::Sensitive(left), Value::Sensitive(right)) => compare(left, right),
        _ => rank(left).cmp(&rank(right)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::List(_) => 4,
        Value::Object(_) => 5,
        Value::Unknown => 6,
        Value::Sensitive(_) => 7,
    }
}

/// Converts the items of a collection to one kind, as far as they are primitive: where one is a text, all become texts.
///
/// # Errors
/// Bools and numbers together: neither converts to the other.
pub(super) fn unify(items: impl IntoIterator<Item = Value>) -> Result<Vec<Value>, String> {
    let mut items: Vec<Value> = items.into_iter().collect();
    let holds = |kind: &str| items.iter().any(|item| item.kind() == kind);
    if holds("string") {
        for item in &mut items {
            if let Some(text) = text_of(item) {
                *item = Value::String(text);
            }
        }
    } else if holds("bool") && holds("number") {
        return Err("it holds both bools and numbers, which have no kind in common".into());
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_exactly_or_not_at_all() {
        for (text, wanted) in [("1", "1"), ("-0.50", "-0.5"), ("1e3", "1000"), ("12.5e-1", "1.25"), ("1E+2", "100"), ("0e99", "0")]
        {
            assert_eq!(parse_number(text).map(|number| number_text(&number)).as_deref(), Some(wanted), "{text}");
        }
        for text in
            ["", " 1", "1_000", "0x10", "1e", "e1", "--1", "1e99", "1.", "NaN", "0.12345678901234567890123456789", "1e-29", "1e--2"]
        {
            assert_eq!(parse_number(text), None, "{text:?}");
        }
    }

    #[test]
    fn negative_zero_is_written_as_zero() {
        assert_eq!(parse_number("-0.0").map(|number| number_text(&number)).as_deref(), Some("0"));
    }

    #[test]
    fn a_list_with_a_text_in_it_becomes_texts() {
        let mixed = [Value::from(1_i64), "a".into(), true.into(), Value::Null];
        assert_eq!(unify(mixed).unwrap(), ["1".into(), "a".into(), "true".into(), Value::Null]);
        assert!(unify([Value::from(1_i64), true.into()]).is_err());
    }

    proptest! {
        #[test]
        fn whatever_the_text_reading_a_number_does_not_panic(text in "[-+0-9.eE_ x]{0,40}") {
            if let Some(number) = parse_number(&text) {
                prop_assert_eq!(parse_number(&number_text(&number)), Some(number));
            }
        }
    }
}
