//! What a change of the configuration alters.

use super::{Alteration, Delta, Revision};
use crate::plan::fixture::World;
use crate::plan::sample::{blocked, req};

/// Two applications, of which one is to be upgraded already.
fn base() -> World {
    let mut world = World::new();
    world.declare("app.main", "1.0", &[]);
    world.declare("app.other", "1.0", &[]);
    world.declare("db.main", "1.0", &[]);
    world.converge();
    world.want("app.other", "1.1");
    world
}

fn revision() -> Revision {
    Revision { revision: "origin/main".into(), commit: "0123456789abcdef".into(), unusable: None }
}

fn between(before: &World, after: &World) -> Delta {
    let ((old, old_report), (new, report)) = (before.plan(), after.plan());
    Delta::between(revision(), Some((&old, &old_report)), (&new, &report))
}

fn altered(delta: &Delta) -> Vec<(&str, Alteration)> {
    delta.altered.iter().map(|altered| (altered.instance.as_str(), altered.alteration)).collect()
}

#[test]
fn what_was_pending_is_apart_from_what_is_altered() {
    let mut after = base();
    after.want("app.main", "1.1");
    let delta = between(&base(), &after);
    assert_eq!(altered(&delta), [("app.main", Alteration::New)]);
    assert_eq!(delta.pending.len(), 1);
    assert_eq!((delta.pending[0].instance.as_str(), delta.pending[0].what.as_str()), ("app.other", "upgrade 1.0 → 1.1"));
    let (plan, report) = after.plan();
    let (part, told) = delta.part(&plan, &report);
    assert_eq!(part.changes.len(), 1);
    assert!(part.changes[0].instance.as_str() == "app.main" && told.verdicts.len() == 1);
}

#[test]
fn another_way_to_what_was_pending_is_an_alteration_with_its_differences() {
    let mut after = base();
    after.want("app.other", "2.0");
    let delta = between(&base(), &after);
    assert_eq!(altered(&delta), [("app.other", Alteration::Other)]);
    assert!(delta.altered[0].differences[0].contains("upgrade from 1.0 to 1.1, and now to upgrade from 1.0 to 2.0"), "{delta:?}");
    assert!(delta.pending.is_empty());
}

#[test]
fn what_does_not_happen_any_more_is_said() {
    let mut after = base();
    after.want("app.other", "1.0");
    let delta = between(&base(), &after);
    assert_eq!(altered(&delta), [("app.other", Alteration::Dropped)]);
}

#[test]
fn what_gets_stuck_by_the_change_is_told_from_what_was_stuck_before() {
    let stop = |world: &mut World| {
        world.reteach("app", |app| {
            let mut rule = blocked("no");
            rule.to = Some(req("= 2.0"));
            app.blocked.push(rule);
        });
    };
    let mut before = base();
    stop(&mut before);
    let mut after = base();
    stop(&mut after);
    after.want("app.main", "2.0");
    let delta = between(&before, &after);
    assert_eq!(altered(&delta), [("app.main", Alteration::Stuck)]);
    assert!(delta.is_stuck() && !delta.altered[0].differences.is_empty());
    let again = between(&after, &after);
    assert!(!again.is_stuck() && again.altered.is_empty());
    assert!(again.pending.iter().any(|pending| pending.stuck && pending.instance.as_str() == "app.main"), "{again:?}");
}

#[test]
fn without_a_base_everything_is_new() {
    let world = base();
    let (plan, report) = world.plan();
    let delta = Delta::between(revision(), None, (&plan, &report));
    assert_eq!(altered(&delta), [("app.other", Alteration::New)]);
}
