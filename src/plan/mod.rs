//! Deciding: desired, applied and observed state in, an immutable graph of actions out.
//!
//! Pure. The same [`PlanInput`] gives the same bytes; time comes in as a value, and nothing here reads a file, asks a platform
//! or knows how an action is run.

mod acknowledgement;
mod action;
mod approval;
mod assemble;
mod blueprint;
mod candidate;
mod catalogue;
mod change;
mod checker;
mod compare;
mod decide;
mod delta;
mod digest;
mod drift;
mod edge;
mod estimate;
#[cfg(test)]
mod fixture;
mod gate;
mod input;
mod instantiate;
mod journey;
mod note;
mod order;
mod part;
mod path;
mod preflight;
mod purpose;
mod redact;
mod report;
mod requirement;
mod retreat;
mod revert;
mod revised;
mod risk;
mod rollout;
mod route;
mod ruling;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod scope_tests;
mod skew;
mod spread;
mod stop;
mod waiver;
mod window;

pub use crate::model::drift::DriftClass;
pub use action::{Action, ActionCheck, ActionKind, ActionUndo};
pub use approval::{Approval, substance};
pub use change::{Change, Decision, Hop, NoteText, PreflightOutcome, PreflightResult, SettingDiff};
pub use checker::check;
pub use compare::{Addition, additions};
pub use delta::{Alteration, Altered, Delta, Pending, Revision};
pub use drift::{Drift, DriftReport, ExpiredIgnore, Ignored, InstanceState, Moving, Sight, compare, judge};
pub use estimate::WayBack;
pub use gate::{Gate, GateKind};
pub use input::{PlanInput, PlanOptions};
pub use purpose::{Purpose, Restored};
pub use report::{Report, Verdict, VerdictKind};
pub use retreat::{Retreat, objections};
pub use revised::{Edition, Revised, RevisedFile};
pub use ruling::{Effect, Ruling, Waived};
pub use spread::{DowntimeSpread, Spread};

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use assemble::Slot;
use catalogue::Catalogue;
use decide::{Desk, decide};
use rollout::Turn;

use crate::model::inventory::Inventory;
use crate::model::name::{Digest, EnvironmentName, Lineage, ProviderName};
use crate::model::scope::{self, object, used};

/// The version of the plan's format; a plan of another is refused.
pub const FORMAT: u32 = 1;

/// What to do, in full: nothing is left for apply to choose. Holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// [`FORMAT`].
    #[schemars(description = "Version of the plan's format.")]
    pub format: u32,
    /// The Windlass that made it.
    pub tool_version: String,
    /// When, as given in the input.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created: Timestamp,
    /// The state that it was made from, per environment: refused where it has moved.
    pub bases: BTreeMap<EnvironmentName, Base>,
    /// Digest of the configuration.
    pub configuration: Digest,
    /// Digest of each provider used.
    pub providers: BTreeMap<ProviderName, Digest>,
    /// Those of them that are others than were used last, and what is other in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revised: Vec<Revised>,
    /// What changes, in address order.
    pub changes: Vec<Change>,
    /// Every action, topologically sorted: what an action needs stands before it.
    pub actions: Vec<Action>,
    /// What must be so before anything starts.
    pub gates: Vec<Gate>,
    /// What was seen when it was made; apply compares versions again before it starts.
    pub inventory: Inventory,
}

/// The lockfile that a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Base {
    /// Its lineage.
    pub lineage: Lineage,
    /// Its serial.
    pub serial: u64,
}

