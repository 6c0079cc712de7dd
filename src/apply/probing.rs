//! Which probes look, what may begin because they do, and when they are told that it is over.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, watch};

use super::dispatch::{Dispatcher, Phase};
use super::event::Direction;
use super::probe::{Line, Order};
use super::progress::ActionState;
use crate::driver::FailureKind;

/// The probes that run.
#[derive(Debug)]
pub(super) struct Probes {
    running: BTreeMap<u32, Running>,
    /// What probes tell after their first look.
    pub(super) looked: (mpsc::UnboundedSender<u32>, mpsc::UnboundedReceiver<u32>),
}

#[derive(Debug)]
struct Running {
    orders: watch::Sender<Order>,
    has_looked: bool,
}

impl Default for Probes {
    fn default() -> Self {
        Self { running: BTreeMap::new(), looked: mpsc::unbounded_channel() }
    }
}

impl Probes {
    /// A probe is about to run; `is_late`: something that it watches has begun before.
    pub(super) fn begin(&mut self, action: u32, is_late: bool) -> Line {
        let (orders, taken) = watch::channel(Order::Look);
        self.running.insert(action, Running { orders, has_looked: false });
        Line { orders: taken, looked: self.looked.0.clone(), is_late }
    }

    /// An action has ended.
    pub(super) fn end(&mut self, action: u32) {
        self.running.remove(&action);
    }
}

impl Dispatcher {
    /// Whether every probe that watches this action looks already, or has done so.
    pub(super) fn is_watched(&self, action: u32) -> bool {
        self.graph.probes_of(action).iter().all(|probe| {
            self.probes.running.get(probe).is_some_and(|probe| probe.has_looked)
                || self.progress.state(*probe) == ActionState::Succeeded
        })
    }

    /// Takes in that a probe has looked for the first time: what it watches may begin.
    pub(super) fn on_looked(&mut self, probe: u32) {
        match self.probes.running.get_mut(&probe) {
            Some(running) => running.has_looked = true,
            None => return,
        }
        let plan = std::sync::Arc::clone(&self.plan);
        for &action in &plan.actions[probe as usize].during {
            let waits = matches!(self.progress.state(action), ActionState::Planned | ActionState::Failed | ActionState::Held);
            if waits && self.unmet[action as usize] == 0 && self.is_watched(action) {
                self.take_up(action);
            }
        }
    }

    /// Tells probes whose time is over.
    pub(super) fn see_to_probes(&mut self) {
        if self.probes.running.is_empty() {
            return;
        }
        let others = self.running.values().any(|(action, direction)| !self.is_probe(*action, *direction));
        let waiting = self.broken.is_none() && !self.waiting.is_empty();
        let idle = !others && !waiting && self.instants.is_empty() && self.probes.running.values().all(|probe| probe.has_looked);
        for (probe, running) in self.probes.running.iter().filter(|(_, running)| running.has_looked) {
            let environment = self.graph.environment(&self.plan.actions[*probe as usize]);
            let goes_forward = self.phases[environment] == Phase::Forward;
            let order = if self.is_over_for(*probe) || (!goes_forward && !self.is_halted() && self.runs_only_probes(environment)) {
                Order::Conclude
            } else if idle && (self.is_halted() || self.scheduler.is_idle(environment)) {
                Order::PutOff
            } else {
                continue;
            };
            running.orders.send_if_modified(|known| *known == Order::Look && std::mem::replace(known, order) != order);
        }
    }

    /// Whether all that a probe watches has ended, in whatever way. What waits for a person has not.
    fn is_over_for(&self, probe: u32) -> bool {
        self.plan.actions[probe as usize].during.iter().all(|action| match self.progress.state(*action) {
            ActionState::Planned | ActionState::Running => false,
            ActionState::Held => self.progress.reasons.get(action).is_none_or(|(kind, _)| *kind != FailureKind::Waiting),
            _ => true,
        })
    }

    /// Whether nothing else runs in an environment, or could begin.
    fn runs_only_probes(&self, environment: usize) -> bool {
        let here = |action: &u32| self.graph.environment(&self.plan.actions[*action as usize]) == environment;
        let probes: Vec<&Running> =
            self.probes.running.iter().filter(|(action, _)| here(action)).map(|(_, running)| running).collect();
        self.scheduler.is_idle(environment)
            && probes.iter().all(|probe| probe.has_looked)
            && self.loose[environment] as usize == probes.len()
            && !self.instants.iter().any(|(action, _)| here(action))
    }

    fn is_probe(&self, action: u32, direction: Direction) -> bool {
        direction == Direction::Forward && self.plan.actions[action as usize].probe.is_some()
    }
}
