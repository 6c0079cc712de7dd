//! What must hold of every beginning of a command: in the journal before it, in its order, not twice, within limits, and never back past a
//! point of no return.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::process::{Deed, ProcessState, Start, Told};
use super::world::Inner;
use crate::apply::event::Direction;
use crate::apply::journal::Word;
use crate::model::name::{ActionId, file_name};
use crate::plan::{Action, ActionKind, ActionUndo, Change, Plan};

/// What a call's key names, and which way it goes.
fn way(key: &str) -> (&str, Direction) {
    match key.strip_suffix("-undo") {
        Some(name) => (name, Direction::Undo),
        None => (key, Direction::Forward),
    }
}

impl Inner {
    /// Checks what is promised of a beginning, and takes note of it.
    pub(super) fn judge_start(&mut self, key: &str, process: usize) {
        let (name, direction) = way(key);
        let Some(plan) = self.plan.clone() else { return };
        let item = self.processes[process].deed.step.split_once('#').map(|(_, item)| Arc::<str>::from(item));
        let known = match &item {
            None => self.actions.get(name).copied(),
            Some(item) => plan.actions.iter().position(|action| file_name(&format!("{}#{item}", action.id)) == name),
        };
        let Some(index) = known else { return self.accuse(format!("{key} is no action of the plan")) };
        let action = &plan.actions[index];
        self.judge_order(&plan, key, index, direction);
        if let Some(item) = &item
            && !self.durable_items.contains(&(action.id.clone(), direction, Arc::clone(item)))
        {
            self.accuse(format!("{key} began before the journal said so of the item"));
        }
        self.judge_revision(key, process);
        self.judge_beside(key, name, direction);
        self.judge_repetition(key, index, direction);
        self.starts.push(Start { key: key.to_owned(), action: index, direction, process, told: None });
        self.judge_limits(&plan, index, direction);
    }

    /// A person is asked; checks what is promised of that.
    pub(super) fn judge_asked(&mut self, key: &str, deed: Deed) {
        let (name, direction) = way(key);
        let Some(plan) = self.plan.clone() else { return };
        let Some(index) = self.actions.get(name).copied() else { return self.accuse(format!("{key} is no action of the plan")) };
        self.judge_order(&plan, key, index, direction);
        self.say(&format!("asks a person: {key}"));
        self.asked.insert((index, direction), deed);
    }

    /// What counts as done was done, and what a person was asked for was confirmed.
    pub(super) fn judge_end(&mut self, id: &ActionId, direction: Direction) {
        let Some(plan) = self.plan.clone() else { return };
        let Some(index) = self.actions.get(&id.file_name()).copied() else { return };
        let action = &plan.actions[index];
        let call = match (direction, &action.undo) {
            (Direction::Forward, _) => action.kind.call(),
            (Direction::Undo, ActionUndo::Call { call, .. }) => Some(call),
            (Direction::Undo, _) => None,
        };
        let Some(call) = call else { return };
        if call.driver.as_str() == "manual" && !self.confirmed.contains(&(id.clone(), direction)) {
            self.accuse(format!("{id} ({direction:?}) counts as done, and nobody has confirmed it"));
        }
        let ActionKind::Step { step, .. } = &action.kind else { return };
        // Whoever has done all the rest by hand has gone beyond it, though the journal hears of it only now.
        let is_finished = self.said.contains(&(id.clone(), Word::Done));
        if action.poll.is_some() || action.probe.is_some() || is_finished {
            return;
        }
        let change = &plan.changes[action.change as usize];
        let to = change.hops.get(action.hop as usize).and_then(|hop| hop.to.as_deref()).unwrap_or_default();
        let parts: Vec<String> = match action.fan_out {
            None => vec![step.to_string()],
            // Failures of items may be tolerated.
            Some(_) if !action.tolerate.is_empty() => return,
            Some(_) => {
                let of_this = self.durable_items.iter().filter(|(other, way, _)| other == id && *way == Direction::Forward);
                of_this.map(|(_, _, item)| format!("{step}#{item}")).collect()
            }
        };
        let wanted = direction == Direction::Forward;
        if let Some(part) = parts.iter().find(|part| self.is_done(change.instance.as_str(), part, to) != wanted) {
            let what = if wanted { "done" } else { "undone" };
            self.accuse(format!("{id} counts as {what}, and {part} is not"));
        }
    }

