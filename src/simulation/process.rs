//! Commands of the world: what begins, goes on, ends, and what comes of it for an instance.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::world::{Inner, Truth};
use crate::apply::event::Direction;

/// What a call does to an instance.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    pub instance: String,
    pub step: String,
    pub undo: bool,
    pub from: Option<String>,
    pub to: String,
    /// Of the provider.
    pub revision: u64,
}

/// A command that is about to begin.
pub(super) struct Beginning<'a> {
    pub deed: Deed,
    pub takes: Duration,
    pub folder: Option<&'a PathBuf>,
    pub supervised: bool,
    /// Of the process of Windlass that begins it.
    pub generation: u32,
}

/// A command of the world. One that is supervised goes on when Windlass dies.
#[derive(Debug)]
pub(super) struct Process {
    pub deed: Deed,
    pub ends: Instant,
    pub supervised: bool,
    /// Its caller has lost sight of it.
    pub alone: bool,
    pub generation: u32,
    pub state: ProcessState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessState {
    Running,
    /// Its effect is there, or was cancelled before.
    Over {
        effect: bool,
    },
}

/// One beginning of an action, as the world saw it.
#[derive(Debug)]
pub(super) struct Start {
    /// Of the action or one of its items, and in which direction.
    pub key: String,
    pub action: usize,
    pub direction: Direction,
    pub process: usize,
    /// What Windlass was told; `None`: nothing (it was killed).
    pub told: Option<Told>,
}

/// What Windlass was told of the end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Succeeded,
    Failed,
    Cancelled,
}

impl Inner {
    /// The process that was begun with this folder.
    pub(super) fn in_folder(&self, folder: &PathBuf) -> Option<usize> {
        self.by_folder.get(folder).copied()
    }

    /// Whether a process goes on when Windlass dies.
    pub(super) fn is_supervised(&self, process: usize) -> bool {
        self.processes[process].supervised
    }

    /// Sees to it that nothing is begun in a folder any more; answers whether nothing was.
    pub(super) fn forbid(&mut self, folder: PathBuf) -> bool {
        let is_free = !self.by_folder.contains_key(&folder);
        if is_free {
            self.forbidden.insert(folder);
        }
        is_free
    }

    pub(super) fn is_forbidden(&self, folder: &PathBuf) -> bool {
        self.forbidden.contains(folder)
    }

    /// Begins a command; checks what is promised of beginnings.
    pub(super) fn start(&mut self, key: &str, call: Beginning<'_>) -> usize {
        let Beginning { deed, takes, folder, supervised, generation } = call;
        let process = self.processes.len();
        let ends = Instant::now() + takes;
        self.say(&format!("begins {key}"));
        self.processes.push(Process { deed, ends, supervised, alone: false, generation, state: ProcessState::Running });
        self.judge_start(key, process);
        if let Some(folder) = folder {
            self.by_folder.insert(folder.clone(), process);
        }
        process
    }

    /// The connection to a process broke: it goes on, and ends by itself.
    pub(super) fn leave_alone(&mut self, process: usize) {
        self.processes[process].alone = true;
        self.say("a connection broke");
    }

    /// When a process ends by itself.
    pub(super) fn ends(&self, process: usize) -> Instant {
        self.processes[process].ends
    }

    pub(super) fn is_running(&self, process: usize) -> bool {
        self.processes[process].state == ProcessState::Running
    }

    /// Whether a process that is over did what it should.
    pub(super) fn has_effect(&self, process: usize) -> bool {
        self.processes[process].state == ProcessState::Over { effect: true }
    }

    /// Windlass hears how a call ended.
    pub(super) fn tell(&mut self, process: usize, told: Told) {
        if let Some(start) = self.starts.iter_mut().rfind(|start| start.process == process) {
            start.told = Some(told);
        }
    }

    /// Ends a process, with or without its effect.
    pub(super) fn end(&mut self, process: usize, effect: bool) {
        if !self.is_running(process) {
            return;
        }
        self.processes[process].state = ProcessState::Over { effect };
        let deed = self.processes[process].deed.clone();
        let what = match (effect, deed.undo) {
            (false, _) => "nothing of",
            (true, false) => "done",
            (true, true) => "undone",
        };
        self.say(&format!("{what} {} {} ({})", deed.instance, deed.step, deed.to));
        if effect {
            self.take_effect(deed);
        }
    }

