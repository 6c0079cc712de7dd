//! What waits for what: dependencies, needs, targets, windows.

use std::time::Duration;

use super::{pair, single};
use crate::model::estate::{Requirement, Window};
use crate::model::name::InstanceAddr;
use crate::plan::VerdictKind;
use crate::plan::fixture::{World, ids, verdict, waits};
use crate::plan::sample::preflight;

#[test]
fn a_database_goes_up_before_its_application_and_down_after_it() {
    let mut world = pair("1.0");
    world.want("app.main", "1.1");
    world.want("db.main", "1.1");
    let plan = world.converge();
    assert!(waits(&plan, "app.main@1.1:download", "db.main@1.1:(record)"));
    assert!(waits(&plan, "app.main@1.1:backup", "db.main@1.1:(record)"));
    world.want("app.main", "1.0");
    world.want("db.main", "1.0");
    let (plan, _) = world.plan();
    assert!(waits(&plan, "db.main@1.0:undo:start", "app.main@1.0:(record)"));
    world.estate.instances.clear();
    let (plan, _) = world.plan();
    assert!(waits(&plan, "db.main@removed:delete", "app.main@removed:(record)"));
}

#[test]
fn order_holds_through_an_instance_that_stays() {
    let mut world = World::new();
    world.declare("db.main", "1.0", &[]);
    world.declare("app.middle", "1.0", &["db.main"]);
    world.declare("app.top", "1.0", &["app.middle"]);
    world.converge();
    world.want("db.main", "1.1");
    world.want("app.top", "1.1");
    let (plan, _) = world.plan();
    assert!(waits(&plan, "app.top@1.1:backup", "db.main@1.1:(record)"));
}

#[test]
fn what_is_blocked_blocks_what_waits_for_it_and_nothing_else() {
    let mut world = pair("1.0");
    world.declare("app.other", "1.0", &[]);
    world.converge();
    world.reteach("db", |provider| provider.preflights.push(preflight("space", "to.text == \"none\"")));
    for addr in ["db.main", "app.main", "app.other"] {
        world.want(addr, "1.1");
    }
    let (plan, report) = world.plan();
    assert_eq!(plan.changes.len(), 1);
    assert_eq!(plan.changes[0].instance.as_str(), "app.other");
    let (kind, why) = verdict(&report, "db.main");
    assert!(kind == VerdictKind::Blocked && why.contains("`space`") && why.contains("wait"), "{why}");
    assert_eq!(verdict(&report, "app.main"), (VerdictKind::Blocked, "it waits for db.main, which is blocked".to_owned()));
}

#[test]
fn a_target_brings_its_dependencies_and_on_the_way_down_what_depends_on_it() {
    let mut world = pair("1.0");
    world.declare("app.other", "1.0", &[]);
    world.converge();
    for addr in ["db.main", "app.main", "app.other"] {
        world.want(addr, "1.1");
    }
    world.options.targets = vec!["app.main".to_owned()];
    let (plan, report) = world.plan();
    assert_eq!(plan.changes.iter().map(|change| change.instance.as_str()).collect::<Vec<_>>(), ["app.main", "db.main"]);
    assert!(report.verdicts.iter().all(|verdict| verdict.instance.as_str() != "app.other"));
    world.options.targets.clear();
    world.converge();
    for addr in ["db.main", "app.main"] {
        world.want(addr, "1.0");
    }
    world.options.targets = vec!["db.main".to_owned()];
    let (plan, _) = world.plan();
    assert_eq!(plan.changes.len(), 2, "the application must go down first");
}

#[test]
fn a_need_of_another_version_is_met_first_or_blocks() {
    let mut world = pair("1.0");
    let instance = InstanceAddr::from_text("db.main");
    world.estate.instances.get_mut("app.main").unwrap().requires =
        vec![Requirement { instance, version: ">= 2.0".into(), reason: "JSON".to_owned(), span: None }];
    world.want("app.main", "1.1");
    let (plan, report) = world.plan();
    assert!(plan.changes.is_empty());
    assert!(verdict(&report, "app.main").1.contains("db.main"), "{report:?}");
    world.want("db.main", ">= 1.0, < 3");
    let (plan, _) = world.plan();
    assert_eq!(plan.changes.len(), 2);
    assert!(waits(&plan, "app.main@1.1:backup", "db.main@2.1:(record)"), "{:?}", ids(&plan));
}

#[test]
fn a_closed_window_makes_a_change_wait() {
    let mut world = single("1.0");
    let window = Window { cron: "0 3 1 1 *".to_owned(), duration: Duration::from_secs(60), timezone: "UTC".to_owned(), span: None };
    world.estate.environments.get_mut("production").unwrap().windows = vec![window];
    world.want("app.main", "1.1");
    let (plan, report) = world.plan();
    assert_eq!(plan.changes.len(), 1);
    let (kind, why) = verdict(&report, "app.main");
    assert!(kind == VerdictKind::Waiting && why.contains("window"), "{why}");
}

#[test]
fn dependencies_in_a_circle_are_named() {
    let mut world = World::new();
    world.declare("app.a", "1.0", &["app.b"]);
    world.declare("app.b", "1.0", &["app.a"]);
    let (plan, report) = world.plan();
    assert!(plan.changes.is_empty());
    assert!(verdict(&report, "app.a").1.contains("app.a, app.b"), "{report:?}");
}
