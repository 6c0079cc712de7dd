//! Steps that look again and again.

use std::sync::Arc;
use std::time::Duration;

use super::world::{Act, Making, Stage, step};
use crate::apply::ResumeOptions;
use crate::apply::event::{Direction, Ending, EventKind};
use crate::driver::FailureKind::{Failed, TimedOut, Unreachable};
use crate::lang::{Expr, Value};
use crate::model::poll::Poll;
use crate::plan::Plan;
use crate::state::Outcome;

fn look(state: &str, done: u64) -> Act {
    Act::Works(Value::object([("state", state.into()), ("done", done.into())]))
}

/// One instance whose step `a.wait` polls, twice tried and one minute long, before `a.after` uses its result.
fn polling() -> Plan {
    let expr = |text: &str| Expr::parse(text).unwrap();
    let mut wait = step("wait");
    (wait.attempts, wait.timeout) = (2, Some(Duration::from_secs(60)));
    let mut after = step("after");
    after.args = vec![("saw", "step.wait.result.done")];
    let mut plan = Making::default().instance("a", "test", None, &[], &[wait, after]).plan();
    plan.actions[0].poll = Some(Arc::new(Poll {
        until: expr("result.state == \"READY\""),
        fail: Some(expr("result.state == \"ERROR\"")),
        message: Some(expr("\"the job is ${result.state} in ${self.home}\"")),
        progress: Some(expr("result.done * 10")),
        interval: Duration::from_secs(7),
    }));
    plan
}

const WAIT: &str = "fake.a@2:wait";

#[tokio::test(start_paused = true)]
async fn a_polled_step_looks_until_it_is_so_and_gives_the_last_result() {
    let stage = Stage::new();
    stage.script("a.wait", [look("BUSY", 1), look("BUSY", 4), look("READY", 10)]);
    let began = tokio::time::Instant::now();
    let finished = stage.apply(&polling()).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    assert_eq!(stage.calls(), ["a.wait", "a.wait", "a.wait", "a.after"]);
    // What is quick is not waited for: the first pauses are short.
    assert_eq!(began.elapsed().as_millis(), 150);
    assert_eq!(stage.world.lock().unwrap().seen[3].get("saw"), Some(&10u64.into()));
    let events = stage.events.lock().unwrap();
    let told = events.iter().filter_map(|event| match event {
        EventKind::ActionProgress { done, total: Some(100), unit, .. } if unit == "%" => Some(*done),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [10, 40, 100]);
    // What each look says is not shown.
    let lines = events.iter().filter(|event| matches!(event, EventKind::ActionOutput { action, .. } if action.as_str() == WAIT));
    assert_eq!(lines.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_polled_step_fails_where_its_condition_says_so_with_its_message() {
    let stage = Stage::new();
    stage.script("a.wait", [look("BUSY", 1), look("ERROR", 2)]);
    let finished = stage.apply(&polling()).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack);
    let Some(Ending::Failed { kind: Failed, message, .. }) = stage.ending(WAIT, Direction::Forward) else { panic!() };
    assert_eq!(message, "the job is ERROR in /opt");
}

#[tokio::test(start_paused = true)]
async fn a_polled_step_ends_with_its_time_and_says_what_it_saw_last() {
    let stage = Stage::new();
    stage.script("a.wait", (0..100).map(|_| look("BUSY", 1)));
    let finished = stage.apply(&polling()).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack);
    let Some(Ending::Failed { kind: TimedOut, message, .. }) = stage.ending(WAIT, Direction::Forward) else { panic!() };
    assert_eq!(message, "it was not over after 1m: the job is BUSY in /opt");
    assert_eq!(stage.calls().iter().filter(|call| *call == "a.wait").count(), 15);
}

#[tokio::test(start_paused = true)]
async fn looks_that_fail_are_tried_again_and_counted_anew_after_one_that_works() {
    let stage = Stage::new();
    let away = || Act::Fails(Unreachable);
    stage.script("a.wait", [away(), look("BUSY", 1), away(), look("READY", 2)]);
    let finished = stage.apply(&polling()).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    let stage = Stage::new();
    stage.script("a.wait", [look("BUSY", 1), away(), away(), look("READY", 2)]);
    assert_eq!(stage.apply(&polling()).await.record.outcome, Outcome::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_cannot_be_judged_is_no_success() {
    let stage = Stage::new();
    stage.script("a.wait", [Act::Works(Value::Null), Act::Works(Value::Null)]);
    let finished = stage.apply(&polling()).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack);
    let Some(Ending::Failed { message, .. }) = stage.ending(WAIT, Direction::Forward) else { panic!() };
    assert!(message.starts_with("`fail` cannot be evaluated"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_looking_and_a_resumed_run_looks_again() {
    let stage = Stage::new();
    stage.script("a.wait", (0..8).map(|_| look("BUSY", 1)));
    let control = stage.control.clone();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        control.stop();
    };
    let plan = polling();
    let (finished, ()) = tokio::join!(stage.apply(&plan), stop);
    assert_eq!(finished.record.outcome, Outcome::Stopped);
    let mut stage = stage;
    stage.control = crate::apply::Control::new();
    stage.script("a.wait", [look("READY", 3)]);
    let resumed = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(resumed.record.outcome, Outcome::Succeeded, "{:?}", resumed.problems);
}

#[tokio::test(start_paused = true)]
async fn a_run_killed_while_it_polls_looks_again() {
    let stage = Stage::new();
    stage.script("a.wait", [look("BUSY", 1), Act::Hangs]);
    let plan = polling();
    let args = stage.args(&plan);
    let run = crate::apply::execute(Arc::new(plan.clone()), args);
    let _ = tokio::time::timeout(Duration::from_secs(9), run).await;
    // The journal's writer ends by itself.
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.script("a.wait", [look("READY", 3)]);
    let resumed = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(resumed.record.outcome, Outcome::Succeeded, "{:?}", resumed.problems);
}
