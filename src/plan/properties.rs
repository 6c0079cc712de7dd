//! Random small estates, moved about: every plan of every stage passes the checker and is the same twice ([`World::plan`] asks both),
//! and what was applied needs nothing more.

use proptest::prelude::*;

use super::VerdictKind;
use super::fixture::World;
use crate::model::estate::{Rollout, Share};

const VERSIONS: [&str; 5] = ["1.0", "1.1", "2.0", "2.1", "3.0"];

/// What becomes of one instance in one stage.
#[derive(Debug, Clone)]
enum Move {
    Stay,
    Version(usize),
    Drop,
    Lose,
    Drift(usize),
    Port(i64),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        2 => Just(Move::Stay),
        6 => (0..VERSIONS.len()).prop_map(Move::Version),
        1 => Just(Move::Drop),
        1 => Just(Move::Lose),
        1 => (0..VERSIONS.len()).prop_map(Move::Drift),
        1 => (1..4_i64).prop_map(Move::Port),
    ]
}

fn rollouts() -> impl Strategy<Value = Rollout> {
    let share = || prop_oneof![(1..4_u32).prop_map(Share::Count), (1..100_u32).prop_map(Share::Percent)];
    (prop::option::of(0..3_u32), prop::option::of(share()), prop::option::of(share()), prop::option::of(0..60_u64)).prop_map(
        |(canary, batch, max_unavailable, soak)| Rollout {
            canary,
            batch,
            max_unavailable,
            soak: soak.map(std::time::Duration::from_secs),
            healthy_within: None,
        },
    )
}

/// Declares an instance by number; it depends on some with smaller numbers.
fn declare(world: &mut World, number: usize, version: &str, depends_on: &[prop::sample::Index]) {
    let addr = |number: usize| format!("{}.n{number}", if number.is_multiple_of(2) { "app" } else { "db" });
    let on: Vec<String> = depends_on.iter().filter(|_| number > 0).map(|index| addr(index.index(number))).collect();
    let on: Vec<&str> = on.iter().map(String::as_str).filter(|on| world.estate.instances.contains_key(*on)).collect();
    let environment = if number % 5 == 4 { "test" } else { "production" };
    world.declare(&addr(number), version, &on).environment = environment.into();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_is_sound_and_ends_where_it_should(
        first in prop::collection::vec((0..VERSIONS.len(), prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 1..9),
        stages in prop::collection::vec(prop::collection::vec(moves(), 8), 1..4),
        rollout in rollouts(),
    ) {
        let mut world = World::new();
        world.estate.environments.get_mut("production").unwrap().rollout = rollout;
        for (number, (version, depends_on)) in first.iter().enumerate() {
            declare(&mut world, number, VERSIONS[*version], depends_on);
        }
        world.converge();
        prop_assert!(world.plan().0.changes.is_empty());
        for stage in &stages {
            for (number, change) in stage.iter().enumerate().take(first.len()) {
                let addr = format!("{}.n{number}", if number.is_multiple_of(2) { "app" } else { "db" });
                let there = world.estate.instances.contains_key(&*addr);
                match change {
                    Move::Version(version) if there => world.want(&addr, VERSIONS[*version]),
                    Move::Version(version) => declare(&mut world, number, VERSIONS[*version], &first[number].1),
                    Move::Drop => {
                        world.estate.instances.remove(&*addr);
                        for other in world.estate.instances.values_mut() {
                            other.depends_on.retain(|on| on.as_str() != addr);
                        }
                    }
                    Move::Lose if there => world.see(&addr, None),
                    Move::Drift(version) if there => world.see(&addr, Some(VERSIONS[*version])),
                    Move::Port(port) if there => world.set(&addr, &[("port", (*port).into())]),
                    _ => {}
                }
            }
            // What waited for something else goes on in the next round; after as many rounds as there are instances nothing is left.
            for _ in 0..first.len() {
                world.converge();
            }
            let (plan, report) = world.plan();
            prop_assert!(plan.changes.is_empty(), "{:?}", plan.changes);
            prop_assert!(report.verdicts.iter().all(|verdict| matches!(verdict.kind, VerdictKind::Nothing | VerdictKind::Blocked)));
        }
    }
}
