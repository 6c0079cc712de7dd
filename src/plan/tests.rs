//! Deciding, from input to plan and report.

mod back;
mod order;
mod steps;
mod times;

use std::time::Duration;

use super::fixture::{World, ids, verdict, waits};
use super::{Decision, VerdictKind};
use crate::lang::Value;
use crate::model::inventory::Observed;

/// `app.main` over `db.main`, both applied at this version.
fn pair(version: &str) -> World {
    let mut world = World::new();
    world.declare("db.main", version, &[]);
    world.declare("app.main", version, &["db.main"]);
    world.converge();
    world
}

/// `app.main`, applied at this version.
fn single(version: &str) -> World {
    let mut world = World::new();
    world.declare("app.main", version, &[]);
    world.converge();
    world
}

#[test]
fn what_is_as_declared_needs_nothing() {
    let (plan, report) = pair("1.0").plan();
    assert!(plan.changes.is_empty() && plan.actions.is_empty() && plan.bases.is_empty());
    assert_eq!(verdict(&report, "app.main"), (VerdictKind::Nothing, "1.0 is there, as declared".to_owned()));
}

#[test]
fn what_is_not_there_is_installed() {
    let mut world = World::new();
    world.declare("app.main", "2.0", &[]);
    let (plan, report) = world.plan();
    assert_eq!(ids(&plan), ["app.main@2.0:fresh", "app.main@2.0:(record)"]);
    let change = &plan.changes[0];
    assert_eq!((change.decision, &change.from, change.to.as_deref()), (Decision::Install, &None, Some("2.0")));
    assert_eq!(verdict(&report, "app.main").0, VerdictKind::Change(Decision::Install));
}

#[test]
fn what_was_lost_is_installed_again() {
    let mut world = single("1.0");
    world.see("app.main", None);
    let (plan, _) = world.plan();
    assert_eq!(plan.changes[0].decision, Decision::Install);
    assert!(plan.changes[0].why.iter().any(|why| why.contains("installed again")), "{:?}", plan.changes[0].why);
}

#[test]
fn an_upgrade_over_two_hops_records_each_and_begins_the_second_after_the_first() {
    let mut world = single("1.0");
    world.want("app.main", "3.0");
    let (plan, _) = world.plan();
    let change = &plan.changes[0];
    assert_eq!(change.decision, Decision::Upgrade);
    assert_eq!(change.hops.len(), 2, "{:?}", change.why);
    let middle = change.hops[0].to.clone().unwrap();
    assert!(waits(&plan, "app.main@3.0:download", &format!("app.main@{middle}:(record)")));
    assert!(waits(&plan, "app.main@3.0:backup", &format!("app.main@{middle}:(record)")));
    // Stop, migrate, start: a minute each, twice.
    assert_eq!(plan.downtime(&change.instance), Some(Duration::from_secs(360)));
    assert_eq!(plan.duration(), Duration::from_secs(360));
}

#[test]
fn a_changed_setting_is_reconfigured_ignored_or_refused_as_the_provider_says() {
    let mut world = single("1.0");
    let with = |name: &str, value: Value| {
        let mut all = vec![("port", Value::from(80_i64)), ("home", Value::from("/a")), ("timeout", Value::from("1s"))];
        all.iter_mut().find(|(known, _)| *known == name).unwrap().1 = value;
        all
    };
    world.set("app.main", &with("port", Value::from(80_i64)));
    world.see("app.main", None);
    world.converge();
    assert!(world.plan().0.changes.is_empty());

    world.set("app.main", &with("port", Value::from(81_i64)));
    let (plan, _) = world.plan();
    assert_eq!(plan.changes[0].decision, Decision::Reconfigure);
    assert_eq!(plan.changes[0].settings.len(), 1);
    assert_eq!(ids(&plan), ["app.main@1.0:settings", "app.main@1.0:(record)"]);

    world.set("app.main", &with("timeout", Value::from("2s")));
    let (plan, _) = world.plan();
    assert_eq!((plan.changes[0].decision, plan.actions.len()), (Decision::Adopt, 0));
    assert!(plan.changes[0].why.iter().any(|why| why.contains("`timeout`")));

    world.set("app.main", &with("home", Value::from("/b")));
    let (kind, why) = verdict(&world.plan().1, "app.main");
    assert!(kind == VerdictKind::Blocked && why.contains("`home`") && why.contains("/a"), "{why}");
    // Also where nothing is seen, as when the setting says where to look.
    world.see("app.main", None);
    let (kind, why) = verdict(&world.plan().1, "app.main");
    assert!(kind == VerdictKind::Blocked && why.contains("`home`") && why.contains("/a"), "{why}");
}

