//! Conversion between text, numbers and truth, as operators, templates and functions do it by themselves.

use std::fmt::Write as _;

use super::{Number, Value};

/// The number that a value stands for.
pub(crate) fn to_number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(*number),
        Value::String(text) => parse_number(text),
        _ => None,
    }
}

/// Reads a number as the language writes it.
pub(crate) fn parse_number(text: &str) -> Option<Number> {
    if text.is_empty() || text.starts_with('+') || text.contains('_') {
        return None;
    }
    Number::from_str_exact(text).ok().or_else(|| Number::from_scientific(text).ok())
}

/// The truth that a value stands for.
pub(crate) fn to_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => match &**text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Writes a string, number or bool as text; `false` where it is something else.
pub(crate) fn write_text(value: &Value, out: &mut String) -> bool {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) if number.is_zero() => out.push('0'),
        // Writing into a string does not fail.
        Value::Number(number) => drop(write!(out, "{}", number.normalize())),
        _ => return false,
    }
    true
}

/// The text that a value stands for.
pub(crate) fn to_text(value: &Value) -> Option<Value> {
    if let Value::String(_) = value {
        return Some(value.clone());
    }
    let mut text = String::new();
    write_text(value, &mut text).then(|| Value::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_needless_digits() {
        for (number, text) in [("1.50", "1.5"), ("-0", "0"), ("100", "100"), ("1e3", "1000"), ("0.10", "0.1"), ("1e-3", "0.001")] {
            let number = parse_number(number).map(Value::Number).unwrap_or_default();
            assert_eq!(to_text(&number), Some(Value::from(text)));
        }
    }

    #[test]
    fn only_numbers_are_read_as_numbers() {
        for text in ["", "x", "+1", "1_000", "0x10", "1.2.3", " 1", "1 ", "NaN", "inf", "1e99"] {
            assert_eq!(parse_number(text), None, "{text}");
        }
    }
}
