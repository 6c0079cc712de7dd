//! The end of a run: what came of it, what is delivered, and what a person must know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::back::last_staying;
use super::bracket::{Bracket, bracket_times};
use super::delivery::Written;
use super::dispatch::Dispatcher;
use super::event::{Direction, Ending, EventKind};
use super::graph::{by_name, narrow};
use super::journal::Entry;
use super::progress::ActionState;
use super::run::Finished;
use super::run::operation;
use crate::driver::FailureKind;
use crate::plan::{Action, Change};
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::state::{Move, Outcome, RunRecord, StateError};

/// The summary of an action that a person confirms.
const WAITS: &str = "an action waits for a person";
/// The summary of an action whose machine dropped.
const AWAY: &str = "a host cannot be reached";

/// How long the store may take at the end.
const PATIENCE: Duration = Duration::from_secs(15);

impl Dispatcher {
    /// Ends the run: says what is left, delivers, writes the last entry.
    pub(super) async fn finish(mut self) -> Finished {
        self.withdraw_waiting();
        self.say_skipped();
        let mut problems = self.problems();
        let outcome = self.outcome();
        if outcome == Outcome::Held && self.lost.is_none() && !problems.has_errors() {
            problems.push(self.cannot_go_on());
        }
        self.close(outcome, None, &mut problems).await
    }

    /// Ends the run by a person's word.
    pub(super) async fn abandon(self, reason: &str) -> Result<Finished, Diagnostics> {
        let mut problems = Diagnostics::new();
        self.warn_of_downtime(&mut problems);
        self.warn_of_brackets(&mut problems);
        Ok(self.close(Outcome::Abandoned, Some(format!("abandoned: {reason}")), &mut problems).await)
    }

    async fn close(mut self, outcome: Outcome, message: Option<String>, problems: &mut Diagnostics) -> Finished {
        // The journal first: a lockfile never says more than it.
        let is_durable = self.make_durable().await;
        let mut undelivered = self.lost.clone();
        if let (None, true, Some(shipping)) = (&undelivered, is_durable, &self.shipping) {
            undelivered = shipping.arrived(self.journal.last(), PATIENCE).await.err();
        }
        if undelivered.is_none() {
            undelivered = self.deliver_all(is_durable).await;
        }
        // What is not everywhere has not ended: a run that counts as abandoned is not taken up again.
        let again = if outcome == Outcome::Abandoned { "abandon" } else { "resume" };
        if let Some(why) = &undelivered {
            let help = format!("the journal has it: `windlass {again}` delivers it");
            problems.push(Diagnostic::error("the lockfile could not be written").fault(Fault::Platform).detail(why).help(help));
        }
        let outcome = if undelivered.is_some() { Outcome::Held } else { outcome };
        let message = message.or_else(|| sentence(outcome, problems));
        let mut record = self.record(outcome, message);
        record.ended = Some(self.around.clock.now());
        if self.lost.is_none()
            && let Err(error) = self.args.store.put_run(&record).await
        {
            let problem = Diagnostic::error("the history could not be written").fault(Fault::Platform).detail(error.to_string());
            problems.push(problem.help(format!("`windlass {again}` delivers it")));
            record.outcome = Outcome::Held;
        }
        let at = self.around.clock.now();
        self.journal.append(&Entry::RunEnded { at, outcome: record.outcome, message: record.message.clone() });
        crash_point!("apply.finished");
        let Self { around, books, journal, shipping, .. } = self;
        if let Err(error) = journal.close().await {
            let detail = format!("what ended last is not in the journal: {error}");
            let problem = Diagnostic::error("the journal could not be written").fault(Fault::Platform).detail(detail);
            problems.push(problem.help("make room, then `windlass resume` asks for every action of unknown outcome"));
            record.outcome = Outcome::Held;
        }
        if let Some(shipping) = shipping
            && !shipping.close(if undelivered.is_none() { PATIENCE } else { Duration::ZERO }).await
            && undelivered.is_none()
        {
            let detail = "the store does not have the journal's last entries; this machine has";
            let problem = Diagnostic::warning("the end of the run is not in the store").detail(detail);
            problems.push(problem.help("other machines see the history as it should be; nothing is lost"));
        }
        if record.outcome == Outcome::Held && record.message.is_none() {
            record.message = sentence(Outcome::Held, problems);
        }
        let downtime = Duration::from_secs(record.downtime_seconds);
        around.voice.say(EventKind::RunEnded { outcome: record.outcome, message: record.message.clone(), downtime });
        Finished { record, locks: books.into_locks(), problems: std::mem::take(problems) }
    }

