//! From steps to actions: what is left out, where it is done, what watches.

use std::time::Duration;

use super::single;
use crate::lang::Value;
use crate::model::call::Arg;
use crate::model::provider::Undo;
use crate::plan::fixture::{World, ids, step, undone_by, verdict, waits};
use crate::plan::sample::expr;
use crate::plan::{ActionUndo, VerdictKind};

#[test]
fn what_needs_results_or_secrets_is_left_to_apply_and_the_rest_is_known() {
    let mut world = single("1.0");
    world.set("app.main", &[("password", Value::from("hunter22").sensitive())]);
    world.want("app.main", "1.1");
    let (plan, _) = world.plan();
    let argument = |id: &str| {
        let action = plan.actions.iter().find(|action| action.id.as_str() == id).unwrap();
        (action.kind.call().unwrap().args["command"].clone(), action.undo.clone())
    };
    assert!(matches!(argument("app.main@1.1:backup").0, Arg::Deferred(_)));
    assert_eq!(argument("app.main@1.1:migrate").0, Arg::Known(Value::list([Value::from("migrate"), Value::from("1.0")])));
    assert_eq!(argument("app.main@1.1:stop").0, Arg::Known(Value::list([Value::from("stop"), Value::from("main.service")])));
    let ActionUndo::Call { call, restores_data: true, .. } = argument("app.main@1.1:migrate").1 else { panic!() };
    assert!(matches!(&call.args["command"], Arg::Deferred(expr) if expr.text().contains("step.backup")));
    assert_eq!(plan.changes[0].hops[0].keep, [("backup".into(), vec!["id".into()])]);
    assert!(!String::from_utf8(plan.bytes().unwrap()).unwrap().contains("hunter22"));
    assert!(!format!("{plan:?}").contains("hunter22"));
}

