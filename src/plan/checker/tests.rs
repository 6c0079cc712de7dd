//! Sound plans, broken one by one: the checker must say what is wrong.

use std::collections::BTreeMap;

use super::check;
use crate::lang::{Expr, Value};
use crate::model::call::Arg;
use crate::model::inventory::Observed;
use crate::plan::fixture::World;
use crate::plan::{ActionKind, ActionUndo, Plan, Report, VerdictKind};

/// A database under an application, both upgraded over two hops, in an environment that lets one go at a time.
fn world() -> World {
    let mut world = World::new();
    for (addr, on) in [("db.main", &[][..]), ("db.twin", &[]), ("app.main", &["db.main"])] {
        world.declare(addr, "1.0", on);
    }
    world.converge();
    for addr in ["db.main", "db.twin", "app.main"] {
        world.want(addr, "3.0");
    }
    world.estate.environments.get_mut("production").unwrap().rollout.max_unavailable = Some(crate::model::estate::Share::Count(1));
    world
}

/// What the checker says of the plan after it was broken like this.
fn broken(break_it: impl FnOnce(&mut Plan, &mut Report)) -> String {
    let world = world();
    let (mut plan, mut report) = world.plan();
    break_it(&mut plan, &mut report);
    let durations = BTreeMap::new();
    check(&plan, &report, &world.input(&durations)).join("\n")
}

fn place(plan: &Plan, id: &str) -> usize {
    plan.actions.iter().position(|action| action.id.as_str() == id).unwrap()
}

#[track_caller]
fn says(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is not in {text:?}");
}

#[test]
fn a_sound_plan_is_left_alone() {
    assert_eq!(broken(|_, _| {}), "");
}

#[test]
fn another_format_or_base_is_noticed() {
    says(&broken(|plan, _| plan.format += 1), "format");
    says(&broken(|plan, _| plan.bases.values_mut().for_each(|base| base.serial += 1)), "base");
    says(&broken(|plan, _| plan.bases.clear()), "no base");
    says(&broken(|plan, _| plan.providers.clear()), "provider");
    says(&broken(|plan, _| plan.changes.reverse()), "order of their addresses");
}

#[test]
fn a_verdict_that_does_not_fit_is_noticed() {
    says(&broken(|_, report| report.verdicts[0].kind = VerdictKind::Blocked), "although nothing may be done");
    says(&broken(|_, report| report.verdicts.clear()), "without a verdict");
    says(&broken(|_, report| report.verdicts[0].why.clear()), "no reason");
}

#[test]
fn what_is_no_graph_is_noticed() {
    says(&broken(|plan, _| plan.actions[1].id = plan.actions[0].id.clone()), "two actions");
    says(&broken(|plan, _| plan.actions[0].needs = vec![3]), "stands before");
    says(&broken(|plan, _| plan.actions[5].needs = vec![1, 1]), "twice");
    says(&broken(|plan, _| plan.actions[0].change += 1), "not its own");
    says(&broken(|plan, _| plan.changes[0].hops[0].actions.truncate(1)), "belongs to no hop");
    says(&broken(|plan, _| plan.changes[0].hops[0].actions.push(9_999_999)), "not its own");
}

#[test]
fn a_record_that_does_not_end_its_hop_is_noticed() {
    let unrecorded = broken(|plan, _| {
        let record = plan.actions.iter_mut().find(|action| action.kind == ActionKind::Record).unwrap();
        record.needs.clear();
    });
    says(&unrecorded, "can be recorded before");
    let twice = broken(|plan, _| {
        let at = place(plan, "app.main@3.0:start");
        plan.actions[at].kind = ActionKind::Record;
    });
    says(&twice, "2 records");
}

#[test]
fn a_hidden_point_of_no_return_is_noticed() {
    let hidden = broken(|plan, _| {
        let at = place(plan, "app.main@3.0:migrate");
        plan.actions[at].undo = ActionUndo::Irreversible;
    });
    says(&hidden, "point of no return");
}

