//! What a failure leads to.

use std::time::Duration;

use super::world::{Act, Making, S, Stage, U, step};
use crate::apply::event::{Direction, Ending, EventKind};
use crate::apply::{ResumeOptions, RunArgs};
use crate::driver::FailureKind::{Failed, Unknown, Waiting};
use crate::model::estate::OnFailure;
use crate::model::name::ActionId;
use crate::state::Outcome;

/// Three nodes, one after the other, as in a rolling upgrade.
fn roll() -> crate::plan::Plan {
    let mut stop = step("stop");
    stop.downtime = true;
    let mut start = step("start");
    start.downtime = true;
    let steps = [step("backup"), stop, start];
    Making::default()
        .instance("n1", "test", None, &[], &steps)
        .instance("n2", "test", None, &[0], &steps)
        .instance("n3", "test", None, &[1], &steps)
        .plan()
}

#[tokio::test(start_paused = true)]
async fn a_failing_second_node_rolls_back_itself_and_the_first_in_reverse_order() {
    let stage = Stage::new();
    stage.script("n2.start", [Act::Fails(Failed)]);
    let finished = stage.apply(&roll()).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    let calls = stage.calls();
    let undone: Vec<&str> = calls.iter().filter_map(|call| call.strip_prefix("undo ")).collect();
    assert_eq!(undone, ["n2.start", "n2.stop", "n2.backup", "n1.start", "n1.stop", "n1.backup"]);
    assert!(stage.effects().is_empty());
    assert!(stage.recorded("test").is_empty(), "the first node's record was taken back");
    assert!(!calls.iter().any(|call| call.starts_with("n3")));
    assert!(
        matches!(stage.ending("fake.n3@2:stop", Direction::Forward), Some(Ending::Skipped { because }) if because.as_str() == "fake.n2@2:start")
    );
}

