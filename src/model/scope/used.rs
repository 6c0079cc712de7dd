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

    /// Whether a root is used, directly or through the provider's locals.
    pub(crate) fn reaches(&self, roots: &[&str], provider: &Provider) -> bool {
        let mut seen = BTreeSet::new();
        self.reaches_unseen(roots, provider, &mut seen)
    }

    fn reaches_unseen(&self, roots: &[&str], provider: &Provider, seen: &mut BTreeSet<Arc<str>>) -> bool {
        if roots.iter().any(|root| self.roots.contains_key(*root)) {
            return true;
        }
        let Some(names) = self.roots.get("local") else { return false };
        let fresh: Vec<&Expr> = provider
            .locals
            .iter()
            .filter(|(name, _)| names.as_ref().is_none_or(|names| names.contains(*name)) && seen.insert(Arc::clone(name)))
            .map(|(_, expr)| expr)
            .collect();
        !fresh.is_empty() && Self::of(fresh).reaches_unseen(roots, provider, seen)
    }
}
