//! The evaluator: walks a compiled expression against a scope.
//!
//! Strict where Terraform is strict, lazy where it is lazy (`&&`, `||`, conditionals, `try`, `can`). Unknown and sensitive operands
//! make unknown and sensitive results. Each part costs a step of the budget. Errors never quote a sensitive value.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::ast::{At, For, Kind, Node, Part, Source};
use super::convert::{to_bool, to_number, write_text};
use super::{Env, Object, Scope, Value, operator};
use crate::source::Diagnostic;

/// Why an evaluation stopped.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) diagnostic: Diagnostic,
    /// Whether `try` and `can` may not swallow it.
    pub(super) fatal: bool,
}

/// What evaluation gives.
pub(super) type Outcome<T = Value> = Result<T, Box<Failure>>;

/// One evaluation.
pub(super) struct Evaluator<'a> {
    pub(super) scope: &'a dyn Scope,
    pub(super) env: &'a Env<'a>,
    pub(super) source: &'a Source,
    /// Steps that are left.
    pub(super) steps: u64,
    /// The variables of enclosing `for`s, by their numbers.
    pub(super) locals: Vec<Value>,
}

impl Evaluator<'_> {
    /// Stops with a problem at a place.
    #[cold]
    pub(super) fn fail<T>(&self, at: At, diagnostic: Diagnostic) -> Outcome<T> {
        let diagnostic = match self.source.span(at) {
            Some(span) => diagnostic.at(span),
            None => {
                let text = self.source.slice(at);
                let detail =
                    if text.is_empty() { diagnostic.detail.clone() } else { format!("{}, in `{text}`", diagnostic.detail) };
                diagnostic.detail(detail)
            }
        };
        Err(Box::new(Failure { diagnostic, fatal: false }))
    }

    /// Stops because a value has the wrong type.
    #[cold]
    pub(super) fn wrong_type<T>(&self, at: At, wanted: &str, value: &Value) -> Outcome<T> {
        let help = match value.unmark().0 {
            Value::Null => "give it a value, or ask with `== null` or `coalesce` first",
            Value::String(_) => "write it without quotes, or convert it",
            _ => "convert it, or select the part that is meant",
        };
        self.fail(at, Diagnostic::error("wrong type").detail(format!("{wanted} is needed here, not {}", shown(value))).help(help))
    }

    /// Spends steps.
    pub(super) fn spend(&mut self, steps: u64, at: At) -> Outcome<()> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => self.exhausted(at),
        }
    }

    #[cold]
    fn exhausted(&mut self, at: At) -> Outcome<()> {
        self.steps = 0;
        let diagnostic = Diagnostic::error("expression too costly")
            .detail(format!("it takes more than {} steps", self.env.budget))
            .help("iterate over fewer things, or split it over several locals");
        self.fail(at, diagnostic).map_err(|mut failure| {
            failure.fatal = true;
            failure
        })
    }

    /// Computes the value of a part.
    pub(super) fn eval(&mut self, node: &Node) -> Outcome {
        self.spend(1, node.at)?;
        match &node.kind {
            Kind::Const(value) => Ok(value.clone()),
            Kind::Access(access) => self.access(access),
            Kind::Template(parts) => self.template(parts),
            Kind::List(items) => self.list(items),
            Kind::Object(entries) => self.object(entries),
            Kind::Conditional(parts) => self.conditional(parts),
            Kind::And(both) => self.logic(both, false),
            Kind::Or(both) => self.logic(both, true),
            Kind::Binary(operator, both) => {
                let left = self.eval(&both[0])?;
                let right = self.eval(&both[1])?;
                operator::apply(self, *operator, node.at, (&left, both[0].at), (&right, both[1].at))
            }
            Kind::Not(operand) => {
                let (value, marked) = self.truth(operand)?;
                Ok(remark(value.map_or(Value::Unknown, |value| Value::Bool(!value)), marked))
            }
            Kind::Negate(operand) => self.negate(operand),
            Kind::Call(call) => self.call(call, node.at),
            Kind::For(expr) => self.for_expression(expr),
        }
    }

    #[inline(never)]
    fn list(&mut self, items: &[Node]) -> Outcome {
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            list.push(self.eval(item)?);
        }
        Ok(Value::List(Arc::new(list)))
    }

    #[inline(never)]
    fn object(&mut self, entries: &[(Node, Node)]) -> Outcome {
        let mut object = Object::new();
        let (mut marked, mut unknown) = (false, false);
        for (key, value) in entries {
            let key_value = self.eval(key)?;
            let name = self.key(&key_value, key.at)?;
            marked |= matches!(key_value, Value::Sensitive(_));
            let value = self.eval(value)?;
            match name {
                Some(name) => drop(object.insert(name, value)),
                None => unknown = true,
            }
        }
        Ok(remark(if unknown { Value::Unknown } else { Value::Object(Arc::new(object)) }, marked))
    }

    /// The text of an object's key; none where it is unknown.
    fn key(&self, value: &Value, at: At) -> Outcome<Option<Arc<str>>> {
        match value.unmark().0 {
            Value::String(text) => Ok(Some(Arc::clone(text))),
            Value::Unknown => Ok(None),
            plain => {
                let mut text = String::new();
                if write_text(plain, &mut text) { Ok(Some(Arc::from(text))) } else { self.wrong_type(at, "a key (text)", value) }
            }
        }
    }

    #[inline(never)]
    fn conditional(&mut self, parts: &[Node; 3]) -> Outcome {
        let [condition, then, otherwise] = parts;
        let (truth, marked) = self.truth(condition)?;
        let value = match truth {
            Some(true) => self.eval(then)?,
            Some(false) => self.eval(otherwise)?,
            None => Value::Unknown,
        };
        Ok(remark(value, marked))
    }

    /// The truth of a part, none where unknown, and whether it is sensitive.
    pub(super) fn truth(&mut self, node: &Node) -> Outcome<(Option<bool>, bool)> {
        let value = self.eval(node)?;
        let (plain, marked) = value.unmark();
        match (plain, to_bool(plain)) {
            (Value::Unknown, _) => Ok((None, marked)),
            (_, Some(truth)) => Ok((Some(truth), marked)),
            _ => self.wrong_type(node.at, "true or false", &value),
        }
    }

    /// `&&` and `||`: `decisive` is the truth that decides alone.
    #[inline(never)]
    fn logic(&mut self, both: &[Node; 2], decisive: bool) -> Outcome {
        let (left, left_marked) = self.truth(&both[0])?;
        if left == Some(decisive) {
            return Ok(remark(Value::Bool(decisive), left_marked));
        }
        let (right, right_marked) = match (self.truth(&both[1]), left) {
            (Ok(right), _) => right,
            // The left side may be there to keep the right one from failing.
            (Err(failure), None) if !failure.fatal => (None, false),
            (Err(failure), _) => return Err(failure),
        };
        let value = match (left, right) {
            (_, Some(right)) if right == decisive => Value::Bool(decisive),
            (Some(_), Some(_)) => Value::Bool(!decisive),
            _ => Value::Unknown,
        };
        Ok(remark(value, left_marked || right_marked))
    }

    #[inline(never)]
    fn negate(&mut self, operand: &Node) -> Outcome {
        let value = self.eval(operand)?;
        let (plain, marked) = value.unmark();
        match (plain, to_number(plain)) {
            (Value::Unknown, _) => Ok(remark(Value::Unknown, marked)),
            (_, Some(number)) => Ok(remark(Value::Number(-number), marked)),
            _ => self.wrong_type(operand.at, "a number", &value),
        }
    }

    #[inline(never)]
    fn template(&mut self, parts: &[Part]) -> Outcome {
        let mut out = Text { text: String::new(), marked: false, unknown: false };
        self.parts(parts, &mut out)?;
        Ok(remark(if out.unknown { Value::Unknown } else { Value::from(out.text) }, out.marked))
    }

    fn parts(&mut self, parts: &[Part], out: &mut Text) -> Outcome<()> {
        for part in parts {
            match part {
                Part::Text(text) => out.text.push_str(text),
                Part::Value(node) => {
                    let value = self.eval(node)?;
                    let (plain, marked) = value.unmark();
                    out.marked |= marked;
                    if matches!(plain, Value::Unknown) {
                        out.unknown = true;
                    } else if !write_text(plain, &mut out.text) {
                        return self.not_text(node.at, &value);
                    }
                }
                Part::If { condition, then, otherwise } => {
                    let (truth, marked) = self.truth(condition)?;
                    out.marked |= marked;
                    match truth {
                        Some(true) => self.parts(then, out)?,
                        Some(false) => self.parts(otherwise, out)?,
                        None => out.unknown = true,
                    }
                }
                Part::For { collection, binds_key, body } => self.for_part(collection, *binds_key, body, out)?,
            }
        }
        Ok(())
    }

    #[cold]
    fn not_text(&self, at: At, value: &Value) -> Outcome<()> {
        let help = match value.unmark().0 {
            Value::Null => "give it a value, or write a fallback such as `coalesce(…, \"\")`",
            Value::List(_) => "join the items, as in `join(\", \", …)`, or encode them with `jsonencode`",
            _ => "select an attribute, or encode it with `jsonencode`",
        };
        let detail = format!("{} cannot be part of a text", shown(value));
        self.fail(at, Diagnostic::error("wrong type").detail(detail).help(help))
    }

    fn for_part(&mut self, collection: &Node, binds_key: bool, body: &[Part], out: &mut Text) -> Outcome<()> {
        let Some((items, marked)) = self.items(collection)? else {
            out.unknown = true;
            return Ok(());
        };
        out.marked |= marked;
        let base = self.locals.len();
        for (key, item) in items {
            self.bind(base, binds_key, key, item, marked);
            self.spend(1, collection.at)?;
            self.parts(body, out)?;
        }
        self.locals.truncate(base);
        Ok(())
    }

    /// Binds the variables of a `for`. What comes from a sensitive collection is sensitive.
    fn bind(&mut self, base: usize, binds_key: bool, key: Value, item: Value, marked: bool) {
        self.locals.truncate(base);
        if binds_key {
            self.locals.push(remark(key, marked));
        }
        self.locals.push(remark(item, marked));
    }

    /// The keys and items of a collection, and whether it is sensitive; none where it is unknown.
    fn items(&mut self, node: &Node) -> Outcome<Option<(Items, bool)>> {
        let value = self.eval(node)?;
        let (plain, marked) = value.unmark();
        match plain {
            Value::List(items) => Ok(Some((Items::List(Arc::clone(items), 0), marked))),
            Value::Object(object) => {
                let entries: Vec<_> = object.iter().map(|(name, value)| (Value::String(Arc::clone(name)), value.clone())).collect();
                Ok(Some((Items::Object(entries.into_iter()), marked)))
            }
            // An unknown that is sensitive loses nothing here: nothing is computed from it.
            Value::Unknown => Ok(None),
            _ => self.wrong_type(node.at, "a list or an object to iterate over", &value),
        }
    }

    #[inline(never)]
    fn for_expression(&mut self, expr: &For) -> Outcome {
        let Some((items, marked)) = self.items(&expr.collection)? else {
            return Ok(Value::Unknown);
        };
        let base = self.locals.len();
        let mut results = Results { marked, ..Results::default() };
        for (key, item) in items {
            self.bind(base, expr.binds_key, key, item, marked);
            self.spend(1, expr.collection.at)?;
            self.one_result(expr, &mut results)?;
        }
        self.locals.truncate(base);
        let Results { list, object, groups, marked, unknown } = results;
        let value = if unknown {
            Value::Unknown
        } else if expr.key.is_none() {
            Value::List(Arc::new(list))
        } else if expr.group {
            Value::Object(Arc::new(groups.into_iter().map(|(name, items)| (name, Value::List(Arc::new(items)))).collect()))
        } else {
            Value::Object(Arc::new(object))
        };
        Ok(remark(value, marked))
    }

    fn one_result(&mut self, expr: &For, results: &mut Results) -> Outcome<()> {
        if let Some(condition) = &expr.condition {
            let (truth, marked) = self.truth(condition)?;
            results.marked |= marked;
            match truth {
                Some(true) => {}
                Some(false) => return Ok(()),
                None => {
                    results.unknown = true;
                    return Ok(());
                }
            }
        }
        let Some(key) = &expr.key else {
            let value = self.eval(&expr.result)?;
            results.list.push(value);
            return Ok(());
        };
        let key_value = self.eval(key)?;
        let name = self.key(&key_value, key.at)?;
        let key_marked = matches!(key_value, Value::Sensitive(_));
        results.marked |= key_marked;
        let value = self.eval(&expr.result)?;
        let Some(name) = name else {
            results.unknown = true;
            return Ok(());
        };
        if expr.group {
            results.groups.entry(name).or_default().push(value);
            return Ok(());
        }
        match results.object.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(value);
            }
            Entry::Occupied(entry) => {
                let which = if key_marked { "a sensitive key".to_owned() } else { format!("the key `{}`", entry.key()) };
                let diagnostic = Diagnostic::error("duplicate key")
                    .detail(format!("{which} results twice"))
                    .help("make the keys unique, or write `...` after the result to gather all results of one key in a list");
                return self.fail(key.at, diagnostic);
            }
        }
        Ok(())
    }
}

