//! The person who looks after a run: says what is true of what is held, does what is asked for, and ends runs by word.
//!
//! Honest: says only what is so, and makes it so before saying it. What of that the journal may hold, the world takes note of.

use std::collections::BTreeMap;
use std::path::Path;

use super::play::{Case, Stage, sentence};
use super::process::Deed;
use super::product::effects;
use super::scenario::DiskAct;
use super::twist::Answer;
use super::world::{Truth, World};
use crate::apply::event::Direction;
use crate::apply::journal::Word;
use crate::apply::{AbandonedAs, ActionState, Progress, ResumeOptions, inspect, last_folder};
use crate::driver::{Confirmation, FailureKind};
use crate::model::name::RunId;
use crate::plan::{ActionKind, ActionUndo, Plan};

impl Stage<'_> {
    /// How far a run is; `None`: it cannot be read, which breaks a promise.
    fn seen(&self, run: &RunId) -> Option<Progress> {
        match inspect(&self.run_dir(run)) {
            Ok((_, progress)) => Some(progress),
            Err(problems) => {
                self.world.look().accuse(format!("a run cannot be read: {}", sentence(&problems)));
                None
            }
        }
    }

    /// What an honest person says of everything that is held, and was not asked for; `None`: the run cannot be read.
    pub(super) fn words(&self, made: &Plan, run: &RunId) -> Option<ResumeOptions> {
        let progress = self.seen(run)?;
        let mut options = ResumeOptions::default();
        let mut world = self.world.look();
        for (index, action) in made.actions.iter().enumerate() {
            let state = progress.states[index];
            if !state.is_stuck() || waits(&progress, index) {
                continue;
            }
            let is_asked = action.kind.call().is_some_and(|call| call.driver.as_str() == "manual");
            let kind = progress.reasons.get(&number(index)).map(|(kind, _)| *kind);
            if is_asked && state == ActionState::Held && kind == Some(FailureKind::Unknown) {
                world.accuse(format!("{} only asks a person, and is not asked again", action.id));
            }
            let is_undo = state == ActionState::UndoHeld;
            let hop = &made.changes[action.change as usize].hops[action.hop as usize];
            let instance = made.changes[action.change as usize].instance.as_str();
            let done = match &action.kind {
                // What a probe has seen cannot be seen again.
                ActionKind::Step { .. } if action.probe.is_some() => true,
                ActionKind::Step { step, .. } => {
                    let to = hop.to.as_deref().unwrap_or_default();
                    let mut parts =
                        self.effects(instance, step.as_str()).into_iter().map(|part| world.is_done(instance, &part, to));
                    if is_undo { parts.all(|done| !done) } else { parts.all(|done| done) }
                }
                // The undo of an earlier hop: done where its effect is gone.
                ActionKind::Revert { step, .. } => {
                    let from = hop.from.as_deref().unwrap_or_default();
                    let parts = self.effects(instance, step.as_str());
                    !parts.iter().any(|part| world.is_done(instance, part, from))
                }
                _ => false,
            };
            if done {
                world.said.insert((action.id.clone(), Word::Skip));
                options.skip.push(action.id.clone());
            } else {
                let direction = if is_undo { Direction::Undo } else { Direction::Forward };
                world.allow(index, direction);
                world.said.insert((action.id.clone(), Word::Retry));
                options.retry.push(action.id.clone());
            }
        }
        Some(options)
    }

    /// Answers what waits, once; adds the words that this takes, and tells whether anything waited.
    pub(super) fn answer(&self, case: Case<'_>, answers: &mut impl Iterator<Item = Answer>, options: &mut ResumeOptions) -> bool {
        let Case { made, run, .. } = case;
        let Some(progress) = self.seen(run) else { return false };
        let waiting: Vec<usize> = (0..made.actions.len()).filter(|index| waits(&progress, *index)).collect();
        if waiting.is_empty() {
            return false;
        }
        let answer = answers.next().unwrap_or(Answer::Confirms);
        self.world.look().say(&format!("a person answers: {answer:?}"));
        for index in waiting {
            let id = &made.actions[index].id;
            let direction = direction(progress.states[index]);
            let answer = match (answer, direction) {
                // An undo that waits is not asked again: who has done it says so.
                (Answer::Confirms | Answer::ConfirmsAndItDies { .. }, Direction::Undo) => Answer::Skips,
                (answer, _) => answer,
            };
            if !matches!(answer, Answer::Nothing | Answer::AsksAgain) {
                let mut world = self.world.look();
                if let Some(deed) = world.asked.get(&(index, direction)).cloned() {
                    world.do_asked(index, direction, deed);
                }
            }
            match answer {
                Answer::Nothing | Answer::IsSilent => {}
                Answer::Confirms | Answer::ConfirmsAndItDies { .. } => {
                    confirm(&self.world, &self.run_dir(run), made, &progress, index)
                }
                Answer::Skips => {
                    let mut world = self.world.look();
                    world.said.insert((id.clone(), Word::Skip));
                    options.skip.push(id.clone());
                }
                Answer::AsksAgain => {
                    let mut world = self.world.look();
                    world.confirmed.remove(&(id.clone(), direction));
                    world.said.insert((id.clone(), Word::Retry));
                    world.allow(index, direction);
                    options.retry.push(id.clone());
                }
            }
        }
        if let Answer::ConfirmsAndItDies { commits, torn } = answer {
            self.world.look().soon(commits, if torn { DiskAct::Torn(50) } else { DiskAct::Killed });
        }
        true
    }

    /// The effects that a step of an instance has.
    fn effects(&self, instance: &str, step: &str) -> Vec<String> {
        let product = instance.strip_prefix('p').and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        match product.and_then(|product| self.scenario.products.get(product)) {
            Some(product) => effects(product, step),
            None => vec![step.to_owned()],
        }
    }

    /// Whether something that cannot be undone was done: then a person may have to end the run by word.
    pub(super) fn is_past_return(&self, made: &Plan, run: &RunId) -> bool {
        let Ok((_, progress)) = inspect(&self.run_dir(run)) else { return false };
        made.actions
            .iter()
            .enumerate()
            .any(|(index, action)| progress.states[index].has_effect() && matches!(action.undo, ActionUndo::Irreversible))
    }

    /// Chooses as what a run is ended by word. Who says that it succeeded has done by hand whatever was not done.
    pub(super) async fn choose_word(&self, case: Case<'_>) -> AbandonedAs {
        let Case { made, run, round, .. } = case;
        if !round.person.finishes {
            return AbandonedAs::Failed;
        }
        let quiet = self.world.look().all_over();
        tokio::time::sleep_until(quiet).await;
        let Some(progress) = self.seen(run) else { return AbandonedAs::Failed };
        let goes_back = |state: &ActionState| matches!(state, ActionState::Undone | ActionState::Undoing | ActionState::UndoHeld);
        if progress.states.iter().any(goes_back) {
            return AbandonedAs::Failed;
        }
        let mut world = self.world.look();
        // Of everything: another machine may know less of what has ended.
        world.said.extend(made.actions.iter().map(|action| (action.id.clone(), Word::Done)));
        for (index, action) in
            made.actions.iter().enumerate().filter(|(index, _)| progress.states[*index] != ActionState::Succeeded)
        {
            let change = &made.changes[action.change as usize];
            let (Some(hop), false) = (change.hops.get(action.hop as usize), action.probe.is_some() || action.poll.is_some()) else {
                continue;
            };
            let revision = self.revision_of(hop);
            let (step, undo, from, to) = match &action.kind {
                ActionKind::Step { step, .. } => (step, false, &hop.from, &hop.to),
                ActionKind::Revert { step, .. } => (step, true, &hop.to, &hop.from),
                _ => continue,
            };
            let (from, to) = (from.as_deref().map(ToOwned::to_owned), to.as_deref().unwrap_or_default().to_owned());
            for step in self.effects(change.instance.as_str(), step.as_str()) {
                let instance = change.instance.to_string();
                let deed = Deed { instance, step, undo, from: from.clone(), to: to.clone(), revision };
                world.do_asked(index, Direction::Forward, deed);
            }
        }
        AbandonedAs::Succeeded
    }

    /// After a run that was ended as failed: makes the world what the lockfiles say.
    pub(super) async fn clean_up(&self, made: &Plan, before: &BTreeMap<String, Truth>) {
        let quiet = self.world.look().all_over();
        tokio::time::sleep_until(quiet).await;
        let mut world = self.world.look();
        for (number, change) in made.changes.iter().enumerate() {
            let addr = change.instance.as_str();
            let first = before.get(addr).cloned().unwrap_or_default();
            let recorded = world.recorded(made, number);
            world.say(&format!("a person cleans up {addr}: {recorded} hops are recorded"));
            let mut truth = match recorded {
                0 => first.clone(),
                _ => world.instances.get(addr).cloned().unwrap_or_default(),
            };
            truth.maintenance = false;
            for hop in change.hops.iter().skip(recorded).filter(|_| recorded > 0) {
                truth.version = change.hops[recorded - 1].to.as_deref().map(ToOwned::to_owned);
                let other = if hop.reverts.is_some() { &hop.from } else { &hop.to };
                truth.restore(&first, other.as_deref().unwrap_or_default());
            }
            world.instances.insert(addr.to_owned(), truth);
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn direction(state: ActionState) -> Direction {
    match state {
        ActionState::Undoing | ActionState::UndoHeld => Direction::Undo,
        _ => Direction::Forward,
    }
}

/// Whether an action, or its undo, waits for a person.
fn waits(progress: &Progress, index: usize) -> bool {
    let kind = progress.reasons.get(&number(index)).map(|(kind, _)| *kind);
    matches!(progress.states[index], ActionState::Held | ActionState::UndoHeld) && kind == Some(FailureKind::Waiting)
}

/// Does and confirms everything that a run has asked for, as far as it can be confirmed.
pub(super) fn confirm_all(world: &World, dir: &Path) {
    let Ok((plan, progress)) = inspect(dir) else { return };
    for index in 0..plan.actions.len() {
        let state = progress.states[index];
        if !matches!(state, ActionState::Held | ActionState::Running | ActionState::Undoing) {
            continue;
        }
        let deed = world.look().asked.get(&(index, direction(state))).cloned();
        // What this machine does not know to be asked for is asked for once more.
        if let Some(deed) = deed.filter(|_| last_folder(dir, &plan.actions[index].id, state).is_some()) {
            world.look().do_asked(index, direction(state), deed);
            confirm(world, dir, &plan, &progress, index);
        }
    }
}

/// What `windlass confirm` does.
fn confirm(world: &World, dir: &Path, plan: &Plan, progress: &Progress, index: usize) {
    let (id, state) = (&plan.actions[index].id, progress.states[index]);
    let Some(folder) = last_folder(dir, id, state) else {
        return world.look().accuse(format!("{id} waits, and there is no place for the answer"));
    };
    let mut world = world.look();
    world.say(&format!("a person confirms {id}"));
    let confirmation = Confirmation { by: "somebody".to_owned(), at: world.now(), note: None };
    if let Err(failure) = confirmation.write(&folder) {
        world.accuse(format!("{id} cannot be confirmed: {}", failure.message));
    }
    world.confirmed.insert((id.clone(), direction(state)));
    world.answered.push(folder.join(Confirmation::FILE));
}
