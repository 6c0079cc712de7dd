//! What an approval covers.

use super::additions;
use crate::lang::Value;
use crate::model::estate::Window;
use crate::model::provider::Undo;
use crate::plan::fixture::{World, call, step};
use crate::plan::sample::{expr, minutes, preflight, waiver};
use crate::plan::{ActionKind, Plan};

/// `app.main` over `db.main`, both on the way to 3.0 over two hops.
fn world() -> World {
    let mut world = World::new();
    world.declare("db.main", "1.0", &[]);
    world.declare("app.main", "1.0", &["db.main"]);
    world.converge();
    world.want("db.main", "3.0");
    world.want("app.main", "3.0");
    world
}

fn told(approved: &Plan, plan: &Plan) -> Vec<String> {
    let told = |addition: super::Addition| match addition.instance {
        Some(instance) => format!("{instance}: {}", addition.what),
        None => addition.what,
    };
    additions(approved, plan).into_iter().map(told).collect()
}

#[track_caller]
fn adds(approved: &Plan, plan: &Plan, what: &str) {
    let told = told(approved, plan);
    assert!(told.iter().any(|line| line.contains(what)), "`{what}` is not in {told:#?}");
}

#[test]
fn the_same_plan_made_later_adds_nothing() {
    let (approved, _) = world().plan();
    let mut later = world();
    later.locks.get_mut("production").unwrap().serial += 5;
    later.estate.digest = Some(crate::model::name::Digest::of(b"other files were changed, too"));
    let (mut plan, _) = later.plan();
    plan.created += jiff::SignedDuration::from_hours(5);
    for action in &mut plan.actions {
        action.estimate = Some(minutes(7));
    }
    assert_ne!(plan.digest().unwrap(), approved.digest().unwrap());
    assert_eq!(told(&approved, &plan), Vec::<String>::new());
}

#[test]
fn fewer_changes_and_fewer_hops_add_nothing() {
    let (approved, _) = world().plan();
    let plan = approved.part(&|change| change.instance.as_str() == "db.main");
    assert_eq!(told(&approved, &plan), Vec::<String>::new());
    adds(&plan, &approved, "app.main: it was not to change");

    // The first hop of the database was applied, and the rest is planned again.
    let middle = approved.changes.iter().find(|change| change.instance.as_str() == "db.main").unwrap().hops[0].to.clone().unwrap();
    let mut halfway = world();
    halfway.want("app.main", "1.0");
    halfway.want("db.main", &middle);
    halfway.converge();
    halfway.want("app.main", "3.0");
    halfway.want("db.main", "3.0");
    let (rest, _) = halfway.plan();
    assert!(rest.actions.len() < approved.actions.len());
    assert_eq!(told(&approved, &rest), Vec::<String>::new());
    adds(&rest, &approved, "db.main: it was to upgrade from");
}

#[test]
fn another_destination_is_not_covered() {
    let (approved, _) = world().plan();
    let mut other = world();
    other.want("app.main", "2.1");
    adds(&approved, &other.plan().0, "app.main: it was to upgrade from 1.0 to 3.0, and now to upgrade from 1.0 to 2.1");
}

#[test]
fn other_calls_undos_and_steps_are_not_covered() {
    let (approved, _) = world().plan();
    let changed = |change: &dyn Fn(&mut crate::model::provider::Step)| {
        let mut other = world();
        let digest = other.providers["app"].digest.clone();
        other.reteach("app", |app| change(&mut app.strategies.get_mut("in_place").unwrap().steps[2]));
        // As if the provider were the same in all else, so that the difference itself is found.
        let (mut plan, _) = other.plan();
        for hop in plan.changes.iter_mut().flat_map(|change| &mut change.hops) {
            if hop.provider_digest == other.providers["app"].digest {
                hop.provider_digest = digest.clone();
            }
        }
        plan
    };
    adds(&approved, &changed(&|step| step.call = call(&[("command", r#"["other"]"#)])), "stop makes another call");
    adds(&approved, &changed(&|step| step.undo = Undo::Harmless), "stop is undone otherwise");
    adds(&approved, &changed(&|step| step.undo = Undo::Irreversible), "is a point of no return");
    adds(&approved, &changed(&|step| step.timeout = Some(minutes(3))), "stop is done otherwise");
    assert!(told(&approved, &changed(&|step| step.estimate = Some(minutes(9)))).is_empty());

    let mut other = world();
    other.reteach("app", |app| {
        app.strategies.get_mut("in_place").unwrap().steps.push(step("more", &["start"], "[\"x\"]", Undo::Harmless))
    });
    let (plan, _) = other.plan();
    adds(&approved, &plan, "more is new");
    adds(&approved, &plan, "by another state of the provider");
    // A hop without its backup is no smaller hop.
    adds(&plan, &approved, "more is left out");
}

#[test]
fn order_that_is_lost_is_not_covered() {
    let (approved, _) = world().plan();
    let mut plan = approved.clone();
    let record = plan.actions.iter().position(|action| action.id.as_str() == "app.main@3.0:migrate").unwrap();
    assert!(matches!(plan.actions[record].kind, ActionKind::Step { .. }));
    plan.actions[record].needs.clear();
    adds(&approved, &plan, "app.main@3.0:migrate does not wait for app.main@3.0:stop any more");
    assert!(told(&plan, &approved).is_empty(), "more order adds nothing");
}

#[test]
fn other_settings_are_not_covered_also_where_only_their_digest_shows_it() {
    let with = |name: &str, value: Value| {
        let mut world = world();
        world.set("app.main", &[(name, value)]);
        world.plan().0
    };
    let approved = with("port", Value::from("1"));
    assert!(told(&approved, &with("port", Value::from("1"))).is_empty());
    adds(&approved, &with("port", Value::from("2")), "app.main: its settings will be others");
}

#[test]
fn new_gates_waivers_and_worse_checks_are_not_covered() {
    let (approved, _) = world().plan();
    let mut gated = world();
    let window = Window { cron: "0 2 * * 6".into(), duration: minutes(60), timezone: "UTC".into(), span: None };
    gated.estate.environments.get_mut("production").unwrap().windows.push(window);
    let (closed, _) = gated.plan();
    adds(&approved, &closed, "the gate window of production is new");
    // An approval of a plan that waits for its window holds when the window has opened.
    let mut open = closed.clone();
    open.gates[0].open = true;
    assert!(told(&closed, &open).is_empty() && told(&open, &closed).is_empty());
    gated.estate.waivers.push(waiver("window"));
    let (waived, _) = gated.plan();
    adds(&closed, &waived, "the gate window of production is waived (window is fine)");
    assert!(told(&waived, &closed).is_empty());

    let checked = |pass: &str| {
        let mut world = world();
        let digest = world.providers["app"].digest.clone();
        world.reteach("app", |app| {
            let mut check = preflight("room", "true");
            check.pass = expr(pass);
            check.warn_only = true;
            app.preflights.push(check);
        });
        let own = world.providers["app"].digest.clone();
        let (mut plan, _) = world.plan();
        for hop in plan.changes.iter_mut().flat_map(|change| &mut change.hops).filter(|hop| hop.provider_digest == own) {
            hop.provider_digest = digest.clone();
        }
        plan
    };
    adds(&checked("true"), &checked("false"), "check `room` has a worse outcome");
    assert!(told(&checked("false"), &checked("true")).is_empty());
}
