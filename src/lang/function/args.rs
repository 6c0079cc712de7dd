//! Access to a function's arguments, with the clauses that say what is wrong with one.
//!
//! The evaluator has converted arguments already; this is the second look that keeps a function total: a missing argument, a null
//! or a value of another kind is an error, never a panic. Takes an argument list, gives plain Rust values.

use rust_decimal::prelude::ToPrimitive;

use super::super::{Number, Object, Value};
use super::convert;

fn given<'a>(args: &'a [Value], at: usize, name: &str) -> Result<&'a Value, String> {
    args.get(at).ok_or_else(|| format!("argument \"{name}\" is missing"))
}

fn mismatch(name: &str, wanted: &str, value: &Value) -> String {
    match value {
        Value::Null => format!("argument \"{name}\" must not be null"),
        other => format!("argument \"{name}\" must be {wanted}, not {}", other.kind()),
    }
}

/// An argument of any kind, null included.
pub(super) fn any<'a>(args: &'a [Value], at: usize, name: &str) -> Result<&'a Value, String> {
    given(args, at, name)
}

/// A text.
pub(super) fn text<'a>(args: &'a [Value], at: usize, name: &str) -> Result<&'a str, String> {
    let value = given(args, at, name)?;
    value.as_str().ok_or_else(|| mismatch(name, "a string", value))
}

/// A number.
pub(super) fn number(args: &[Value], at: usize, name: &str) -> Result<Number, String> {
    match given(args, at, name)? {
        Value::Number(number) => Ok(*number),
        other => Err(mismatch(name, "a number", other)),
    }
}

/// A whole number.
pub(super) fn whole(args: &[Value], at: usize, name: &str) -> Result<i64, String> {
    let number = number(args, at, name)?;
    if !number.is_integer() {
        return Err(format!("argument \"{name}\" must be a whole number, not {}", convert::number_text(&number)));
    }
    number.to_i64().ok_or_else(|| format!("argument \"{name}\" is too large: {}", convert::number_text(&number)))
}

/// A whole number that is not negative.
pub(super) fn count(args: &[Value], at: usize, name: &str) -> Result<usize, String> {
    let number = whole(args, at, name)?;
    usize::try_from(number).map_err(|_| format!("argument \"{name}\" must not be negative, and is {number}"))
}

/// A list.
pub(super) fn list<'a>(args: &'a [Value], at: usize, name: &str) -> Result<&'a [Value], String> {
    let value = given(args, at, name)?;
    value.as_list().ok_or_else(|| mismatch(name, "a list", value))
}

/// An object.
pub(super) fn object<'a>(args: &'a [Value], at: usize, name: &str) -> Result<&'a Object, String> {
    let value = given(args, at, name)?;
    value.as_object().ok_or_else(|| mismatch(name, "an object", value))
}

/// The items of a list argument, each as a text; numbers and bools are converted.
pub(super) fn texts(args: &[Value], at: usize, name: &str) -> Result<Vec<std::sync::Arc<str>>, String> {
    let items = list(args, at, name)?.iter().enumerate();
    items
        .map(|(index, item)| {
            convert::text_of(item)
                .ok_or_else(|| format!("item {index} of argument \"{name}\" must be a string, not {}", item.kind()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_argument_and_what_it_is() {
        let args = [Value::Null, Value::list([]), "x".into()];
        assert_eq!(text(&args, 0, "name").unwrap_err(), "argument \"name\" must not be null");
        assert_eq!(text(&args, 1, "name").unwrap_err(), "argument \"name\" must be a string, not list");
        assert_eq!(list(&args, 2, "items").unwrap_err(), "argument \"items\" must be a list, not string");
        assert_eq!(text(&args, 3, "name").unwrap_err(), "argument \"name\" is missing");
    }

    #[test]
    fn a_whole_number_is_neither_a_fraction_nor_beyond_64_bits() {
        let args = [Value::Number(Number::new(15, 1)), Value::Number(Number::MAX), Value::from(-1_i64)];
        assert_eq!(whole(&args, 0, "n").unwrap_err(), "argument \"n\" must be a whole number, not 1.5");
        assert_eq!(whole(&args, 1, "n").unwrap_err(), "argument \"n\" is too large: 79228162514264337593543950335");
        assert_eq!(count(&args, 2, "n").unwrap_err(), "argument \"n\" must not be negative, and is -1");
    }
}
