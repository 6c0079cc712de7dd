//! Tests of `retreat`, over a world of products.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Retreat, objections};
use crate::model::estate::Requirement;
use crate::model::name::InstanceAddr;
use crate::plan::fixture::World;
use crate::plan::sample::{blocked, expr, req, waiver};

fn back(instance: &str, stations: &[&str]) -> Retreat {
    let station = |text: &&str| (!text.is_empty()).then(|| Arc::from(*text));
    Retreat { instance: InstanceAddr::from_text(instance), stations: stations.iter().map(station).collect() }
}

fn reasons(world: &World, retreats: &[Retreat]) -> Vec<String> {
    let durations = BTreeMap::new();
    objections(&world.input(&durations), retreats).into_iter().map(|(addr, reason)| format!("{addr}: {reason}")).collect()
}

/// An app and the database below it, both at 3.0; the app needs one of 2.
fn world() -> World {
    let mut world = World::new();
    world.declare("db.main", "3.0", &[]);
    world.see("db.main", Some("2.0"));
    let app = world.declare("app.web", "3.0", &["db.main"]);
    let needs = |on: &str| Requirement {
        instance: InstanceAddr::from_text(on),
        version: ">= 2".into(),
        reason: "JSON columns".to_owned(),
        span: None,
    };
    app.requires = vec![needs("db.main")];
    world.see("app.web", Some("2.0"));
    world.converge();
    world
}

#[test]
fn versions_that_do_not_fit_together_afterwards_are_said() {
    let world = world();
    let why = "app.web: app.web 3.0 needs db.main to be `>= 2` (JSON columns), and it is 1.0";
    assert_eq!(reasons(&world, &[back("db.main", &["3.0", "2.0", "1.0"])]), [why]);
    assert_eq!(reasons(&world, &[back("db.main", &["3.0", "2.0"])]), Vec::<String>::new());
    // Where both go back, what counts is where both arrive.
    let both = [back("db.main", &["3.0", "1.0"]), back("app.web", &["3.0", ""])];
    assert_eq!(reasons(&world, &both), Vec::<String>::new());
    let gone = reasons(&world, &[back("db.main", &["3.0", ""])]);
    assert!(gone[0].ends_with("and it is not installed"), "{gone:?}");
    // It is as wrong now: going back makes it no worse.
    assert_eq!(reasons(&world, &[back("db.main", &["1.0", "1.0"])]), Vec::<String>::new());
}

#[test]
fn every_blocked_move_on_the_way_is_said_and_a_doubt_lets_pass() {
    let mut world = world();
    world.reteach("db", |db| {
        let mut never = blocked("never");
        (never.from, never.to) = (Some(req(">= 3")), Some(req("< 3")));
        let mut rarely = blocked("rarely");
        (rarely.from, rarely.to, rarely.when) = (Some(req("2.0")), Some(req("1.0")), Some(expr("fact.nothing > 1")));
        db.blocked = vec![never, rarely];
    });
    let way = [back("db.main", &["3.0", "2.0", "1.0"])];
    let found = reasons(&world, &way);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].starts_with("db.main: 3.0 to 2.0: the move is blocked (\"never\")"), "{found:?}");
    world.estate.waivers = vec![waiver("never")];
    assert_eq!(reasons(&world, &way).len(), 1);
}
