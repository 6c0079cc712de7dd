//! Whether what looks on can: probes begin before what they watch, end after it, and nobody waits for ever.

use std::collections::HashMap;

use crate::plan::Plan;

pub(super) fn check(plan: &Plan, violations: &mut Vec<String>) {
    let before = violations.len();
    let mut watched: HashMap<u32, Vec<u32>> = HashMap::new();
    for (place, action) in (0u32..).zip(&plan.actions) {
        if action.probe.is_some() == action.during.is_empty() {
            violations.push(format!("{} is a probe that watches nothing, or watches and is no probe", action.id));
        }
        for &at in &action.during {
            watched.entry(at).or_default().push(place);
            let same = plan.actions.get(at as usize).is_some_and(|other| (other.change, other.hop) == (action.change, action.hop));
            if at <= place || !same {
                violations.push(format!("{} watches action {at}, which does not come after it in its hop", action.id));
            }
        }
        if !action.during.is_sorted_by(|one, next| one < next) {
            violations.push(format!("{} watches something twice, or out of order", action.id));
        }
    }
    if !watched.is_empty() && violations.len() == before {
        deadlock(plan, &watched, violations);
    }
}

/// Of every action its beginning and its end: all of them can come to pass only where they can be put in an order.
fn deadlock(plan: &Plan, watched: &HashMap<u32, Vec<u32>>, violations: &mut Vec<String>) {
    let count = plan.actions.len();
    let (beginning, end) = (|at: u32| 2 * at as usize, |at: u32| 2 * at as usize + 1);
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); 2 * count];
    let mut waiting = vec![0usize; 2 * count];
    let mut waits = |after: usize, before: usize| {
        followers[before].push(after);
        waiting[after] += 1;
    };
    for (place, action) in (0u32..).zip(&plan.actions) {
        waits(end(place), beginning(place));
        action.needs.iter().for_each(|&need| waits(beginning(place), end(need)));
        action.during.iter().for_each(|&at| waits(end(place), end(at)));
        watched.get(&place).into_iter().flatten().for_each(|&probe| waits(beginning(place), beginning(probe)));
    }
    let mut ready: Vec<usize> = (0..2 * count).filter(|&node| waiting[node] == 0).collect();
    let mut done = 0;
    while let Some(node) = ready.pop() {
        done += 1;
        for &next in &followers[node] {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.push(next);
            }
        }
    }
    if done < 2 * count
        && let Some(stuck) = (0..count).find(|place| waiting[2 * place + 1] > 0 && plan.actions[*place].probe.is_some())
    {
        violations.push(format!("{} and what it watches wait for each other", plan.actions[stuck].id));
    }
}
