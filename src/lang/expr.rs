//! A compiled expression.

use std::sync::Arc;

use super::{Env, Scope, Value};
use crate::source::{Diagnostics, Span};

/// An expression, compiled once: cheap to clone, evaluated against a scope as often as needed.
///
/// Serialises as its source text and reads back from it (then without a place in a file).
#[derive(Debug, Clone)]
pub struct Expr {
    text: Arc<str>,
    span: Option<Span>,
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
    /// An expression that is a constant.
    #[must_use]
    pub fn literal(value: Value) -> Self {
        let _ = value;
        todo!()
    }

    /// Compiles text that stands in no file (a plan's). See [`parse_expr`](super::parse_expr) for text that does.
    ///
    /// # Errors
    /// Syntax errors.
    pub fn parse(text: &str) -> Result<Self, Diagnostics> {
        let _ = text;
        todo!()
    }

    /// Where it is written.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.span
    }

    /// Its source text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Computes its value. Unknown and sensitive operands give unknown and sensitive results.
    ///
    /// # Errors
    /// Unknown names, wrong types, functions that fail, a budget used up: with places where the expression has one.
    pub fn eval(&self, scope: &dyn Scope, env: &Env<'_>) -> Result<Value, Diagnostics> {
        let _ = (scope, env);
        todo!()
    }

    /// The free names that it uses, in order of appearance, without repetition.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        todo!()
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl serde::Serialize for Expr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> serde::Deserialize<'de> for Expr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .map_err(|problems| serde::de::Error::custom(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))
    }
}
