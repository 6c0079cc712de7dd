//! The lockfile's text: a strict, line-oriented subset of HCL whose values are JSON.
//!
//! Sorted and one thing a line, so that git shows one instance's change as one small hunk and merges two instances' changes by
//! itself; any HCL tool can read it, and it is read here at the speed of JSON (see `docs/explanation/decisions`).
//!
//! ```text
//! instance "mlflow.main" {
//!   provider = "mlflow"
//!   version = "2.22.5"
//!   settings {
//!     port = 5000
//!   }
//! }
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{FORMAT, Lock, Locked, ProviderPin};
use crate::model::name::{EnvironmentName, InstanceAddr, Lineage, ProviderName};

/// Why a lockfile's text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A line that does not belong there.
    #[error("line {line}: {why}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Written by a newer Windlass.
    #[error("format {found} is newer than {FORMAT}, the newest that this Windlass reads")]
    Newer {
        /// Its format.
        found: u32,
    },
}

/// Attributes of an instance that are written as blocks: plural name in the data, block name in the text.
const LISTS: [(&str, &str); 3] = [("hops", "hop"), ("backups", "backup"), ("follow_ups", "follow_up")];
/// Objects of an instance that are written as a block, one attribute a line.
const OBJECTS: [&str; 2] = ["settings", "observed"];

/// The last line: a file without it was cut off.
const END: &str = "# end";

/// Writes the text.
#[must_use]
pub fn encode(lock: &Lock) -> String {
    let Lock { environment, lineage, serial, providers, instances } = lock;
    let mut text = String::with_capacity(256 + instances.len() * 512);
    text.push_str("# What Windlass has applied to this environment. Commit it; let only Windlass change it.\n");
    attribute(&mut text, "", "format", &serde_json::json!(FORMAT));
    attribute(&mut text, "", "environment", &serde_json::json!(environment));
    attribute(&mut text, "", "lineage", &serde_json::json!(lineage));
    attribute(&mut text, "", "serial", &serde_json::json!(serial));
    for (name, pin) in providers {
        block(&mut text, "provider", name.as_str(), pin);
    }
    for (addr, locked) in instances {
        block(&mut text, "instance", addr.as_str(), locked);
    }
    text.push('\n');
    text.push_str(END);
    text.push('\n');
    text
}

fn block(text: &mut String, ident: &str, label: &str, content: &impl Serialize) {
    let _ = writeln!(text, "\n{ident} {} {{", escaped(&serde_json::Value::from(label)));
    // These types have string keys and no exotic numbers: turning them into JSON cannot fail.
    if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(content) {
        for (name, value) in &fields {
            field(text, name, value);
        }
    }
    text.push_str("}\n");
}

fn field(text: &mut String, name: &str, value: &serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) if OBJECTS.contains(&name) && fields.keys().all(|key| is_identifier(key)) => {
            nested(text, name, fields)
        }
        serde_json::Value::Array(items) if LISTS.iter().any(|(plural, _)| *plural == name) => {
            let ident = LISTS.iter().find(|(plural, _)| *plural == name).map_or(name, |(_, ident)| ident);
            for item in items.iter().filter_map(serde_json::Value::as_object) {
                nested(text, ident, item);
            }
        }
        other => attribute(text, "  ", name, other),
    }
}

fn nested(text: &mut String, ident: &str, fields: &serde_json::Map<String, serde_json::Value>) {
    let _ = writeln!(text, "  {ident} {{");
    for (name, value) in fields {
        attribute(text, "    ", name, value);
    }
    text.push_str("  }\n");
}

fn attribute(text: &mut String, indent: &str, name: &str, value: &serde_json::Value) {
    let _ = writeln!(text, "{indent}{name} = {}", escaped(value));
}

