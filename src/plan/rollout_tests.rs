//! Taking turns, seen in whole plans.

use std::time::Duration;

use crate::model::estate::{Rollout, Share};
use crate::plan::ActionKind;
use crate::plan::fixture::{World, ids, waits};

/// `app.a` … over so many letters, applied at 1.0 and declared at `version`, under these rules.
fn fleet(count: u8, version: &str, rollout: Rollout) -> World {
    let mut world = World::new();
    let names: Vec<String> = (0..count).map(|letter| format!("app.{}", char::from(b'a' + letter))).collect();
    for name in &names {
        world.declare(name, "1.0", &[]);
    }
    world.converge();
    for name in &names {
        world.want(name, version);
    }
    world.estate.environments.get_mut("production").unwrap().rollout = rollout;
    world
}

fn at_once(count: u32) -> Rollout {
    Rollout { max_unavailable: Some(Share::Count(count)), ..Rollout::default() }
}

#[test]
fn a_canary_goes_first_and_then_portions_with_pauses() {
    let rollout =
        Rollout { canary: Some(1), batch: Some(Share::Count(2)), soak: Some(Duration::from_secs(600)), ..Rollout::default() };
    let (plan, _) = fleet(5, "1.1", rollout).plan();
    for after in ["app.b@1.1:backup", "app.c@1.1:backup"] {
        assert!(waits(&plan, after, "app.a@1.1:(record)"));
    }
    assert!(!waits(&plan, "app.c@1.1:(record)", "app.b@1.1:backup"));
    assert!(waits(&plan, "app.d@1.1:download", "app.b@1.1:(record)"));
    assert!(waits(&plan, "app.e@1.1:download", "app.c@1.1:(record)"));
    let pause = |kind: &ActionKind| match kind {
        ActionKind::Pause(pause) => Some(*pause),
        _ => None,
    };
    let pauses: Vec<Duration> = plan.actions.iter().filter_map(|action| pause(&action.kind)).collect();
    assert_eq!(pauses, [Duration::from_secs(600); 2]);
    assert_eq!(plan.duration(), Duration::from_secs(3 * 180 + 2 * 600));
}

#[test]
fn no_more_go_at_once_than_may_be_unavailable() {
    let (plan, _) = fleet(4, "1.1", at_once(2)).plan();
    assert!(waits(&plan, "app.c@1.1:backup", "app.a@1.1:(record)"));
    assert!(waits(&plan, "app.d@1.1:backup", "app.b@1.1:(record)"));
    assert!(!waits(&plan, "app.b@1.1:(record)", "app.a@1.1:backup"));
}

#[test]
fn a_rollback_takes_turns_too() {
    let mut world = fleet(3, "1.1", at_once(1));
    world.converge();
    for name in ["app.a", "app.b", "app.c"] {
        world.want(name, "1.0");
    }
    let (plan, _) = world.plan();
    assert!(waits(&plan, "app.b@1.0:undo:start", "app.a@1.0:(record)"));
    assert!(waits(&plan, "app.c@1.0:undo:start", "app.b@1.0:(record)"));
}

#[test]
fn a_cluster_reaches_each_version_together() {
    let (plan, _) = fleet(3, "3.0", at_once(1)).plan();
    let middle = plan.changes[0].hops[0].to.clone().unwrap();
    assert!(waits(&plan, "app.a@3.0:backup", &format!("app.c@{middle}:(record)")));
    assert!(waits(&plan, &format!("app.b@{middle}:backup"), &format!("app.a@{middle}:(record)")));
}

#[test]
fn a_member_that_is_ahead_waits_for_the_others_to_catch_up() {
    let mut world = fleet(3, "2.0", at_once(1));
    world.want("app.b", "1.0");
    world.want("app.c", "1.0");
    world.converge();
    for name in ["app.a", "app.b", "app.c"] {
        world.want(name, "3.0");
    }
    let (plan, _) = world.plan();
    assert_eq!((plan.changes[0].hops.len(), plan.changes[1].hops.len()), (1, 2));
    let middle = plan.changes[1].hops[0].to.clone().unwrap();
    assert!(waits(&plan, "app.a@3.0:backup", &format!("app.c@{middle}:(record)")), "{:?}", ids(&plan));
}

