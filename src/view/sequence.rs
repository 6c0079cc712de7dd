//! The graph of a plan, instance by instance: in which order they begin, and which waits for which.

use std::collections::BTreeSet;

use crate::plan::{Change, Plan};

/// Changes in the order in which they begin, each with those whose actions it waits for. What begins at once is in address order.
pub(super) fn sequence(plan: &Plan) -> Vec<(&Change, Vec<&Change>)> {
    let mut depths: Vec<usize> = Vec::with_capacity(plan.actions.len());
    let mut begins = vec![usize::MAX; plan.changes.len()];
    let mut after: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); plan.changes.len()];
    for action in &plan.actions {
        // What an action needs stands before it.
        let depth = action.needs.iter().filter_map(|&need| depths.get(need as usize)).max().map_or(0, |depth| depth + 1);
        depths.push(depth);
        let (Some(begin), Some(after)) = (begins.get_mut(action.change as usize), after.get_mut(action.change as usize)) else {
            continue;
        };
        *begin = depth.min(*begin);
        let needed = action.needs.iter().filter_map(|&need| Some(plan.actions.get(need as usize)?.change));
        after.extend(needed.filter(|change| *change != action.change));
    }
    let change = |number: &u32| plan.changes.get(*number as usize);
    let mut order: Vec<_> = plan.changes.iter().zip(begins).zip(after).collect();
    order.sort_by_key(|((_, begin), _)| *begin);
    order.into_iter().map(|((one, _), after)| (one, after.iter().filter_map(change).collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::plan_html::sample;
    use super::*;

    #[test]
    fn changes_stand_in_the_order_in_which_they_begin() {
        // Two chains of one action each: the first waits for the second instance's.
        let mut plan = sample::plan(&[vec![], vec![0], vec![1]]);
        let first = plan.changes[0].clone();
        plan.changes.push(Change { instance: crate::model::name::InstanceAddr::from_text("app.zero"), ..first });
        plan.actions[0].change = 1;
        let told: Vec<(&str, Vec<&str>)> = sequence(&plan)
            .into_iter()
            .map(|(change, after)| (change.instance.as_str(), after.iter().map(|other| other.instance.as_str()).collect()))
            .collect();
        assert_eq!(told, [("app.zero", vec![]), ("app.main", vec!["app.zero"])]);
    }
}
