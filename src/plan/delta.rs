//! What a change of the configuration alters: the plan with it beside the plan without it.
//!
//! Both are made from the same applied state and the same look at the platforms, so that what was pending before is in both. Pure.

use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::compare::{Hops, Side, differences};
use super::report::{Report, Verdict, VerdictKind};
use super::ruling::Ruling;
use super::{Change, Plan};
use crate::model::name::{EnvironmentName, InstanceAddr};

/// What a change of the configuration alters.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Delta {
    /// What it is compared with.
    pub base: Revision,
    /// Instances whose part of the plan is not what it would be without the change, in address order.
    pub altered: Vec<Altered>,
    /// Instances that change in the same way without it.
    pub pending: Vec<Pending>,
}

/// What a plan is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Revision {
    /// The revision as it was asked for.
    pub revision: String,
    /// The commit that was read: where this change and the revision parted.
    pub commit: String,
    /// Why nothing could be planned from it; everything counts as altered then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
}

/// An instance that a change of the configuration alters something for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Altered {
    /// Which.
    pub instance: InstanceAddr,
    /// Where.
    pub environment: EnvironmentName,
    /// How.
    pub alteration: Alteration,
    /// What is other than without the change, as clauses; why it is stuck, where it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
}

/// How a change of the configuration alters what happens to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Alteration {
    /// Nothing would happen to it without the change.
    New,
    /// Something else would happen to it.
    Other,
    /// Something would happen to it, and now nothing does.
    Dropped,
    /// It could be planned for, and now it cannot.
    Stuck,
}

/// An instance that changes with and without the change of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pending {
    /// Which.
    pub instance: InstanceAddr,
    /// Where.
    pub environment: EnvironmentName,
    /// What: `upgrade 1.0 → 2.0`; `blocked`.
    pub what: String,
    /// Whether it is blocked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stuck: bool,
}

impl Delta {
    /// Compares the plan with a change of the configuration to the plan without it. `before`: `None` where there is nothing to
    /// compare with, so that everything is new.
    #[must_use]
    pub fn between(base: Revision, before: Option<(&Plan, &Report)>, (plan, report): (&Plan, &Report)) -> Self {
        let (mut altered, mut pending) = (Vec::new(), Vec::new());
        let (is, was) = (Lookup::new(plan, report), before.map(|(plan, report)| Lookup::new(plan, report)));
        let mut addrs: Vec<(&InstanceAddr, &EnvironmentName)> = Vec::new();
        addrs.extend(report.verdicts.iter().map(|verdict| (&verdict.instance, &verdict.environment)));
        addrs.extend(
            before.iter().flat_map(|(_, report)| &report.verdicts).map(|verdict| (&verdict.instance, &verdict.environment)),
        );
        addrs.sort_unstable();
        addrs.dedup_by(|one, other| one.0 == other.0);
        for (instance, environment) in addrs {
            let stuck = is.stuck.get(instance).copied();
            let was_stuck = was.as_ref().and_then(|was| was.stuck.get(instance)).copied();
            let new = is.changes.get(instance).copied();
            let old = was.as_ref().and_then(|was| Some((was.plan, *was.changes.get(instance)?)));
            let mut alter = |alteration: Alteration, differences: Vec<String>| {
                let (instance, environment) = (instance.clone(), environment.clone());
                altered.push(Altered { instance, environment, alteration, differences });
            };
            let mut wait = |what: String, stuck: bool| {
                pending.push(Pending { instance: instance.clone(), environment: environment.clone(), what, stuck });
            };
            match (stuck, new, was_stuck, old) {
                (Some(stuck), _, Some(was), _) if stuck.kind == was.kind && stuck.why == was.why => {
                    wait(if stuck.kind == VerdictKind::Blocked { "blocked" } else { "not observed" }.to_owned(), true);
                }
                (Some(stuck), ..) => alter(Alteration::Stuck, stuck.why.clone()),
                (None, Some(change), _, Some((old_plan, old))) => {
                    let mut found = Vec::new();
                    let (was, is) = (Side { plan: old_plan, change: old }, Side { plan, change });
                    differences(was, is, Hops::All, &mut |what| found.push(what));
                    if found.is_empty() { wait(told(change), false) } else { alter(Alteration::Other, found) }
                }
                (None, Some(_), Some(_), None) => alter(Alteration::New, vec!["it was blocked before".to_owned()]),
                (None, Some(_), None, None) => alter(Alteration::New, Vec::new()),
                (None, None, _, Some((_, old))) => alter(Alteration::Dropped, vec![format!("it was to {}", told(old))]),
                (None, None, Some(_), None) => alter(Alteration::Dropped, vec!["it was blocked before".to_owned()]),
                (None, None, None, None) => {}
            }
        }
        Self { base, altered, pending }
    }

    /// The altered part of the plan with the change, and of its report.
    #[must_use]
    pub fn part(&self, plan: &Plan, report: &Report) -> (Plan, Report) {
        let altered: HashSet<&InstanceAddr> = self.altered.iter().map(|altered| &altered.instance).collect();
        let verdicts = report.verdicts.iter().filter(|verdict| altered.contains(&verdict.instance)).cloned().collect();
        let part = plan.part(&|change| altered.contains(&change.instance));
        // What a policy says of a whole environment concerns whatever changes there.
        let concerns = |ruling: &&Ruling| match (&ruling.instance, &ruling.environment) {
            (Some(instance), _) => altered.contains(instance),
            (None, Some(environment)) => part.changes.iter().any(|change| change.environment == *environment),
            (None, None) => !part.changes.is_empty(),
        };
        let rulings = report.rulings.iter().filter(concerns).cloned().collect();
        (part, Report { verdicts, rulings })
    }

    /// Whether something that could be planned for without the change cannot be with it.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.altered.iter().any(|altered| altered.alteration == Alteration::Stuck)
    }
}

/// A plan and its report, by instance.
struct Lookup<'a> {
    plan: &'a Plan,
    changes: HashMap<&'a InstanceAddr, &'a Change>,
    stuck: HashMap<&'a InstanceAddr, &'a Verdict>,
}

impl<'a> Lookup<'a> {
    fn new(plan: &'a Plan, report: &'a Report) -> Self {
        let is_stuck = |verdict: &&Verdict| matches!(verdict.kind, VerdictKind::Blocked | VerdictKind::Unobserved);
        Self {
            plan,
            changes: plan.changes.iter().map(|change| (&change.instance, change)).collect(),
            stuck: report.verdicts.iter().filter(is_stuck).map(|verdict| (&verdict.instance, verdict)).collect(),
        }
    }
}

fn told(change: &Change) -> String {
    let word = change.decision.verb();
    match (&change.from, &change.to) {
        (Some(from), Some(to)) if from != to => format!("{word} {from} → {to}"),
        (_, Some(version)) | (Some(version), None) => format!("{word} {version}"),
        (None, None) => word.to_owned(),
    }
}

#[cfg(test)]
#[path = "delta_tests.rs"]
mod tests;
