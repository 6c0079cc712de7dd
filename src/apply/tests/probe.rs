//! Steps that look on beside others.

use std::sync::Arc;
use std::time::Duration;

use super::world::{Act, Making, S, Stage, U, step};
use crate::apply::event::{Direction, Ending, EventKind};
use crate::apply::{Control, ResumeOptions};
use crate::driver::FailureKind::{Failed, Invalid, Unreachable, Waiting};
use crate::lang::{Expr, Value};
use crate::model::estate::OnFailure;
use crate::model::name::ActionId;
use crate::model::probe::Probe;
use crate::plan::Plan;
use crate::state::Outcome;

const WATCH: &str = "fake.a@2:watch";

/// One instance: `before`, then `stop` and `start` with `watch` beside them, then `after`, which uses what was seen.
fn watched(steps: impl FnOnce(&mut [S; 5])) -> Plan {
    let mut all = ["before", "watch", "stop", "start", "after"].map(step);
    all[1].undo = U::Harmless;
    all[4].args = vec![("saw", "step.watch.result.failures")];
    steps(&mut all);
    let mut plan = Making::default().instance("a", "test", None, &[], &all).plan();
    plan.actions[1].probe = Some(Arc::new(Probe { pass: None, interval: Duration::from_secs(1), allow: 0 }));
    plan.actions[1].during = vec![2, 3];
    plan.actions[2].needs = vec![0];
    plan.actions[4].needs = vec![1, 3];
    plan
}

fn allowing(mut plan: Plan, allow: u32, pass: Option<&str>) -> Plan {
    let pass = pass.map(|text| Expr::parse(text).unwrap());
    plan.actions[1].probe = Some(Arc::new(Probe { pass, interval: Duration::from_secs(1), allow }));
    plan
}

/// The result that the probe ended with, as the journal has it.
fn result(stage: &Stage, plan: &Plan) -> Value {
    let (_, progress) = crate::apply::inspect(&stage.run_dir()).unwrap();
    let place = plan.actions.iter().position(|action| action.id.as_str() == WATCH).unwrap();
    progress.results[place].clone()
}

fn seen(result: &Value, name: &str) -> String {
    serde_json::to_string(result.get(name).unwrap()).unwrap()
}

fn count(stage: &Stage, name: &str) -> usize {
    stage.calls().iter().filter(|call| *call == name).count()
}

#[tokio::test(start_paused = true)]
async fn a_probe_looks_first_and_ends_after_all_that_it_watches() {
    let stage = Stage::new();
    stage.script("a.stop", [Act::Takes(Duration::from_millis(3500))]);
    stage.script("a.start", [Act::Takes(Duration::from_secs(2))]);
    let plan = watched(|_| {});
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    let calls = stage.calls();
    assert_eq!(calls[..3], ["a.before", "a.watch", "a.stop"], "the first look comes before anything that is watched");
    assert_eq!(calls.last().map(String::as_str), Some("a.after"));
    assert_eq!(count(&stage, "a.watch"), 6);
    let result = result(&stage, &plan);
    assert_eq!([seen(&result, "looks"), seen(&result, "failures"), seen(&result, "interrupted")], ["6", "0", "false"]);
    assert_eq!(stage.world.lock().unwrap().seen.last().unwrap().get("saw"), Some(&0u64.into()));
}

#[tokio::test(start_paused = true)]
async fn a_probe_takes_no_room_from_what_it_watches() {
    let mut stage = Stage::new();
    stage.rules.concurrency = 1;
    stage.host_limit = 1;
    let finished = stage.apply(&watched(|_| {})).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
}

#[tokio::test(start_paused = true)]
async fn an_outage_fails_the_probe_at_its_end_and_the_hop_is_rolled_back() {
    let stage = Stage::new();
    let ok = || Act::Works(Value::Null);
    stage.script("a.watch", [ok(), Act::Fails(Failed), Act::Fails(Unreachable), ok()]);
    stage.script("a.stop", [Act::Takes(Duration::from_millis(5500))]);
    let plan = watched(|_| {});
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    let Some(Ending::Failed { kind: Failed, message, .. }) = stage.ending(WATCH, Direction::Forward) else { panic!() };
    assert!(
        message.starts_with("2 of ") && message.contains("the longest outage was 2 s; the last failure: a.watch failed"),
        "{message}"
    );
    assert_eq!(count(&stage, "a.after"), 0);
    assert_eq!(stage.effects(), ["a.watch"], "what looks on leaves only its own mark in this world");
    let result = result(&stage, &plan);
    assert_eq!([seen(&result, "failures"), seen(&result, "longest_outage")], ["2", "2"]);
    assert!(seen(&result, "first_failure") < seen(&result, "last_failure"));
    let said = |text: &str| {
        let events = stage.events.lock().unwrap();
        events.iter().any(|event| matches!(event, EventKind::ActionOutput { line, .. } if line == text))
    };
    assert!(said("a look failed: a.watch failed") && said("well again after 2 s"));
}