/// Decides.
///
/// Never fails: what cannot be planned is a verdict in the report, with every reason, and everything else is planned all the same.
#[must_use]
pub fn plan(input: &PlanInput<'_>) -> (Plan, Report) {
    let catalogues = catalogues(input);
    let mut candidates = candidate::all(input);
    let skew = skew::Skew::collect(input, &catalogues);
    let desk = Desk::new(*input, &catalogues, skew.settle(&candidates));

    candidate::leave_out_environments(&mut candidates, input);
    let declared = input.options.purpose.is_declared();
    if !declared {
        candidate::only_targets(&mut candidates, input);
    }
    for candidate in candidates.iter_mut().filter(|candidate| candidate.is_asked()) {
        candidate.course = decide(&desk, candidate);
    }
    // Blocking one instance can leave another without what it needs, and so on.
    while declared && skew.enforce(&mut candidates) + candidate::spread(&mut candidates) > 0 {}
    if declared {
        candidate::select(&mut candidates, input);
        skew.warn(&mut candidates);
    }

    let order = candidate::changes(&candidates);
    let inventory = candidate::inventory(&candidates, input.inventory);
    let (report, drafts) = report::told(candidates);
    let (changes, actions) = finish(input, drafts, order);
    // A backup must not wait for a window, and who restores is in need.
    let gates = if declared { all_gates(input, &changes, &actions) } else { Vec::new() };
    let report = report.waiting(&gates);

    let plan = Plan {
        format: FORMAT,
        tool_version: input.options.tool_version.clone(),
        created: input.now,
        bases: bases(input, &changes),
        configuration: input.estate.digest.clone().unwrap_or_else(|| Digest::of(b"")),
        providers: changes
            .iter()
            .filter_map(|change| Some((change.provider.clone(), input.providers.get(&change.provider)?.digest.clone())))
            .collect(),
        revised: revised::revised(input, &changes),
        changes,
        actions,
        gates,
        inventory,
    };
    debug_assert_eq!(check(&plan, &report, input), Vec::<String>::new());
    (plan, report)
}

/// Every gate before a plan that was made before, as they stand at the time of `input`.
#[must_use]
pub fn gates_of(input: &PlanInput<'_>, plan: &Plan) -> Vec<Gate> {
    all_gates(input, &plan.changes, &plan.actions)
}

fn all_gates(input: &PlanInput<'_>, changes: &[Change], actions: &[Action]) -> Vec<Gate> {
    let mut gates = gate::gates(input, changes);
    gates.extend(approval::approvals(input, changes, actions));
    gates
}

fn catalogues<'a>(input: &PlanInput<'a>) -> BTreeMap<ProviderName, Catalogue<'a>> {
    let catalogue = |provider| Catalogue::new(provider, &input.estate.releases);
    input.providers.iter().map(|(name, provider)| (name.clone(), catalogue(&**provider))).collect()
}

/// The lockfiles of the environments in which something changes.
fn bases(input: &PlanInput<'_>, changes: &[Change]) -> BTreeMap<EnvironmentName, Base> {
    let lock = |change: &Change| {
        let lock = input.locks.get(&change.environment)?;
        Some((change.environment.clone(), Base { lineage: lock.lineage.clone(), serial: lock.serial }))
    };
    changes.iter().filter_map(lock).collect()
}

/// Puts the hops of all changes into one list of actions.
fn finish(
    input: &PlanInput<'_>,
    drafts: Vec<candidate::Draft>,
    (before, order): (Vec<Vec<usize>>, Vec<usize>),
) -> (Vec<Change>, Vec<Action>) {
    let mut changes = Vec::with_capacity(drafts.len());
    let mut slots = Vec::new();
    let mut ranges = Vec::with_capacity(drafts.len());
    for candidate::Draft { change, hops, .. } in drafts {
        let begin = slots.len();
        let place = changes.len();
        let count = hops.len();
        slots.extend(hops.into_iter().enumerate().map(|(hop, draft)| {
            let verify = rollout::verify(input, &change, hop + 1 == count);
            Slot { change: place, hop, draft, verify }
        }));
        ranges.push(begin..slots.len());
        changes.push(change);
    }
    let turns: Vec<Turn<'_>> = changes
        .iter()
        .zip(ranges)
        .zip(&before)
        .map(|((change, hops), before)| Turn { hops, group: rollout::group(input, change), before })
        .collect();
    let schedule = rollout::schedule(&turns, &order);
    drop(turns);
    let owners: Vec<usize> = slots.iter().map(|slot| slot.change).collect();
    let (actions, hops) = assemble::assemble(slots, &schedule);
    for (owner, hop) in owners.into_iter().zip(hops) {
        changes[owner].hops.push(estimate::estimated(hop, &actions));
    }
    (changes, actions)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod way_down_tests;
