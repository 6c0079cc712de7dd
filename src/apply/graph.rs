//! The plan's graph, indexed for running: who waits for whom, and where each action belongs.
//!
//! Takes a plan that may have been edited by hand and refuses one whose numbers do not fit together; after that every index in it
//! can be relied on.

use std::collections::{BTreeMap, HashMap};

use crate::model::name::{ActionId, EnvironmentName, HostName, LOCALHOST};
use crate::plan::{Action, ActionKind, ActionUndo, Plan};
use crate::source::{Diagnostic, Fault};

/// Indexes over a plan. Invariant (kept by [`Graph::new`]): every index that the plan holds is in range, and what an action needs
/// stands before it.
#[derive(Debug)]
pub(super) struct Graph {
    /// Environments with changes.
    pub environments: Vec<EnvironmentName>,
    /// Hosts with changes.
    pub hosts: Vec<HostName>,
    /// By change.
    environment_of: Vec<u32>,
    /// By change.
    host_of: Vec<Option<u32>>,
    /// Hosts of actions that are not made where their instance lives.
    elsewhere: HashMap<ActionId, Option<u32>>,
    /// By change: number of its first hop among all hops.
    first_hop: Vec<u32>,
    /// By hop number.
    pub hops: Vec<HopInfo>,
    /// By action that is watched: the probes that do.
    probes: HashMap<u32, Vec<u32>>,
    /// Where the dependents of each action begin in `dependents`.
    offsets: Vec<u32>,
    dependents: Vec<u32>,
}

/// What is to be known of a hop.
#[derive(Debug, Clone, Default)]
pub(super) struct HopInfo {
    /// Whose.
    pub change: u32,
    /// Its index in the change.
    pub index: u32,
    /// Its actions, in the plan's order.
    pub actions: Vec<u32>,
    /// The first action from which only a restore leads back, in the plan's order.
    pub point_of_no_return: Option<u32>,
    /// All actions from which only a restore leads back: where several wait for nothing of each other, any may be the first to begin.
    pub irreversible: Vec<u32>,
    /// How many of its actions take the instance down.
    pub downtime_actions: u32,
}

impl Graph {
    /// Indexes a plan.
    ///
    /// # Errors
    /// The plan's numbers do not fit together.
    pub(super) fn new(plan: &Plan) -> Result<Self, Diagnostic> {
        let mut environments = BTreeMap::new();
        let mut hosts = BTreeMap::new();
        for change in &plan.changes {
            environments.insert(change.environment.clone(), 0);
            if let Some(host) = &change.host {
                hosts.insert(host.clone(), 0);
            }
        }
        let placed = |action: &Action| Some((action.id.clone(), action.kind.call()?.known_host()?));
        let placed: Vec<(ActionId, HostName)> = plan.actions.iter().filter_map(placed).collect();
        hosts.extend(placed.iter().filter(|(_, host)| host.as_str() != LOCALHOST).map(|(_, host)| (host.clone(), 0)));
        number(environments.values_mut());
        number(hosts.values_mut());
        let environment_of =
            plan.changes.iter().map(|change| environments.get(&change.environment).copied().unwrap_or(0)).collect();
        let host_of = plan.changes.iter().map(|change| change.host.as_ref().and_then(|host| hosts.get(host).copied())).collect();
        let elsewhere = placed.into_iter().map(|(action, host)| (action, hosts.get(&host).copied())).collect();
        let (first_hop, mut hops) = hops(plan);
        let mut probes: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut counts = vec![0u32; plan.actions.len() + 1];
        for (index, action) in plan.actions.iter().enumerate() {
            check(plan, index, action)?;
            let hop = first_hop.get(action.change as usize).map_or(0, |first| first + action.hop) as usize;
            if let Some(info) = hops.get_mut(hop) {
                info.actions.push(narrow(index));
                info.downtime_actions += u32::from(action.downtime);
                info.irreversible.extend((action.undo == ActionUndo::Irreversible).then_some(narrow(index)));
            }
            for need in &action.needs {
                counts[*need as usize + 1] += 1;
            }
            for watched in &action.during {
                probes.entry(*watched).or_default().push(narrow(index));
            }
        }
        let (offsets, dependents) = turn_round(plan, counts);
        let environments = environments.into_keys().collect();
        let hosts = hosts.into_keys().collect();
        Ok(Self { environments, hosts, environment_of, host_of, elsewhere, first_hop, hops, probes, offsets, dependents })
    }

    /// The actions that wait for this one.
    pub(super) fn dependents(&self, action: u32) -> &[u32] {
        let action = action as usize;
        &self.dependents[self.offsets[action] as usize..self.offsets[action + 1] as usize]
    }

