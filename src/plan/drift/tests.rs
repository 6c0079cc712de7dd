//! Comparing and judging, over a small world.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::lock::{BackupRef, Lock};
use crate::model::drift::DriftIgnore;
use crate::model::inventory::{Observation, Observed};
use crate::model::name::RunId;
use crate::plan::fixture::World;
use crate::plan::sample::now;

/// `app.main`, applied at 1.0, of which the fact `config` was recorded.
fn world() -> World {
    let mut world = World::new();
    world.declare("app.main", "1.0", &[]);
    world.converge();
    let locked = lock(&mut world).instances.get_mut("app.main").expect("it was applied");
    locked.observed.insert("config".into(), Value::from("port = 1\nhost = a\n"));
    see(&mut world, &[("version", Ok("1.0".into())), ("config", Ok("port = 1\nhost = a\n".into()))]);
    world
}

fn lock(world: &mut World) -> &mut Lock {
    let environment = world.estate.instances["app.main"].environment.clone();
    world.locks.get_mut(&environment).expect("a lockfile")
}

fn see(world: &mut World, facts: &[(&str, Result<Value, &str>)]) {
    let facts = facts.iter().map(|(name, value)| {
        let seen = match value {
            Ok(value) => Observed::Value(value.clone()),
            Err(why) => Observed::Unseen((*why).to_owned()),
        };
        (Arc::from(*name), seen)
    });
    let seen = Observation { at: now(), facts: facts.collect() };
    world.inventory.instances.insert(InstanceAddr::from_text("app.main"), seen);
}

fn judged(world: &World) -> (InstanceState, Vec<ExpiredIgnore>) {
    let mut states = compare(&world.estate, &world.locks, &world.inventory, &world.providers);
    let expired = judge(&mut states, &world.estate, &world.locks, now());
    (states.into_iter().find(|state| state.instance.as_str() == "app.main").expect("its state"), expired)
}

fn rule(name: &str, class: DriftClass, until: Option<Timestamp>) -> DriftIgnore {
    DriftIgnore {
        name: name.into(),
        class: Some(class),
        fact: None,
        instance: Some("app.*".to_owned()),
        environment: None,
        reason: "known".to_owned(),
        owner: None,
        until,
        span: None,
    }
}

#[test]
fn what_is_as_recorded_has_no_drift() {
    assert!(judged(&world()).0.drift.is_empty());
}

#[test]
fn changed_configuration_shows_a_difference_three_ways() {
    let mut world = world();
    world.set("app.main", &[("config", "port = 3".into())]);
    see(&mut world, &[("version", Ok("1.0".into())), ("config", Ok("port = 2\nhost = a\n".into()))]);
    let (state, _) = judged(&world);
    let [drift] = &state.drift[..] else { panic!("{:?}", state.drift) };
    assert_eq!((drift.class, drift.severity), (DriftClass::Configuration, Severity::Warning));
    assert_eq!(drift.message, "config is not what it was");
    assert_eq!(drift.desired, Some("port = 3".into()));
    let diff = drift.diff().expect("a difference");
    assert!(diff.contains("-port = 1\n+port = 2\n host = a"), "{diff}");
}

#[test]
fn what_lost_its_content_in_the_lockfile_is_not_compared() {
    let mut world = world();
    let hidden = || Value::object([("port", 1u64.into()), ("password", Value::Unknown.sensitive())]);
    lock(&mut world).instances.get_mut("app.main").expect("it").observed.insert("config".into(), hidden());
    let now = Value::object([("port", 1u64.into()), ("password", Value::from("geheim").sensitive())]);
    see(&mut world, &[("version", Ok("1.0".into())), ("config", Ok(now))]);
    assert!(judged(&world).0.drift.is_empty());
    let now = Value::object([("port", 2u64.into()), ("password", Value::from("geheim").sensitive())]);
    see(&mut world, &[("version", Ok("1.0".into())), ("config", Ok(now))]);
    let (state, _) = judged(&world);
    assert_eq!(state.drift.len(), 1);
    assert!(!format!("{state:?}").contains("geheim"), "{state:?}");
}