#[test]
fn what_is_there_but_not_recorded_is_adopted_or_adopted_and_upgraded() {
    let mut world = World::new();
    world.declare("app.main", "~> 1.0", &[]);
    world.see("app.main", Some("1.0"));
    let (plan, _) = world.plan();
    assert_eq!((plan.changes[0].decision, plan.actions.len()), (Decision::Adopt, 0));
    world.want("app.main", "2.0");
    let (plan, _) = world.plan();
    assert_eq!(plan.changes[0].decision, Decision::Upgrade);
    assert!(plan.changes[0].why.iter().any(|why| why.contains("taken into care")));
}

#[test]
fn drift_is_said_and_planned_from_what_is_there() {
    let mut world = single("1.0");
    world.see("app.main", Some("1.1"));
    world.want("app.main", "2.0");
    let (plan, _) = world.plan();
    assert_eq!(plan.changes[0].from.as_deref(), Some("1.1"));
    assert!(plan.changes[0].why.iter().any(|why| why.contains("behind Windlass's back")));
    world.want("app.main", "1.1");
    let (plan, _) = world.plan();
    assert_eq!(plan.changes[0].decision, Decision::Adopt);
    // Undoing leads from what was applied, not from what somebody else put there.
    world.want("app.main", "1.0");
    assert_eq!(verdict(&world.plan().1, "app.main").0, VerdictKind::Blocked);
}

#[test]
fn what_is_declared_no_longer_is_removed_or_forgotten() {
    let mut world = single("1.0");
    world.estate.instances.clear();
    let (plan, _) = world.plan();
    assert_eq!((plan.changes[0].decision, plan.changes[0].to.as_deref()), (Decision::Remove, None));
    assert_eq!(ids(&plan), ["app.main@removed:delete", "app.main@removed:(record)"]);
    assert_eq!(plan.changes[0].hops[0].point_of_no_return, Some(0));
    world.see("app.main", None);
    let (plan, _) = world.plan();
    assert_eq!((plan.changes[0].decision, plan.actions.len()), (Decision::Forget, 0));
}

#[test]
fn a_provider_without_a_way_to_remove_blocks_removal() {
    let mut world = single("1.0");
    world.estate.instances.clear();
    world.reteach("app", |provider| provider.routes.retain(|route| &*route.name != "away"));
    let (kind, why) = verdict(&world.plan().1, "app.main");
    assert!(kind == VerdictKind::Blocked && why.contains("state rm app.main"), "{why}");
    world.providers.remove("app");
    let (kind, why) = verdict(&world.plan().1, "app.main");
    assert!(kind == VerdictKind::Blocked && why.contains("provider app"), "{why}");
}

#[test]
fn what_cannot_be_seen_is_not_touched_and_says_why() {
    let mut world = pair("1.0");
    let seen = world.inventory.instances.get_mut("db.main").unwrap();
    seen.facts.insert("version".into(), Observed::Unseen("connection refused".to_owned()));
    world.want("app.main", "1.1");
    let (plan, report) = world.plan();
    assert!(plan.changes.is_empty());
    let (kind, why) = verdict(&report, "db.main");
    assert!(kind == VerdictKind::Unobserved && why.contains("connection refused"));
    assert!(verdict(&report, "app.main").1.contains("could not be observed"));
}

#[test]
fn without_looking_the_lockfile_is_believed() {
    let mut world = single("1.0");
    world.inventory.instances.clear();
    world.want("app.main", "1.1");
    let (plan, _) = world.plan();
    assert_eq!(plan.changes[0].decision, Decision::Upgrade);
    assert!(plan.changes[0].why.iter().any(|why| why.contains("nobody looked")));
}

#[test]
fn another_environment_is_left_aside() {
    let mut world = single("1.0");
    world.declare("app.lab", "1.0", &[]).environment = "test".into();
    world.options.environments = vec!["test".into()];
    world.want("app.main", "1.1");
    let (plan, report) = world.plan();
    assert_eq!((plan.changes.len(), report.verdicts.len()), (1, 1));
    assert_eq!(plan.bases.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["test"]);
}

#[test]
fn an_address_in_two_environments_is_not_touched() {
    let mut world = single("1.0");
    world.estate.instances.get_mut("app.main").unwrap().environment = "test".into();
    let (kind, why) = verdict(&world.plan().1, "app.main");
    assert!(kind == VerdictKind::Blocked && why.contains("state mv"), "{why}");
}