    /// The probes that must look before this action begins.
    pub(super) fn probes_of(&self, action: u32) -> &[u32] {
        self.probes.get(&action).map_or(&[], Vec::as_slice)
    }

    /// Number of the environment of an action's change.
    pub(super) fn environment(&self, action: &Action) -> usize {
        self.environment_of[action.change as usize] as usize
    }

    /// Number of the host that an action is made on; `None`: this machine.
    pub(super) fn host(&self, action: &Action) -> Option<u32> {
        self.elsewhere.get(&action.id).copied().unwrap_or(self.host_of[action.change as usize])
    }

    /// Number of an action's hop among all hops.
    pub(super) fn hop(&self, action: &Action) -> usize {
        (self.first_hop[action.change as usize] + action.hop) as usize
    }

    /// The hops of a change, in order.
    pub(super) fn hops_of(&self, change: usize) -> &[HopInfo] {
        let first = self.first_hop[change] as usize;
        let end = self.first_hop.get(change + 1).map_or(self.hops.len(), |next| *next as usize);
        &self.hops[first..end]
    }
}

/// The plan's actions by name.
pub(super) fn by_name(plan: &Plan) -> std::collections::HashMap<&ActionId, u32> {
    plan.actions.iter().enumerate().map(|(index, action)| (&action.id, narrow(index))).collect()
}

/// An index as the plan writes it; a plan of more actions than that is refused by [`check`].
pub(super) fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn number<'a>(places: impl Iterator<Item = &'a mut u32>) {
    for (number, place) in places.enumerate() {
        *place = narrow(number);
    }
}

/// An adoption has no hop of its own, but its record action needs a place: every change has at least one.
fn hops(plan: &Plan) -> (Vec<u32>, Vec<HopInfo>) {
    let mut first = Vec::with_capacity(plan.changes.len());
    let mut hops = Vec::new();
    for (change, content) in plan.changes.iter().enumerate() {
        first.push(narrow(hops.len()));
        for index in 0..content.hops.len().max(1) {
            let point_of_no_return = content.hops.get(index).and_then(|hop| hop.point_of_no_return);
            hops.push(HopInfo { change: narrow(change), index: narrow(index), point_of_no_return, ..HopInfo::default() });
        }
    }
    (first, hops)
}

fn check(plan: &Plan, index: usize, action: &Action) -> Result<(), Diagnostic> {
    let damaged = |what: String| {
        Diagnostic::error("the plan does not fit together")
            .fault(Fault::User)
            .detail(format!("action `{}` {what}", action.id))
            .help("the plan file was damaged or edited: make the plan again")
    };
    let Some(change) = plan.changes.get(action.change as usize) else {
        return Err(damaged(format!("belongs to change {}, of {}", action.change, plan.changes.len())));
    };
    if action.hop as usize >= change.hops.len().max(1) {
        return Err(damaged(format!("belongs to hop {}, of {}", action.hop, change.hops.len())));
    }
    if change.hops.is_empty() && !matches!(action.kind, ActionKind::Record | ActionKind::Pause(_) | ActionKind::Verify { .. }) {
        return Err(damaged("does something for a change that has no hop".to_owned()));
    }
    if index >= u32::MAX as usize {
        return Err(damaged("is one of too many".to_owned()));
    }
    let is_watched = |at: &u32| {
        let other = plan.actions.get(*at as usize);
        *at as usize > index && other.is_some_and(|other| (other.change, other.hop) == (action.change, action.hop))
    };
    if action.probe.is_some() == action.during.is_empty() || !action.during.iter().all(is_watched) {
        return Err(damaged("watches what does not come after it in its hop".to_owned()));
    }
    match action.needs.iter().find(|need| **need as usize >= index) {
        Some(need) => Err(damaged(format!("needs action {need}, which does not stand before it"))),
        None => Ok(()),
    }
}

/// From "needs" to "is needed by", in two flat lists.
fn turn_round(plan: &Plan, mut counts: Vec<u32>) -> (Vec<u32>, Vec<u32>) {
    for index in 1..counts.len() {
        counts[index] += counts[index - 1];
    }
    let mut next = counts.clone();
    let mut dependents = vec![0; counts.last().copied().unwrap_or(0) as usize];
    for (index, action) in plan.actions.iter().enumerate() {
        for need in &action.needs {
            let place = &mut next[*need as usize];
            dependents[*place as usize] = narrow(index);
            *place += 1;
        }
    }
    (counts, dependents)
}
