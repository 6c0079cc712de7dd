//! A part of a plan: some of its changes, with all of their actions, as a plan of its own.
//!
//! For showing. What an action waited for of a change that is left out, it now waits for what that waited for.

use std::collections::HashSet;

use super::{Action, Change, Hop, Plan};

impl Plan {
    /// The plan of the changes that `keep` is true of.
    #[must_use]
    pub fn part(&self, keep: &dyn Fn(&Change) -> bool) -> Self {
        let kept: Vec<Option<u32>> = numbered(self.changes.iter().map(keep));
        let of_kept = |action: &Action| kept.get(action.change as usize).copied().flatten();
        let places = numbered(self.actions.iter().map(|action| of_kept(action).is_some()));
        let place = |index: &u32| places.get(*index as usize).copied().flatten();
        let actions = self.actions.iter().filter_map(|action| {
            let change = of_kept(action)?;
            let during = action.during.iter().filter_map(place).collect();
            Some(Action { change, needs: self.needs_within(action, &place), during, ..action.clone() })
        });
        let hop = |hop: &Hop| Hop {
            actions: hop.actions.iter().filter_map(place).collect(),
            point_of_no_return: hop.point_of_no_return.as_ref().and_then(place),
            ..hop.clone()
        };
        let changes: Vec<Change> = self
            .changes
            .iter()
            .filter(|change| keep(change))
            .map(|change| Change { hops: change.hops.iter().map(hop).collect(), ..change.clone() })
            .collect();
        let concerns = |instance: &crate::model::name::InstanceAddr| changes.iter().any(|change| change.instance == *instance);
        let environment = |name: &crate::model::name::EnvironmentName| changes.iter().any(|change| change.environment == *name);
        Self {
            bases: self
                .bases
                .iter()
                .filter(|(name, _)| environment(name))
                .map(|(name, base)| (name.clone(), base.clone()))
                .collect(),
            providers: self
                .providers
                .iter()
                .filter(|(name, _)| changes.iter().any(|change| change.provider == **name))
                .map(|(name, digest)| (name.clone(), digest.clone()))
                .collect(),
            revised: self
                .revised
                .iter()
                .filter(|revised| changes.iter().any(|change| change.provider == revised.provider))
                .cloned()
                .collect(),
            gates: self
                .gates
                .iter()
                .filter(|gate| gate.instance.as_ref().map_or_else(|| environment(&gate.environment), concerns))
                .cloned()
                .collect(),
            actions: actions.collect(),
            changes,
            ..self.clone()
        }
    }

    /// What an action waits for, over what is left out.
    fn needs_within(&self, action: &Action, place: &dyn Fn(&u32) -> Option<u32>) -> Vec<u32> {
        let mut seen = HashSet::new();
        let mut needs = HashSet::new();
        let mut open = action.needs.clone();
        while let Some(next) = open.pop() {
            if !seen.insert(next) {
                continue;
            }
            match place(&next) {
                Some(kept) => {
                    needs.insert(kept);
                }
                None => open.extend(self.actions.get(next as usize).into_iter().flat_map(|action| &action.needs)),
            }
        }
        let mut needs: Vec<u32> = needs.into_iter().collect();
        needs.sort_unstable();
        needs
    }
}

/// New numbers for what is kept.
fn numbered(kept: impl Iterator<Item = bool>) -> Vec<Option<u32>> {
    let mut next = 0;
    kept.map(|kept| {
        let number = kept.then_some(next);
        next += u32::from(kept);
        number
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::plan::fixture::{World, ids, waits};

    #[test]
    fn a_part_keeps_the_order_over_what_is_left_out() {
        let mut world = World::new();
        world.declare("db.main", "1.0", &[]);
        world.declare("db.middle", "1.0", &["db.main"]);
        world.declare("app.main", "1.0", &["db.middle"]);
        let (plan, _) = world.plan();
        let part = plan.part(&|change| change.instance.as_str() != "db.middle");
        assert_eq!(part.changes.len(), 2);
        assert!(ids(&part).iter().all(|id| !id.starts_with("db.middle")), "{:?}", ids(&part));
        assert!(waits(&part, "app.main@1.0:fresh", "db.main@1.0:(record)"));
        for (index, change) in part.changes.iter().enumerate() {
            for action in change.hops.iter().flat_map(|hop| &hop.actions) {
                assert_eq!(part.actions[*action as usize].change as usize, index);
            }
        }
        assert_eq!(plan.part(&|_| true), plan);
        assert!(plan.part(&|_| false).bases.is_empty());
    }
}
