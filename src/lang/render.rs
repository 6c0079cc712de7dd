//! Values as HCL text, for people and for expressions that a program makes.

use std::fmt::Write as _;

use super::Value;
use super::convert::write_text;
use super::token::word_len;

/// What stands for a value that may not be shown; it does not parse, so that it is never taken for the value.
pub const SENSITIVE: &str = "<sensitive>";
/// What stands for a value that is not known yet; it does not parse either.
pub const UNKNOWN: &str = "<known after apply>";

/// Renders a value on one line: `{ name = "a", ports = [80, 443] }`.
#[must_use]
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, None, &mut out);
    out
}

/// Renders a value over several lines, two blanks a level; `{}`, `[]` and plain values stay on one.
#[must_use]
pub fn pretty(value: &Value) -> String {
    let mut out = String::new();
    write(value, Some(0), &mut out);
    out
}

fn write(value: &Value, level: Option<usize>, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::String(text) => write_quoted(text, out),
        Value::Bool(_) | Value::Number(_) => drop(write_text(value, out)),
        Value::Unknown => out.push_str(UNKNOWN),
        Value::Sensitive(_) => out.push_str(SENSITIVE),
        Value::List(items) if items.is_empty() => out.push_str("[]"),
        Value::Object(attributes) if attributes.is_empty() => out.push_str("{}"),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(index, level, out);
                write(item, level.map(|level| level + 1), out);
            }
            if level.is_some() {
                out.push(',');
            }
            close(level, false, ']', out);
        }
        Value::Object(attributes) => {
            let width = attributes.keys().map(|name| key(name).chars().count()).max().unwrap_or(0);
            out.push('{');
            for (index, (name, item)) in attributes.iter().enumerate() {
                if level.is_none() {
                    out.push_str(if index == 0 { " " } else { ", " });
                } else {
                    newline(level.map(|level| level + 1), out);
                }
                let name = key(name);
                out.push_str(&name);
                if level.is_some() {
                    out.extend(std::iter::repeat_n(' ', width - name.chars().count()));
                }
                out.push_str(" = ");
                write(item, level.map(|level| level + 1), out);
            }
            close(level, true, '}', out);
        }
    }
}

fn separate(index: usize, level: Option<usize>, out: &mut String) {
    match level {
        None if index > 0 => out.push_str(", "),
        None => {}
        Some(level) => {
            if index > 0 {
                out.push(',');
            }
            newline(Some(level + 1), out);
        }
    }
}

fn close(level: Option<usize>, blank: bool, bracket: char, out: &mut String) {
    if level.is_some() {
        newline(level, out);
    } else if blank {
        out.push(' ');
    }
    out.push(bracket);
}

fn newline(level: Option<usize>, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", level.unwrap_or(0)));
}

/// An object's key: as it is where it is an identifier, else in quotes.
pub(super) fn key(name: &str) -> String {
    if !name.is_empty() && word_len(name) == name.len() && !matches!(name, "for" | "null" | "true" | "false") {
        return name.to_owned();
    }
    let mut out = String::new();
    write_quoted(name, &mut out);
    out
}

/// Writes text in quotes so that it reads back as the same text.
pub(crate) fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // A doubled sign is the escape of a template mark, so the sign in front of one is written as a code.
            '$' | '%' if chars.peek() == Some(&'{') => {
                out.push(c);
                out.push(c);
            }
            '$' | '%' if chars.peek() == Some(&c) => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c if c.is_control() => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lang::{Env, Expr, Number, Vars};

    fn read(text: &str) -> Value {
        Expr::parse(text).unwrap().eval(&Vars::default(), &Env::pure(jiff::Timestamp::UNIX_EPOCH)).unwrap()
    }

    #[test]
    fn a_value_is_readable_over_several_lines() {
        let value = read("{ name = \"a\", ports = [80, 443], \"x y\" = {}, none = [] }");
        let expected = "{\n  name  = \"a\"\n  none  = []\n  ports = [\n    80,\n    443,\n  ]\n  \"x y\" = {}\n}";
        assert_eq!(pretty(&value), expected);
        assert_eq!(read(expected), value);
    }

    proptest! {
        /// hcl-rs reads what is rendered as the same value: our own parser is not the only judge of our own texts.
        #[test]
        fn another_reader_of_hcl_reads_the_same_text(words in prop::collection::vec("[ -~äß\\n\\t]{0,12}", 0..6), number in any::<i32>()) {
            let value = Value::object([
                ("words", Value::list(words.iter().map(Value::string))),
                ("number", i64::from(number).into()),
                ("nested", Value::object(words.iter().map(|word| (word, Value::Bool(true))))),
            ]);
            for text in [text(&value), pretty(&value)] {
                let body = hcl::parse(&format!("value = {text}\n")).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
                let read = body.attributes().next().map(|attribute| attribute.expr().clone());
                let context = hcl::eval::Context::new();
                let read = hcl::eval::Evaluate::evaluate(&read.expect("an attribute"), &context);
                let read = serde_json::to_value(read.map_err(|error| TestCaseError::fail(error.to_string()))?).expect("it is JSON");
                prop_assert_eq!(read, serde_json::to_value(&value).expect("it is JSON"));
            }
        }
    }

    #[test]
    fn what_may_not_be_shown_is_not() {
        let value = Value::object([("a", Value::from("hunter2").sensitive()), ("b", Value::Unknown)]);
        assert_eq!(text(&value), "{ a = <sensitive>, b = <known after apply> }");
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = "[a-z$%{}\"\\\\\n\t\r~é\u{0}\u{7f} ]{0,8}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (any::<i64>(), 0u32..10).prop_map(|(digits, scale)| Value::Number(Number::new(digits, scale))),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::list),
                prop::collection::btree_map(text, inner, 0..4).prop_map(Value::object),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_rendered_reads_back_as_the_same_value(value in values()) {
            prop_assert_eq!(read(&text(&value)), value.clone());
            prop_assert_eq!(read(&pretty(&value)), value);
        }
    }
}
