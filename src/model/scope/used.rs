//! Which names expressions use: what must be kept for them, and what their outcome depends on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::lang::Expr;
use crate::model::provider::Provider;

/// Which names a set of expressions uses, so that only those are kept in plans and lockfiles. Made once per strategy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// Roots with the names selected from them; `None`: all of it.
    pub(crate) roots: BTreeMap<Arc<str>, Option<BTreeSet<Arc<str>>>>,
}

impl Used {
    /// What these expressions use.
    pub(crate) fn of<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Self {
        let mut used = Self::default();
        for expr in exprs {
            used.add(expr);
        }
        used
    }

    /// Adds what an expression uses.
    pub(crate) fn add(&mut self, expr: &Expr) {
        for reference in expr.references() {
            let names = self.roots.entry(reference.root).or_insert_with(|| Some(BTreeSet::new()));
            match reference.path.into_iter().next() {
                Some(name) => {
                    if let Some(names) = names {
                        names.insert(name);
                    }
                }
                None => *names = None,
            }
        }
    }

    /// Adds what others use.
    pub(crate) fn merge(&mut self, others: Self) {
        for (root, names) in others.roots {
            match (self.roots.get_mut(&root), names) {
                (None, names) => {
                    self.roots.insert(root, names);
                }
                (Some(whole), None) => *whole = None,
                (Some(None), Some(_)) => {}
                (Some(Some(own)), Some(names)) => own.extend(names),
            }
        }
    }

    /// Whether a root is used as a whole.
    pub(crate) fn is_whole(&self, root: &str) -> bool {
        self.roots.get(root).is_some_and(Option::is_none)
    }

    /// The names selected from a root; where it is used as a whole, all that are declared.
    pub(crate) fn names<'d, V: 'd>(&self, root: &str, declared: impl IntoIterator<Item = (&'d Arc<str>, &'d V)>) -> Vec<Arc<str>> {
        match self.roots.get(root) {
            None => Vec::new(),
            Some(Some(names)) => names.iter().cloned().collect(),
            Some(None) => declared.into_iter().map(|(name, _)| Arc::clone(name)).collect(),
        }
    }

    /// What is used once locals are looked through; `local` itself is not in it any more.
    pub(crate) fn expanded(&self, provider: &Provider) -> Self {
        let mut all = self.clone();
        let mut waiting = all.names("local", &provider.locals);
        let mut seen: BTreeSet<Arc<str>> = waiting.iter().cloned().collect();
        while let Some(name) = waiting.pop() {
            let Some(expr) = provider.locals.get(&name) else { continue };
            let inner = Self::of([expr]);
            waiting.extend(inner.names("local", &provider.locals).into_iter().filter(|name| seen.insert(Arc::clone(name))));
            all.merge(inner);
        }
        all.roots.remove("local");
        all
    }

    /// Only these roots of it.
    pub(crate) fn only(mut self, roots: &[&str]) -> Self {
        self.roots.retain(|root, _| roots.contains(&&**root));
        self
    }

    /// Whether a root is used.
    pub(crate) fn has(&self, root: &str) -> bool {
        self.roots.contains_key(root)
    }

    /// Whether nothing is used.
    pub(crate) fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }
}
