//! What leads back: undone hops, downgrades, and what cannot go back.

use super::{pair, single};
use crate::lang::Value;
use crate::model::call::Arg;
use crate::model::provider::{Movement, Undo};
use crate::plan::fixture::{World, ids, step, undone_by, verdict, waits};
use crate::plan::sample::req;
use crate::plan::{ActionKind, Decision, VerdictKind};

#[test]
fn a_lower_version_undoes_the_applied_hops_newest_first() {
    let mut world = single("1.0");
    world.want("app.main", "3.0");
    world.converge();
    world.want("app.main", "1.0");
    let plan = world.converge();
    let change = &plan.changes[0];
    assert_eq!((change.decision, change.hops.len()), (Decision::Rollback, 2), "{:?}", change.why);
    assert!(change.hops.iter().all(|hop| hop.reverts.is_some()));
    assert!(waits(&plan, "app.main@1.0:undo:migrate", "app.main@1.0:undo:start"));
    assert!(waits(&plan, "app.main@1.0:undo:backup", "app.main@1.0:undo:stop"));
    let restore = plan.actions.iter().find(|action| action.id.as_str() == "app.main@1.0:undo:migrate").unwrap();
    assert!(matches!(&restore.kind, ActionKind::Revert { call, restores_data: true, .. }
        if call.args["command"] == Arg::Known(Value::list([Value::from("restore"), Value::from("b-1")]))));
    assert!(change.why.iter().any(|why| why.contains("is lost")), "{:?}", change.why);
    assert!(world.plan().0.changes.is_empty());
}

#[test]
fn a_rollback_uses_the_provider_that_applied_the_hop() {
    let mut world = single("1.0");
    world.want("app.main", "1.1");
    world.converge();
    let old = world.providers["app"].digest.clone();
    world.reteach("app", |provider| {
        provider.strategies.get_mut("in_place").unwrap().steps =
            vec![step("other", &[], "[]", undone_by(r#"["wrong"]"#, false, false))];
    });
    world.want("app.main", "1.0");
    let (plan, _) = world.plan();
    assert_eq!(plan.changes[0].hops[0].provider_digest, old);
    assert!(ids(&plan).contains(&"app.main@1.0:undo:migrate"), "{:?}", ids(&plan));

    world.applied.remove(&old);
    let (plan, report) = world.plan();
    assert!(plan.changes.is_empty());
    let (kind, why) = verdict(&report, "app.main");
    assert!(kind == VerdictKind::Blocked && why.contains(old.as_str()), "{why}");
}

#[test]
fn a_hop_that_cannot_be_undone_blocks_the_rollback_and_names_the_step() {
    let mut world = World::new();
    world.reteach("app", |provider| {
        provider.strategies.get_mut("in_place").unwrap().steps[3].undo = Undo::Irreversible;
    });
    world.declare("app.main", "1.0", &[]);
    world.converge();
    world.want("app.main", "1.1");
    let plan = world.converge();
    let point = plan.changes[0].hops[0].point_of_no_return.unwrap();
    assert_eq!(plan.actions[point as usize].id.as_str(), "app.main@1.1:migrate");
    world.want("app.main", "1.0");
    let (plan, report) = world.plan();
    let (kind, why) = verdict(&report, "app.main");
    assert!(plan.changes.is_empty() && kind == VerdictKind::Blocked);
    assert!(why.contains("`migrate`") && why.contains("restore"), "{why}");
}

#[test]
fn a_database_whose_application_cannot_go_back_stays() {
    let mut world = pair("1.0");
    world.want("app.main", "1.1");
    world.want("db.main", "1.1");
    world.converge();
    world.applied.retain(|_, provider| provider.name.as_str() != "app");
    world.want("app.main", "1.0");
    world.want("db.main", "1.0");
    let (plan, report) = world.plan();
    assert!(plan.changes.is_empty());
    assert!(verdict(&report, "db.main").1.contains("waits for app.main"), "{report:?}");
}

#[test]
fn the_way_back_undoes_in_reverse_order() {
    let mut world = pair("1.0");
    world.want("app.main", "1.1");
    world.want("db.main", "1.1");
    let (plan, _) = world.plan();
    let back = plan.rollback();
    let place = |id: &str| back.iter().position(|entry| plan.actions[entry.action as usize].id.as_str() == id).unwrap();
    assert!(place("app.main@1.1:start") < place("app.main@1.1:migrate"));
    assert!(place("app.main@1.1:backup") < place("db.main@1.1:start"));
    assert!(back.iter().enumerate().all(|(at, entry)| entry.needs.iter().all(|need| (*need as usize) < at)));
    // What needs no undo is not there.
    assert!(back.iter().all(|entry| !plan.actions[entry.action as usize].id.as_str().ends_with("download")));
}

#[test]
fn a_rollback_after_a_reconfiguration_goes_back_over_both() {
    let mut world = single("1.0");
    world.want("app.main", "1.1");
    world.converge();
    for port in [1_i64, 2] {
        world.set("app.main", &[("port", port.into())]);
        world.converge();
    }
    world.want("app.main", "1.0");
    let (plan, _) = world.plan();
    let change = &plan.changes[0];
    assert_eq!(change.hops.iter().filter(|hop| hop.reverts.is_some()).count(), 3);
    assert_eq!(change.hops.last().map(|hop| &*hop.route), Some("settings"));
}

#[test]
fn a_downgrade_route_is_taken_where_nothing_can_be_undone() {
    let mut world = World::new();
    world.reteach("app", |provider| {
        let mut down = provider.routes[1].clone();
        down.name = "down".into();
        down.movement = Movement::Downgrade;
        down.to = Some(req(">= 1.0"));
        provider.routes.push(down);
    });
    world.declare("app.main", "1.0", &[]);
    world.see("app.main", Some("1.1"));
    let (plan, _) = world.plan();
    assert_eq!(plan.changes[0].decision, Decision::Rollback, "{:?}", plan.changes[0].why);
    assert_eq!(&*plan.changes[0].hops[0].route, "down");
}