#[test]
fn hops_that_do_not_join_are_noticed() {
    says(&broken(|plan, _| plan.changes[0].hops[0].to = Some("9".into())), "do not join");
    says(&broken(|plan, _| plan.changes[0].to = Some("9".into())), "do not lead");
}

#[test]
fn an_order_that_is_not_kept_is_noticed() {
    let between = broken(|plan, _| {
        let at = place(plan, "app.main@3.0:download");
        plan.actions[at].needs.clear();
    });
    says(&between, "app.main can begin a hop before");
    let dependency = broken(|plan, _| {
        let hop = plan.changes[0].hops[0].actions.clone();
        let own = |need: &u32| hop.contains(need);
        for &at in &hop {
            plan.actions[at as usize].needs.retain(own);
        }
    });
    says(&dependency, "app.main can begin before db.main is done");
    let turns = broken(|plan, _| {
        let hop = plan.changes[2].hops[0].actions.clone();
        for &at in &hop {
            plan.actions[at as usize].needs.retain(|need| hop.contains(need));
        }
    });
    says(&turns, "may be down at once");
}

#[test]
fn a_secret_is_noticed_wherever_it_is() {
    let secret = || Value::list([Value::from("s3cret").sensitive()]);
    says(&broken(|plan, _| plan.changes[0].recorded = secret()), "holds a sensitive value");
    says(&broken(|plan, _| plan.changes[0].hops[0].scope = secret()), "holds a sensitive value");
    says(&broken(|plan, _| plan.actions[0].each = Some(secret())), "holds a sensitive value");
    let fact = broken(|plan, _| {
        let seen = plan.inventory.instances.values_mut().next().unwrap();
        seen.facts.insert("x".into(), Observed::Value(secret()));
    });
    says(&fact, "inventory");
    let argument = broken(|plan, _| argument(plan, "app.main@3.0:stop", Arg::Known(secret())));
    says(&argument, "said to be known");
}

fn argument(plan: &mut Plan, id: &str, arg: Arg) {
    let at = place(plan, id);
    let ActionKind::Step { call, .. } = &mut plan.actions[at].kind else { panic!() };
    call.args.insert("command".into(), arg);
}

#[test]
fn an_expression_that_will_not_find_its_names_is_noticed() {
    let deferred = |id: &str, text: &str| {
        let expr = Expr::parse(text).unwrap();
        broken(|plan, _| argument(plan, id, Arg::Deferred(expr)))
    };
    says(&deferred("app.main@3.0:stop", "step.start.result"), "may not have ended");
    says(&deferred("app.main@3.0:stop", "step.stop.result"), "may not have ended");
    says(&deferred("app.main@3.0:stop", "each.key"), "not fanned out");
    says(&deferred("app.main@3.0:stop", "nothing.x"), "not in its scope");
    assert_eq!(deferred("app.main@3.0:stop", "step.backup.result"), "");
}

#[test]
fn a_probe_that_cannot_begin_or_end_is_noticed() {
    let probe = |at: &str, watched: &str, change: fn(&mut Plan)| {
        broken(|plan, _| {
            let during = u32::try_from(place(plan, watched)).unwrap();
            let at = place(plan, at);
            let interval = std::time::Duration::from_secs(1);
            plan.actions[at].probe = Some(crate::model::probe::Probe { pass: None, interval, allow: 0 }.into());
            plan.actions[at].during = vec![during];
            change(plan);
        })
    };
    let (early, late) = ("app.main@3.0:download", "app.main@3.0:start");
    says(&probe(late, early, |_| {}), "which does not come after it in its hop");
    says(&probe("db.main@3.0:download", late, |_| {}), "which does not come after it in its hop");
    // Everything waits for the download's end, and the download's end for it.
    says(&probe(early, late, |_| {}), "and what it watches wait for each other");
    says(&probe(early, late, |plan| plan.actions[0].during = vec![1]), "watches nothing, or watches and is no probe");
}
