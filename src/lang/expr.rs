//! A compiled expression.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ast::{At, Kind, Node, Part, Root, Source, Step};
use super::eval::Evaluator;
use super::{Env, Scope, Value, body, render};
use crate::source::{Diagnostics, Span};

/// An expression, compiled once: cheap to clone, evaluated against a scope as often as needed.
///
/// Serialises as its source text and reads back from it (then without a place in a file). Two expressions are equal where their
/// texts are.
#[derive(Clone)]
pub struct Expr {
    root: Arc<Node>,
    source: Arc<Source>,
    at: At,
}

/// A root name and the attribute names selected from it, as far as they are literal: `instance.mlflow.main.version`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// `var`, `local`, `instance`, `self`, `step`, ….
    pub root: Arc<str>,
    /// What follows, up to the first index or splat that is not a literal name.
    pub path: Vec<Arc<str>>,
    /// Where it is written.
    pub span: Option<Span>,
}

impl Expr {
    pub(super) fn new(root: Node, source: Arc<Source>) -> Self {
        let at = root.at;
        Self { root: Arc::new(root), source, at }
    }

    /// The same expression where it is written with more around it (parentheses).
    pub(super) fn written_at(mut self, at: At) -> Self {
        self.at = at;
        self
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// An expression that is a constant.
    #[must_use]
    pub fn literal(value: Value) -> Self {
        let at = At { start: 0, end: u32::MAX };
        let source = Source { text: std::sync::OnceLock::new(), id: None };
        Self::new(Node { at, kind: Kind::Const(value) }, Arc::new(source))
    }

    /// Compiles text that stands in no file (a plan's). See [`parse_expr`](super::parse_expr) for text that does.
    ///
    /// # Errors
    /// Syntax errors.
    pub fn parse(text: &str) -> Result<Self, Diagnostics> {
        body::expression(Arc::from(text), None)
    }

    /// Compiles a template that stands on its own: a file's content with `${…}` and `%{…}` in it. It gives text.
    ///
    /// # Errors
    /// Syntax errors, and calls of functions that render templates themselves.
    pub fn template(text: &str) -> Result<Self, Diagnostics> {
        body::template(Arc::from(text))
    }

    /// Where it is written.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.source.span(self.at)
    }

    /// Its source text; a constant made by the program is rendered, sensitive and unknown parts as words that do not parse.
    #[must_use]
    pub fn text(&self) -> &str {
        match (&self.root.kind, self.at.end) {
            (Kind::Const(value), u32::MAX) => self.source.text.get_or_init(|| Arc::from(render::text(value))),
            _ => self.source.slice(self.at),
        }
    }

    /// The value, where it is a constant.
    #[must_use]
    pub fn as_literal(&self) -> Option<&Value> {
        match &self.root.kind {
            Kind::Const(value) => Some(value),
            _ => None,
        }
    }

    /// Computes its value. Unknown and sensitive operands give unknown and sensitive results.
    ///
    /// # Errors
    /// Unknown names, wrong types, functions that fail, a budget used up: with places where the expression has one.
    pub fn eval(&self, scope: &dyn Scope, env: &Env<'_>) -> Result<Value, Diagnostics> {
        if let Kind::Const(value) = &self.root.kind {
            return Ok(value.clone());
        }
        let mut evaluator = Evaluator { scope, env, source: &self.source, steps: env.budget, locals: Vec::new() };
        evaluator.eval(&self.root).map_err(|failure| failure.diagnostic.into())
    }

    /// The free names that it uses, in order of appearance, without repetition.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let mut references = Vec::new();
        self.node_references(&self.root, &mut references);
        references
    }

    fn node_references(&self, node: &Node, found: &mut Vec<Reference>) {
        match &node.kind {
            Kind::Const(_) => {}
            Kind::Template(parts) => self.part_references(parts, found),
            Kind::List(items) => items.iter().for_each(|item| self.node_references(item, found)),
            Kind::Object(entries) => {
                for (key, value) in entries {
                    self.node_references(key, found);
                    self.node_references(value, found);
                }
            }
            Kind::Access(access) => {
                match &access.root {
                    Root::Name(name, at) => self.reference(name, *at, &access.steps, found),
                    Root::Local(_) => {}
                    Root::Node(node) => self.node_references(node, found),
                }
                self.step_references(&access.steps, found);
            }
            Kind::Conditional(parts) => parts.iter().for_each(|part| self.node_references(part, found)),
            Kind::And(both) | Kind::Or(both) | Kind::Binary(_, both) => {
                both.iter().for_each(|side| self.node_references(side, found))
            }
            Kind::Not(operand) | Kind::Negate(operand) => self.node_references(operand, found),
            Kind::Call(call) => call.arguments.iter().for_each(|argument| self.node_references(argument, found)),
            Kind::For(expr) => {
                let nodes = [Some(&expr.collection), expr.key.as_ref(), Some(&expr.result), expr.condition.as_ref()];
                nodes.into_iter().flatten().for_each(|node| self.node_references(node, found));
            }
        }
    }

    fn part_references(&self, parts: &[Part], found: &mut Vec<Reference>) {
        for part in parts {
            match part {
                Part::Text(_) => {}
                Part::Value(node) => self.node_references(node, found),
                Part::If { condition, then, otherwise } => {
                    self.node_references(condition, found);
                    self.part_references(then, found);
                    self.part_references(otherwise, found);
                }
                Part::For { collection, body, .. } => {
                    self.node_references(collection, found);
                    self.part_references(body, found);
                }
            }
        }
    }

    fn step_references(&self, steps: &[Step], found: &mut Vec<Reference>) {
        for step in steps {
            match step {
                Step::Attribute(..) => {}
                Step::Index(node) => self.node_references(node, found),
                Step::Splat(each, _) => self.step_references(each, found),
            }
        }
    }

    pub(super) fn reference(&self, name: &Arc<str>, at: At, steps: &[Step], found: &mut Vec<Reference>) {
        let named: Vec<_> = steps.iter().map_while(|step| step.name().map(|name| (name, step.at()))).collect();
        let end = named.last().map_or(at.end, |(_, last)| last.end.max(at.end));
        let path: Vec<Arc<str>> = named.into_iter().map(|(name, _)| Arc::clone(name)).collect();
        if !found.iter().any(|other| other.root == *name && other.path == path) {
            let span = self.source.span(At { start: at.start, end });
            found.push(Reference { root: Arc::clone(name), path, span });
        }
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Expr {}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.text()).finish()
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl schemars::JsonSchema for Expr {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expr".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "An expression, as written." })
    }
}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for Expr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|problems| {
            let problem = problems.iter().next().map(ToString::to_string).unwrap_or_default();
            D::Error::custom(format!("expression cannot be read: {problem}"))
        })
    }
}
