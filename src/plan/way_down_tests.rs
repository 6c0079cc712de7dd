//! Tests of the way down: undoing, a strategy that is asked for, and moves that the product does not allow.

use std::sync::Arc;

use super::fixture::{World, ids, step, strategy, undone_by, verdict};
use super::sample::{blocked, req, route, waiver};
use super::{Decision, VerdictKind};
use crate::lang::Value;
use crate::model::estate::Requirement;
use crate::model::name::InstanceAddr;
use crate::model::provider::{Blocked, Movement, Route};

/// An instance that was moved from 1.0 to 1.1 and is to go back.
fn to_go_back() -> World {
    let mut world = World::new();
    world.declare("app.main", "1.0", &[]);
    world.converge();
    world.want("app.main", "1.1");
    world.converge();
    world.want("app.main", "1.0");
    world
}

#[test]
fn a_strategy_that_is_asked_for_goes_before_undoing() {
    let mut world = to_go_back();
    world.reteach("app", |provider| {
        let down = Route { movement: Movement::Downgrade, strategy: "swap".into(), ..route("down") };
        provider.routes.push(down);
        let swap = strategy("swap", vec![step("swap", &[], "[]", undone_by("[]", false, false))]);
        provider.strategies.insert(swap.name.clone(), swap);
    });
    // Without it what was applied is undone.
    assert!(world.plan().0.changes[0].hops[0].reverts.is_some());
    world.estate.instances.get_mut("app.main").unwrap().strategy = Some("swap".into());
    let (plan, _) = world.plan();
    assert_eq!(plan.changes[0].decision, Decision::Rollback);
    assert_eq!(ids(&plan), ["app.main@1.0:swap", "app.main@1.0:(record)"]);
    assert!(plan.changes[0].why.iter().any(|why| why.contains("\"swap\" is asked for")), "{:?}", plan.changes[0].why);
    // One that is for going up only does not keep from undoing.
    world.estate.instances.get_mut("app.main").unwrap().strategy = Some("in_place".into());
    assert!(world.plan().0.changes[0].hops[0].reverts.is_some());
}

#[test]
fn a_blocked_move_is_not_undone_either_unless_it_is_waived() {
    let mut world = to_go_back();
    world.reteach("app", |provider| {
        provider.blocked.push(Blocked { from: Some(req("1.1")), to: Some(req("< 1.1")), ..blocked("kb9") });
    });
    let (plan, report) = world.plan();
    assert!(plan.changes.is_empty());
    let (kind, why) = verdict(&report, "app.main");
    assert!(kind == VerdictKind::Blocked && why.contains("the move is blocked (\"kb9\"): it loses data"), "{why}");

    world.estate.waivers.push(waiver("kb9"));
    let (plan, _) = world.plan();
    assert!(plan.changes[0].hops[0].reverts.is_some());
    assert_eq!(plan.changes[0].accepted, [Arc::from("kb9")]);
}

#[test]
fn a_requirement_that_is_broken_is_told_although_nothing_changes() {
    let mut world = World::new();
    world.declare("db.main", "1.0", &[]);
    world.declare("app.main", "1.0", &[]);
    world.converge();
    assert!(world.plan().1.verdicts.iter().all(|verdict| verdict.warnings.is_empty()));
    let needs = Requirement {
        instance: InstanceAddr::from_text("db.main"),
        version: ">= 2".into(),
        reason: "the driver is new".to_owned(),
        span: None,
    };
    world.estate.instances.get_mut("app.main").unwrap().requires = vec![needs];
    let (plan, report) = world.plan();
    assert!(plan.changes.is_empty());
    let told: Vec<_> = report.verdicts.iter().filter(|verdict| !verdict.warnings.is_empty()).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].instance.as_str(), told[0].kind), ("app.main", VerdictKind::Nothing));
    assert!(told[0].warnings[0].contains("db.main") && told[0].warnings[0].ends_with("and it is 1.0"), "{:?}", told[0].warnings);
}

#[test]
fn a_secret_that_was_rotated_is_a_change_and_another_key_is_none() {
    let mut world = World::new();
    world.declare("app.main", "1.0", &[]);
    world.set("app.main", &[("password", Value::from("hunter2").sensitive())]);
    let seal = |world: &mut World, text: &str| {
        world.estate.instances.get_mut("app.main").unwrap().seals = [(Arc::from("password"), Arc::from(text))].into();
    };
    seal(&mut world, "k1:aa");
    world.converge();
    assert!(world.plan().0.changes.is_empty());
    // Made with another key, as on another machine: nobody can tell.
    seal(&mut world, "k2:bb");
    assert!(world.plan().0.changes.is_empty());
    seal(&mut world, "k1:bb");
    let (plan, _) = world.plan();
    assert_eq!(plan.changes[0].decision, Decision::Reconfigure);
    assert_eq!(plan.changes[0].settings.len(), 1);
    assert!(plan.changes[0].settings[0].before.has_sensitive() && plan.changes[0].settings[0].after.has_sensitive());
    world.converge();
    assert!(world.plan().0.changes.is_empty());
}
