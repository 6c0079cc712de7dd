//! Tests of the gate of risks.

use std::sync::Arc;

use jiff::SignedDuration;

use super::super::fixture::World;
use super::super::{Gate, GateKind, Plan, PlanInput, gates_of};
use crate::model::estate::Waiver;
use crate::plan::sample::{blocked, now, req, waiver};

fn risks(world: &World, plan: &Plan, hours: i64) -> Vec<Gate> {
    let durations = std::collections::BTreeMap::new();
    let input = PlanInput { now: now() + SignedDuration::from_hours(hours), ..world.input(&durations) };
    let mut gates = gates_of(&input, plan);
    gates.retain(|gate| gate.kind == GateKind::Risk);
    gates
}

fn upgrade() -> World {
    let mut world = World::new();
    world.declare("app.main", "1.0", &[]);
    world.converge();
    world.want("app.main", "1.1");
    world
}

#[test]
fn a_route_of_more_risk_than_the_environment_takes_waits_for_a_waiver() {
    let mut world = upgrade();
    world.reteach("app", |provider| provider.routes[1].risk = 30);
    let environment = world.estate.instances["app.main"].environment.clone();
    let most = |world: &mut World, most| world.estate.environments.get_mut(&environment).unwrap().max_risk = most;
    assert!(risks(&world, &world.plan().0, 0).is_empty());
    most(&mut world, Some(30));
    assert!(risks(&world, &world.plan().0, 0).is_empty());
    most(&mut world, Some(29));
    let gates = world.plan().0.gates;
    assert!(!gates[0].open && gates[0].message.contains("has risk 30"), "{gates:?}");
    world.estate.waivers.push(waiver("risk"));
    assert_eq!(world.plan().0.gates[0].waived.as_deref(), Some("risk is fine"));
}

#[test]
fn a_waiver_that_ends_after_the_plan_was_made_closes_the_gate() {
    let mut world = upgrade();
    world.reteach("app", |provider| {
        provider.blocked.push(crate::model::provider::Blocked { to: Some(req("1.1")), ..blocked("kb9") });
    });
    world.estate.waivers.push(Waiver { until: Some(now() + SignedDuration::from_hours(2)), ..waiver("kb9") });
    let (plan, _) = world.plan();
    assert_eq!(plan.changes[0].accepted, [Arc::from("kb9")]);
    assert!(risks(&world, &plan, 1).is_empty());
    let gates = risks(&world, &plan, 2);
    assert!(gates[0].message.contains("relies on the waiver `kb9`, which does not stand"), "{gates:?}");
    world.estate.waivers.clear();
    assert!(risks(&world, &plan, 0)[0].message.ends_with("is not there any more"));
}