/// JSON that is HCL too: `${` and `%{` inside strings would be templates.
fn escaped(value: &serde_json::Value) -> String {
    let text = value.to_string();
    if text.contains("${") || text.contains("%{") { text.replace("${", "\\u0024{").replace("%{", "\\u0025{") } else { text }
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads the text.
///
/// # Errors
/// The first line that does not belong, or a newer format.
pub fn decode(text: &str) -> Result<Lock, TextError> {
    let end = text.lines().count().max(1);
    if text.lines().next_back() != Some(END) {
        return Err(wrong(end, format!("the last line is not `{END}`: the file is cut off, or not a lockfile")));
    }
    let mut reader = Reader { lines: text.lines().enumerate() };
    let mut head: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    let mut providers = BTreeMap::new();
    let mut instances = BTreeMap::new();
    while let Some((line, content)) = reader.next() {
        match parse_line(line, content)? {
            Line::Attribute(name, value) => {
                head.insert(name, (line, value));
                if name == "format" {
                    let found = json(line, value)?;
                    if found > FORMAT {
                        return Err(TextError::Newer { found });
                    }
                }
            }
            Line::Open("provider", Some(label)) => {
                let name = ProviderName::new(json::<String>(line, label)?);
                let pin: ProviderPin = reader.content(line)?;
                once(line, providers.insert(name, pin).is_none(), label)?;
            }
            Line::Open("instance", Some(label)) => {
                let addr = InstanceAddr::from_text(json::<String>(line, label)?);
                let locked: Locked = reader.content(line)?;
                once(line, instances.insert(addr, locked).is_none(), label)?;
            }
            Line::Open(ident, _) => return Err(wrong(line, format!("a block `{ident}` does not belong here"))),
            Line::Close => return Err(wrong(line, "there is nothing to close")),
        }
    }
    let take =
        |name: &str| head.get(name).copied().ok_or_else(|| wrong(end, format!("`{name}` is missing: this is not a lockfile")));
    take("format")?;
    let (line, environment) = take("environment")?;
    let environment: EnvironmentName = json(line, environment)?;
    let (line, lineage) = take("lineage")?;
    let lineage: Lineage = json(line, lineage)?;
    let (line, serial) = take("serial")?;
    let serial = json(line, serial)?;
    Ok(Lock { environment, lineage, serial, providers, instances })
}

fn once(line: usize, first: bool, label: &str) -> Result<(), TextError> {
    if first { Ok(()) } else { Err(wrong(line, format!("{label} stands twice"))) }
}

fn wrong(line: usize, why: impl Into<String>) -> TextError {
    TextError::Line { line, why: why.into() }
}

fn json<T: DeserializeOwned>(line: usize, text: &str) -> Result<T, TextError> {
    serde_json::from_str(text)
        .map_err(|error| wrong(line, format!("`{}` is not what belongs here ({error})", text.chars().take(60).collect::<String>())))
}

/// One line, classified.
enum Line<'a> {
    Attribute(&'a str, &'a str),
    Open(&'a str, Option<&'a str>),
    Close,
}

fn parse_line(line: usize, content: &str) -> Result<Line<'_>, TextError> {
    if content == "}" {
        return Ok(Line::Close);
    }
    if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|marker| content.starts_with(marker)) {
        return Err(wrong(
            line,
            "an unresolved merge conflict: keep the side that says what is deployed, then run `windlass drift`",
        ));
    }
    let (name, rest) =
        content.split_once(' ').ok_or_else(|| wrong(line, format!("`{content}` is neither an attribute nor a block")))?;
    if !is_identifier(name) {
        return Err(wrong(line, format!("`{name}` is not a name")));
    }
    if let Some(value) = rest.strip_prefix("= ") {
        return Ok(Line::Attribute(name, value));
    }
    match rest.strip_suffix('{').map(str::trim) {
        Some("") => Ok(Line::Open(name, None)),
        Some(label) => Ok(Line::Open(name, Some(label))),
        None => Err(wrong(line, format!("`{}` is neither an attribute nor a block", content.chars().take(60).collect::<String>()))),
    }
}

struct Reader<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
}

impl<'a> Reader<'a> {
    /// The next line that says something, trimmed, with its number from 1.
    fn next(&mut self) -> Option<(usize, &'a str)> {
        self.lines
            .by_ref()
            .map(|(index, line)| (index + 1, line.trim()))
            .find(|(_, line)| !line.is_empty() && !line.starts_with('#'))
    }

    /// Everything up to the block's closing brace, put together as a JSON text and decoded by the type itself.
    fn content<T: DeserializeOwned>(&mut self, opened: usize) -> Result<T, TextError> {
        let mut fields: Vec<String> = Vec::new();
        let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        loop {
            let (line, content) = self.next().ok_or_else(|| wrong(opened, "this block is never closed: the file is cut off"))?;
            match parse_line(line, content)? {
                Line::Close => break,
                Line::Attribute(name, value) => fields.push(checked(line, name, value)?),
                Line::Open(ident, None) => {
                    let object = self.object(line)?;
                    match LISTS.iter().find(|(_, block)| *block == ident) {
                        Some((plural, _)) => lists.entry(plural).or_default().push(object),
                        None if OBJECTS.contains(&ident) => fields.push(format!("\"{ident}\":{object}")),
                        None => return Err(wrong(line, format!("a block `{ident}` does not belong here"))),
                    }
                }
                Line::Open(ident, Some(_)) => return Err(wrong(line, format!("the block `{ident}` takes no label"))),
            }
        }
        for (name, items) in lists {
            fields.push(format!("\"{name}\":[{}]", items.join(",")));
        }
        let text = format!("{{{}}}", fields.join(","));
        serde_json::from_str(&text)
            .map_err(|error| wrong(opened, format!("this block cannot be understood: {}", without_place(&error))))
    }

    /// The attributes up to the closing brace, as JSON text.
    fn object(&mut self, opened: usize) -> Result<String, TextError> {
        let mut fields = Vec::new();
        loop {
            let (line, content) = self.next().ok_or_else(|| wrong(opened, "this block is never closed: the file is cut off"))?;
            match parse_line(line, content)? {
                Line::Close => return Ok(format!("{{{}}}", fields.join(","))),
                Line::Attribute(name, value) => fields.push(checked(line, name, value)?),
                Line::Open(ident, _) => return Err(wrong(line, format!("a block `{ident}` does not belong here"))),
            }
        }
    }
}

