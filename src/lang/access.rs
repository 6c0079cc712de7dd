//! Names and what is selected from them: attributes, indices, splats.

use std::sync::Arc;

use super::Value;
use super::ast::{Access, At, Node, Root, Step};
use super::convert::{to_number, write_text};
use super::eval::{Evaluator, Outcome, remark, shown};
use crate::source::{Diagnostic, nearest};
use rust_decimal::prelude::ToPrimitive;

/// How many names after a root are offered to the scope.
const OFFERED: usize = 8;

impl Evaluator<'_> {
    #[inline(never)]
    pub(super) fn access(&mut self, access: &Access) -> Outcome {
        let (value, used) = match &access.root {
            Root::Name(name, at) => self.resolve(name, *at, &access.steps)?,
            Root::Local(index) => (self.locals.get(*index).cloned().unwrap_or_default(), 0),
            Root::Node(node) => (self.eval(node)?, 0),
        };
        self.select(value, &access.steps[used..])
    }

    fn resolve(&mut self, name: &str, at: At, steps: &[Step]) -> Outcome<(Value, usize)> {
        let mut path = [""; OFFERED];
        let mut offered = 0;
        for (slot, step) in path.iter_mut().zip(steps) {
            let Some(name) = step.name() else { break };
            *slot = name;
            offered += 1;
        }
        match self.scope.resolve(name, &path[..offered]) {
            Some(Ok((value, used))) => Ok((value, used.min(offered))),
            Some(Err(reason)) => {
                let mut whole = name.to_owned();
                for name in &path[..offered] {
                    whole.push('.');
                    whole.push_str(name);
                }
                let at = steps[..offered].iter().fold(at, |at, step| At { start: at.start, end: step.at().end.max(at.end) });
                self.fail(at, Diagnostic::error("name cannot be used").detail(format!("`{whole}`: {reason}")))
            }
            None => self.unknown_name(name, at),
        }
    }

    #[cold]
    fn unknown_name<T>(&self, name: &str, at: At) -> Outcome<T> {
        let mut names = self.scope.names();
        names.sort_unstable();
        names.dedup();
        let help = match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => format!("no names can be used here; if text is meant, write \"{name}\""),
            None => format!("here one can use {}; if text is meant, write \"{name}\"", listed(names.iter().map(String::as_str))),
        };
        self.fail(at, Diagnostic::error("unknown name").detail(format!("there is no `{name}` here")).help(help))
    }

    /// Applies selectors to a value.
    fn select(&mut self, mut value: Value, steps: &[Step]) -> Outcome {
        for (index, step) in steps.iter().enumerate() {
            value = match step {
                Step::Attribute(name, at) => self.attribute(&value, name, *at)?,
                Step::Index(node) => self.index(&value, node)?,
                Step::Splat(each, _) => {
                    let list = self.splat(&value, each)?;
                    return self.select(list, &steps[index + 1..]);
                }
            };
        }
        Ok(value)
    }

    fn attribute(&self, value: &Value, name: &str, at: At) -> Outcome {
        let (plain, marked) = value.unmark();
        match plain {
            Value::Object(object) => match object.get(name) {
                Some(found) => Ok(remark(found.clone(), marked)),
                None => self.no_attribute(object.keys(), name, at),
            },
            Value::Unknown => Ok(remark(Value::Unknown, marked)),
            _ => self.not_an_object(value, name, at),
        }
    }

    #[cold]
    fn no_attribute<'k>(&self, names: impl Iterator<Item = &'k Arc<str>>, name: &str, at: At) -> Outcome {
        let names: Vec<&str> = names.map(|name| &**name).collect();
        let help = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "the object is empty".to_owned(),
            None => format!("it has {}", listed(names.iter().copied())),
        };
        self.fail(at, Diagnostic::error("unknown attribute").detail(format!("the object has no attribute `{name}`")).help(help))
    }

    #[cold]
    fn not_an_object(&self, value: &Value, name: &str, at: At) -> Outcome {
        let help = match value.unmark().0 {
            Value::Null => format!("give a fallback, as in `try(….{name}, null)`"),
            Value::List(_) => format!("select an item first (`[0].{name}`), or all of them (`[*].{name}`)"),
            _ => "only objects have attributes".to_owned(),
        };
        let detail = format!("{} has no attribute `{name}`", shown(value));
        self.fail(at, Diagnostic::error("unknown attribute").detail(detail).help(help))
    }

    fn index(&mut self, value: &Value, node: &Node) -> Outcome {
        let index = self.eval(node)?;
        let (plain, marked) = value.unmark();
        let (key, key_marked) = index.unmark();
        let marked = marked || key_marked;
        match (plain, key) {
            (Value::Unknown, _) | (Value::List(_) | Value::Object(_), Value::Unknown) => Ok(remark(Value::Unknown, marked)),
            (Value::List(items), key) => {
                let Some(number) = to_number(key) else {
                    return self.wrong_type(node.at, "an index (a whole number)", &index);
                };
                match number.to_usize().filter(|_| number.fract().is_zero()).and_then(|index| items.get(index)) {
                    Some(item) => Ok(remark(item.clone(), marked)),
                    None => self.no_item(items.len(), &index, marked, node.at),
                }
            }
            (Value::Object(object), key) => {
                if let Value::String(name) = key
                    && let Some(found) = object.get(name)
                {
                    return Ok(remark(found.clone(), marked));
                }
                let mut name = String::new();
                if !write_text(key, &mut name) {
                    return self.wrong_type(node.at, "a key (text)", &index);
                }
                match object.get(name.as_str()) {
                    Some(found) => Ok(remark(found.clone(), marked)),
                    None if key_marked => self.fail(
                        node.at,
                        Diagnostic::error("unknown attribute").detail("the object has no attribute of this sensitive name"),
                    ),
                    None => self.no_attribute(object.keys(), &name, node.at),
                }
            }
            _ => self.wrong_type(node.at, "a list or an object before `[…]`", value),
        }
    }

    #[cold]
    fn no_item(&self, len: usize, index: &Value, marked: bool, at: At) -> Outcome {
        let which = if marked { "the (sensitive) index".to_owned() } else { shown(index) };
        let detail = match len {
            0 => format!("{which} selects nothing: the list is empty"),
            len => format!("{which} selects nothing: the list has the items 0 to {}", len - 1),
        };
        let help = "indices are whole numbers from 0; `list[length(list) - 1]` is the last item";
        self.fail(at, Diagnostic::error("index out of range").detail(detail).help(help))
    }

    #[inline(never)]
    fn splat(&mut self, value: &Value, each: &[Step]) -> Outcome {
        let (plain, marked) = value.unmark();
        let list = match plain {
            Value::Unknown => return Ok(remark(Value::Unknown, marked)),
            Value::Null => Vec::new(),
            Value::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items.iter() {
                    self.spend(1, each.first().map_or(At { start: 0, end: 0 }, Step::at))?;
                    list.push(self.select(remark(item.clone(), marked), each)?);
                }
                list
            }
            single => vec![self.select(remark(single.clone(), marked), each)?],
        };
        Ok(remark(Value::List(Arc::new(list)), marked))
    }
}

/// Names in a row, cut short.
fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.len() {
        0..=12 => names.join(", "),
        more => format!("{} and {} more", names[..12].join(", "), more - 12),
    }
}
