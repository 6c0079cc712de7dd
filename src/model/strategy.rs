//! The order of a strategy's steps, as `after` makes it. Pure; asks nothing but the strategy.

use std::collections::{BTreeMap, BTreeSet};

use super::name::StepName;
use super::provider::{Step, Strategy};

impl Strategy {
    /// The steps so that each comes after those that it waits for; where that leaves a choice, as declared.
    #[must_use]
    pub fn in_order(&self) -> Vec<&Step> {
        let mut done: BTreeSet<&StepName> = BTreeSet::new();
        let mut order = Vec::with_capacity(self.steps.len());
        let mut waiting: Vec<&Step> = self.steps.iter().collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|step| {
                let ready = step.after.iter().all(|name| done.contains(name));
                if ready {
                    done.insert(&step.name);
                    order.push(*step);
                }
                !ready
            });
            if waiting.len() == before {
                // A cycle, which loading refuses: nothing may be lost all the same.
                order.append(&mut waiting);
            }
        }
        order
    }

    /// For each step, all steps that have ended before it begins.
    #[must_use]
    pub fn before(&self) -> BTreeMap<&StepName, BTreeSet<&StepName>> {
        let mut before: BTreeMap<&StepName, BTreeSet<&StepName>> = BTreeMap::new();
        for step in self.in_order() {
            let mut all = BTreeSet::new();
            for name in &step.after {
                all.insert(name);
                all.extend(before.get(name).into_iter().flatten().copied());
            }
            before.insert(&step.name, all);
        }
        before
    }
}