#[tokio::test(start_paused = true)]
async fn failures_up_to_what_is_allowed_or_tolerated_are_no_failure() {
    let stage = Stage::new();
    stage.script("a.watch", [Act::Fails(Failed), Act::Fails(Failed)]);
    stage.script("a.stop", [Act::Takes(Duration::from_millis(2500))]);
    let finished = stage.apply(&allowing(watched(|_| {}), 2, None)).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    for (tolerate, outcome) in
        [("error.longest_outage <= 5", Outcome::Succeeded), ("error.longest_outage < 1", Outcome::RolledBack)]
    {
        let stage = Stage::new();
        stage.script("a.watch", [Act::Fails(Failed), Act::Fails(Failed)]);
        stage.script("a.stop", [Act::Takes(Duration::from_millis(2500))]);
        let finished = stage.apply(&watched(|steps| steps[1].tolerate = vec![tolerate])).await;
        assert_eq!(finished.record.outcome, outcome, "{:?}", finished.problems);
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_does_not_pass_or_hangs_is_a_failure() {
    let stage = Stage::new();
    let state = |ok: bool| Act::Works(Value::object([("ok", ok.into())]));
    stage.script("a.watch", [state(true), state(false), Act::Works(Value::Null), Act::Deaf, state(true)]);
    stage.script("a.stop", [Act::Takes(Duration::from_millis(60_500))]);
    let plan = allowing(watched(|steps| steps[1].timeout = Some(Duration::from_secs(5))), 0, Some("result.ok"));
    stage.apply(&plan).await;
    let Some(Ending::Failed { message, output, .. }) = stage.ending(WATCH, Direction::Forward) else { panic!() };
    assert!(output.iter().any(|line| line == "a look failed: `pass` does not hold: result.ok"), "{output:?}");
    // Nothing is left in the script: every further look gives null, which does not pass.
    assert!(message.contains("the last failure: `pass` cannot be evaluated"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_written_wrongly_fails_before_anything_is_watched() {
    let stage = Stage::new();
    stage.script("a.watch", [Act::Fails(Invalid)]);
    let finished = stage.apply(&watched(|_| {})).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack);
    assert_eq!(stage.calls(), ["a.before", "a.watch", "undo a.before"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_what_is_watched_ends_the_probe_and_its_result_is_kept() {
    for on_failure in [OnFailure::Rollback, OnFailure::Halt] {
        let mut stage = Stage::new();
        stage.rules.on_failure = on_failure;
        stage.script("a.stop", [Act::FailsAfter(Failed)]);
        let plan = watched(|_| {});
        let finished = stage.apply(&plan).await;
        assert_ne!(finished.record.outcome, Outcome::Succeeded);
        assert_eq!(count(&stage, "a.start"), 0);
        assert_eq!(stage.ending(WATCH, Direction::Forward), Some(Ending::Succeeded));
        assert_eq!(seen(&result(&stage, &plan), "failures"), "0");
    }
}

#[tokio::test(start_paused = true)]
async fn past_the_point_of_no_return_the_probe_goes_on_to_the_end_of_what_it_watches() {
    let stage = Stage::new();
    stage.script("a.stop", [Act::Takes(Duration::from_millis(3200))]);
    stage.script("a.start", [Act::Takes(Duration::from_millis(2200))]);
    let mut all = ["before", "watch", "stop", "start", "after"].map(step);
    (all[1].undo, all[2].undo) = (U::Harmless, U::Never);
    let mut plan = Making::default()
        .instance("a", "test", None, &[], &all)
        .instance("b", "test", None, &[], &[step("other"), step("late")])
        .plan();
    plan.actions[1].probe = Some(Arc::new(Probe { pass: None, interval: Duration::from_secs(1), allow: 0 }));
    plan.actions[1].during = vec![2, 3];
    plan.actions[2].needs = vec![0];
    plan.actions[4].needs = vec![1, 3];
    // The other fails while `stop` runs.
    stage.script("b.late", [Act::Fails(Failed)]);
    stage.script("b.other", [Act::Takes(Duration::from_secs(1))]);
    stage.apply(&plan).await;
    assert_eq!(count(&stage, "a.after"), 1);
    assert_eq!(count(&stage, "a.watch"), 6);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_what_runs_end_and_a_resumed_run_goes_on_counting() {
    let mut stage = Stage::new();
    stage.script("a.watch", [Act::Fails(Failed)]);
    stage.script("a.stop", [Act::Takes(Duration::from_millis(4500))]);
    let plan = allowing(watched(|_| {}), 1, None);
    let control = stage.control.clone();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        control.stop();
    };
    let (finished, ()) = tokio::join!(stage.apply(&plan), stop);
    assert_eq!(finished.record.outcome, Outcome::Stopped, "{:?}", finished.problems);
    assert_eq!(count(&stage, "a.watch"), 5, "it looks on as long as what it watches runs");
    stage.control = Control::new();
    let resumed = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(resumed.record.outcome, Outcome::Succeeded, "{:?}", resumed.problems);
    assert_eq!(stage.calls()[7..9], ["a.watch", "a.start"], "it looks before the rest of what it watches begins");
    let result = result(&stage, &plan);
    assert_eq!([seen(&result, "failures"), seen(&result, "interrupted")], ["1", "true"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_killed_while_a_probe_looks_goes_on_looking() {
    let stage = Stage::new();
    stage.script("a.watch", [Act::Works(Value::Null), Act::Fails(Failed)]);
    stage.script("a.stop", [Act::Hangs]);
    let plan = watched(|steps| steps[2].repeatable = true);
    let run = crate::apply::execute(Arc::new(plan.clone()), stage.args(&plan));
    let _ = tokio::time::timeout(Duration::from_millis(3500), run).await;
    // The journal's writer ends by itself.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let resumed = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(resumed.record.outcome, Outcome::RolledBack, "{:?}", resumed.problems);
    let Some(Ending::Failed { message, .. }) = stage.ending(WATCH, Direction::Forward) else { panic!() };
    assert!(message.starts_with("1 of "), "what the killed process saw counts: {message}");
}

#[tokio::test(start_paused = true)]
async fn where_what_was_seen_is_not_at_hand_the_result_says_that_something_is_missing() {
    let mut stage = Stage::new();
    let plan = watched(|_| {});
    stage.script("a.stop", [Act::Takes(Duration::from_millis(2500))]);
    let control = stage.control.clone();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        control.stop();
    };
    tokio::join!(stage.apply(&plan), stop);
    std::fs::remove_file(crate::apply::tally::tally_file(&stage.run_dir(), &plan.actions[1].id)).unwrap();
    stage.control = Control::new();
    let resumed = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(resumed.record.outcome, Outcome::Succeeded, "{:?}", resumed.problems);
    assert_eq!(seen(&result(&stage, &plan), "interrupted"), "true");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_person_lets_the_probe_rest_until_the_run_is_resumed() {
    let stage = Stage::new();
    stage.script("a.start", [Act::Fails(Waiting)]);
    let plan = watched(|_| {});
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Held, "{:?}", finished.problems);
    assert_eq!(stage.ending(WATCH, Direction::Forward), None);
    let resumed = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(resumed.record.outcome, Outcome::Succeeded, "{:?}", resumed.problems);
    assert_eq!(seen(&result(&stage, &plan), "interrupted"), "true");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_failed_is_not_made_good_by_looking_again_unasked() {
    let mut stage = Stage::new();
    stage.rules.on_failure = OnFailure::Halt;
    stage.script("a.watch", [Act::Fails(Failed)]);
    let plan = watched(|_| {});
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Held, "{:?}", finished.problems);
    let looks = count(&stage, "a.watch");
    let again = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!((again.record.outcome, count(&stage, "a.watch")), (Outcome::Held, looks));
    let skip = ResumeOptions { skip: vec![ActionId::from_text(WATCH)], ..ResumeOptions::default() };
    let resumed = stage.resume(&plan, skip).await.unwrap();
    assert_eq!(resumed.record.outcome, Outcome::Succeeded, "{:?}", resumed.problems);
    assert_eq!((count(&stage, "a.after"), count(&stage, "a.watch")), (1, looks));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_terminated_leaves_the_probe_to_be_resumed() {
    let stage = Stage::new();
    stage.script("a.stop", [Act::Hangs]);
    let plan = watched(|_| {});
    let control = stage.control.clone();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        control.terminate();
    };
    let (finished, ()) = tokio::join!(stage.apply(&plan), stop);
    assert_ne!(finished.record.outcome, Outcome::Succeeded);
    assert_eq!(stage.ending(WATCH, Direction::Forward), None);
}

#[tokio::test]
async fn a_plan_whose_probe_watches_what_it_cannot_is_refused() {
    for break_it in [
        (|plan: &mut Plan| plan.actions[1].during = vec![0]) as fn(&mut Plan),
        |plan| plan.actions[1].during = vec![99],
        |plan| plan.actions[1].during = Vec::new(),
        |plan| plan.actions[2].during = vec![3],
    ] {
        let mut plan = watched(|_| {});
        break_it(&mut plan);
        let stage = Stage::new();
        let refused = crate::apply::execute(Arc::new(plan.clone()), stage.args(&plan)).await.unwrap_err();
        assert!(refused.iter().any(|problem| problem.to_string().contains("watches what does not come after it")));
    }
}