#[test]
fn a_step_that_is_left_out_passes_on_what_it_waits_for_and_tells_its_result() {
    let mut world = single("1.0");
    world.reteach("app", |provider| {
        let steps = &mut provider.strategies.get_mut("in_place").unwrap().steps;
        steps[2].when = Some(expr("fact.jobs != null"));
        steps[1].for_each = Some(expr(r#"["x", "y"]"#));
        steps[3].call.args.insert("each".into(), expr("step.stop.result"));
        steps[1].call.args.insert("key".into(), expr("each.key"));
        steps[1].undo = Undo::Harmless;
        steps[3].undo = Undo::Harmless;
    });
    world.want("app.main", "1.1");
    let (plan, _) = world.plan();
    assert!(waits(&plan, "app.main@1.1:migrate", "app.main@1.1:backup[\"x\"]"));
    assert!(waits(&plan, "app.main@1.1:migrate", "app.main@1.1:download"));
    let migrate = plan.actions.iter().find(|action| action.id.as_str() == "app.main@1.1:migrate").unwrap();
    assert_eq!(migrate.kind.call().unwrap().args["each"], Arg::Known(Value::Null));
    assert!(plan.changes[0].hops[0].scope.get("step").and_then(|steps| steps.get("stop")).is_some());
}

#[test]
fn a_result_of_a_step_that_may_not_have_ended_is_refused() {
    let mut world = single("1.0");
    world.reteach("app", |provider| {
        provider.strategies.get_mut("in_place").unwrap().steps[0].call.args.insert("x".into(), expr("step.backup.result"));
    });
    world.want("app.main", "1.1");
    let (kind, why) = verdict(&world.plan().1, "app.main");
    assert!(kind == VerdictKind::Blocked && why.contains("`backup`") && why.contains("after"), "{why}");
}

#[test]
fn a_wide_fan_out_does_not_draw_every_edge() {
    let mut world = single("1.0");
    let many: Vec<String> = (0..300).map(|number| format!("\"{number}\"")).collect();
    let many = format!("[{}]", many.join(", "));
    world.reteach("app", |provider| {
        let steps = &mut provider.strategies.get_mut("in_place").unwrap().steps;
        for at in [1, 2, 3] {
            steps[at].for_each = Some(expr(&many));
            steps[at].undo = undone_by("[each.key]", false, false);
        }
    });
    world.want("app.main", "1.1");
    let plan = world.converge();
    let edges = |plan: &crate::plan::Plan| plan.actions.iter().map(|action| action.needs.len()).sum::<usize>();
    assert!(plan.actions.len() > 900 && edges(&plan) < 3000, "{}", edges(&plan));
    world.want("app.main", "1.0");
    let (plan, _) = world.plan();
    assert!(plan.actions.len() > 900 && edges(&plan) < 3000, "{}", edges(&plan));
}

#[test]
fn a_step_is_done_on_the_host_that_it_names_and_that_host_must_be_declared() {
    use crate::model::estate::Host;
    let mut world = World::new();
    world.declare("app.main", "2.0", &[]);
    world.reteach("app", |provider| {
        let fresh = provider.strategies.get_mut("fresh").unwrap();
        fresh.steps[0].call.on = Some(expr("\"db${to.major}\""));
    });
    let (plan, report) = world.plan();
    assert!(plan.changes.is_empty());
    let (_, why) = verdict(&report, "app.main");
    assert!(why.contains("`on` in step `fresh` is `db2`, and the configuration declares no such host"), "{why}");
    let host = Host { name: "db2".into(), ssh: None, concurrency: 1, attributes: Value::Null, span: None };
    world.estate.hosts.insert("db2".into(), host);
    let (plan, _) = world.plan();
    assert_eq!(plan.actions[0].kind.call().unwrap().on, Some(Arg::Known("db2".into())));
    for (on, expected) in [("null", None), ("host.name", Some(Arg::Known("localhost".into())))] {
        world.reteach("app", |provider| {
            provider.strategies.get_mut("fresh").unwrap().steps[0].call.on = Some(expr(on));
        });
        assert_eq!(world.plan().0.actions[0].kind.call().unwrap().on, expected);
    }
}

/// `app.main` from 1.0 to 1.1, with a probe of the steps from `stop` to `start`.
fn probed(change: impl FnOnce(&mut Vec<crate::model::provider::Step>)) -> World {
    let mut world = single("1.0");
    world.reteach("app", |provider| {
        let steps = &mut provider.strategies.get_mut("in_place").unwrap().steps;
        let mut watch = step("watch", &["download"], r#"["look", to.text]"#, Undo::Harmless);
        let interval = Duration::from_secs(1);
        watch.probe = Some(crate::model::probe::Probe { pass: Some(expr("result.ok")), interval, allow: 0 }.into());
        watch.during = vec!["start".into(), "stop".into()];
        // Declared last: the plan puts it before what it watches all the same.
        steps.push(watch);
        change(steps);
    });
    world.want("app.main", "1.1");
    world
}

#[test]
fn a_probe_stands_before_what_it_watches_and_the_record_waits_for_it() {
    let (plan, _) = probed(|_| {}).plan();
    let place = |id: &str| ids(&plan).iter().position(|known| *known == id).unwrap() as u32;
    let watch = &plan.actions[place("app.main@1.1:watch") as usize];
    assert_eq!(watch.during, [place("app.main@1.1:stop"), place("app.main@1.1:start")]);
    assert!(place("app.main@1.1:watch") < watch.during[0]);
    assert!(waits(&plan, "app.main@1.1:(record)", "app.main@1.1:watch"));
    assert!(!waits(&plan, "app.main@1.1:stop", "app.main@1.1:watch"));
}

#[test]
fn a_probe_watches_every_item_and_is_left_out_where_nothing_is_left_to_watch() {
    let (plan, _) = probed(|steps| steps[4].for_each = Some(expr(r#"["x", "y"]"#))).plan();
    let watch = plan.actions.iter().find(|action| action.probe.is_some()).unwrap();
    assert_eq!(watch.during.len(), 3);
    let (plan, _) = probed(|steps| {
        steps[2].when = Some(expr("false"));
        steps[4].when = Some(expr("false"));
    })
    .plan();
    assert!(!plan.actions.is_empty() && plan.actions.iter().all(|action| action.probe.is_none() && action.during.is_empty()));
}
