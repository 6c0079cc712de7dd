//! What follows from what: which actions become ready, what a failure leads to, when an environment is through.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::dispatch::{Dispatcher, Phase, is_instant, takes_room};
use super::event::{Direction, Ending, EventKind};
use super::graph::narrow;
use super::invoke::Mode;
use super::journal::{Entry, Word};
use super::progress::ActionState;
use super::record::backups;
use super::undo::plan_undo;
use crate::driver::FailureKind;
use crate::lang::Value;
use crate::model::estate::OnFailure;
use crate::model::name::InstanceAddr;
use crate::plan::ActionKind;

impl Dispatcher {
    /// Takes up the run where its journal ends: at the beginning, or after whatever happened to earlier processes.
    pub(super) fn begin_run(&mut self, words: Vec<(u32, Word)>) {
        let plan = Arc::clone(&self.plan);
        let done =
            self.progress.states.iter().filter(|state| matches!(state, ActionState::Succeeded | ActionState::Undone)).count();
        let (run, actions) = (self.args.run.clone(), plan.actions.len());
        self.around.voice.say(EventKind::RunBegan { run, actions, done });
        // What earlier processes did was said by them; that it is open still is worth saying again.
        self.progress.brackets.take_news();
        self.say_open_brackets();
        self.take_back_undos(&words);
        self.take_words(words);
        for (index, action) in plan.actions.iter().enumerate() {
            let unmet = action.needs.iter().filter(|need| self.progress.state(**need) != ActionState::Succeeded).count();
            self.unmet[index] = narrow(unmet);
            let environment = self.graph.environment(action);
            self.remaining[environment] += usize::from(self.progress.states[index] != ActionState::Succeeded);
        }
        for environment in 0..self.phases.len() {
            self.phases[environment] = self.first_phase(environment);
        }
        for index in 0..narrow(plan.actions.len()) {
            self.take_up(index);
        }
        for change in 0..plan.changes.len() {
            let touched = self.graph.hops_of(change).iter().any(|hop| {
                // A change with nothing to do is recorded at once.
                hop.actions.is_empty() || hop.actions.iter().any(|action| self.progress.state(*action).has_effect())
            });
            if touched || self.args.operation != "apply" {
                self.refold(change);
            }
        }
    }

    /// An undo that failed before it did anything begins anew: the disk was full, the machine was away.
    fn take_back_undos(&mut self, words: &[(u32, Word)]) {
        let never_began = |index: &u32| {
            let kind = self.progress.reasons.get(index).map(|(kind, _)| *kind);
            let is_held = self.progress.state(*index) == ActionState::UndoHeld;
            is_held && kind == Some(FailureKind::NotBegun) && !words.iter().any(|(other, _)| other == index)
        };
        let all: Vec<u32> = (0..narrow(self.plan.actions.len())).filter(never_began).collect();
        for index in all {
            self.withdraw(index, Direction::Undo);
        }
    }

    fn take_words(&mut self, words: Vec<(u32, Word)>) {
        let plan = Arc::clone(&self.plan);
        for (index, word) in words {
            let at = self.around.clock.now();
            if let Err(bug) = self.progress.decide(&plan, &self.graph, index, word, at) {
                self.around.voice.warn(bug);
                continue;
            }
            self.say_brackets();
            let (action, who) = (plan.actions[index as usize].id.clone(), self.args.who.clone());
            self.journal.append(&Entry::Decided { at, action, word, who });
        }
    }