    /// Waits until the journal is durable, trying once more where it was not; answers whether it is.
    async fn make_durable(&self) -> bool {
        let last = self.journal.last();
        let mut durable = self.journal.durable();
        if durable.borrow_and_update().failure.is_some() {
            self.journal.retry();
            let _ = durable.changed().await;
        }
        let state = durable.wait_for(|durable| durable.through >= last || durable.failure.is_some()).await;
        state.is_ok_and(|durable| durable.through >= last)
    }

    /// Writes every lockfile that has changed; answers why that was not possible.
    async fn deliver_all(&mut self, is_durable: bool) -> Option<String> {
        if is_durable {
            self.delivery.release(self.journal.last());
        } else {
            self.delivery.unstage();
        }
        while self.delivery.is_flying() {
            let written = self.delivery.landed().await;
            self.take_written(written);
        }
        if !is_durable {
            let waits = !self.delivery.due().is_empty();
            return waits.then(|| "the journal could not be written, and a lockfile never says more than the journal".to_owned());
        }
        let mut failure = None;
        for environment in self.delivery.due() {
            let Some(lock) = self.books.lock(&environment).cloned() else { continue };
            let voice = &self.around.voice;
            let say = |error: &StateError| {
                voice.warn(format!(
                    "the lockfile of environment `{environment}` cannot be written and is tried a few times more: {error}"
                ));
            };
            let written = self.delivery.insist(&lock, say).await;
            failure = self.take_written(written).or(failure);
        }
        failure
    }