    /// What a person does; nothing, where that is so already.
    pub(super) fn by_hand(&mut self, deed: Deed) {
        if self.is_done(&deed.instance, &deed.step, &deed.to) == deed.undo {
            let what = if deed.undo { "undone" } else { "done" };
            self.say(&format!("{what} by hand: {} {} ({})", deed.instance, deed.step, deed.to));
            self.take_effect(deed);
        }
    }

    /// A person does what an action asks for.
    pub(super) fn do_asked(&mut self, action: usize, direction: Direction, deed: Deed) {
        let (process, generation, key) = (self.processes.len(), self.generation, format!("by hand {action}"));
        let state = ProcessState::Over { effect: true };
        self.processes.push(Process {
            deed: deed.clone(),
            ends: Instant::now(),
            supervised: false,
            alone: false,
            generation,
            state,
        });
        self.starts.push(Start { key, action, direction, process, told: None });
        self.by_hand(deed);
    }

    /// When nothing runs any more, if nothing new is begun.
    pub(super) fn all_over(&self) -> Instant {
        let running = self.processes.iter().filter(|process| process.state == ProcessState::Running);
        running.map(|process| process.ends).max().unwrap_or_else(Instant::now)
    }

    fn take_effect(&mut self, deed: Deed) {
        let Deed { instance, step, undo, from, to, revision } = deed;
        let truth = self.instances.entry(instance).or_default();
        let place = (step.clone(), to.clone());
        match (step.as_str(), undo) {
            ("version", false) => truth.version = Some(to),
            ("version", true) => truth.version = from,
            ("remove", false) => *truth = Truth { before: Some(Box::new(std::mem::take(truth))), ..Truth::default() },
            ("remove", true) => {
                if let Some(before) = truth.before.take() {
                    *truth = *before;
                }
            }
            ("enter", undo) => truth.maintenance = !undo,
            ("leave", undo) => truth.maintenance = undo,
            (_, false) => drop(truth.effects.insert((step, to))),
            (_, true) => drop(truth.effects.remove(&(step, to))),
        }
        // Last: what was there before a removal knows nothing of it.
        match undo {
            false => drop(truth.revisions.insert(place, revision)),
            true => drop(truth.revisions.remove(&place)),
        }
    }

    /// Whether what a step does is there.
    pub(super) fn is_done(&self, instance: &str, step: &str, to: &str) -> bool {
        if step == "well" {
            return self.instances.get(instance).is_none_or(|truth| !truth.maintenance);
        }
        let Some(truth) = self.instances.get(instance) else { return false };
        match step {
            "version" => truth.version.as_deref() == Some(to),
            "remove" => truth.version.is_none(),
            "enter" => truth.maintenance,
            "leave" => !truth.maintenance,
            _ => truth.effects.contains(&(step.to_owned(), to.to_owned())),
        }
    }

    pub(super) fn let_processes_end(&mut self) {
        let now = Instant::now();
        // A process whose caller lives is ended by it; one that was left alone ends by itself.
        let generation = self.generation;
        let is_over = |process: &Process| {
            let is_other = process.generation != generation && (process.supervised || !self.is_paused(process.generation));
            process.state == ProcessState::Running && (process.alone || is_other) && process.ends <= now
        };
        // What hung, in a process that is paused, is over without its effect.
        let hung = |process: &Process| {
            !process.supervised && self.is_paused(process.generation) && process.ends + Duration::from_secs(1) <= now
        };
        let numbers = 0..self.processes.len();
        let over: Vec<usize> = numbers.clone().filter(|index| is_over(&self.processes[*index])).collect();
        let hung: Vec<usize> = numbers.filter(|index| hung(&self.processes[*index])).collect();
        for index in hung {
            self.end(index, false);
        }
        for index in over {
            self.end(index, true);
        }
    }
}
