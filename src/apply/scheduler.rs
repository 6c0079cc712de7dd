//! Which of the actions that could begin does so next.
//!
//! Keeps what is ready in the plan's order (undos in the reverse), within the limits of environments and hosts. Deterministic, and
//! logarithmic in what is ready. Knows nothing of time, of failures or of what an action does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::event::Direction;

/// Something that could begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    /// Smaller ones go first.
    order: u32,
    /// Which action.
    pub action: u32,
    /// Forward, or its undo.
    pub direction: Direction,
    lane: u32,
}

/// Ready actions, and how much room there is.
#[derive(Debug)]
pub(super) struct Scheduler {
    lanes: Vec<Lane>,
    by_place: BTreeMap<(usize, Option<u32>), u32>,
    environments: Vec<Room>,
    hosts: Vec<HostRoom>,
}

/// What is ready for one host of one environment.
#[derive(Debug)]
struct Lane {
    environment: usize,
    host: Option<u32>,
    ready: BinaryHeap<Reverse<Item>>,
    /// Under which order it stands in its environment's list.
    listed: Option<u32>,
    /// Waits until its host has room.
    parked: bool,
}

#[derive(Debug)]
struct Room {
    limit: u32,
    running: u32,
    /// Lanes with something ready, by the order of their first.
    lanes: BTreeSet<(u32, u32)>,
    ready: usize,
}

#[derive(Debug)]
struct HostRoom {
    limit: u32,
    running: u32,
    parked: Vec<u32>,
}

impl Scheduler {
    /// With limits by environment and by host; zero means one.
    pub(super) fn new(environments: impl IntoIterator<Item = u32>, hosts: impl IntoIterator<Item = u32>) -> Self {
        let room = |limit: u32| Room { limit: limit.max(1), running: 0, lanes: BTreeSet::new(), ready: 0 };
        Self {
            lanes: Vec::new(),
            by_place: BTreeMap::new(),
            environments: environments.into_iter().map(room).collect(),
            hosts: hosts.into_iter().map(|limit| HostRoom { limit: limit.max(1), running: 0, parked: Vec::new() }).collect(),
        }
    }

    /// Adds an action that could begin.
    pub(super) fn offer(&mut self, action: u32, direction: Direction, environment: usize, host: Option<u32>) {
        let order = match direction {
            Direction::Forward => action,
            Direction::Undo => u32::MAX - action,
        };
        let next = super::graph::narrow(self.lanes.len());
        let lane = *self.by_place.entry((environment, host)).or_insert(next);
        if lane == next {
            self.lanes.push(Lane { environment, host, ready: BinaryHeap::new(), listed: None, parked: false });
        }
        self.lanes[lane as usize].ready.push(Reverse(Item { order, action, direction, lane }));
        self.environments[environment].ready += 1;
        self.list(lane);
    }

    /// Takes the next one for which there is room, and the room.
    pub(super) fn next(&mut self) -> Option<Item> {
        for environment in 0..self.environments.len() {
            while self.environments[environment].running < self.environments[environment].limit {
                let Some((_, lane)) = self.environments[environment].lanes.first().copied() else { break };
                let place = lane as usize;
                let host = self.lanes[place].host.map(|host| host as usize);
                if let Some(host) = host
                    && self.hosts[host].running >= self.hosts[host].limit
                {
                    self.lanes[place].parked = true;
                    self.hosts[host].parked.push(lane);
                    self.list(lane);
                    continue;
                }
                let item = self.lanes[place].ready.pop();
                self.list(lane);
                if let Some(Reverse(item)) = item {
                    self.environments[environment].running += 1;
                    self.environments[environment].ready -= 1;
                    if let Some(host) = host {
                        self.hosts[host].running += 1;
                    }
                    return Some(item);
                }
            }
        }
        None
    }

    /// Gives back the room that [`Scheduler::next`] took.
    pub(super) fn release(&mut self, environment: usize, host: Option<u32>) {
        let room = &mut self.environments[environment];
        room.running = room.running.saturating_sub(1);
        if let Some(host) = host {
            let room = &mut self.hosts[host as usize];
            room.running = room.running.saturating_sub(1);
            for lane in std::mem::take(&mut room.parked) {
                self.lanes[lane as usize].parked = false;
                self.list(lane);
            }
        }
    }

    /// Whether nothing of an environment runs or is ready.
    pub(super) fn is_idle(&self, environment: usize) -> bool {
        let room = &self.environments[environment];
        room.running == 0 && room.ready == 0
    }

    fn list(&mut self, lane: u32) {
        let content = &mut self.lanes[lane as usize];
        let wanted = if content.parked { None } else { content.ready.peek().map(|Reverse(item)| item.order) };
        if content.listed != wanted {
            let lanes = &mut self.environments[content.environment].lanes;
            if let Some(order) = content.listed {
                lanes.remove(&(order, lane));
            }
            if let Some(order) = wanted {
                lanes.insert((order, lane));
            }
            content.listed = wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Forward, Undo};

    fn drain(scheduler: &mut Scheduler) -> Vec<u32> {
        std::iter::from_fn(|| scheduler.next()).map(|item| item.action).collect()
    }

    #[test]
    fn forward_goes_in_the_plans_order_and_undo_against_it() {
        let mut scheduler = Scheduler::new([9], []);
        for action in [3, 1, 2] {
            scheduler.offer(action, Forward, 0, None);
        }
        assert_eq!(drain(&mut scheduler), [1, 2, 3]);
        for action in [3, 1, 2] {
            scheduler.offer(action, Undo, 0, None);
        }
        assert_eq!(drain(&mut scheduler), [3, 2, 1]);
    }

    #[test]
    fn an_environment_never_runs_more_than_its_limit() {
        let mut scheduler = Scheduler::new([2, 1], []);
        for action in 0..6 {
            scheduler.offer(action, Forward, (action % 2) as usize, None);
        }
        assert_eq!(drain(&mut scheduler), [0, 2, 1]);
        scheduler.release(0, None);
        assert_eq!(drain(&mut scheduler), [4]);
        scheduler.release(1, None);
        assert_eq!(drain(&mut scheduler), [3]);
        assert!(!scheduler.is_idle(0) && !scheduler.is_idle(1));
    }

    #[test]
    fn a_full_host_does_not_hold_up_the_others() {
        let mut scheduler = Scheduler::new([9], [1, 1]);
        for action in 0..4 {
            scheduler.offer(action, Forward, 0, Some(action / 2));
        }
        scheduler.offer(4, Forward, 0, None);
        assert_eq!(drain(&mut scheduler), [0, 2, 4]);
        scheduler.release(0, Some(1));
        assert_eq!(drain(&mut scheduler), [3]);
        scheduler.release(0, Some(0));
        assert_eq!(drain(&mut scheduler), [1]);
    }

    #[test]
    fn a_host_is_shared_by_environments() {
        let mut scheduler = Scheduler::new([9, 9], [1]);
        scheduler.offer(0, Forward, 0, Some(0));
        scheduler.offer(1, Forward, 1, Some(0));
        assert_eq!(drain(&mut scheduler), [0]);
        scheduler.release(0, Some(0));
        assert_eq!(drain(&mut scheduler), [1]);
        scheduler.release(1, Some(0));
        assert!(scheduler.is_idle(0) && scheduler.is_idle(1));
    }

    #[test]
    fn a_limit_of_zero_still_lets_one_run() {
        let mut scheduler = Scheduler::new([0], [0]);
        scheduler.offer(0, Forward, 0, Some(0));
        assert_eq!(drain(&mut scheduler), [0]);
    }
}
