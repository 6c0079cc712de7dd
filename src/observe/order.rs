//! In which order facts are asked: those that need no other first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::lang::Expr;
use crate::model::provider::{Fact, Provider};

/// The facts of a provider in portions: each needs only facts of portions before. Facts that need each other (the loader refuses
/// them) come last, all together, and find the others unseen.
pub(super) fn waves(provider: &Provider) -> Vec<Vec<(&Arc<str>, &Fact)>> {
    let needs: BTreeMap<&Arc<str>, BTreeSet<Arc<str>>> =
        provider.facts.iter().map(|(name, fact)| (name, needs(provider, fact))).collect();
    let mut asked: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut waiting: Vec<(&Arc<str>, &Fact)> = provider.facts.iter().collect();
    let mut waves = Vec::new();
    while !waiting.is_empty() {
        let (mut wave, rest): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(name, _)| needs[name].iter().all(|need| asked.contains(need)));
        waiting = rest;
        if wave.is_empty() {
            wave = std::mem::take(&mut waiting);
        }
        asked.extend(wave.iter().map(|(name, _)| Arc::clone(name)));
        waves.push(wave);
    }
    waves
}

/// The provider with only this fact and those that it needs: asking for it asks for nothing else.
#[must_use]
pub fn asking_only(provider: &Provider, fact: &str) -> Provider {
    let mut wanted: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut waiting: Vec<Arc<str>> = vec![Arc::from(fact)];
    while let Some(name) = waiting.pop() {
        if let Some(fact) = provider.facts.get(&name)
            && wanted.insert(name)
        {
            waiting.extend(needs(provider, fact));
        }
    }
    let mut less = provider.clone();
    less.facts.retain(|name, _| wanted.contains(name));
    less
}

/// The facts that a fact's expressions use, by themselves or through locals.
fn needs(provider: &Provider, fact: &Fact) -> BTreeSet<Arc<str>> {
    let mut facts = BTreeSet::new();
    let mut locals = BTreeSet::new();
    let mut waiting: Vec<&Expr> = fact.exprs().collect();
    while let Some(expr) = waiting.pop() {
        for reference in expr.references() {
            match (&*reference.root, reference.path.first()) {
                ("fact", Some(name)) if provider.facts.contains_key(name) => {
                    facts.insert(Arc::clone(name));
                }
                ("local", Some(name)) => {
                    if let Some(local) = provider.locals.get(name)
                        && locals.insert(Arc::clone(name))
                    {
                        waiting.push(local);
                    }
                }
                _ => {}
            }
        }
    }
    facts
}
