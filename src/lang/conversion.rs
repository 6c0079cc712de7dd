//! Values made to fit a type constraint.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::convert::{to_bool, to_number, to_text};
use super::eval::{remark, shown};
use super::{Field, Object, Type, Value};

impl Type {
    /// Converts a value as Terraform does where a variable has a type: `"3"` to a number, lists to sets, objects to their declared
    /// attributes. Null, unknown and sensitive stay what they are.
    ///
    /// # Errors
    /// What does not fit, with the path to it; never a sensitive value.
    pub fn convert(&self, value: &Value) -> Result<Value, String> {
        self.fit(value, false).map_err(|Misfit { path, reason }| {
            if path.is_empty() {
                return reason;
            }
            let path: String = path.into_iter().rev().collect();
            format!("{path}: {reason}")
        })
    }

    fn fit(&self, value: &Value, hidden: bool) -> Result<Value, Misfit> {
        let plain = match value {
            Value::Sensitive(inner) => return self.fit(inner, true).map(|value| remark(value, true)),
            Value::Null | Value::Unknown => return Ok(value.clone()),
            plain => plain,
        };
        let wrong = |wanted: &str| {
            let got = if hidden { shown(&plain.clone().sensitive()) } else { briefly(plain) };
            Misfit { path: Vec::new(), reason: format!("{wanted} is needed, not {got}") }
        };
        match self {
            Self::Any => Ok(plain.clone()),
            Self::Bool => to_bool(plain).map(Value::Bool).ok_or_else(|| wrong("true or false")),
            Self::Number => to_number(plain).map(Value::Number).ok_or_else(|| wrong("a number")),
            Self::String => to_text(plain).ok_or_else(|| wrong("text")),
            Self::List(item) => {
                let items = plain.as_list().ok_or_else(|| wrong("a list"))?;
                Ok(Value::List(Arc::new(all(item, items, hidden)?)))
            }
            Self::Set(item) => {
                let items = plain.as_list().ok_or_else(|| wrong("a set"))?;
                let mut items = all(item, items, hidden)?;
                items.sort_by(order);
                // Two unknowns may turn out different, so they stay two.
                items.dedup_by(|a, b| a == b && !a.has_unknown());
                Ok(Value::List(Arc::new(items)))
            }
            Self::Map(item) => {
                let attributes = plain.as_object().ok_or_else(|| wrong("a map"))?;
                let mut fitted = Object::new();
                for (name, value) in attributes {
                    fitted.insert(Arc::clone(name), item.fit(value, hidden).map_err(|misfit| misfit.within(step(name)))?);
                }
                Ok(Value::Object(Arc::new(fitted)))
            }
            Self::Tuple(types) => {
                let items = plain.as_list().ok_or_else(|| wrong("a list"))?;
                if items.len() != types.len() {
                    let reason = format!("a list of {} items is needed, not of {}", types.len(), items.len());
                    return Err(Misfit { path: Vec::new(), reason });
                }
                let fitted = types.iter().zip(items).enumerate();
                let fitted =
                    fitted.map(|(index, (ty, item))| ty.fit(item, hidden).map_err(|misfit| misfit.within(format!("[{index}]"))));
                Ok(Value::List(Arc::new(fitted.collect::<Result<_, _>>()?)))
            }
            Self::Object(fields) => object(fields, plain.as_object().ok_or_else(|| wrong("an object"))?, hidden),
        }
    }
}

/// Why a value does not fit, and where: steps from the inside out.
struct Misfit {
    path: Vec<String>,
    reason: String,
}

impl Misfit {
    fn within(mut self, step: String) -> Self {
        self.path.push(step);
        self
    }
}

fn all(item: &Type, items: &[Value], hidden: bool) -> Result<Vec<Value>, Misfit> {
    let fitted = items.iter().enumerate();
    fitted.map(|(index, value)| item.fit(value, hidden).map_err(|misfit| misfit.within(format!("[{index}]")))).collect()
}

fn object(fields: &BTreeMap<Arc<str>, Field>, attributes: &Object, hidden: bool) -> Result<Value, Misfit> {
    let mut fitted = Object::new();
    for (name, field) in fields {
        let value = match attributes.get(name) {
            // Null says that nothing was given, as Terraform's optional attributes have it.
            Some(Value::Null) | None if field.optional => field.default.clone(),
            Some(value) => field.ty.fit(value, hidden).map_err(|misfit| misfit.within(step(name)))?,
            None => {
                let near = crate::source::nearest(
                    name,
                    attributes.keys().map(|name| &**name).filter(|other| !fields.contains_key(*other)),
                );
                let near = near.map_or_else(String::new, |near| format!(" (there is `{near}`)"));
                let reason = format!("the attribute `{name}` is missing{near}");
                return Err(Misfit { path: Vec::new(), reason });
            }
        };
        fitted.insert(Arc::clone(name), value);
    }
    Ok(Value::Object(Arc::new(fitted)))
}

fn step(name: &str) -> String {
    let key = super::render::key(name);
    if key.starts_with('"') { format!("[{key}]") } else { format!(".{key}") }
}

/// A value in as few words as a path leaves room for.
fn briefly(value: &Value) -> String {
    match value {
        Value::String(_) => shown(value).trim_start_matches("the string ").to_owned(),
        Value::Number(number) => number.normalize().to_string(),
        Value::Bool(value) => value.to_string(),
        other => shown(other),
    }
}

/// The order of a set's items: by kind, then by content; numbers by size, not by text.
pub(crate) fn order(left: &Value, right: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::List(_) => 4,
        Value::Object(_) => 5,
        Value::Unknown => 6,
        Value::Sensitive(_) => 7,
    };
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => left.cmp(right),
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::List(left), Value::List(right)) => by_item(left.iter(), right.iter(), order),
        (Value::Object(left), Value::Object(right)) => {
            by_item(left.iter(), right.iter(), |left, right| left.0.cmp(right.0).then_with(|| order(left.1, right.1)))
        }
        (Value::Sensitive(left), Value::Sensitive(right)) => order(left, right),
        _ => rank(left).cmp(&rank(right)),
    }
}

fn by_item<T>(
    mut left: impl Iterator<Item = T>,
    mut right: impl Iterator<Item = T>,
    compare: impl Fn(T, T) -> Ordering,
) -> Ordering {
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => match compare(left, right) {
                Ordering::Equal => {}
                different => return different,
            },
        }
    }
}