    /// It begins once the journal says so, after what it needs, and goes back before what it needs.
    fn judge_order(&mut self, plan: &Plan, key: &str, index: usize, direction: Direction) {
        let action = &plan.actions[index];
        if !self.durable_begun.contains(&(action.id.clone(), direction)) {
            self.accuse(format!("{key} began before the journal said so"));
        }
        for need in action.needs.iter().filter(|_| direction == Direction::Forward) {
            let need = &plan.actions[*need as usize];
            if !self.durable_done.contains(&need.id) {
                self.accuse(format!("{key} began before {} had ended in the journal", need.id));
            }
        }
        if direction == Direction::Undo {
            for other in plan.actions.iter().filter(|other| other.needs.contains(&(index as u32))) {
                let stands = self.durable_done.contains(&other.id) && !matches!(other.undo, ActionUndo::Harmless);
                if stands {
                    self.accuse(format!("{key} is undone before {}, which was built upon it", other.id));
                }
            }
            self.judge_return(plan, key, index);
        }
    }

    /// So many hops of a change are recorded, as far as the journal says.
    pub(super) fn recorded(&self, plan: &Plan, change: usize) -> usize {
        let is_recorded = |hop: usize| {
            let of_hop = |action: &&Action| action.change as usize == change && action.hop as usize == hop;
            let mut records = plan.actions.iter().filter(of_hop).filter(|action| matches!(action.kind, ActionKind::Record));
            records.next().is_some_and(|record| self.durable_done.contains(&record.id))
        };
        (0..plan.changes[change].hops.len()).take_while(|hop| is_recorded(*hop)).count()
    }

    /// Nothing of a hop is undone once something of it, or of a hop after it, was done that cannot be undone.
    fn judge_return(&mut self, plan: &Plan, key: &str, index: usize) {
        let own = &plan.actions[index];
        let is_there = |start: &&Start| {
            let is_effect = !matches!(self.processes[start.process].state, ProcessState::Over { effect: false });
            start.direction == Direction::Forward && is_effect
        };
        let mut done = self.starts.iter().filter(is_there).map(|start| &plan.actions[start.action]);
        let passed = done.find(|action| {
            let is_final = matches!((&action.kind, &action.undo), (ActionKind::Step { .. }, ActionUndo::Irreversible));
            is_final && action.change == own.change && action.hop >= own.hop
        });
        if let Some(passed) = passed.map(|action| action.id.clone()) {
            self.accuse(format!("{key} is undone past a point of no return: {passed} was done"));
        }
    }

    /// The undo is that of the provider which did it.
    fn judge_revision(&mut self, key: &str, process: usize) {
        let Deed { instance, step, undo, to, revision, .. } = self.processes[process].deed.clone();
        let made = self.instances.get(&instance).and_then(|truth| truth.revisions.get(&(step, to)).copied());
        if undo && let Some(made) = made.filter(|made| *made != revision) {
            self.accuse(format!("{key}: what revision {made} of the provider did is undone as revision {revision} would"));
        }
    }

    /// What is supervised is known to run: nothing begins beside it for the same action or item. What another machine has begun on itself
    /// cannot be seen from here, and is begun again where the provider says that it may be.
    fn judge_beside(&mut self, key: &str, name: &str, direction: Direction) {
        let other = match direction {
            Direction::Forward => format!("{name}-undo"),
            Direction::Undo => name.to_owned(),
        };
        let runs = |start: &&Start| {
            let process = &self.processes[start.process];
            let is_blind = self.is_shared && self.plan.as_ref().is_some_and(|plan| plan.actions[start.action].repeatable);
            !is_blind && process.supervised && process.state == ProcessState::Running && (start.key == key || start.key == other)
        };
        if let Some(start) = self.starts.iter().find(runs) {
            let what = format!("{key} began while {} still ran", start.key);
            self.accuse(what);
        }
    }