    fn take_written(&mut self, written: Written) -> Option<String> {
        let Written { environment, serial, result } = written;
        match result {
            Ok(()) => {
                self.books.written(&environment, serial);
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }

    /// Says of every action that will not begin whose failure is the cause.
    fn say_skipped(&self) {
        if self.is_halted() {
            return;
        }
        let mut causes: Vec<Option<u32>> = vec![None; self.plan.actions.len()];
        let index = by_name(&self.plan);
        let cause = |name| self.progress.undoing.get(name).and_then(Option::as_ref).and_then(|id| index.get(id).copied());
        let own: Vec<Option<u32>> = self.graph.environments.iter().map(cause).collect();
        for (index, action) in self.plan.actions.iter().enumerate() {
            let root = |need: &u32| {
                let stuck = self.progress.state(*need).is_stuck();
                if stuck { Some(*need) } else { causes[*need as usize] }
            };
            causes[index] = action.needs.iter().find_map(root).or(own[self.graph.environment(action)]);
        }
        for (index, cause) in causes.into_iter().enumerate() {
            if let (ActionState::Planned, Some(cause)) = (self.progress.states[index], cause) {
                let because = self.plan.actions[cause as usize].id.clone();
                self.say_ended(narrow(index), Direction::Forward, Ending::Skipped { because }, Duration::ZERO);
            }
        }
    }

    fn outcome(&self) -> Outcome {
        let states = &self.progress.states;
        if states.iter().all(|state| *state == ActionState::Succeeded) {
            return Outcome::Succeeded;
        }
        if self.lost.is_some() || self.broken.is_some() {
            return Outcome::Held;
        }
        let outcomes: Vec<Outcome> = (0..self.plan.changes.len()).map(|change| self.change_outcome(change)).collect();
        let rolled_back = !self.progress.undoing.is_empty();
        if outcomes.contains(&Outcome::Held) {
            Outcome::Held
        } else if self.around.control.is_stopping() {
            Outcome::Stopped
        } else if self.args.operation == "rollback" && outcomes.contains(&Outcome::Stopped) {
            // What it did elsewhere was not asked about, and is not through.
            Outcome::Stopped
        } else if rolled_back && self.is_as_before() {
            Outcome::RolledBack
        } else if rolled_back || outcomes.contains(&Outcome::Stopped) {
            Outcome::Held
        } else {
            Outcome::RolledBack
        }
    }

    /// Whether nothing of the run is left in the environments that were rolled back, but what was asked to stay.
    fn is_as_before(&self) -> bool {
        (0u32..).zip(&self.plan.actions).all(|(index, action)| !self.is_undoing(action) || !self.is_left(index))
    }

    /// Whether the environment of an action was to be undone.
    fn is_undoing(&self, action: &Action) -> bool {
        self.progress.undoing.contains_key(&self.graph.environments[self.graph.environment(action)])
    }

    /// Whether something of an action is there, and was not asked to stay.
    fn is_left(&self, index: u32) -> bool {
        let hop = || self.graph.hop(&self.plan.actions[index as usize]);
        self.progress.is_there(index) && !self.progress.is_to_stay(&self.plan, &self.graph, hop())
    }

    /// The version that a change's instance was asked to stay at, where the run was taken back no further.
    fn stays_at(&self, change: &Change) -> Option<&Arc<str>> {
        let wanted = self.progress.stays.get(&change.environment)?.get(&change.instance)?;
        last_staying(change, wanted).map(|_| wanted)
    }

    fn change_outcome(&self, change: usize) -> Outcome {
        let actions = || self.graph.hops_of(change).iter().flat_map(|hop| &hop.actions);
        let state = |action: &u32| self.progress.state(*action);
        let untouched = |action: &u32| self.progress.untouched[*action as usize];
        let left = actions().any(|action| self.is_left(*action));
        let undoing = self.progress.undoing.contains_key(&self.plan.changes[change].environment);
        if actions().all(|action| state(action) == ActionState::Succeeded) {
            Outcome::Succeeded
        } else if actions().any(|action| state(action).is_stuck() && !(untouched(action) && undoing)) {
            Outcome::Held
        } else if undoing {
            match (left, self.around.control.is_stopping()) {
                (true, false) => Outcome::Held,
                (true, true) => Outcome::Stopped,
                (false, _) if self.stays_at(&self.plan.changes[change]).is_some() => Outcome::Succeeded,
                (false, _) => Outcome::RolledBack,
            }
        } else if left && !self.around.control.is_stopping() {
            Outcome::Held
        } else {
            Outcome::Stopped
        }
    }

    fn moves(&self, running: bool) -> Vec<Move> {
        let moved = |(number, change): (usize, &Change)| {
            let infos = self.graph.hops_of(number);
            let begun =
                infos.iter().flat_map(|hop| &hop.actions).any(|action| self.progress.state(*action) != ActionState::Planned);
            let nothing_to_do = infos.iter().all(|hop| hop.actions.is_empty());
            (begun || running || nothing_to_do).then(|| Move {
                instance: change.instance.clone(),
                environment: change.environment.clone(),
                from: change.from.clone(),
                to: self.stays_at(change).or(change.to.as_ref()).cloned(),
                outcome: if running { Outcome::Running } else { self.change_outcome(number) },
            })
        };
        self.plan.changes.iter().enumerate().filter_map(moved).collect()
    }

    /// The run's entry in the history.
    pub(super) fn record(&self, outcome: Outcome, message: Option<String>) -> RunRecord {
        let now = self.around.clock.now();
        let durations = &self.progress.durations;
        RunRecord {
            id: self.args.run.clone(),
            operation: if self.args.operation == "resume" { operation(&self.plan) } else { self.args.operation }.to_owned(),
            who: self.args.who.clone(),
            began: self.progress.began.unwrap_or(now),
            ended: None,
            outcome,
            message,
            moves: self.moves(outcome == Outcome::Running),
            plan: self.args.digest.clone(),
            brackets: bracket_times(&self.plan, &self.progress),
            downtime_seconds: self.progress.downtime(now).as_secs(),
            durations: durations
                .iter()
                .map(|(step, (seconds, count))| (step.clone(), seconds / f64::from((*count).max(1))))
                .collect(),
            token: self.args.token,
        }
    }

    /// Everything that a person must know or do.
    fn problems(&self) -> Diagnostics {
        let mut problems = Diagnostics::new();
        for (index, (kind, message)) in &self.progress.reasons {
            match self.progress.state(*index) {
                state if state.is_stuck() && !(self.progress.untouched[*index as usize] && self.was_undoing(*index)) => {
                    problems.push(self.stuck(*index, *kind, message));
                }
                ActionState::Undone | ActionState::Failed => {
                    let id = &self.plan.actions[*index as usize].id;
                    let detail = format!("`{id}`: {message}");
                    let help = "what was done was undone: repair the cause and plan again";
                    problems.push(Diagnostic::error("an action failed").fault(Fault::Platform).detail(detail).help(help));
                }
                _ => {}
            }
        }
        let mut kept: BTreeMap<u32, u32> = BTreeMap::new();
        for (index, action) in (0u32..).zip(&self.plan.actions) {
            if self.is_left(index) && self.is_undoing(action) {
                *kept.entry(action.change).or_default() += 1;
            }
        }
        for (change, count) in kept {
            problems.push(self.left_behind(change as usize, count));
        }
        if let Some(error) = &self.broken {
            let help = "make room; `windlass resume` then goes on, and asks for every action of unknown outcome";
            let problem = Diagnostic::error("the journal could not be written").fault(Fault::Platform).detail(error.to_string());
            problems.push(problem.help(help));
        }
        self.warn_of_downtime(&mut problems);
        self.warn_of_brackets(&mut problems);
        problems
    }

    fn was_undoing(&self, index: u32) -> bool {
        self.is_undoing(&self.plan.actions[index as usize])
    }

    fn stuck(&self, index: u32, kind: FailureKind, message: &str) -> Diagnostic {
        let action = &self.plan.actions[index as usize];
        let run = &self.args.run;
        let (summary, what) = match (self.progress.state(index), kind) {
            (ActionState::UndoHeld, _) => ("an action could not be undone", "undo it by hand or repair the cause"),
            (_, FailureKind::Waiting) => (WAITS, "do what it asks for"),
            (ActionState::Held, FailureKind::Unreachable) => (AWAY, "bring it back"),
            (ActionState::Held, _) => ("the outcome of an action is not known", "look whether it was done"),
            _ => ("an action failed", "repair the cause"),
        };
        let id = &action.id;
        let help = if summary == WAITS {
            format!("{what}; then `windlass confirm '{id}' --note 'what was done'`, and `windlass resume {run}` goes on")
        } else if summary == AWAY {
            format!("{what}; then `windlass resume {run}` goes on where it was")
        } else {
            format!("{what}; then `windlass resume {run} --retry '{id}'` does it again, `--skip '{id}'` takes it as done")
        };
        Diagnostic::error(summary).fault(Fault::Platform).detail(format!("`{id}`: {message}")).help(help)
    }

    /// Something was not undone: say why, and what leads back.
    fn left_behind(&self, number: usize, count: u32) -> Diagnostic {
        let change = &self.plan.changes[number];
        let hops = self.graph.hops_of(number);
        let first =
            hops.first().map_or(0, |hop| self.graph.hop(&self.plan.actions[hop.actions.first().copied().unwrap_or(0) as usize]));
        let is_past = (first..first + hops.len()).any(|hop| self.progress.is_past_return(&self.graph, hop));
        let why = if is_past { "it is past its point of no return" } else { "something that stays needs it" };
        let entry = self.books.lock(&change.environment).and_then(|lock| lock.instances.get(&change.instance));
        let run = &self.args.run;
        let help = match entry.and_then(|entry| entry.backups.last()) {
            Some(backup) => format!(
                "repair it and `windlass resume {run}`; or restore the backup `{}` of version {} at {}, then `windlass abandon {run}`",
                backup.id, backup.version, backup.location
            ),
            None => format!("repair it and `windlass resume {run}`; there is no backup of this run to go back to"),
        };
        let detail = format!("{count} actions of `{}` were not undone: {why}", change.instance);
        Diagnostic::error("not everything was undone").fault(Fault::Platform).detail(detail).help(help)
    }

    /// Nothing is stuck, and yet not all is done: what is left waits for what was undone in another environment.
    fn cannot_go_on(&self) -> Diagnostic {
        let is_open = |index: u32| self.progress.state(index) == ActionState::Planned;
        let left = (0..).zip(&self.plan.actions).find(|(index, action)| is_open(*index) && !self.is_undoing(action));
        let run = &self.args.run;
        let detail = match left {
            Some((_, action)) => format!("`{}` waits for what was undone in another environment", action.id),
            None => "not all of it is done".to_owned(),
        };
        Diagnostic::error("the run cannot go on").fault(Fault::Platform).detail(detail).help(format!(
            "`windlass rollback {run}` takes the rest back; or `windlass abandon {run} --as failed` leaves it, and a new plan goes on from there"
        ))
    }

    /// What a run leaves in a state that was to be ended is the first thing that a person must know.
    fn warn_of_brackets(&self, problems: &mut Diagnostics) {
        self.say_open_brackets();
        for Bracket { change, name, by, opened, .. } in self.progress.brackets.open() {
            let instance = &self.plan.changes[*change as usize].instance;
            let by = &self.plan.actions[*by as usize].id;
            let detail = format!("`{instance}` is left in \"{name}\", which `{by}` opened at {opened}");
            let run = &self.args.run;
            let help = match self.args.operation {
                "abandon" => format!("close it by hand; then `windlass confirm '{instance}:{name}'` takes note of it"),
                _ => format!("`windlass resume {run}` goes on to where it is closed, `windlass rollback {run}` goes back"),
            };
            problems.push(Diagnostic::warning("something was left open").detail(detail).help(help));
        }
    }

    fn warn_of_downtime(&self, problems: &mut Diagnostics) {
        for (number, change) in self.plan.changes.iter().enumerate() {
            if self.progress.is_down(&self.plan, &self.graph, number) {
                let message = format!("`{}` is left within its downtime: it does not serve", change.instance);
                self.around.voice.warn(&message);
                let help = format!("`windlass resume {run}` goes on, `windlass rollback {run}` goes back", run = self.args.run);
                problems.push(Diagnostic::warning("an instance is down").detail(message).help(help));
            }
        }
    }
}

fn sentence(outcome: Outcome, problems: &Diagnostics) -> Option<String> {
    match outcome {
        Outcome::Succeeded => None,
        Outcome::Stopped => Some("stopped on request".to_owned()),
        Outcome::RolledBack if problems.is_empty() => Some("rolled back on request".to_owned()),
        _ => problems.iter().next().map(|problem| format!("{}: {}", problem.summary, problem.detail)),
    }
}