/// A field of a JSON text whose value is JSON for certain, so that a wrong one is blamed on its own line.
fn checked(line: usize, name: &str, value: &str) -> Result<String, TextError> {
    let _: serde::de::IgnoredAny = json(line, value)?;
    Ok(format!("\"{name}\":{value}"))
}

/// The error without line and column, which are those of a text that nobody sees.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::Value;
    use crate::lock::{AppliedHop, FollowUp};
    use crate::model::name::{Digest, RunId};

    fn sample() -> Lock {
        let mut lock = Lock::fresh("test".into(), "0b7f".into());
        lock.serial = 7;
        lock.providers.insert("mlflow".into(), ProviderPin { version: "1.0.0".into(), digest: Digest::of(b"x") });
        for name in ["a", "b"] {
            let hop = AppliedHop {
                from: Some("2.14.3".into()),
                to: "2.22.5".into(),
                route: "in_place".into(),
                strategy: "in_place".into(),
                provider: Digest::of(b"x"),
                run: RunId::new("20261121T024531Z-7f3a"),
                at: jiff::Timestamp::UNIX_EPOCH,
                scope: Value::object([("self", Value::object([("home", Value::from("/x ${y} %{z}\n"))]))]),
                irreversible: None,
            };
            let locked = Locked {
                provider: "mlflow".into(),
                version: "2.22.5".into(),
                host: None,
                settings: Value::object([("port", Value::from(5000_i64)), ("password", Value::from("geheim").sensitive())]),
                settings_digest: Digest::of(b"y"),
                seals: std::collections::BTreeMap::new(),
                observed: BTreeMap::from([("schema".into(), Value::from("abc"))]),
                depends_on: vec![InstanceAddr::from_text("postgresql.db")],
                hops: vec![hop],
                backups: Vec::new(),
                follow_ups: vec![FollowUp {
                    name: "n".into(),
                    text: "retrain \"all\"".into(),
                    version: "2.22.5".into(),
                    since: jiff::Timestamp::UNIX_EPOCH,
                }],
            };
            lock.instances.insert(InstanceAddr::new(&[], &"mlflow".into(), name, None), locked);
        }
        lock
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut lock = sample();
        let text = encode(&lock);
        // A secret's content is gone, its mark stays.
        for locked in lock.instances.values_mut() {
            locked.settings = Value::object([("port", Value::from(5000_i64)), ("password", Value::Unknown.sensitive())]);
        }
        assert_eq!(decode(&text).as_ref(), Ok(&lock));
        assert_eq!(encode(&decode(&text).expect("it was just read")), text);
        assert!(!text.contains("geheim"));
    }

    #[test]
    fn the_text_is_hcl() {
        let text = encode(&sample());
        let body = hcl_edit::parser::parse_body(&text).expect("a lockfile is HCL");
        assert_eq!(body.blocks().count(), 3);
    }

    #[test]
    fn another_version_changes_one_hunk() {
        let before = encode(&sample());
        let mut lock = sample();
        if let Some(locked) = lock.instances.get_mut("mlflow.a") {
            locked.version = "2.23.0".into();
        }
        let diff = similar::TextDiff::from_lines(before.as_str(), encode(&lock).as_str()).unified_diff().to_string();
        assert_eq!(diff.lines().filter(|line| line.starts_with("@@")).count(), 1, "{diff}");
        assert_eq!(diff.lines().filter(|line| line.starts_with('+')).count(), 1, "{diff}");
    }

    #[test]
    fn every_cut_is_noticed_and_none_panics() {
        let text = encode(&sample());
        for cut in (0..text.len() - 1).filter(|cut| text.is_char_boundary(*cut)) {
            assert!(decode(&text[..cut]).is_err(), "a cut at {cut} was not noticed");
        }
    }

    #[test]
    fn a_merge_conflict_is_called_by_its_name() {
        let text = encode(&sample()).replace("  version = \"2.22.5\"\n", "<<<<<<< HEAD\n  version = \"2.22.5\"\n");
        let error = decode(&text).expect_err("there is a conflict");
        assert!(error.to_string().contains("merge conflict"), "{error}");
    }

    #[test]
    fn a_newer_format_is_refused_before_anything_else() {
        let text = encode(&sample()).replace("format = 1", "format = 99");
        assert_eq!(decode(&text), Err(TextError::Newer { found: 99 }));
    }

    #[test]
    fn a_wrong_value_is_blamed_on_its_line() {
        let text = encode(&sample()).replace("serial = 7", "serial = seven");
        assert_eq!(decode(&text).expect_err("seven is not JSON").to_string().split(':').next(), Some("line 5"));
    }
}
