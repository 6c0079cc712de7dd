//! What must hold of a run: while it goes on, when a process of it has ended, and once it is over.

use std::collections::{BTreeMap, BTreeSet};

use super::play::{Stage, sentence};
use super::world::Truth;
use crate::apply::{AbandonedAs, Finished, inspect};
use crate::lock::Lock;
use crate::model::estate::Estate;
use crate::model::name::{EnvironmentName, InstanceAddr, RunId};
use crate::model::provider::Undo;
use crate::plan::Plan;
use crate::state::Outcome;

impl Stage<'_> {
    /// Lock and journal can be read at any time.
    pub(super) fn read_everything(&self, estate: &Estate, run: &RunId) {
        for environment in estate.environments.keys() {
            if let Err(why) = self.store.lock(environment) {
                self.world.look().accuse(format!("the lockfile of {environment} cannot be read: {why}"));
            }
        }
        let dir = self.run_dir(run);
        if dir.join("journal").exists()
            && let Err(problems) = inspect(&dir)
        {
            self.world.look().accuse(format!("the journal cannot be read: {}", sentence(&problems)));
        }
    }

    /// Maintenance entered is maintenance left, or loudly reported.
    pub(super) fn judge_brackets(&self, made: &Plan, finished: &Finished) {
        let open = |instance: &InstanceAddr| {
            finished.record.brackets.iter().any(|bracket| bracket.closed.is_none() && bracket.instance == *instance)
        };
        let is_said = finished.problems.iter().any(|problem| problem.summary == "something was left open");
        let mut world = self.world.look();
        for addr in made.changes.iter().map(|change| &change.instance) {
            let is_in = world.instances.get(addr.as_str()).is_some_and(|truth| truth.maintenance);
            if is_in && !(open(addr) && is_said) {
                world.accuse(format!("{addr} is left in maintenance mode, and nobody says so"));
            }
            if finished.record.outcome == Outcome::Succeeded && open(addr) {
                world.accuse(format!("{addr} is recorded as being in maintenance mode after a success"));
            }
        }
    }

    /// The history says how a run ended.
    pub(super) fn judge_history(&self, run: &RunId, outcome: Outcome) {
        let said = self.store.outcome(run);
        if said != Some(outcome) {
            self.world.look().accuse(format!("the run ended as {outcome:?}, and the history says {said:?}"));
        }
    }

    /// What a run has recorded that was ended by word is in the lockfiles; all of it where a person has done the rest by hand.
    pub(super) fn judge_word(&self, estate: &Estate, made: &Plan, before: &BTreeMap<EnvironmentName, Lock>, how: AbandonedAs) {
        let now = self.locks(estate).unwrap_or_default();
        let mut world = self.world.look();
        for (number, change) in made.changes.iter().enumerate().filter(|(_, change)| !change.hops.is_empty()) {
            let version = |locks: &BTreeMap<EnvironmentName, Lock>| {
                let entry = locks.get(&change.environment).and_then(|lock| lock.instances.get(&change.instance));
                entry.map(|entry| entry.version.to_string())
            };
            let last = match how {
                AbandonedAs::Succeeded => change.hops.len(),
                AbandonedAs::Failed => world.recorded(made, number),
            };
            let wanted = match last.checked_sub(1) {
                Some(last) => change.hops[last].to.as_deref().map(ToOwned::to_owned),
                None => version(before),
            };
            let (addr, locked) = (&change.instance, version(&now));
            if locked != wanted {
                world.accuse(format!("abandoned as {how:?}, the lockfile has {addr} at {locked:?}, not {wanted:?}"));
            }
            let there = world.instances.get(addr.as_str()).and_then(|truth| truth.version.clone());
            if how == AbandonedAs::Succeeded && there != locked {
                world.accuse(format!("abandoned as {how:?}, {addr} is at {there:?}, and the lockfile has {locked:?}"));
            }
        }
    }

    /// What must hold once a run has ended.
    pub(super) fn judge(&self, estate: &Estate, made: &Plan, before: &BTreeMap<String, Truth>, finished: &Finished) {
        let outcome = finished.record.outcome;
        if outcome == Outcome::Abandoned {
            return;
        }
        let locks = self.locks(estate).unwrap_or_default();
        let mut world = self.world.look();
        for change in &made.changes {
            let addr = change.instance.as_str();
            let truth = world.instances.get(addr).cloned().unwrap_or_default();
            let first = before.get(addr).cloned().unwrap_or_default();
            let told = finished.record.moves.iter().find(|told| told.instance == change.instance);
            let done = outcome == Outcome::Succeeded || told.is_some_and(|told| told.outcome == Outcome::Succeeded);
            // One that was taken back to a version in between is there.
            let wanted = told.map_or(&change.to, |told| &told.to);
            if done && truth.version.as_deref() != wanted.as_deref() {
                world.accuse(format!("{addr} should be at {wanted:?} and is at {:?}", truth.version));
            }
            let last = change.hops.iter().rposition(|hop| hop.to == *wanted).map_or(0, |last| last + 1);
            for beyond in change.hops.iter().skip(last).filter_map(|hop| hop.to.as_deref()).filter(|_| done) {
                let left = self.kept(&truth).difference(&self.kept(&first)).any(|(_, to)| to == beyond);
                if left {
                    world.accuse(format!("{addr} stays at {wanted:?}, and something of {beyond} is left: {truth:?}"));
                }
            }
            if !done && !self.is_as(&truth, &first) {
                world.accuse(format!("{addr} was rolled back and is not as it was: {truth:?}, not {first:?}"));
            }
            if truth.maintenance {
                world.accuse(format!("{addr} is left in maintenance mode"));
            }
            let locked = locks.get(&change.environment).and_then(|lock| lock.instances.get(&change.instance));
            let locked = locked.map(|locked| locked.version.to_string());
            if locked != truth.version {
                world.accuse(format!("the lockfile has {addr} at {locked:?}, it is at {:?}", truth.version));
            }
        }
    }

    /// Whether an instance is as it was, apart from what harmless steps leave.
    pub(super) fn is_as(&self, truth: &Truth, first: &Truth) -> bool {
        truth.version == first.version && self.kept(truth) == self.kept(first)
    }

    /// The effects that are there, without those of harmless steps.
    fn kept(&self, truth: &Truth) -> BTreeSet<(String, String)> {
        let is_harmless = |effect: &str| {
            let step = effect.split('#').next().unwrap_or(effect);
            self.providers
                .values()
                .flat_map(|provider| provider.strategies.values())
                .flat_map(|strategy| &strategy.steps)
                .any(|known| known.name.as_str() == step && matches!(known.undo, Undo::Harmless))
        };
        truth.effects.iter().filter(|(step, _)| !is_harmless(step)).cloned().collect()
    }
}
