//! Tests of approvals.

use super::super::fixture::World;
use super::super::{Gate, GateKind, Plan, gates_of};
use super::{Approval, substance};
use crate::model::estate::ApprovalRule;
use crate::plan::sample::{now, waiver};

fn world(required: u32, from: &[&str]) -> (World, Plan) {
    let mut world = World::new();
    world.declare("app.main", "1.0", &[]);
    let environment = world.estate.instances["app.main"].environment.clone();
    let rule = ApprovalRule { required, from: from.iter().map(|name| (*name).to_owned()).collect() };
    world.estate.environments.get_mut(&environment).unwrap().approval = Some(rule);
    world.options.user = "ada".to_owned();
    let (plan, _) = world.plan();
    (world, plan)
}

fn approve(world: &mut World, plan: &Plan, by: &str) -> Gate {
    let approval =
        Approval { substance: substance(&plan.changes, &plan.actions), by: by.to_owned(), reason: "read".to_owned(), at: now() };
    world.options.approvals.push(approval);
    gate(world, plan)
}

fn gate(world: &World, plan: &Plan) -> Gate {
    let durations = std::collections::BTreeMap::new();
    let mut gates = gates_of(&world.input(&durations), plan);
    gates.retain(|gate| gate.kind == GateKind::Approval);
    assert_eq!(gates.len(), 1);
    gates.remove(0)
}

#[test]
fn an_approval_of_another_opens_the_gate_and_ones_own_does_not() {
    let (mut world, plan) = world(1, &[]);
    assert!(!gate(&world, &plan).open);
    let own = approve(&mut world, &plan, "Ada ");
    assert!(!own.open && own.message.contains("there is only that of who applies: Ada  (read)"), "{}", own.message);
    let gate = approve(&mut world, &plan, "ben");
    assert!(gate.open && gate.message.ends_with("was approved by Ada  (read), ben (read)"), "{}", gate.message);
}

#[test]
fn two_are_two_people_who_may() {
    let (mut world, plan) = world(2, &["ada", "ben", "cy"]);
    assert!(!approve(&mut world, &plan, "ben").open);
    assert!(!approve(&mut world, &plan, "Ben").open, "one person is one");
    assert!(!approve(&mut world, &plan, "mallory").open, "who may not does not count");
    assert!(approve(&mut world, &plan, "ada").open, "the author may be the second");
}

#[test]
fn an_approval_is_for_what_the_plan_does_and_survives_a_plan_that_does_the_same() {
    let (mut world, plan) = world(1, &[]);
    assert!(approve(&mut world, &plan, "ben").open);
    let mut again = plan.clone();
    again.created = now() + jiff::SignedDuration::from_hours(5);
    again.gates.clear();
    assert!(gate(&world, &again).open);
    world.want("app.main", "2.0");
    let (other, _) = world.plan();
    assert!(!gate(&world, &other).open);
    let mut edited = plan;
    edited.actions[0].repeatable = !edited.actions[0].repeatable;
    assert!(gate(&world, &edited).open, "whether a step is repeatable is not what it does");
    edited.actions[0].undo = crate::plan::ActionUndo::Irreversible;
    assert!(!gate(&world, &edited).open);
}

#[test]
fn a_waiver_lets_pass_in_need() {
    let (mut world, plan) = world(1, &[]);
    world.estate.waivers.push(waiver("approval"));
    assert_eq!(gate(&world, &plan).waived.as_deref(), Some("approval is fine"));
}