#[tokio::test(start_paused = true)]
async fn halting_leaves_everything_for_a_person() {
    let mut stage = Stage::new();
    stage.rules.on_failure = OnFailure::Halt;
    stage.script("n2.start", [Act::Fails(Failed)]);
    let plan = roll();
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Held);
    assert_eq!(stage.recorded("test"), ["fake.n1"]);
    assert!(finished.problems.iter().any(|problem| problem.summary == "an instance is down"), "{:?}", finished.problems);
    // Not repeatable and no check: it is not simply done again.
    let again = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(again.record.outcome, Outcome::Held);
    let retry = ResumeOptions { retry: vec![ActionId::from_text("fake.n2@2:start")], skip: Vec::new() };
    let done = stage.resume(&plan, retry).await.unwrap();
    stage.check(&done);
    assert_eq!(done.record.outcome, Outcome::Succeeded, "{:?}", done.problems);
    assert_eq!(stage.recorded("test"), ["fake.n1", "fake.n2", "fake.n3"]);
    assert_eq!(stage.calls().iter().filter(|call| *call == "n2.start").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_halted_run_can_be_rolled_back() {
    let mut stage = Stage::new();
    stage.rules.on_failure = OnFailure::Halt;
    stage.script("n2.start", [Act::FailsAfter(Failed)]);
    let plan = roll();
    stage.apply(&plan).await;
    let finished = stage.roll_back(&plan).await.unwrap();
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    assert!(stage.effects().is_empty() && stage.recorded("test").is_empty());
    // A second time changes nothing.
    let before = stage.calls();
    assert_eq!(stage.roll_back(&plan).await.unwrap().record.outcome, Outcome::RolledBack);
    assert_eq!(stage.calls(), before);
}

#[tokio::test(start_paused = true)]
async fn a_finished_run_can_be_rolled_back() {
    let stage = Stage::new();
    let plan = roll();
    stage.apply(&plan).await;
    assert_eq!(stage.recorded("test").len(), 3);
    let finished = stage.roll_back(&plan).await.unwrap();
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    assert!(stage.effects().is_empty() && stage.recorded("test").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_past_its_point_of_no_return_stays_and_goes_on_and_is_reported() {
    let stage = Stage::new();
    let mut migrate = step("migrate");
    migrate.undo = U::Never;
    stage.script("far.migrate", [Act::Takes(Duration::from_secs(2))]);
    stage.script("bad.go", [Act::Takes(Duration::from_secs(1)), Act::Works(crate::lang::Value::Null)]);
    stage.script("bad.then", [Act::Fails(Failed)]);
    let plan = Making::default()
        .instance("far", "test", None, &[], &[step("stop"), migrate, step("start")])
        .instance("bad", "test", None, &[], &[step("go"), step("then")])
        .plan();
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Held);
    // It was not left half-way: its hop went on to the end and is recorded.
    assert_eq!(stage.effects(), ["far.migrate", "far.start", "far.stop"]);
    assert_eq!(stage.recorded("test"), ["fake.far"]);
    assert!(
        finished.problems.iter().any(|problem| problem.detail.contains("past its point of no return")),
        "{:?}",
        finished.problems
    );
    assert!(stage.events.lock().unwrap().iter().any(|event| matches!(event, EventKind::PointOfNoReturn { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_failure_past_the_point_of_no_return_undoes_nothing_of_that_instance() {
    let stage = Stage::new();
    let mut migrate = step("migrate");
    migrate.undo = U::Never;
    stage.script("db.start", [Act::Fails(Failed)]);
    let plan = Making::default()
        .instance("db", "test", None, &[], &[step("stop"), migrate, step("start")])
        .instance("other", "test", None, &[], &[step("go")])
        .plan();
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Held);
    assert_eq!(stage.effects(), ["db.migrate", "db.stop"], "the other one is undone");
    let retry = ResumeOptions { retry: vec![ActionId::from_text("fake.db@2:start")], skip: Vec::new() };
    let done = stage.resume(&plan, retry).await.unwrap();
    stage.check(&done);
    assert_eq!(stage.recorded("test"), ["fake.db"], "{:?}", done.problems);
    assert!(!stage.calls().contains(&"undo db.stop".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_another_environment_has_built_upon_stays() {
    let stage = Stage::new();
    stage.script("late.go", [Act::Takes(Duration::from_secs(5)), Act::Works(crate::lang::Value::Null)]);
    stage.script("late.then", [Act::Fails(Failed)]);
    let plan = Making::default()
        .instance("base", "test", None, &[], &[step("go")])
        .instance("top", "production", None, &[0], &[step("go")])
        .instance("late", "test", None, &[], &[step("go"), step("then")])
        .plan();
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Held);
    assert_eq!(stage.effects(), ["base.go", "top.go"]);
    assert_eq!((stage.recorded("test"), stage.recorded("production")), (vec!["fake.base".to_owned()], vec!["fake.top".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_one_environment_does_not_stop_another() {
    let stage = Stage::new();
    stage.script("a.go", [Act::Fails(Failed)]);
    let plan = Making::default()
        .instance("a", "test", None, &[], &[step("go")])
        .instance("b", "production", None, &[], &[step("go"), step("then")])
        .plan();
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack);
    assert_eq!(stage.recorded("production"), ["fake.b"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_undo_is_tried_again_and_then_held_with_instructions() {
    let stage = Stage::new();
    let mut first = step("first");
    first.attempts = 2;
    stage.script("db.second", [Act::Fails(Failed)]);
    stage.script("undo db.first", [Act::Fails(Failed), Act::Fails(Failed)]);
    let plan = Making::default().instance("db", "test", None, &[], &[step("zero"), first, step("second")]).plan();
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Held);
    assert_eq!(stage.effects(), ["db.first", "db.zero"], "what the failed undo stands on stays");
    let help: Vec<_> = finished.problems.iter().filter_map(|problem| problem.help.clone()).collect();
    assert!(help.iter().any(|help| help.contains("--retry 'fake.db@2:first'")), "{help:?}");
    let retry = ResumeOptions { retry: vec![ActionId::from_text("fake.db@2:first")], skip: Vec::new() };
    let done = stage.resume(&plan, retry).await.unwrap();
    stage.check(&done);
    assert_eq!(done.record.outcome, Outcome::RolledBack, "{:?}", done.problems);
    assert!(stage.effects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failed_undo_may_be_taken_as_done() {
    let stage = Stage::new();
    stage.script("db.second", [Act::Fails(Failed)]);
    stage.script("undo db.first", [Act::Fails(Failed)]);
    let plan = Making::default().instance("db", "test", None, &[], &[step("zero"), step("first"), step("second")]).plan();
    stage.apply(&plan).await;
    let skip = ResumeOptions { retry: Vec::new(), skip: vec![ActionId::from_text("fake.db@2:first")] };
    let done = stage.resume(&plan, skip).await.unwrap();
    assert_eq!(done.record.outcome, Outcome::RolledBack, "{:?}", done.problems);
    assert_eq!(stage.calls().last().unwrap(), "undo db.zero");
}

#[tokio::test(start_paused = true)]
async fn an_undo_of_what_never_happened_may_fail_where_a_check_says_so() {
    let stage = Stage::new();
    let mut go = step("go");
    go.checked = true;
    stage.script("db.go", [Act::Fails(Failed)]);
    stage.script("undo db.go", [Act::Fails(Failed)]);
    let plan = Making::default().instance("db", "test", None, &[], &[step("zero"), go]).plan();
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    assert!(stage.effects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_panicking_driver_is_a_failure() {
    let stage = Stage::new();
    stage.script("db.go", [Act::Panics]);
    let plan = Making::default().instance("db", "test", None, &[], &[step("zero"), step("go")]).plan();
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::RolledBack);
    assert!(finished.record.message.unwrap().contains("panic"));
    assert!(stage.effects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_manual_step_waits_and_the_rest_goes_on() {
    let stage = Stage::new();
    stage.script("db.go", [Act::Fails(Waiting)]);
    let plan = Making::default()
        .instance("db", "test", None, &[], &[step("go"), step("then")])
        .instance("other", "test", None, &[], &[step("a"), step("b")])
        .plan();
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Held);
    assert_eq!(stage.recorded("test"), ["fake.other"]);
    let done = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(done.record.outcome, Outcome::Succeeded, "{:?}", done.problems);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_held_and_not_rolled_back() {
    let stage = Stage::new();
    stage.script("db.go", [Act::Fails(Unknown)]);
    let plan = Making::default().instance("db", "test", None, &[], &[step("zero"), step("go"), step("then")]).plan();
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Held);
    assert_eq!(stage.effects(), ["db.zero"]);
    let skip = ResumeOptions { retry: Vec::new(), skip: vec![ActionId::from_text("fake.db@2:go")] };
    assert_eq!(stage.resume(&plan, skip).await.unwrap().record.outcome, Outcome::Succeeded);
    assert_eq!(stage.calls(), ["db.zero", "db.go", "db.then"]);
}

#[tokio::test(start_paused = true)]
async fn stopping_finishes_what_runs_and_can_be_resumed() {
    let mut stage = Stage::new();
    stage.script("db.one", [Act::Takes(Duration::from_secs(10))]);
    let mut one = step("one");
    one.downtime = true;
    let mut two = step("two");
    two.downtime = true;
    let plan = Making::default().instance("db", "test", None, &[], &[one, two]).plan();
    let control = stage.control.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        control.stop();
    });
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Stopped);
    assert_eq!(stage.calls(), ["db.one"]);
    assert!(
        stage
            .events
            .lock()
            .unwrap()
            .iter()
            .any(|event| matches!(event, EventKind::Warning { message } if message.contains("downtime")))
    );
    assert!(finished.record.downtime_seconds >= 9, "{}", finished.record.downtime_seconds);
    stage.control = crate::apply::Control::new();
    let done = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(done.record.outcome, Outcome::Succeeded);
    assert_eq!(stage.calls(), ["db.one", "db.two"]);
}

#[tokio::test(start_paused = true)]
async fn terminating_cancels_what_runs_and_halts() {
    for act in [Act::Hangs, Act::Deaf] {
        let stage = Stage::new();
        stage.script("db.one", [act]);
        let plan = Making::default().instance("db", "test", None, &[], &[step("zero"), step("one"), step("two")]).plan();
        let control = stage.control.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            control.terminate();
        });
        let finished = stage.apply(&plan).await;
        stage.check(&finished);
        assert_eq!(finished.record.outcome, Outcome::Held);
        assert_eq!(stage.calls(), ["db.zero", "db.one"], "nothing is undone");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_stops_everything_and_nothing_is_written() {
    let stage = Stage::new();
    stage.script("db.one", [Act::Hangs]);
    let plan = Making::default()
        .instance("db", "test", None, &[], &[step("one"), step("two")])
        .instance("quick", "test", None, &[], &[step("go")])
        .plan();
    *stage.store.fenced.lock().unwrap() = true;
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Held);
    assert_eq!(*stage.store.writes.lock().unwrap(), 0);
    assert_eq!(stage.store.runs.lock().unwrap()[0].outcome, Outcome::Running, "the history is not written either");
    assert!(!stage.calls().contains(&"db.two".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_at_the_end_loses_nothing() {
    let stage = Stage::new();
    *stage.store.unreachable.lock().unwrap() = 100;
    let plan = Making::default().instance("db", "test", None, &[], &[step("one")]).plan();
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Held);
    assert!(stage.recorded("test").is_empty());
    *stage.store.unreachable.lock().unwrap() = 0;
    let done = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(done.record.outcome, Outcome::Succeeded, "{:?}", done.problems);
    assert_eq!((stage.recorded("test"), stage.calls()), (vec!["fake.db".to_owned()], vec!["db.one".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_recognised() {
    let stage = Stage::new();
    *stage.store.lost_answer.lock().unwrap() = true;
    let plan = Making::default().instance("db", "test", None, &[], &[step("one")]).plan();
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    assert_eq!(finished.locks["test"].serial, 1);
}

/// A disk that fills up after so many writes, and may have room again.
pub(super) struct Filling {
    pub segment: crate::apply::journal::Segment,
    pub good: u32,
    pub bad: u32,
}

impl crate::apply::journal::Medium for Filling {
    fn commit(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.good > 0 {
            self.good -= 1;
        } else if self.bad > 0 {
            self.bad -= 1;
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.segment.commit(bytes)
    }

    fn close(&mut self) -> std::io::Result<()> {
        self.segment.close()
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_lets_nothing_begin_and_the_run_is_resumed_later() {
    let plan = roll();
    for bad in [1, 1000] {
        for good in 1..30 {
            let stage = Stage::new();
            std::fs::create_dir_all(stage.run_dir()).unwrap();
            let elsewhere = stage.dir.path().join("journal");
            let segment = crate::apply::journal::Segment::create(&elsewhere).unwrap();
            let medium = Box::new(Filling { segment, good, bad });
            let finished =
                crate::apply::execute(std::sync::Arc::new(plan.clone()), RunArgs { journal: Some(medium), ..stage.args(&plan) })
                    .await
                    .unwrap();
            stage.check(&finished);
            // What was called was written down before.
            let began: Vec<String> = crate::apply::journal::read(&elsewhere)
                .unwrap()
                .entries
                .into_iter()
                .filter_map(|entry| match entry {
                    crate::apply::journal::Entry::Began { action, .. } => Some(action.to_string()),
                    _ => None,
                })
                .collect();
            for call in stage.calls() {
                let (instance, step) = call.split_once('.').unwrap();
                assert!(began.contains(&format!("fake.{instance}@2:{step}")), "{call} is not in the journal");
            }
            if finished.record.outcome == Outcome::Succeeded {
                continue;
            }
            assert_eq!(finished.record.outcome, Outcome::Held);
            std::fs::rename(elsewhere, stage.run_dir().join("journal")).unwrap();
            let mut skip = ResumeOptions::default();
            let (_, progress) = crate::apply::inspect(&stage.run_dir()).unwrap();
            for (index, action) in plan.actions.iter().enumerate() {
                // A person has looked: what began was done.
                if progress.states[index] == crate::apply::ActionState::Running {
                    skip.skip.push(action.id.clone());
                }
            }
            let done = stage.resume(&plan, skip).await.unwrap();
            stage.check(&done);
            assert_eq!(done.record.outcome, Outcome::Succeeded, "{:?}", done.problems);
            let mut calls = stage.calls();
            calls.sort();
            let count = calls.len();
            calls.dedup();
            assert_eq!((calls.len(), count), (9, 9), "each once");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_steps_that_cannot_be_undone_any_is_a_point_of_no_return() {
    let stage = Stage::new();
    let never = |name: &str| S { undo: U::Never, ..step(name) };
    // The first of them has done nothing; the second, which waits for nothing, has.
    stage.script("db.first", [Act::Refuses]);
    stage.script("db.second", [Act::Takes(Duration::from_secs(1))]);
    let mut plan = Making::default().instance("db", "test", None, &[], &[step("stop"), never("first"), never("second")]).plan();
    plan.actions.iter_mut().take(3).for_each(|action| action.needs.clear());
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Held);
    assert_eq!(stage.effects(), ["db.second", "db.stop"], "nothing of a hop is undone that is past its point of no return");
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_tried_again_is_not_taken_for_undone() {
    for undo in [U::Never, U::Call] {
        let mut stage = Stage::new();
        let is_final = matches!(undo, U::Never);
        stage.rules.on_failure = OnFailure::Halt;
        stage.script("db.migrate", [Act::FailsAfter(Failed)]);
        let migrate = S { undo, ..step("migrate") };
        let plan = Making::default().instance("db", "test", None, &[], &[step("stop"), migrate]).plan();
        assert_eq!(stage.apply(&plan).await.record.outcome, Outcome::Held);
        // A person asks for another try, and it does not come to that.
        stage.control.stop();
        let retry = ResumeOptions { retry: vec![ActionId::from_text("fake.db@2:migrate")], skip: Vec::new() };
        let _ = stage.resume(&plan, retry).await.unwrap();
        stage.control = crate::apply::Control::new();
        let finished = stage.roll_back(&plan).await.unwrap();
        if is_final {
            assert_eq!(finished.record.outcome, Outcome::Held, "{:?}", finished.record);
            assert_eq!(stage.effects(), ["db.migrate", "db.stop"]);
        } else {
            assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
            assert!(stage.effects().is_empty(), "{:?}", stage.effects());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_step_past_the_point_of_no_return_lets_its_hop_end_where_the_rest_was_undone() {
    let stage = Stage::new();
    let mut migrate = step("migrate");
    migrate.undo = U::Never;
    stage.script("db.person", [Act::Fails(Waiting), Act::Works(crate::lang::Value::Null)]);
    stage.script("bad.go", [Act::Takes(Duration::from_secs(1)), Act::Works(crate::lang::Value::Null)]);
    stage.script("bad.then", [Act::Fails(Failed)]);
    let plan = Making::default()
        .instance("db", "test", None, &[], &[migrate, step("person"), step("start")])
        .instance("bad", "test", None, &[], &[step("go"), step("then")])
        .plan();
    assert_eq!(stage.apply(&plan).await.record.outcome, Outcome::Held);
    assert_eq!(stage.effects(), ["db.migrate"]);
    let confirmed = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    stage.check(&confirmed);
    assert_eq!(stage.effects(), ["db.migrate", "db.person", "db.start"], "{:?}", confirmed.problems);
    assert_eq!(stage.recorded("test"), ["fake.db"]);
}
