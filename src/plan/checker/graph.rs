//! Whether the actions are a graph: sorted, each named once, each in the one hop that lists it.

use std::collections::HashSet;

use crate::plan::Plan;

pub(super) fn check(plan: &Plan, violations: &mut Vec<String>) {
    let mut ids = HashSet::with_capacity(plan.actions.len());
    for (place, action) in plan.actions.iter().enumerate() {
        if !ids.insert(action.id.as_str()) {
            violations.push(format!("two actions are called {}", action.id));
        }
        if action.needs.iter().any(|&need| need as usize >= place) {
            violations.push(format!("{} stands before something that it needs", action.id));
        }
        if !action.needs.is_sorted_by(|one, next| one < next) {
            violations.push(format!("{} needs something twice, or its needs are not sorted", action.id));
        }
    }
    let mut listed = vec![false; plan.actions.len()];
    for (number, change) in plan.changes.iter().enumerate() {
        for (stretch, hop) in change.hops.iter().enumerate() {
            for &at in &hop.actions {
                match plan.actions.get(at as usize) {
                    Some(action) if action.change as usize == number && action.hop as usize == stretch && !listed[at as usize] => {
                        listed[at as usize] = true;
                    }
                    _ => violations.push(format!("{} lists action {at}, which is not its own", change.instance)),
                }
            }
            if !hop.actions.is_sorted() {
                violations.push(format!("{} lists its actions out of order", change.instance));
            }
        }
    }
    for (action, _) in plan.actions.iter().zip(&listed).filter(|(_, listed)| !**listed) {
        violations.push(format!("{} belongs to no hop", action.id));
    }
}
