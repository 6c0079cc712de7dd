//! The names that an expression may use.

use super::{Object, Value};

/// Answers what a root name (`var`, `self`, `fact`, `result`, …) stands for.
///
/// `path` is the attribute names that the expression selects after the root, so that a scope with very many things under one
/// root (`instance.mlflow.main`) can resolve them without building one huge object: it answers the value and how many of
/// `path` it has used up. The evaluator applies the rest.
pub trait Scope {
    /// Looks a name up. `None`: there is no such name.
    ///
    /// # Errors
    /// Why a name that exists cannot be had (a cycle, a problem in the thing referred to); a short clause for a diagnostic.
    fn resolve(&self, root: &str, path: &[&str]) -> Option<Result<(Value, usize), String>>;

    /// Every root name, for "did you mean".
    fn names(&self) -> Vec<String>;
}

/// A scope that is a plain table of root names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vars(pub Object);

impl Vars {
    /// A table with these names.
    #[must_use]
    pub fn new<K: AsRef<str>>(names: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self(names.into_iter().map(|(name, value)| (name.as_ref().into(), value)).collect())
    }

    /// Sets a name.
    pub fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.into(), value);
    }
}

impl Scope for Vars {
    fn resolve(&self, root: &str, _path: &[&str]) -> Option<Result<(Value, usize), String>> {
        self.0.get(root).map(|value| Ok((value.clone(), 0)))
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().map(ToString::to_string).collect()
    }
}

/// Names of `inner` hide those of `outer`.
pub struct Layered<'a> {
    /// Looked at first.
    pub inner: &'a dyn Scope,
    /// Looked at where `inner` has no such name.
    pub outer: &'a dyn Scope,
}

impl Scope for Layered<'_> {
    fn resolve(&self, root: &str, path: &[&str]) -> Option<Result<(Value, usize), String>> {
        self.inner.resolve(root, path).or_else(|| self.outer.resolve(root, path))
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.inner.names();
        names.extend(self.outer.names());
        names
    }
}
