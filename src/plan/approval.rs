//! The gate of people who must have agreed.
//!
//! Takes a plan's changes and actions and the approvals that were given, gives a gate for each environment that asks for some. An
//! approval is bound to what the plan does, not to when it was made: a plan made again that does the same is approved still.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::action::{Action, ActionKind, ActionUndo};
use super::change::Change;
use super::gate::{Gate, GateKind};
use super::input::PlanInput;
use crate::model::estate::{ApprovalRule, Environment};
use crate::model::name::{Digest, EnvironmentName};

/// Somebody's word that a plan may be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What the plan does, see [`substance`].
    pub substance: Digest,
    /// Who.
    pub by: String,
    /// Why it may go on.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Digest over what a plan does: which instances it moves from where to where, by which calls, and what leads back. What it was
/// made from, when, and what it waits for is not in it.
#[must_use]
pub fn substance(changes: &[Change], actions: &[Action]) -> Digest {
    let changes = changes.iter().map(|change| {
        let hops: Vec<_> = change
            .hops
            .iter()
            .map(|hop| (&hop.from, &hop.to, &hop.route, &hop.strategy, &hop.provider_digest, &hop.reverts, &hop.point_of_no_return))
            .collect();
        let Change { instance, provider, environment, host, decision, from, to, recorded, .. } = change;
        serde_json::json!([instance, provider, environment, host, decision, from, to, recorded, hops])
    });
    let actions = actions.iter().map(|action| {
        let Action { id, change, hop, kind, needs, undo, tolerate, check, .. } = action;
        serde_json::json!([id, change, hop, kind as &ActionKind, needs, undo as &ActionUndo, tolerate, check])
    });
    let mut hash = sha2::Sha256::new();
    for part in changes.chain(actions) {
        let text = part.to_string();
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    let mut text = String::from("sha256:");
    for byte in hash.finalize() {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
    }
    Digest::new(text)
}

/// The gates of environments that ask for approvals and are touched.
pub(super) fn approvals(input: &PlanInput<'_>, changes: &[Change], actions: &[Action]) -> Vec<Gate> {
    let touched: BTreeSet<&EnvironmentName> =
        changes.iter().filter(|change| !change.hops.is_empty()).map(|change| &change.environment).collect();
    let asking = touched.into_iter().filter_map(|name| {
        let environment = input.estate.environments.get(name)?;
        Some((environment, environment.approval.as_ref()?))
    });
    let asking: Vec<(&Environment, &ApprovalRule)> = asking.collect();
    if asking.is_empty() {
        return Vec::new();
    }
    let substance = substance(changes, actions);
    asking.into_iter().map(|(environment, rule)| gate(input, environment, rule, &substance)).collect()
}

fn gate(input: &PlanInput<'_>, environment: &Environment, rule: &ApprovalRule, substance: &Digest) -> Gate {
    let may = |by: &str| rule.from.is_empty() || rule.from.iter().any(|name| same(name, by));
    // The last word of each person.
    let given: BTreeMap<String, &Approval> = input
        .options
        .approvals
        .iter()
        .filter(|given| given.substance == *substance && may(&given.by))
        .map(|given| (given.by.trim().to_lowercase(), given))
        .collect();
    let others = given.values().filter(|given| !same(&given.by, &input.options.user)).count();
    let name = &environment.name;
    let there = given.values().map(|given| format!("{} ({})", given.by, given.reason)).collect::<Vec<_>>().join(", ");
    let open = given.len() >= rule.required as usize && others >= 1;
    let message = if open {
        format!("{name} was approved by {there}")
    } else {
        let of = if rule.from.is_empty() { String::new() } else { format!(" of {}", rule.from.join(", ")) };
        let there = match (given.len(), others) {
            (0, _) => "there is none".to_owned(),
            (_, 0) => format!("there is only that of who applies: {there}"),
            _ => format!("there is: {there}"),
        };
        let asked = if rule.required == 1 { "an approval".to_owned() } else { format!("{} approvals", rule.required) };
        format!(
            "{name} waits for {asked}{of}, and {there}; somebody else than who applies says `windlass approve PLAN --reason …` ({})",
            substance.short()
        )
    };
    let waived = super::waiver::Waivers::new(&input.estate.waivers, input.now);
    let gate = Gate::new(name, None, GateKind::Approval, open, message);
    if open { gate } else { gate.waived(waived.standing(GateKind::Approval.as_str(), None, name)) }
}

/// Whether two names are one person's.
fn same(one: &str, other: &str) -> bool {
    one.trim().eq_ignore_ascii_case(other.trim())
}

#[cfg(test)]
#[path = "approval_tests.rs"]
mod tests;
