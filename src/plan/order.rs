//! What comes before what, between instances.
//!
//! On the way up a dependency is done before what depends on it, on the way down after it; the direction of the one that depends
//! decides. Takes places and directions, gives predecessors and one order. Knows neither hops nor actions.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

/// Which way an instance moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Install, upgrade, reconfigure: what it depends on comes first.
    Up,
    /// Roll back, remove: it comes before what it depends on.
    Down,
}

/// One instance, as far as order is concerned.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Which way it moves; `None`: it stays.
    pub(super) moves: Option<Direction>,
    /// Whether it has no actions of its own, so that what depends on it must wait for what it depends on.
    pub(super) passes: bool,
    /// Places of what it depends on.
    pub(super) depends_on: Vec<usize>,
}

/// For every node that moves, the nodes that must be done before it, sorted; what has no actions is looked through.
///
/// Cannot make a cycle out of acyclic dependencies: a chain of "before" climbs from dependency to dependant through nodes that move
/// up, or descends through nodes that move down, and never turns back from the first kind to the second.
pub(super) fn predecessors(nodes: &[Node]) -> Vec<Vec<usize>> {
    let reached = reached(nodes);
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (place, node) in nodes.iter().enumerate() {
        let Some(direction) = node.moves else { continue };
        for &dependency in reached[place].iter() {
            match direction {
                Direction::Up => before[place].push(dependency),
                Direction::Down => before[dependency].push(place),
            }
        }
    }
    for places in &mut before {
        places.sort_unstable();
        places.dedup();
    }
    before
}

/// The nodes that move and that a node depends on, directly or through nodes without actions.
fn reached(nodes: &[Node]) -> Vec<Rc<Vec<usize>>> {
    let mut known: Vec<Option<Rc<Vec<usize>>>> = vec![None; nodes.len()];
    let mut open = vec![false; nodes.len()];
    for start in 0..nodes.len() {
        let mut stack = vec![(start, false)];
        while let Some((place, visited)) = stack.pop() {
            if known[place].is_some() {
                continue;
            }
            let dependencies = &nodes[place].depends_on;
            if !visited {
                // A node that is open already waits for itself: the cycle is left to `sorted`, or harmless where all of it stays.
                if std::mem::replace(&mut open[place], true) {
                    continue;
                }
                stack.push((place, true));
                let through = dependencies.iter().filter(|&&next| nodes[next].passes && known[next].is_none());
                stack.extend(through.map(|&next| (next, false)));
                continue;
            }
            let mut found: Vec<usize> = Vec::with_capacity(dependencies.len());
            for &next in dependencies {
                if nodes[next].moves.is_some() {
                    found.push(next);
                }
                if let Some(further) = known[next].as_ref().filter(|_| nodes[next].passes) {
                    found.extend_from_slice(further);
                }
            }
            found.sort_unstable();
            found.dedup();
            known[place] = Some(Rc::new(found));
        }
    }
    known.into_iter().map(Option::unwrap_or_default).collect()
}

