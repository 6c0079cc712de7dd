//! `for_each` and `count`: how often a block stands, and what tells the copies apart.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::world::{Each, ONCE, Place, World};
use crate::lang::{Body, Value};
use crate::model::name::InstanceKey;
use crate::source::{Diagnostic, Diagnostics, Span};

/// The most copies of one block.
const MOST: u32 = 100_000;

/// How a block is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Not at all.
    Once,
    /// By key.
    Keys,
    /// By number.
    Count,
}

/// The copies of a block: each with what tells it apart.
pub(super) type Copies = Vec<(Option<InstanceKey>, Each)>;

/// Evaluates `for_each` or `count` of a block. `None`: it cannot be had, and why is told.
pub(super) fn expand(
    world: &World,
    body: &Body,
    module: usize,
    copy: usize,
    problems: &mut Diagnostics,
) -> Option<(Repeat, Copies)> {
    let place = Place { module, copy, each: ONCE };
    match (body.attributes.get("for_each"), body.attributes.get("count")) {
        (None, None) => Some((Repeat::Once, vec![(None, Each::default())])),
        (Some(for_each), Some(count)) => {
            problems.push(
                Diagnostic::error("for_each and count together")
                    .detail("a block is repeated by `for_each` or by `count`, not by both")
                    .help("remove one of the two")
                    .label(count.name_span, "")
                    .label(for_each.name_span, ""),
            );
            None
        }
        (Some(attribute), None) => {
            let value = world.eval(&attribute.expr, place, problems)?;
            let keys = problems.take(keys(&value, attribute.expr.span().unwrap_or(attribute.name_span)))?;
            let copies = keys
                .into_iter()
                .map(|(key, value)| (Some(InstanceKey::Key(Arc::clone(&key))), Each { item: Some((key, value)), index: None }));
            Some((Repeat::Keys, copies.collect()))
        }
        (None, Some(attribute)) => {
            let value = world.eval(&attribute.expr, place, problems)?;
            let span = attribute.expr.span().unwrap_or(attribute.name_span);
            let wrong = |detail: String| {
                Diagnostic::error("invalid count").detail(detail).help(format!("give a whole number from 0 to {MOST}")).at(span)
            };
            let count = match &value {
                Value::Number(number) if number.fract().is_zero() => u32::try_from(*number).ok().filter(|count| *count <= MOST),
                Value::Number(_) => None,
                Value::Sensitive(_) => {
                    problems.push(wrong("`count` may not be sensitive: addresses would show it".to_owned()));
                    return None;
                }
                other => {
                    problems.push(wrong(format!("`count` is a number, not {}", other.kind())));
                    return None;
                }
            };
            let Some(count) = count else {
                problems.push(wrong("`count` is out of range or no whole number".to_owned()));
                return None;
            };
            let copies = (0..count).map(|index| (Some(InstanceKey::Index(index)), Each { item: None, index: Some(index) }));
            Some((Repeat::Count, copies.collect()))
        }
    }
}

/// The keys of a `for_each` value, with what `each.value` is.
fn keys(value: &Value, span: Span) -> Result<Vec<(Arc<str>, Value)>, Diagnostic> {
    let wrong = |detail: String, help: &str| Err(Diagnostic::error("invalid for_each").detail(detail).help(help).at(span));
    let texts = "give a map, or a set of texts: `toset([\"a\", \"b\"])`";
    let keys: Vec<(Arc<str>, Value)> = match value {
        Value::Object(attributes) => attributes.iter().map(|(key, value)| (Arc::clone(key), value.clone())).collect(),
        Value::List(items) => {
            let mut seen = BTreeSet::new();
            let mut keys = Vec::with_capacity(items.len());
            for item in items.iter() {
                let Value::String(key) = item else {
                    if item.has_sensitive() {
                        return wrong("a key may not be sensitive: addresses would show it".to_owned(), texts);
                    }
                    return wrong(format!("the keys are texts, and one of them is {}", item.kind()), texts);
                };
                if !seen.insert(Arc::clone(key)) {
                    return wrong(format!("the key `{key}` is there twice"), "make the keys distinct, with `distinct(…)` or a map");
                }
                keys.push((Arc::clone(key), item.clone()));
            }
            keys
        }
        Value::Sensitive(_) => {
            return wrong(
                "it may not be sensitive: addresses would show its keys".to_owned(),
                "take the keys from something that is not",
            );
        }
        other => return wrong(format!("it is {}, not a map or a set", other.kind()), texts),
    };
    if keys.len() > MOST as usize {
        return wrong(format!("it has {} keys; at most {MOST} are possible", keys.len()), "split it over several blocks");
    }
    match keys.iter().find(|(key, _)| key.is_empty() || key.chars().any(char::is_control)) {
        Some((key, _)) => wrong(
            format!("the key \"{}\" is empty or has control characters", key.escape_debug()),
            "keys stand in addresses: use names that can be read",
        ),
        None => Ok(keys),
    }
}