    fn judge_repetition(&mut self, key: &str, index: usize, direction: Direction) {
        // The last start of this key counts only where the action did not go the other way since.
        let of_action = self.starts.iter().rposition(|start| start.action == index && start.direction != direction);
        let last = self.starts.iter().rposition(|start| start.key == key);
        let Some(start) = last.filter(|last| of_action.is_none_or(|other| other < *last)).map(|last| &self.starts[last]) else {
            return;
        };
        let item = self.processes[start.process].deed.step.split_once('#').map(|(_, item)| Arc::<str>::from(item));
        let (told, state) = (start.told, self.processes[start.process].state);
        let allowed = self.allowed.get_mut(&(index, direction)).is_some_and(|used| used.insert(key.to_owned()));
        let Some(action) = self.plan.as_ref().map(|plan| &plan.actions[index]) else { return };
        let is_unsure = item.is_some_and(|item| !self.durable_items_done.contains(&(action.id.clone(), direction, item)));
        let what = match (told, state) {
            _ if action.repeatable => None,
            (_, ProcessState::Running) => Some("while it still ran"),
            (Some(Told::Failed), _) => None,
            // A person's word is on all items that the journal does not know to have succeeded.
            _ if allowed && is_unsure => None,
            (Some(Told::Succeeded), _) => Some("though it had succeeded"),
            (_, ProcessState::Over { effect: true }) => Some("though it was done"),
            (_, ProcessState::Over { effect: false }) => {
                (action.check.is_none() && !allowed).then_some("though nobody could know that it was not done")
            }
        };
        if let Some(what) = what {
            self.accuse(format!("{key} was begun again {what}"));
        }
    }

    /// Nothing runs beside more than may.
    fn judge_limits(&mut self, plan: &Plan, index: usize, direction: Direction) {
        let generation = self.generation;
        let running: BTreeSet<usize> = self
            .starts
            .iter()
            .filter(|start| {
                let process = &self.processes[start.process];
                process.generation == generation && process.state == ProcessState::Running && !process.alone
            })
            .map(|start| start.action)
            .collect();
        let change = |action: usize| &plan.changes[plan.actions[action].change as usize];
        let (own, limits) = (change(index), self.limits);
        let beside = |like: &dyn Fn(&Change) -> bool| running.iter().filter(|other| like(change(**other))).count();
        let mut broken = Vec::new();
        let here = beside(&|other| other.environment == own.environment);
        if here > limits.environment as usize {
            broken.push(format!("{here} actions at once in {}, where {} may", own.environment, limits.environment));
        }
        let on_host = beside(&|other| own.host.is_some() && other.host == own.host);
        if on_host > limits.host as usize {
            broken.push(format!("{on_host} actions at once on one host, where {} may", limits.host));
        }
        // Installations and removals take no turns.
        let is_served = |change: &Change| change.from.is_some() && change.to.is_some();
        let is_down = |other: &&usize| plan.actions[**other].downtime && is_served(change(**other));
        let alike = |other: &&usize| (&change(**other).provider, &change(**other).environment) == (&own.provider, &own.environment);
        let down: BTreeSet<&str> =
            running.iter().filter(is_down).filter(alike).map(|other| change(*other).instance.as_str()).collect();
        if limits.unavailable > 0 && direction == Direction::Forward && down.len() > limits.unavailable as usize {
            broken.push(format!("{down:?} have downtime at once, where {} may", limits.unavailable));
        }
        broken.into_iter().for_each(|what| self.accuse(what));
    }
}