#[test]
fn severities_are_the_defaults_unless_the_configuration_says_otherwise() {
    let mut world = world();
    see(&mut world, &[("version", Ok(Value::Null))]);
    let (state, _) = judged(&world);
    assert_eq!((state.drift[0].class, state.drift[0].severity), (DriftClass::Missing, Severity::Critical));
    world.estate.drift.severities.insert(DriftClass::Missing, Severity::Info);
    assert_eq!(judged(&world).0.drift[0].severity, Severity::Info);
}

#[test]
fn an_exception_hides_until_it_runs_out_and_then_says_what_it_hid() {
    let mut world = world();
    see(&mut world, &[("version", Ok("1.1".into())), ("config", Err("it is locked"))]);
    let later = now() + jiff::SignedDuration::from_hours(1);
    world.estate.drift.ignores = vec![rule("a", DriftClass::Version, Some(later))];
    let (state, expired) = judged(&world);
    assert_eq!(state.drift.iter().map(|drift| drift.class).collect::<Vec<_>>(), [DriftClass::Unreachable]);
    assert_eq!((&*state.ignored[0].rule, state.ignored[0].until), ("a", Some(later)));
    assert!(expired.is_empty());
    world.estate.drift.ignores = vec![rule("a", DriftClass::Version, Some(now())), rule("b", DriftClass::Missing, Some(now()))];
    let (state, expired) = judged(&world);
    assert_eq!(state.drift.len(), 2);
    assert_eq!(expired.iter().map(|rule| (&*rule.rule, rule.would_hide)).collect::<Vec<_>>(), [("a", 1), ("b", 0)]);
}

#[test]
fn a_backup_gets_stale_where_backups_are_declared() {
    let mut world = world();
    world.estate.drift.backup_max_age = Some(Duration::from_secs(48 * 3600));
    let ago = |hours: i64| now() - jiff::SignedDuration::from_hours(hours);
    let made = |at, verified| BackupRef {
        id: "b".to_owned(),
        location: "/backups".to_owned(),
        method: "tar".to_owned(),
        version: "1.0".into(),
        at,
        run: RunId::new("run"),
        size: None,
        verified,
        path: None,
        consistent: true,
        set: None,
        excluded: Vec::new(),
    };
    let stale = |world: &World| judged(world).0.drift.iter().map(|drift| drift.message.clone()).collect::<Vec<_>>();
    lock(&mut world).instances.get_mut("app.main").expect("it").hops[0].at = ago(100);
    assert!(stale(&world).is_empty(), "none is declared");
    world.estate.instances.get_mut("app.main").expect("it").backup = Value::object([("method", Value::from("tar"))]);
    assert_eq!(stale(&world), ["it has no good backup, and should have one that is at most 2d old"]);
    lock(&mut world).instances.get_mut("app.main").expect("it").hops[0].at = ago(1);
    assert!(stale(&world).is_empty(), "it was changed only now");
    lock(&mut world).instances.get_mut("app.main").expect("it").backups = vec![made(ago(49), true), made(ago(1), false)];
    assert!(stale(&world)[0].starts_with("its newest good backup is of 2026-05-30T11:00:00Z"), "{:?}", stale(&world));
    world.estate.instances.get_mut("app.main").expect("it").backup = Value::object([("max_age", Value::from("3d"))]);
    assert!(stale(&world).is_empty(), "its own age rules");
}

#[test]
fn drifted_configuration_is_brought_back_where_that_is_asked_for() {
    let mut world = world();
    see(&mut world, &[("version", Ok("1.0".into())), ("config", Ok("port = 2\n".into()))]);
    assert!(world.plan().0.changes.is_empty(), "an ordinary plan does not touch what drifted");
    let facts = [Arc::from("config")].into();
    world.options.bring_back.insert(InstanceAddr::from_text("app.main"), facts);
    let (plan, _) = world.plan();
    assert_eq!(plan.changes[0].decision, crate::plan::Decision::Reconfigure);
    assert!(plan.changes[0].why.iter().any(|why| why.contains("brought back: config")), "{:?}", plan.changes[0].why);
    world.reteach("app", |provider| provider.routes.retain(|route| &*route.name != "settings"));
    let (plan, report) = world.plan();
    assert!(plan.changes.is_empty());
    let (kind, why) = crate::plan::fixture::verdict(&report, "app.main");
    assert_eq!(kind, crate::plan::VerdictKind::Blocked, "{why}");
}