    fn first_phase(&mut self, environment: usize) -> Phase {
        let plan = Arc::clone(&self.plan);
        let here = |index: &u32| self.graph.environment(&plan.actions[*index as usize]) == environment;
        let name = self.graph.environments[environment].clone();
        if self.args.operation == "rollback" {
            if !self.args.back.is_in(&name) {
                return Phase::Ended;
            }
            let stays = self.args.back.stays(&plan, &name);
            if !self.progress.undoing.contains_key(&name) || self.progress.stays.get(&name) != Some(&stays) {
                self.decide_to_undo(environment, None, stays);
            }
            return Phase::Undoing;
        }
        if self.progress.undoing.contains_key(&name) {
            // What a person's word has freed past its point of no return goes on, also where the word was an earlier process's to hear.
            return Phase::Draining { because: None };
        }
        let failed =
            (0..narrow(plan.actions.len())).find(|index| here(index) && self.progress.state(*index) == ActionState::Failed);
        match (failed, self.rules[environment].on_failure) {
            (Some(because), OnFailure::Rollback) => Phase::Draining { because: Some(because) },
            _ => Phase::Forward,
        }
    }

    /// Offers one action again, as far as its state and its environment ask for it.
    pub(super) fn take_up(&mut self, index: u32) {
        let action = &self.plan.actions[index as usize];
        let phase = self.phases[self.graph.environment(action)];
        let since = self.progress.times[index as usize].unwrap_or(self.plan.created);
        let goes_on = phase == Phase::Forward;
        // Whether a person has confirmed it, is asked wherever it may go on then.
        let may_be_confirmed = goes_on || matches!(phase, Phase::Draining { .. }) && self.is_past_return(index);
        let kind = self.progress.reasons.get(&index).map(|(kind, _)| *kind);
        match self.progress.state(index) {
            ActionState::Planned if self.unmet[index as usize] == 0 && self.is_watched(index) => self.ready(index),
            ActionState::Running => self.offer(index, Direction::Forward, Mode::Recover { since, again: goes_on }),
            ActionState::Failed if goes_on && self.is_watched(index) => self.offer(index, Direction::Forward, Mode::Recheck),
            ActionState::Held if kind == Some(FailureKind::Waiting) && may_be_confirmed && self.is_watched(index) => {
                self.offer(index, Direction::Forward, Mode::Asked);
            }
            ActionState::Held if goes_on && self.is_watched(index) => {
                let mode = match kind {
                    Some(FailureKind::Unknown | FailureKind::Unreachable) => Mode::Recover { since, again: true },
                    _ => Mode::Recheck,
                };
                self.offer(index, Direction::Forward, mode);
            }
            ActionState::Undoing => self.offer(index, Direction::Undo, Mode::Recover { since, again: true }),
            _ => {}
        }
    }

    fn offer(&mut self, index: u32, direction: Direction, mode: Mode) {
        if mode != Mode::Fresh {
            self.modes.insert(index, mode);
        }
        let action = &self.plan.actions[index as usize];
        let environment = self.graph.environment(action);
        if is_instant(&self.plan, index, direction, self.around.observer.is_some()) || !takes_room(action) {
            self.instants.push_back((index, direction));
        } else {
            self.scheduler.offer(index, direction, environment, self.graph.host(action));
        }
    }

    fn ready(&mut self, index: u32) {
        self.offer(index, Direction::Forward, Mode::Fresh);
    }

    /// Begins everything that may begin now, and whatever that leads to without waiting.
    pub(super) fn start_what_may(&mut self) {
        loop {
            while let Some((index, direction)) = self.instants.pop_front() {
                self.start_instant(index, direction);
            }
            while let Some(item) = self.scheduler.next() {
                let mode = self.modes.remove(&item.action).unwrap_or(Mode::Fresh);
                if self.may_begin(item.action, item.direction, mode) {
                    self.begin(item.action, item.direction, mode);
                } else {
                    let action = &self.plan.actions[item.action as usize];
                    self.scheduler.release(self.graph.environment(action), self.graph.host(action));
                }
            }
            let environments = 0..self.phases.len();
            if environments.filter(|environment| self.settle(*environment)).count() == 0 && self.instants.is_empty() {
                break;
            }
        }
        self.see_to_probes();
    }