/// One order in which everything stands after its predecessors; of several, the one with the smallest places first.
///
/// # Errors
/// Where things wait for each other, the order of the rest, and those that wait (the cycle and what comes after it).
pub(super) fn sorted(before: &[Vec<usize>]) -> Result<Vec<usize>, (Vec<usize>, Vec<usize>)> {
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); before.len()];
    let mut waiting: Vec<usize> = before.iter().map(Vec::len).collect();
    for (place, befores) in before.iter().enumerate() {
        for &earlier in befores {
            after[earlier].push(place);
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        waiting.iter().enumerate().filter(|(_, count)| **count == 0).map(|(place, _)| Reverse(place)).collect();
    let mut order = Vec::with_capacity(before.len());
    while let Some(Reverse(place)) = ready.pop() {
        order.push(place);
        for &next in &after[place] {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    if order.len() == before.len() {
        return Ok(order);
    }
    let stuck = (0..before.len()).filter(|&place| waiting[place] > 0).collect();
    Err((order, stuck))
}

/// One cycle among things that wait for each other, from its smallest place on.
pub(super) fn cycle(before: &[Vec<usize>], stuck: &[usize]) -> Vec<usize> {
    let Some(&start) = stuck.first() else { return Vec::new() };
    let is_stuck = |place: &usize| stuck.binary_search(place).is_ok();
    let mut seen: Vec<usize> = Vec::new();
    let mut place = start;
    // Everything stuck has a stuck predecessor, so that walking back must come around.
    while !seen.contains(&place) {
        seen.push(place);
        let Some(&next) = before[place].iter().find(|next| is_stuck(next)) else { return seen };
        place = next;
    }
    let begin = seen.iter().position(|&earlier| earlier == place).unwrap_or(0);
    let mut cycle = seen.split_off(begin);
    cycle.reverse();
    let smallest = cycle.iter().enumerate().min_by_key(|(_, place)| **place).map_or(0, |(at, _)| at);
    cycle.rotate_left(smallest);
    cycle
}

#[cfg(test)]
mod tests {
    use super::{Direction, Node, cycle, predecessors, sorted};
    use proptest::prelude::*;

    fn node(moves: Option<Direction>, depends_on: &[usize]) -> Node {
        Node { moves, passes: moves.is_none(), depends_on: depends_on.to_vec() }
    }

    #[test]
    fn a_dependency_comes_first_on_the_way_up_and_last_on_the_way_down() {
        let up = [node(Some(Direction::Up), &[1]), node(Some(Direction::Up), &[])];
        assert_eq!(sorted(&predecessors(&up)).unwrap(), [1, 0]);
        let down = [node(Some(Direction::Down), &[1]), node(Some(Direction::Down), &[])];
        assert_eq!(sorted(&predecessors(&down)).unwrap(), [0, 1]);
    }

    #[test]
    fn an_instance_that_stays_passes_on_what_it_depends_on() {
        let nodes = [node(Some(Direction::Up), &[1]), node(None, &[2]), node(None, &[3]), node(Some(Direction::Up), &[])];
        assert_eq!(predecessors(&nodes)[0], [3]);
    }

    #[test]
    fn a_cycle_among_instances_that_stay_ends() {
        let nodes = [node(Some(Direction::Up), &[1]), node(None, &[2]), node(None, &[1])];
        assert_eq!(predecessors(&nodes)[0], [0usize; 0]);
    }

    #[test]
    fn a_cycle_is_named_from_its_first_member_on() {
        let before = vec![vec![3], vec![2], vec![1, 0], vec![0]];
        let (order, stuck) = sorted(&before).unwrap_err();
        assert_eq!((order.len(), stuck.as_slice()), (0, [0, 1, 2, 3].as_slice()));
        assert_eq!(cycle(&before, &stuck), [0, 3]);
    }

    #[test]
    fn a_very_long_chain_does_not_exhaust_the_stack() {
        let nodes: Vec<Node> = (0..200_000usize)
            .map(|place| {
                node(
                    (place == 0 || place == 199_999).then_some(Direction::Up),
                    if place == 199_999 { &[] } else { std::slice::from_ref(Box::leak(Box::new(place + 1))) },
                )
            })
            .collect();
        assert_eq!(predecessors(&nodes)[0], [199_999]);
    }

    proptest! {
        #[test]
        fn mixed_directions_over_acyclic_dependencies_never_wait_for_each_other(
            seeds in prop::collection::vec((0u8..6, prop::collection::vec(any::<prop::sample::Index>(), 0..4)), 1..40)
        ) {
            let nodes: Vec<Node> = seeds
                .iter()
                .enumerate()
                .map(|(place, (moves, depends_on))| Node {
                    moves: [None, Some(Direction::Up), Some(Direction::Down)][*moves as usize % 3],
                    passes: *moves < 3,
                    depends_on: if place == 0 { Vec::new() } else { depends_on.iter().map(|index| index.index(place)).collect() },
                })
                .collect();
            prop_assert!(sorted(&predecessors(&nodes)).is_ok());
        }
    }
}