#[test]
fn members_that_depend_on_each_other_take_each_version_in_that_order() {
    let mut world = fleet(2, "3.0", at_once(1));
    world.estate.instances.get_mut("app.a").unwrap().depends_on = vec![crate::model::name::InstanceAddr::from_text("app.b")];
    let (plan, _) = world.plan();
    let middle = plan.changes[0].hops[0].to.clone().unwrap();
    assert!(waits(&plan, &format!("app.a@{middle}:backup"), &format!("app.b@{middle}:(record)")));
    assert!(waits(&plan, "app.b@3.0:backup", &format!("app.a@{middle}:(record)")));
}

#[test]
fn members_that_depend_on_each_other_through_others_still_get_an_order() {
    let mut world = World::new();
    world.declare("app.a", "1.0", &[]);
    world.declare("db.x", "1.0", &["app.a"]);
    world.declare("app.b", "1.0", &["db.x"]);
    world.converge();
    for addr in ["app.a", "db.x", "app.b"] {
        world.want(addr, "3.0");
    }
    world.estate.environments.get_mut("production").unwrap().rollout = at_once(1);
    let (plan, _) = world.plan();
    assert_eq!(plan.changes.len(), 3);
    assert!(waits(&plan, "app.b@3.0:(record)", "app.a@3.0:(record)"));
}

#[test]
fn an_installation_takes_no_turns() {
    let mut world = fleet(3, "1.0", at_once(1));
    world.declare("app.x", "1.0", &[]);
    world.declare("app.y", "1.0", &[]);
    let (plan, _) = world.plan();
    assert!(!waits(&plan, "app.y@1.0:fresh", "app.x@1.0:(record)") && plan.actions.len() == 4);
}

/// With the fact `healthy`.
fn with_health(mut world: World) -> World {
    let provider = world.providers.get_mut("app").unwrap();
    std::sync::Arc::make_mut(provider).facts.insert("healthy".into(), crate::plan::sample::fact());
    world
}

fn verifies(plan: &crate::plan::Plan) -> Vec<(String, Vec<String>)> {
    let verify = |action: &crate::plan::Action| match &action.kind {
        ActionKind::Verify { instances, .. } => Some((action.id.to_string(), instances.iter().map(ToString::to_string).collect())),
        _ => None,
    };
    plan.actions.iter().filter_map(verify).collect()
}

#[test]
fn a_portion_begins_only_when_all_of_the_one_before_are_healthy() {
    let rollout = Rollout {
        canary: Some(1),
        batch: Some(Share::Count(2)),
        soak: Some(Duration::from_secs(600)),
        healthy_within: Some(Duration::from_secs(30)),
        ..Rollout::default()
    };
    let (plan, _) = with_health(fleet(5, "1.1", rollout)).plan();
    let between: Vec<_> = verifies(&plan).into_iter().filter(|(id, _)| id.ends_with("(portion)")).map(|(_, whose)| whose).collect();
    assert_eq!(between, [vec!["app.a"], vec!["app.b", "app.c"]]);
    for after in ["app.b@1.1:backup", "app.c@1.1:backup"] {
        assert!(waits(&plan, after, "app.b@1.1:(portion)"));
    }
    // The soak comes before the question, the question before everything of the portion.
    assert!(waits(&plan, "app.b@1.1:(portion)", "app.b@1.1:(turn)") && waits(&plan, "app.e@1.1:download", "app.d@1.1:(portion)"));
    let within = |kind: &ActionKind| matches!(kind, ActionKind::Verify { within, .. } if within.as_secs() == 30);
    assert_eq!(plan.actions.iter().filter(|action| within(&action.kind)).count(), 5 + 2);
}

#[test]
fn an_instance_is_recorded_only_when_it_is_healthy() {
    let (plan, _) = with_health(fleet(2, "3.0", Rollout { canary: Some(1), ..Rollout::default() })).plan();
    assert!(waits(&plan, "app.a@3.0:(record)", "app.a@3.0:(healthy)") && waits(&plan, "app.b@3.0:(record)", "app.b@3.0:(healthy)"));
    // In the middle of a way of several hops nobody asks.
    assert_eq!(verifies(&plan).len(), 3, "{:?}", verifies(&plan));
}

#[test]
fn nobody_asks_for_health_without_rules_or_without_the_fact() {
    assert_eq!(verifies(&fleet(2, "1.1", at_once(1)).plan().0), []);
    assert_eq!(verifies(&with_health(fleet(2, "1.1", Rollout::default())).plan().0), []);
}