    fn start_instant(&mut self, index: u32, direction: Direction) {
        let mode = self.modes.remove(&index).unwrap_or(Mode::Fresh);
        if !self.may_begin(index, direction, mode) {
            return;
        }
        if !is_instant(&self.plan, index, direction, self.around.observer.is_some()) {
            let environment = self.graph.environment(&self.plan.actions[index as usize]);
            self.loose[environment] += 1;
            return self.begin(index, direction, mode);
        }
        let at = self.around.clock.now();
        self.write_end(index, direction, &Ending::Succeeded, None, &Value::Null, at);
        self.say_ended(index, direction, Ending::Succeeded, Duration::ZERO);
        self.follow(index, direction);
    }

    fn may_begin(&self, index: u32, direction: Direction, mode: Mode) -> bool {
        if self.is_halted() {
            return false;
        }
        let action = &self.plan.actions[index as usize];
        let phase = self.phases[self.graph.environment(action)];
        match (direction, phase) {
            (Direction::Undo, Phase::Undoing) => true,
            (Direction::Undo, _) | (Direction::Forward, Phase::Ended) => false,
            // Whatever the environment is about, how an action ended must be found out.
            (Direction::Forward, _) if matches!(mode, Mode::Recover { .. }) => true,
            (Direction::Forward, Phase::Undoing) => false,
            (Direction::Forward, phase) => {
                let is_needed = phase == Phase::Forward || self.is_past_return(index);
                let stands = |need: &u32| self.progress.state(*need) == ActionState::Succeeded && !self.to_undo.contains_key(need);
                is_needed && action.needs.iter().all(stands)
            }
        }
    }

    /// Whether an action belongs to a hop that must come to its end.
    fn is_past_return(&self, index: u32) -> bool {
        self.progress.is_past_return(&self.graph, self.graph.hop(&self.plan.actions[index as usize]))
    }

    /// Whether nothing may begin any more, whatever it is.
    pub(super) fn is_halted(&self) -> bool {
        self.around.control.is_stopping() || self.broken.is_some() || self.lost.is_some()
    }

