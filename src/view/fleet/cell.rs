//! One cell of the matrix: the instances of one product in one environment, as groups of equal versions.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Fleet;
use crate::model::name::EnvironmentName;
use crate::plan::{DriftClass, InstanceState, Sight};

/// The instances of one product in one environment.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cell {
    pub(super) product: String,
    pub(super) environment: String,
    /// How many there are.
    pub(super) total: usize,
    /// Those that say the same, the largest group first.
    pub(super) groups: Vec<Group>,
    /// How many are not as they were recorded.
    pub(super) drifted: usize,
    /// How many could not be seen.
    pub(super) unseen: usize,
    /// How many differ from their declaration.
    pub(super) pending: usize,
    /// How many wait for a gate.
    pub(super) waiting: usize,
    /// How many cannot be planned.
    pub(super) blocked: usize,
    /// Follow-ups that people owe.
    pub(super) owed: usize,
    /// How many are in a state that a run has left open.
    pub(super) left_open: usize,
}

/// Instances at the same version, on the same way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Group {
    pub(super) count: usize,
    /// `2.0`, `1.0 → 2.0`, `nothing → 2.0`.
    pub(super) what: String,
}

/// How much somebody must care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// As declared.
    Good,
    /// Something is to be done.
    Waits,
    /// Something is wrong.
    Bad,
}

impl Cell {
    /// How much somebody must care.
    pub(super) fn level(&self) -> Level {
        if self.drifted + self.unseen + self.blocked + self.left_open > 0 {
            Level::Bad
        } else if self.pending + self.owed + self.waiting > 0 {
            Level::Waits
        } else {
            Level::Good
        }
    }

    /// The groups: `7 at 2.0, 1 at 1.0 → 2.0`.
    pub(super) fn versions(&self) -> String {
        let groups: Vec<String> = self.groups.iter().map(|Group { count, what }| format!("{count} at {what}")).collect();
        groups.join(", ")
    }

    /// What is to be said beside the versions.
    pub(super) fn remarks(&self) -> Vec<String> {
        let one = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
        let all = [
            one(self.drifted, "drifted"),
            one(self.unseen, "not seen"),
            one(self.blocked, "blocked"),
            one(self.left_open, "left open"),
            one(self.waiting, "waiting"),
            one(self.owed, "owed"),
        ];
        all.into_iter().flatten().collect()
    }

    /// Both in a line.
    pub(super) fn words(&self) -> String {
        let remarks = self.remarks();
        if remarks.is_empty() { self.versions() } else { format!("{} ({})", self.versions(), remarks.join(", ")) }
    }
}

/// The products that there are, in order.
pub(super) fn products<'a>(fleet: &Fleet<'a>) -> Vec<&'a str> {
    let all: BTreeSet<&str> = fleet.states.iter().map(|state| state.provider.as_str()).collect();
    all.into_iter().collect()
}

/// A row for each product, in it a cell for each environment where there are instances.
pub(super) fn cells(fleet: &Fleet<'_>) -> Vec<Vec<Option<Cell>>> {
    let mut members: BTreeMap<(&str, &str), Vec<&InstanceState>> = BTreeMap::new();
    for state in fleet.states {
        members.entry((state.provider.as_str(), state.environment.as_str())).or_default().push(state);
    }
    let waiting: BTreeSet<&str> =
        fleet.gates.iter().filter(|gate| !gate.open).filter_map(|gate| Some(gate.instance.as_ref()?.as_str())).collect();
    let closed: BTreeSet<&str> =
        fleet.gates.iter().filter(|gate| !gate.open && gate.instance.is_none()).map(|gate| gate.environment.as_str()).collect();
    let blocked: BTreeSet<&str> = fleet.blocked.iter().map(|blocked| blocked.instance.as_str()).collect();
    let open: BTreeSet<&str> = fleet.brackets.iter().map(|left| left.bracket.instance.as_str()).collect();
    let row = |product: &str| -> Vec<Option<Cell>> {
        let cell = |environment: &EnvironmentName| {
            let members = members.get(&(product, environment.as_str()))?;
            let count = |what: &dyn Fn(&InstanceState) -> bool| members.iter().filter(|state| what(state)).count();
            Some(Cell {
                product: product.to_owned(),
                environment: environment.to_string(),
                total: members.len(),
                groups: groups(members),
                drifted: count(&|state| state.drift.iter().any(|drift| drift.class != DriftClass::Unreachable)),
                unseen: count(&is_unseen),
                pending: count(&|state| state.pending),
                waiting: count(&|state| {
                    waiting.contains(state.instance.as_str()) || state.pending && closed.contains(state.environment.as_str())
                }),
                blocked: count(&|state| blocked.contains(state.instance.as_str())),
                owed: members.iter().map(|state| state.follow_ups.len()).sum(),
                left_open: count(&|state| open.contains(state.instance.as_str())),
            })
        };
        fleet.environments.iter().map(cell).collect()
    };
    products(fleet).into_iter().map(row).collect()
}

fn is_unseen(state: &InstanceState) -> bool {
    matches!(state.observed, Sight::Unseen(_)) || state.drift.iter().any(|drift| drift.class == DriftClass::Unreachable)
}

fn groups(members: &[&InstanceState]) -> Vec<Group> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for state in members {
        *counts.entry(what(state)).or_default() += 1;
    }
    let mut groups: Vec<Group> = counts.into_iter().map(|(what, count)| Group { count, what }).collect();
    // The largest first; among equals in the order of their words.
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

/// The version of an instance and where it is to go.
pub(super) fn what(state: &InstanceState) -> String {
    let recorded = state.recorded.as_deref().unwrap_or("nothing");
    let declared = state.declared.as_deref().unwrap_or("nothing");
    match (state.pending, recorded == declared) {
        (false, _) => recorded.to_owned(),
        (true, true) => format!("{recorded} with other settings"),
        (true, false) => format!("{recorded} → {declared}"),
    }
}

/// Whether an instance is to be named where there are too many to name all.
pub(super) fn needs_somebody(state: &InstanceState) -> bool {
    state.pending || !state.drift.is_empty() || !state.follow_ups.is_empty() || is_unseen(state)
}
