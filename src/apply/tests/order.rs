//! What begins when.

use std::time::Duration;

use super::world::{Act, Making, Stage, step};
use crate::apply::event::{Direction, EventKind};
use crate::state::Outcome;

#[tokio::test(start_paused = true)]
async fn steps_run_in_the_plans_order_and_are_recorded() {
    let stage = Stage::new();
    let plan = Making::default()
        .instance("db", "test", None, &[], &[step("backup"), step("upgrade")])
        .instance("app", "test", None, &[0], &[step("upgrade")])
        .plan();
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    assert_eq!(stage.calls(), ["db.backup", "db.upgrade", "app.upgrade"]);
    assert_eq!(stage.recorded("test"), ["fake.app", "fake.db"]);
    assert_eq!(finished.record.moves.len(), 2);
    assert_eq!(stage.store.runs.lock().unwrap()[0].outcome, Outcome::Succeeded);
    assert!(finished.record.durations.contains_key("fake/in_place/backup"));
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_environment_and_host_allow() {
    for (concurrency, host_limit, expected) in [(3, 10, 3), (10, 2, 2), (100, 100, 12)] {
        let mut stage = Stage::new();
        stage.rules.concurrency = concurrency;
        stage.host_limit = host_limit;
        let mut making = Making::default();
        for number in 0..12 {
            stage.script(&format!("i{number}.go"), [Act::Takes(Duration::from_secs(1))]);
            making = making.instance(&format!("i{number}"), "test", Some("h"), &[], &[step("go")]);
        }
        let finished = stage.apply(&making.plan()).await;
        assert_eq!(finished.record.outcome, Outcome::Succeeded);
        assert_eq!(stage.world.lock().unwrap().most_running, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_of_starting_is_the_same_every_time() {
    let mut orders = Vec::new();
    for _ in 0..3 {
        let mut stage = Stage::new();
        stage.rules.concurrency = 4;
        let mut making = Making::default();
        for number in 0..20 {
            making = making.instance(&format!("i{number}"), "test", None, &[], &[step("a"), step("b")]);
        }
        stage.apply(&making.plan()).await;
        orders.push(stage.calls());
    }
    assert_eq!(orders[0].len(), 40);
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test(start_paused = true)]
async fn an_action_that_fails_is_tried_again_with_growing_pauses() {
    use crate::driver::FailureKind::{Failed, Unreachable};
    let stage = Stage::new();
    stage.script("db.go", [Act::Fails(Failed), Act::Fails(Unreachable), Act::Works(crate::lang::Value::Null)]);
    let mut go = step("go");
    go.attempts = 3;
    let finished = stage.apply(&Making::default().instance("db", "test", None, &[], &[go]).plan()).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded);
    let pauses: Vec<Duration> = stage
        .events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            EventKind::ActionRetries { pause, .. } => Some(*pause),
            _ => None,
        })
        .collect();
    assert_eq!(pauses, [Duration::from_secs(1), Duration::from_secs(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_senseless_call_is_not_tried_again() {
    let stage = Stage::new();
    stage.script("db.go", [Act::Fails(crate::driver::FailureKind::Invalid)]);
    let mut go = step("go");
    go.attempts = 3;
    let finished = stage.apply(&Making::default().instance("db", "test", None, &[], &[go]).plan()).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack);
    assert_eq!(stage.calls(), ["db.go"], "nothing was done, so nothing is undone");
}

#[tokio::test(start_paused = true)]
async fn what_failed_before_it_did_anything_in_every_try_is_not_undone() {
    use super::world::Act::{Fails, Refuses};
    let failed = || Fails(crate::driver::FailureKind::Failed);
    for (acts, undone) in [(vec![Refuses, Refuses], false), (vec![failed(), Refuses], true), (vec![Refuses, failed()], true)] {
        let stage = Stage::new();
        stage.script("db.go", acts);
        let mut go = step("go");
        go.attempts = 2;
        let plan = Making::default().instance("db", "test", None, &[], &[step("zero"), go]).plan();
        let finished = stage.apply(&plan).await;
        stage.check(&finished);
        assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
        assert_eq!(stage.calls().contains(&"undo db.go".to_owned()), undone, "{:?}", stage.calls());
        assert!(stage.effects().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_because_of_the_work_of_the_first_try_is_undone() {
    use super::world::Act::{Fails, FailsAfter};
    use crate::driver::FailureKind::{Failed, Invalid};
    let stage = Stage::new();
    stage.script("db.go", [FailsAfter(Failed), Fails(Invalid)]);
    let mut go = step("go");
    go.attempts = 2;
    let finished = stage.apply(&Making::default().instance("db", "test", None, &[], &[go]).plan()).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    assert!(stage.effects().is_empty(), "{:?}", stage.calls());
}

#[tokio::test(start_paused = true)]
async fn a_person_who_has_it_tried_again_does_not_make_the_first_try_unhappen() {
    use super::world::Act::{FailsAfter, Refuses};
    let mut stage = Stage::new();
    stage.rules.on_failure = crate::model::estate::OnFailure::Halt;
    stage.script("db.go", [FailsAfter(crate::driver::FailureKind::Failed), Refuses]);
    let plan = Making::default().instance("db", "test", None, &[], &[step("go")]).plan();
    stage.apply(&plan).await;
    let retry =
        crate::apply::ResumeOptions { retry: vec![crate::model::name::ActionId::from_text("fake.db@2:go")], skip: Vec::new() };
    stage.resume(&plan, retry).await.unwrap();
    assert_eq!(stage.effects(), ["db.go"]);
    let finished = stage.roll_back(&plan).await.unwrap();
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    assert!(stage.effects().is_empty(), "the first try's effect is left");
}

#[tokio::test(start_paused = true)]
async fn a_step_past_the_point_of_no_return_that_was_never_begun_is_not_past_it() {
    let stage = Stage::new();
    stage.script("db.migrate", [super::world::Act::Refuses]);
    let mut migrate = step("migrate");
    migrate.undo = super::world::U::Never;
    let plan = Making::default().instance("db", "test", None, &[], &[step("stop"), migrate]).plan();
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    assert!(stage.effects().is_empty(), "{:?}", stage.effects());
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_the_provider_tolerates_is_a_success() {
    use crate::apply::event::Ending;
    let stage = Stage::new();
    stage.script("db.go", [Act::Fails(crate::driver::FailureKind::Failed)]);
    let mut go = step("go");
    go.tolerate = vec!["error.no_such == 1", "error.exit_code == 7 && error.kind == \"failed\""];
    let finished = stage.apply(&Making::default().instance("db", "test", None, &[], &[go]).plan()).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded);
    assert!(matches!(stage.ending("fake.db@2:go", Direction::Forward), Some(Ending::Tolerated { .. })));
}

#[tokio::test(start_paused = true)]
async fn later_steps_see_the_results_of_earlier_ones_and_secrets() {
    let mut stage = Stage::new();
    stage.secret = Some("hunter22");
    stage.script("db.one", [Act::Works(crate::lang::Value::object([("port", 5432u64.into()), ("leak", "x hunter22".into())]))]);
    let mut two = step("two");
    two.args = vec![("port", "step.one.result.port + 1"), ("login", "\"u:${self.password}\""), ("leak", "step.one.result.leak")];
    let plan = Making::default().instance("db", "test", None, &[], &[step("one"), two]).plan();
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    let seen = stage.world.lock().unwrap().seen[1].clone();
    assert_eq!(seen["port"], 5433u64.into());
    assert_eq!(seen["login"], "u:hunter22".into());
    assert_eq!(seen["leak"], "x hunter22".into());
    assert!(!super::world::all_text(&stage.run_dir()).contains("hunter22"), "a secret was written down");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_not_given_fails_before_anything_is_called() {
    let stage = Stage::new();
    let mut go = step("go");
    go.args = vec![("login", "self.password")];
    let finished = stage.apply(&Making::default().instance("db", "test", None, &[], &[go]).plan()).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack);
    assert!(stage.calls().is_empty());
    assert!(finished.record.message.unwrap().contains("login"));
}

#[tokio::test(start_paused = true)]
async fn an_action_that_overstays_its_time_fails_though_its_driver_does_not_look() {
    let stage = Stage::new();
    stage.script("db.go", [Act::Deaf]);
    let mut go = step("go");
    go.timeout = Some(Duration::from_secs(30));
    let finished = stage.apply(&Making::default().instance("db", "test", None, &[], &[go]).plan()).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack);
    assert_eq!(stage.calls(), ["db.go", "undo db.go"]);
}

#[tokio::test]
async fn a_plan_that_does_not_fit_together_is_refused() {
    let stage = Stage::new();
    let good = Making::default().instance("db", "test", None, &[], &[step("a"), step("b")]).plan();
    for damage in 0..4 {
        let mut plan = good.clone();
        match damage {
            0 => plan.actions[0].needs = vec![2],
            1 => plan.actions[0].change = 7,
            2 => plan.actions[0].hop = 7,
            _ => plan.changes[0].hops.clear(),
        }
        let refused = crate::apply::execute(std::sync::Arc::new(plan), stage.args(&good)).await.unwrap_err();
        assert_eq!(refused.len(), 1);
        assert!(stage.calls().is_empty() && !stage.run_dir().exists());
    }
}

#[tokio::test]
async fn a_stale_plan_is_refused_with_what_moved() {
    let stage = Stage::new();
    let mut plan = Making::default().instance("db", "test", None, &[], &[step("a")]).plan();
    plan.bases.get_mut("test").unwrap().serial = 4;
    let refused = crate::apply::execute(std::sync::Arc::new(plan.clone()), stage.args(&plan)).await.unwrap_err();
    assert!(refused.iter().next().unwrap().detail.contains("serial 0, planned for 4"));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_made_where_its_on_says_and_else_where_the_instance_lives() {
    use crate::model::call::{Arg, Call};
    use crate::plan::{ActionKind, ActionUndo};
    let stage = Stage::new();
    stage.script("a.last", [Act::Fails(crate::driver::FailureKind::Failed)]);
    let mut plan = Making::default().instance("a", "test", Some("h"), &[], &[step("one"), step("two"), step("last")]).plan();
    let place = |action: &mut crate::plan::Action, on: Option<Arg>, undo: Option<Arg>| {
        let ActionKind::Step { call, .. } = &mut action.kind else { panic!() };
        call.on = on;
        if let ActionUndo::Call { call: Call { on, .. }, .. } = &mut action.undo {
            *on = undo;
        }
    };
    let found = Arg::Deferred(crate::lang::Expr::parse("\"n${length(self.home)}\"").unwrap());
    place(&mut plan.actions[0], Some(Arg::Known("x".into())), Some(Arg::Known("y".into())));
    place(&mut plan.actions[1], Some(found.clone()), Some(found));
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    let mut places: Vec<String> = stage.world.lock().unwrap().places.iter().flatten().cloned().collect();
    // Once for the call and once for what the driver knows of it afterwards.
    places.dedup();
    assert_eq!(places, ["x", "n4", "h", "n4", "y"]);
}

#[tokio::test(start_paused = true)]
async fn an_action_made_elsewhere_takes_its_room_there() {
    let mut stage = Stage::new();
    stage.host_limit = 1;
    let mut making = Making::default();
    for name in ["a", "b", "c"] {
        making = making.instance(name, "test", Some(name), &[], &[step("go")]);
    }
    let mut plan = making.plan();
    for action in &mut plan.actions {
        if let crate::plan::ActionKind::Step { call, .. } = &mut action.kind {
            // Of the three hosts, each with room for one, all take the first.
            call.on = Some(crate::model::call::Arg::Known("a".into()));
        }
    }
    stage.apply(&plan).await;
    assert_eq!(stage.world.lock().unwrap().most_running, 1);
}
