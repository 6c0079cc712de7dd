//! Reads a driver's arguments: each mistake is an [`FailureKind::Invalid`] that names the driver, the argument and what it must be.
//!
//! Takes plain values. Its messages never hold a value (it may be a secret), except for words of a closed set.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::prelude::ToPrimitive as _;

use super::{Failure, FailureKind};
use crate::lang::{Object, Value};
use crate::model::duration::parse_duration;

/// The arguments of one call.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    driver: &'static str,
    object: &'a Object,
}

impl<'a> Args<'a> {
    /// These arguments of this driver.
    #[must_use]
    pub fn new(driver: &'static str, object: &'a Object) -> Self {
        Self { driver, object }
    }

    /// A mistake that concerns the whole call.
    #[must_use]
    pub fn invalid(&self, message: impl std::fmt::Display) -> Failure {
        Failure::new(FailureKind::Invalid, format!("{}: {message}", self.driver))
    }

    fn must_be(&self, name: &str, what: &str, value: &Value) -> Failure {
        self.invalid(format_args!("`{name}` must be {what}, not {}", article(value.kind())))
    }

    /// The value, where it is given and not null.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).map(|value| value.unmark().0).filter(|value| !value.is_null())
    }

    fn missing(&self, name: &str) -> Failure {
        self.invalid(format_args!("`{name}` is missing"))
    }

    /// A text; a number or bool is written out.
    ///
    /// # Errors
    /// It is something else.
    pub fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        self.value(name).map(|value| plain(value).ok_or_else(|| self.must_be(name, "a string", value))).transpose()
    }

    /// A text that must be there and not empty.
    ///
    /// # Errors
    /// It is missing, empty or something else.
    pub fn needed_text(&self, name: &str) -> Result<String, Failure> {
        let text = self.text(name)?.ok_or_else(|| self.missing(name))?;
        if text.is_empty() { Err(self.invalid(format_args!("`{name}` is empty"))) } else { Ok(text) }
    }

    /// A text without NUL bytes that the system takes as a path.
    ///
    /// # Errors
    /// It is empty, not absolute, or something else.
    pub fn path(&self, name: &str) -> Result<Option<String>, Failure> {
        let Some(path) = self.text(name)? else { return Ok(None) };
        if !path.starts_with('/') {
            return Err(self.invalid(format_args!("`{name}` must be an absolute path")));
        }
        if path.contains('\0') {
            return Err(self.invalid(format_args!("`{name}` holds a NUL character")));
        }
        Ok(Some(path))
    }

    /// An absolute path that must be there.
    ///
    /// # Errors
    /// As [`Args::path`], or it is missing.
    pub fn needed_path(&self, name: &str) -> Result<String, Failure> {
        self.path(name)?.ok_or_else(|| self.missing(name))
    }

    /// A truth; false where it is not given.
    ///
    /// # Errors
    /// It is something else.
    pub fn flag(&self, name: &str) -> Result<bool, Failure> {
        Ok(self.truth(name)?.unwrap_or(false))
    }

    /// A truth.
    ///
    /// # Errors
    /// It is something else.
    pub fn truth(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(self.must_be(name, "true or false", other)),
        }
    }

    /// A whole number that is not negative.
    ///
    /// # Errors
    /// It is something else.
    pub fn count(&self, name: &str) -> Result<Option<u64>, Failure> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value {
            Value::Number(number) if number.is_integer() => {
                number.to_u64().map(Some).ok_or_else(|| self.must_be(name, "a whole number, zero or more", value))
            }
            other => Err(self.must_be(name, "a whole number, zero or more", other)),
        }
    }

    /// Whole numbers that are not negative; empty where it is not given.
    ///
    /// # Errors
    /// It is something else.
    pub fn counts(&self, name: &str) -> Result<Vec<u64>, Failure> {
        match self.value(name) {
            None => Ok(Vec::new()),
            Some(Value::List(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    let number = match item.unmark().0 {
                        Value::Number(number) if number.is_integer() => number.to_u64(),
                        _ => None,
                    };
                    number.ok_or_else(|| self.must_be(&format!("{name}[{index}]"), "a whole number, zero or more", item))
                })
                .collect(),
            Some(other) => Err(self.must_be(name, "a list of whole numbers", other)),
        }
    }

    /// A number of bytes: a whole number, or a text with a unit (`"500MB"`, `"10GiB"`).
    ///
    /// # Errors
    /// It is something else.
    pub fn bytes(&self, name: &str) -> Result<Option<u64>, Failure> {
        match self.value(name) {
            Some(Value::String(text)) => {
                bytes(text).map(Some).ok_or_else(|| self.invalid(format_args!("`{name}` must be a size like `500MB` or `10GiB`")))
            }
            _ => self.count(name),
        }
    }

    /// A duration: `"90s"`, `"1h30m"`, or a number of seconds.
    ///
    /// # Errors
    /// It is something else.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Failure> {
        let wrong = || self.invalid(format_args!("`{name}` must be a duration like `90s` or `1h30m`"));
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => parse_duration(text).map(Some).map_err(|_| wrong()),
            Some(Value::Number(number)) => {
                number.to_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map(Some).ok_or_else(wrong)
            }
            Some(other) => Err(self.must_be(name, "a duration", other)),
        }
    }

    /// A list of texts; empty where it is not given.
    ///
    /// # Errors
    /// It is something else.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Failure> {
        match self.value(name) {
            None => Ok(Vec::new()),
            Some(Value::List(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| plain(item).ok_or_else(|| self.must_be(&format!("{name}[{index}]"), "a string", item)))
                .collect(),
            Some(other) => Err(self.must_be(name, "a list of strings", other)),
        }
    }

    /// Texts by name; empty where it is not given. A null leaves its name out.
    ///
    /// # Errors
    /// It is something else.
    pub fn map(&self, name: &str) -> Result<BTreeMap<String, String>, Failure> {
        match self.value(name) {
            None => Ok(BTreeMap::new()),
            Some(Value::Object(attributes)) => attributes
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| {
                    let text = plain(value).ok_or_else(|| self.must_be(&format!("{name}.{key}"), "a string", value))?;
                    Ok((key.to_string(), text))
                })
                .collect(),
            Some(other) => Err(self.must_be(name, "a map of strings", other)),
        }
    }

    /// Environment variables: as [`Args::map`], and the names and values must be such that the system takes them.
    ///
    /// # Errors
    /// It is something else.
    pub fn environment(&self, name: &str) -> Result<BTreeMap<String, String>, Failure> {
        let map = self.map(name)?;
        for (key, value) in &map {
            if key.is_empty() || key.contains(['=', '\0']) || value.contains('\0') {
                return Err(self.invalid(format_args!("`{name}.{}` cannot be an environment variable", key.escape_debug())));
            }
        }
        Ok(map)
    }

    /// One of these words.
    ///
    /// # Errors
    /// It is something else.
    pub fn word(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        words.iter().find(|word| **word == text).copied().map(Some).ok_or_else(|| {
            let all = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
            self.invalid(format_args!("`{name}` is `{}`, but must be one of {all}", text.escape_debug()))
        })
    }

    /// The arguments in an argument that is an object.
    ///
    /// # Errors
    /// It is something else.
    pub fn object(&self, name: &str) -> Result<Option<Self>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Self { driver: self.driver, object })),
            Some(other) => Err(self.must_be(name, "an object", other)),
        }
    }

    /// The names that are given.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.object.keys().map(|name| &**name)
    }

    /// Only these names may be given; `whole` is what has them.
    ///
    /// # Errors
    /// Another is.
    pub fn only(&self, whole: &str, names: &[&str]) -> Result<(), Failure> {
        match self.names().find(|name| !names.contains(name)) {
            None => Ok(()),
            Some(other) => {
                let all = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                Err(self.invalid(format_args!("`{whole}` has {all}, and no `{}`", other.escape_debug())))
            }
        }
    }

    /// Which of these is given; exactly one must be.
    ///
    /// # Errors
    /// None or several are.
    pub fn exactly_one(&self, names: &[&'static str]) -> Result<&'static str, Failure> {
        let given: Vec<&'static str> = names.iter().copied().filter(|name| self.value(name).is_some()).collect();
        let quoted = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match given.as_slice() {
            [one] => Ok(one),
            [] => Err(self.invalid(format_args!("one of {} is needed", quoted(names)))),
            several => Err(self.invalid(format_args!("only one of {} can be given", quoted(several)))),
        }
    }

    /// Permission bits: a text of octal digits.
    ///
    /// # Errors
    /// It is something else.
    pub fn mode(&self, name: &str) -> Result<Option<u32>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o7777 && text.len() >= 3 => Ok(Some(mode)),
            _ => Err(self.invalid(format_args!("`{name}` must be octal permissions in quotes, like `\"0644\"`"))),
        }
    }
}

