//! Deciding, from input to plan and report.

use std::time::Duration;

use super::fixture::{World, ids, step, undone_by, verdict, waits};
use super::sample::{expr, preflight, req};
use super::{ActionKind, ActionUndo, Decision, DowntimeSpread, Spread, VerdictKind};
use crate::lang::Value;
use crate::model::call::Arg;
use crate::model::estate::{Requirement, Window};
use crate::model::inventory::Observed;
use crate::model::name::InstanceAddr;
use crate::model::provider::{Movement, Undo};

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
    let edges = |plan: &super::Plan| plan.actions.iter().map(|action| action.needs.len()).sum::<usize>();
    assert!(plan.actions.len() > 900 && edges(&plan) < 3000, "{}", edges(&plan));
    world.want("app.main", "1.0");
    let (plan, _) = world.plan();
    assert!(plan.actions.len() > 900 && edges(&plan) < 3000, "{}", edges(&plan));
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

#[test]
fn an_address_in_two_environments_is_not_touched() {
    let mut world = single("1.0");
    world.estate.instances.get_mut("app.main").unwrap().environment = "test".into();
    let (kind, why) = verdict(&world.plan().1, "app.main");
    assert!(kind == VerdictKind::Blocked && why.contains("state mv"), "{why}");
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

fn measured(step: &str, runs: u32, [least, typical, most]: [u64; 3]) -> (String, Spread) {
    let [least, typical, most] = [least, typical, most].map(Duration::from_secs);
    (step.to_owned(), Spread { runs, least, typical, most })
}

#[test]
fn recorded_durations_are_believed_over_the_providers() {
    let mut world = single("1.0");
    world.want("app.main", "1.1");
    let durations = [measured("app/in_place/migrate", 4, [400, 1000, 5000])].into();
    let (plan, _) = super::plan(&world.input(&durations));
    let hop = &plan.changes[0].hops[0];
    assert_eq!(hop.downtime, Some(Duration::from_secs(1120)));
    // Two more steps of the downtime were never measured: a minute each, as the provider says.
    let [least, most] = [520, 5120].map(Duration::from_secs);
    assert_eq!(hop.downtime_spread, Some(DowntimeSpread { least, most, runs: 4, unmeasured: 2 }));
    let migrate = plan.actions.iter().find(|action| action.kind.step().is_some_and(|step| step.as_str() == "migrate")).unwrap();
    assert_eq!(migrate.spread, durations.get("app/in_place/migrate").copied());
}

#[test]
fn what_was_never_measured_has_no_spread() {
    let mut world = single("1.0");
    world.want("app.main", "1.1");
    // Measured, but of no part of the downtime.
    let durations = [measured("app/in_place/download", 9, [1, 2, 3])].into();
    let (plan, _) = super::plan(&world.input(&durations));
    let hop = &plan.changes[0].hops[0];
    assert_eq!((hop.downtime, hop.downtime_spread), (Some(Duration::from_secs(180)), None));
}

#[test]
fn the_time_of_going_back_is_that_of_going_back_and_not_of_going_forward() {
    let mut world = single("1.0");
    world.want("app.main", "1.1");
    world.converge();
    world.want("app.main", "1.0");
    let durations =
        [measured("app/in_place/migrate", 4, [400, 1000, 5000]), measured("app/in_place/undo:migrate", 2, [7, 8, 9])].into();
    let (plan, _) = super::plan(&world.input(&durations));
    let undo = plan.actions.iter().find(|action| action.id.as_str().ends_with("undo:migrate")).unwrap();
    assert_eq!(undo.estimate, Some(Duration::from_secs(8)));
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