    /// Sees what follows from the end of an action.
    pub(super) fn follow(&mut self, index: u32, direction: Direction) {
        let plan = Arc::clone(&self.plan);
        let action = &plan.actions[index as usize];
        let environment = self.graph.environment(action);
        match (direction, self.progress.state(index)) {
            (Direction::Forward, ActionState::Succeeded) => {
                for dependent in self.graph.dependents(index).to_vec() {
                    let unmet = &mut self.unmet[dependent as usize];
                    *unmet = unmet.saturating_sub(1);
                    if *unmet == 0 && self.progress.state(dependent) == ActionState::Planned && self.is_watched(dependent) {
                        self.ready(dependent);
                    }
                }
                self.remaining[environment] = self.remaining[environment].saturating_sub(1);
                self.take_into_lock(index);
                if self.remaining[environment] == 0 {
                    self.deliver();
                }
            }
            (Direction::Forward, ActionState::Failed | ActionState::Held) => {
                let waits = self.progress.reasons.get(&index).is_some_and(|(kind, _)| *kind == FailureKind::Waiting);
                if self.phases[environment] == Phase::Forward && !waits {
                    self.phases[environment] = Phase::Draining { because: Some(index) };
                }
            }
            (Direction::Undo, ActionState::Undone) => {
                self.to_undo.remove(&index);
                self.take_into_lock(index);
                for next in self.undo_below.remove(&index).unwrap_or_default() {
                    if let Some(before) = self.to_undo.get_mut(&next) {
                        *before = before.saturating_sub(1);
                        if *before == 0 {
                            self.offer_undo(next);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn take_into_lock(&mut self, index: u32) {
        let action = &self.plan.actions[index as usize];
        let (change, id) = (action.change as usize, action.id.clone());
        let is_record = matches!(action.kind, ActionKind::Record);
        if !is_record && backups(action, &self.progress.results[index as usize]).is_empty() {
            return;
        }
        self.refold(change);
        if is_record && self.progress.state(index) == ActionState::Succeeded {
            crash_point!("apply.recorded");
            self.forget_scope(index);
            let environment = &self.plan.changes[change].environment;
            let serial = self.books.lock(environment).map_or(0, |lock| lock.serial + 1);
            self.around.voice.say(EventKind::Recorded { action: id, serial });
        }
    }

    /// Sees whether an environment in which nothing runs goes on to something else; answers whether it does.
    fn settle(&mut self, environment: usize) -> bool {
        if self.is_halted() || self.loose[environment] > 0 || !self.scheduler.is_idle(environment) {
            return false;
        }
        match self.phases[environment] {
            Phase::Forward | Phase::Ended => false,
            Phase::Draining { because } => {
                let name = &self.graph.environments[environment];
                let was_undoing = self.progress.undoing.contains_key(name);
                let failed = because.is_some_and(|because| self.progress.state(because) == ActionState::Failed);
                let rollback = self.rules[environment].on_failure == OnFailure::Rollback && failed;
                if rollback && !was_undoing {
                    self.decide_to_undo(environment, because, BTreeMap::new());
                }
                self.phases[environment] = if rollback || was_undoing { Phase::Undoing } else { Phase::Ended };
                // What an earlier process was undoing could not be taken up until now, and the rest of the way back waits for it.
                for index in 0..narrow(self.plan.actions.len()) {
                    let is_here = self.graph.environment(&self.plan.actions[index as usize]) == environment;
                    if is_here && self.progress.state(index) == ActionState::Undoing {
                        self.take_up(index);
                    }
                }
                true
            }
            Phase::Undoing => {
                self.undo_what_can_be(environment);
                true
            }
        }
    }

    fn decide_to_undo(&mut self, environment: usize, because: Option<u32>, stays: BTreeMap<InstanceAddr, Arc<str>>) {
        let name = self.graph.environments[environment].clone();
        let because = because.map(|index| self.plan.actions[index as usize].id.clone());
        self.progress.undo(name.clone(), because.clone(), stays.clone());
        let at = self.around.clock.now();
        self.journal.append(&Entry::UndoBegan { at, environment: name, because, stays });
        crash_point!("apply.undo");
    }

    /// Offers what can be undone; ends the environment where nothing can.
    fn undo_what_can_be(&mut self, environment: usize) {
        let undoing = plan_undo(&self.plan, &self.graph, &self.progress, environment);
        if undoing.actions.is_empty() {
            self.phases[environment] = Phase::Ended;
            // What another environment could not undo, because this one had built upon it, may be free now.
            for other in 0..self.phases.len() {
                let name = &self.graph.environments[other];
                let was_undoing = self.phases[other] == Phase::Ended && self.progress.undoing.contains_key(name);
                if was_undoing && !plan_undo(&self.plan, &self.graph, &self.progress, other).actions.is_empty() {
                    self.phases[other] = Phase::Undoing;
                }
            }
            return;
        }
        let because = self.progress.undoing.get(&self.graph.environments[environment]).cloned().flatten();
        self.around.voice.say(EventKind::UndoBegan { because, actions: undoing.actions.len() });
        self.to_undo.extend(undoing.actions.iter().copied());
        self.undo_below.extend(undoing.below);
        for (index, before) in undoing.actions {
            if before == 0 {
                self.offer_undo(index);
            }
        }
    }

    fn offer_undo(&mut self, index: u32) {
        let mode = if self.progress.state(index) == ActionState::Succeeded { Mode::Fresh } else { Mode::Incomplete };
        self.offer(index, Direction::Undo, mode);
    }

    /// Whether nothing runs and nothing can begin.
    pub(super) fn is_over(&self) -> bool {
        self.is_quiet() && (self.is_halted() || (0..self.phases.len()).all(|environment| self.scheduler.is_idle(environment)))
    }
}
