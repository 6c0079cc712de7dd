//! Functions on text that take a regular expression (the `regex` crate's: linear in time, without look-around).

use std::fmt::Write;

use regex::{Captures, Regex};

use super::limit::Text;
use super::{Answer, Env, Function, Kind, Param, args, limit, param};
use crate::lang::{Object, Value};

const PATTERN: &[Param] = &[param("pattern", Kind::String), param("string", Kind::String)];

pub(super) static REGEX: Function = Function::new(
    "string",
    "regex",
    PATTERN,
    "Finds the first match: the text, or its captures as a list, or as an object where they have names.",
    (r#"regex("^([0-9]+)[.]([0-9]+)", "16.2")"#, r#"["16", "2"]"#),
    |_, given| {
        let (pattern, text) = (compile(args::text(given, 0, "pattern")?)?, args::text(given, 1, "string")?);
        let found =
            pattern.captures(text).ok_or("the pattern does not match the text (`regexall` allows for that, and so does `try`)")?;
        captured(&pattern, &found)
    },
);

pub(super) static REGEXALL: Function = Function::new(
    "string",
    "regexall",
    PATTERN,
    "Finds all matches, each as `regex` gives it; an empty list where there is none.",
    (r#"regexall("[a-z]+", "1234abcd5678efgh9")"#, r#"["abcd", "efgh"]"#),
    |_, given| {
        let (pattern, text) = (compile(args::text(given, 0, "pattern")?)?, args::text(given, 1, "string")?);
        let mut matches = Vec::new();
        for found in pattern.captures_iter(text) {
            limit::push(&mut matches, captured(&pattern, &found)?)?;
        }
        Ok(Value::list(matches))
    },
);

pub(super) static REPLACE: Function = Function::new(
    "string",
    "replace",
    &[param("string", Kind::String), param("substring", Kind::String), param("replacement", Kind::String)],
    "Replaces every occurrence of a text, or of a pattern between slashes (`$1` and `${name}` then stand for captures).",
    (r#"replace("1.2.3", "/[.]([0-9]+)$/", "-$1")"#, r#""1.2-3""#),
    replace,
);

fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| {
        // The crate draws the pattern over several lines; its last one says what is wrong.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        format!("argument \"pattern\" is no regular expression: {}", reason.trim_start_matches("error: "))
    })
}

fn captured(pattern: &Regex, found: &Captures<'_>) -> Answer {
    let value = |index: usize| found.get(index).map_or(Value::Null, |part| part.as_str().into());
    let names: Vec<Option<&str>> = pattern.capture_names().skip(1).collect();
    if names.is_empty() {
        return Ok(value(0));
    }
    if names.iter().all(Option::is_none) {
        return Ok(Value::list((1..=names.len()).map(value)));
    }
    let mut attributes = Object::new();
    for (index, name) in names.iter().enumerate() {
        let name = name.ok_or("the pattern has captures with a name and captures without one; give all of them names, or none")?;
        attributes.insert(name.into(), value(index + 1));
    }
    Ok(Value::Object(attributes.into()))
}

fn replace(_: &Env<'_>, given: &[Value]) -> Answer {
    let (text, wanted) = (args::text(given, 0, "string")?, args::text(given, 1, "substring")?);
    let replacement = args::text(given, 2, "replacement")?;
    let mut replaced = Text::default();
    let mut done = 0;
    if let Some(pattern) = wanted.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        for found in compile(pattern)?.captures_iter(text) {
            let Some(whole) = found.get(0) else { continue };
            replaced.push(&text[done..whole.start()])?;
            expand(&found, replacement, &mut replaced)?;
            done = whole.end();
        }
    } else {
        for (start, part) in text.match_indices(wanted) {
            replaced.push(&text[done..start])?;
            replaced.push(replacement)?;
            done = start + part.len();
        }
    }
    replaced.push(&text[done..])?;
    replaced.answer()
}

/// Writes the replacement with its `$1`, `$name`, `${name}` and `$$`, as the crate does, but with a limit at every step.
fn expand(found: &Captures<'_>, replacement: &str, into: &mut Text) -> Result<(), String> {
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('$') {
        into.push(before)?;
        if let Some(after) = after.strip_prefix('$') {
            into.push("$")?;
            rest = after;
            continue;
        }
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, after) = braced.unwrap_or_else(|| {
            after.split_at(after.find(|one: char| !(one.is_ascii_alphanumeric() || one == '_')).unwrap_or(after.len()))
        });
        if name.is_empty() && braced.is_none() {
            into.write_char('$').map_err(|_| limit::text_error())?;
        }
        let part = name.parse().map_or_else(|_| found.name(name), |index: usize| found.get(index));
        into.push(part.map_or("", |part| part.as_str()))?;
        rest = after;
    }
    into.push(rest)
}

#[cfg(test)]
mod tests {
    use crate::lang::Value;
    use crate::lang::function::tests::{call, fails};

    #[test]
    fn captures_are_a_list_or_an_object() {
        assert_eq!(call("regex", ["[0-9]+".into(), "a12".into()]), "12".into());
        assert_eq!(call("regex", ["(a)|(b)".into(), "b".into()]), Value::list([Value::Null, "b".into()]));
        let named = call("regex", ["(?P<major>[0-9]+)[.](?<minor>[0-9]+)".into(), "16.2".into()]);
        assert_eq!(named, Value::object([("major", "16".into()), ("minor", "2".into())]));
    }

    #[test]
    fn no_match_mixed_captures_and_a_bad_pattern_are_errors() {
        assert!(fails("regex", ["a".into(), "b".into()]).contains("does not match"));
        assert!(fails("regex", ["(a)(?<n>b)".into(), "ab".into()]).contains("with a name"));
        assert_eq!(fails("regex", ["(".into(), "b".into()]), "argument \"pattern\" is no regular expression: unclosed group");
        assert!(fails("regex", ["a{99}{99}{99}".into(), "b".into()]).contains("no regular expression"));
    }

    #[test]
    fn replacement_is_literal_without_slashes() {
        assert_eq!(call("replace", ["a.b.c".into(), ".".into(), "$1".into()]), "a$1b$1c".into());
        assert_eq!(call("replace", ["ab".into(), "".into(), "-".into()]), "-a-b-".into());
        assert_eq!(call("replace", ["a/b".into(), "/".into(), "-".into()]), "a-b".into());
    }

    #[test]
    fn replacement_with_a_pattern_expands_captures_as_the_crate_does() {
        let pattern = "(?<word>[a-z]+)-([0-9]+)";
        for replacement in ["$2", "${word}x", "$wordx", "$$1", "$", "a$-", "${", "${}", "$2$word", "é$2é", "$99"] {
            let wanted = regex::Regex::new(pattern).unwrap().replace_all("ab-12 cd-34", replacement).into_owned();
            let given = call("replace", ["ab-12 cd-34".into(), format!("/{pattern}/").into(), replacement.into()]);
            assert_eq!(given, wanted.into(), "{replacement}");
        }
    }

    #[test]
    fn a_replacement_does_not_grow_without_bound() {
        let big: Value = "x".repeat(1 << 20).into();
        assert!(fails("replace", [big.clone(), "x".into(), big.clone()]).contains("16 MiB"));
        assert!(fails("replace", [big.clone(), "/x/".into(), "$0".repeat(100).into()]).contains("16 MiB"));
    }
}