fn article(kind: &str) -> String {
    match kind {
        "null" | "unknown" => kind.to_owned(),
        "object" => "an object".to_owned(),
        _ => format!("a {kind}"),
    }
}

/// A scalar as text.
fn plain(value: &Value) -> Option<String> {
    match value.unmark().0 {
        Value::String(text) => Some(text.to_string()),
        Value::Number(number) => Some(number.normalize().to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// Reads `1024`, `500MB`, `10 GiB`, `1.5G`.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: crate::lang::Number = text[..end].parse().ok()?;
    let factor: u64 = match text[end..].trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "K" | "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "M" | "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "G" | "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "T" | "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor.into())?.ceil().to_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::testing::args;
    use serde_json::json;

    #[test]
    fn durations_are_texts_with_units_or_seconds() {
        let object = args(json!({"text": "1h30m", "short": 0.25, "wrong": "5", "negative": -1}));
        let args = Args::new("wait", &object);
        assert_eq!(args.duration("text").unwrap(), Some(Duration::from_secs(5400)));
        assert_eq!(args.duration("short").unwrap(), Some(Duration::from_millis(250)));
        assert_eq!(args.duration("absent").unwrap(), None);
        for name in ["wrong", "negative"] {
            assert!(args.duration(name).unwrap_err().message.contains("must be a duration like `90s`"), "{name}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(bytes("10GiB"), Some(10 << 30));
        assert_eq!(bytes("1.5 GB"), Some(1_500_000_000));
        for wrong in ["", "GB", "1 XB", "-1", "1e9", "1.2.3", "99999999999999999999TB"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn mistakes_name_the_argument_and_hold_no_value() {
        let object = args(json!({"list": "s3cret", "items": ["a", {"b": 1}], "n": -1, "m": "0999", "e": {"A=B": "x"}, "p": "rel"}));
        let args = Args::new("exec", &object);
        let text = |result: Result<(), Failure>| {
            let error = result.unwrap_err();
            assert_eq!(error.kind, FailureKind::Invalid);
            error.message
        };
        assert_eq!(text(args.texts("list").map(drop)), "exec: `list` must be a list of strings, not a string");
        assert_eq!(text(args.texts("items").map(drop)), "exec: `items[1]` must be a string, not an object");
        assert_eq!(text(args.count("n").map(drop)), "exec: `n` must be a whole number, zero or more, not a number");
        assert!(text(args.mode("m").map(drop)).contains("octal"));
        assert!(text(args.environment("e").map(drop)).contains("`e.A=B`"));
        assert!(text(args.path("p").map(drop)).contains("absolute"));
        assert_eq!(text(args.needed_text("absent").map(drop)), "exec: `absent` is missing");
    }

    #[test]
    fn exactly_one_means_one() {
        let object = args(json!({"a": 1, "b": 2, "c": null}));
        let args = Args::new("wait", &object);
        assert_eq!(args.exactly_one(&["a", "c"]).unwrap(), "a");
        assert!(args.exactly_one(&["a", "b"]).unwrap_err().message.contains("only one of `a`, `b`"));
        assert!(args.exactly_one(&["c", "d"]).unwrap_err().message.contains("is needed"));
    }
}