/// A text being put together.
struct Text {
    text: String,
    marked: bool,
    unknown: bool,
}

/// What a `for` has given so far.
#[derive(Default)]
struct Results {
    list: Vec<Value>,
    object: Object,
    groups: std::collections::BTreeMap<Arc<str>, Vec<Value>>,
    marked: bool,
    unknown: bool,
}

/// The items of a collection with their keys.
enum Items {
    List(Arc<Vec<Value>>, usize),
    Object(std::vec::IntoIter<(Value, Value)>),
}

impl Iterator for Items {
    type Item = (Value, Value);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::List(items, index) => {
                let item = items.get(*index)?.clone();
                let key = Value::from(*index as u64);
                *index += 1;
                Some((key, item))
            }
            Self::Object(entries) => entries.next(),
        }
    }
}

/// Marks a value where it has to be.
pub(super) fn remark(value: Value, marked: bool) -> Value {
    if marked { value.sensitive() } else { value }
}

/// A value in words, for an error; never a sensitive one.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Sensitive(inner) => format!("a sensitive {}", inner.kind()),
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the bool {value}"),
        Value::Number(number) => format!("the number {}", number.normalize()),
        Value::String(text) => {
            let short: String = text.chars().take(40).collect();
            let dots = if short.len() < text.len() { "…" } else { "" };
            format!("the string \"{}{dots}\"", short.escape_debug())
        }
        Value::List(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Unknown => "a value known only after apply".to_owned(),
    }
}
