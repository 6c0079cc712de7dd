//! Steps that are carried out for each of several items.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::failure::Filling;
use super::shared::{files, shared};
use super::world::{Act, Making, Stage, all_text, step};
use crate::apply::event::{Direction, Ending, EventKind};
use crate::apply::journal::{Entry, Medium, Segment};
use crate::apply::{Control, ResumeOptions, RunArgs, execute};
use crate::driver::FailureKind::{Failed, Unreachable};
use crate::lang::{Expr, Value};
use crate::model::call::{Arg, Call};
use crate::model::fan_out::FanOut;
use crate::model::name::ActionId;
use crate::model::poll::Poll;
use crate::plan::{ActionCheck, ActionUndo, Plan};
use crate::state::Outcome;

const WORK: &str = "fake.a@2:work";

fn expr(text: &str) -> Expr {
    Expr::parse(text).unwrap()
}

fn fan_out(items: &str) -> FanOut {
    FanOut { items: expr(items), key: None, at_once: 2, tolerate_failures: false }
}

fn call(name: &str, text: &str) -> Call {
    Call { driver: "fake".into(), on: None, args: [(Arc::from(name), Arg::Deferred(expr(text)))].into_iter().collect() }
}

/// `a.find` gives names, `a.work` does `work NAME` for each, `a.use` sees the result. The undo goes through what was done.
fn working(items: FanOut) -> Plan {
    let mut work = step("work");
    work.args = vec![("do", "\"work ${each.key}\""), ("value", "each.value")];
    let mut after = step("use");
    after.args = vec![("saw", "step.work.result")];
    let mut plan = Making::default().instance("a", "test", None, &[], &[step("find"), work, after]).plan();
    plan.actions[1].fan_out = Some(Arc::new(items));
    if let ActionUndo::Call { call: undo, fan_out, .. } = &mut plan.actions[1].undo {
        *undo = call("undo", "\"work ${each.key}\"");
        *fan_out = Some(Arc::new(self::fan_out("step.work.result.items")));
    }
    plan
}

fn found(names: &[&str]) -> Act {
    Act::Works(Value::object([("names", Value::list(names.iter().map(|name| Value::from(*name))))]))
}

fn stage(names: &[&str]) -> Stage {
    let stage = Stage::new();
    stage.script("a.find", [found(names)]);
    stage
}

fn names() -> FanOut {
    fan_out("step.find.result.names")
}

fn count(stage: &Stage, call: &str) -> usize {
    stage.calls().iter().filter(|made| *made == call).count()
}

/// Lets a run be killed after some time.
async fn killed_after(stage: &Stage, plan: &Plan, seconds: u64) {
    let run = crate::apply::execute(Arc::new(plan.clone()), stage.args(plan));
    assert!(tokio::time::timeout(Duration::from_secs(seconds), run).await.is_err(), "it ended by itself");
    // The journal's writer ends by itself.
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.world.lock().unwrap().running = 0;
    stage.events.lock().unwrap().clear();
}

#[tokio::test(start_paused = true)]
async fn each_item_is_done_once_and_their_results_come_together() {
    let stage = stage(&["x", "y", "z"]);
    stage.script("work y", [Act::Works(Value::object([("id", 7u64.into())]))]);
    let finished = stage.apply(&working(names())).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    let world = stage.world.lock().unwrap();
    assert_eq!(world.calls.iter().filter(|call| call.starts_with("work")).collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(world.most_running, 2);
    let saw = world.seen.last().unwrap().get("saw").unwrap();
    assert_eq!(saw.get("total"), Some(&3u64.into()));
    assert_eq!(saw.get("items").unwrap().get("y").unwrap().get("id"), Some(&7u64.into()));
    assert_eq!(saw.get("failed"), Some(&Value::object::<&str>([])));
    let events = stage.events.lock().unwrap();
    let told = events.iter().filter_map(|event| match event {
        EventKind::ActionProgress { item: None, done, total: Some(3), unit, .. } if unit == "items" => Some(*done),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [0, 1, 2, 3]);
    let ended = events.iter().filter(|event| matches!(event, EventKind::ItemEnded { ending: Ending::Succeeded, .. }));
    assert_eq!(ended.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_map_or_a_key_names_the_items() {
    for (items, key) in [("{ x = 1, y = 2 }", None), ("[{ id = \"x\" }, { id = \"y\" }]", Some("each.value.id"))] {
        let stage = stage(&[]);
        let finished = stage.apply(&working(FanOut { key: key.map(expr), ..fan_out(items) })).await;
        assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
        assert!(stage.effects().contains(&"work x".to_owned()) && stage.effects().contains(&"work y".to_owned()));
    }
    let stage = stage(&[]);
    assert_eq!(stage.apply(&working(fan_out("[]"))).await.record.outcome, Outcome::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn items_that_cannot_be_told_apart_are_refused_and_nothing_is_called() {
    for (items, key, told) in [
        ("[\"x\", \"x\"]", None, "the key `x` stands for two items"),
        ("[{ a = 1 }]", None, "items that are no texts need a `key`"),
        ("7", None, "must be a list or a map"),
        ("step.find.result.nothing", None, "`items` cannot be evaluated"),
        ("[sensitive(\"x\")]", None, "is sensitive, and keys are shown"),
        ("[\"x\"]", Some("each.value.id"), "`key` of item 0 cannot be evaluated"),
    ] {
        let stage = stage(&[]);
        let finished = stage.apply(&working(FanOut { key: key.map(expr), ..fan_out(items) })).await;
        assert_eq!(finished.record.outcome, Outcome::RolledBack);
        let Some(Ending::Failed { message, .. }) = stage.ending(WORK, Direction::Forward) else { panic!("{items}") };
        assert!(message.contains(told), "{items}: {message}");
        assert_eq!(stage.calls(), ["a.find", "undo a.find"], "{items}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_item_is_tried_and_a_failure_lists_all_that_failed() {
    let stage = stage(&["w", "x", "y", "z"]);
    stage.script("work x", [Act::Fails(Failed)]);
    stage.script("work z", [Act::Fails(Failed)]);
    let finished = stage.apply(&working(names())).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    let Some(Ending::Failed { message, output, .. }) = stage.ending(WORK, Direction::Forward) else { panic!() };
    assert_eq!(message, "2 of 4 items failed: x; z");
    assert_eq!(output, ["x: work x failed", "z: work z failed"]);
    // What was done is undone, item by item, and nothing else.
    let undone: BTreeSet<String> = stage.calls().into_iter().filter(|call| call.starts_with("undo work")).collect();
    assert_eq!(undone, ["undo work w".to_owned(), "undo work y".to_owned()].into());
    assert!(stage.effects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn failures_of_items_may_be_tolerated_and_are_told_to_who_comes_after() {
    let stage = stage(&["x", "y"]);
    stage.script("work x", [Act::Fails(Failed)]);
    let finished = stage.apply(&working(FanOut { tolerate_failures: true, ..names() })).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    assert!(
        matches!(stage.ending(WORK, Direction::Forward), Some(Ending::Tolerated { message }) if message == "1 of 2 items failed: x: work x failed")
    );
    let world = stage.world.lock().unwrap();
    let saw = world.seen.last().unwrap().get("saw").unwrap();
    assert_eq!(saw.get("failed").unwrap().get("x"), Some(&"work x failed".into()));
}

#[tokio::test(start_paused = true)]
async fn an_item_is_tried_again_by_itself() {
    let stage = stage(&["x", "y"]);
    stage.script("work x", [Act::Fails(Unreachable), Act::Works(Value::Null)]);
    let mut plan = working(names());
    plan.actions[1].retry.attempts = 2;
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    assert_eq!((count(&stage, "work x"), count(&stage, "work y")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_killed_run_does_not_do_finished_items_again() {
    let stage = stage(&["v", "w", "x", "y", "z"]);
    stage.script("work x", [Act::Hangs]);
    stage.script("work y", [Act::Takes(Duration::from_secs(60))]);
    let mut plan = working(FanOut { at_once: 1, ..names() });
    // With a check that sees the item: what had begun and is not there is begun again.
    plan.actions[1].check = Some(ActionCheck { call: call("check", "\"work ${each.value}\""), done: Some(expr("result.there")) });
    killed_after(&stage, &plan, 30).await;
    assert_eq!((count(&stage, "work v"), count(&stage, "work x"), count(&stage, "work y")), (1, 1, 0));
    let resumed = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    stage.check(&resumed);
    assert_eq!(resumed.record.outcome, Outcome::Succeeded, "{:?}", resumed.problems);
    let counts = ["v", "w", "x", "y", "z"].map(|name| count(&stage, &format!("work {name}")));
    assert_eq!(counts, [1, 1, 2, 1, 1]);
    let world = stage.world.lock().unwrap();
    let saw = world.seen.last().unwrap().get("saw").unwrap();
    assert_eq!(saw.get("items").and_then(Value::as_object).map(|items| items.len()), Some(5));
}

#[tokio::test(start_paused = true)]
async fn an_item_that_nobody_can_tell_about_is_held_and_the_others_go_on() {
    let stage = stage(&["x", "y", "z"]);
    stage.script("work y", [Act::Hangs]);
    let plan = working(FanOut { at_once: 1, ..names() });
    killed_after(&stage, &plan, 30).await;
    let resumed = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    stage.check(&resumed);
    assert_eq!(resumed.record.outcome, Outcome::Held);
    let Some(Ending::Held { message }) = stage.ending(WORK, Direction::Forward) else { panic!() };
    assert!(message.starts_with("1 of 3 items are held: y: it had begun, how it ended is not known"), "{message}");
    assert_eq!(["x", "y", "z"].map(|name| count(&stage, &format!("work {name}"))), [1, 1, 1]);
    // A person has looked, and wants that item to be done again.
    let retry = ResumeOptions { retry: vec![ActionId::from_text(WORK)], skip: Vec::new() };
    let done = stage.resume(&plan, retry).await.unwrap();
    assert_eq!(done.record.outcome, Outcome::Succeeded, "{:?}", done.problems);
    assert_eq!(["x", "y", "z"].map(|name| count(&stage, &format!("work {name}"))), [1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_running_items_end_and_a_resumed_run_goes_on_with_the_others() {
    let mut stage = stage(&["v", "w", "x", "y", "z"]);
    for name in ["v", "w", "x", "y", "z"] {
        stage.script(&format!("work {name}"), [Act::Takes(Duration::from_secs(10))]);
    }
    let plan = working(names());
    let control = stage.control.clone();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        control.stop();
    };
    let (finished, ()) = tokio::join!(stage.apply(&plan), stop);
    assert_eq!(finished.record.outcome, Outcome::Stopped, "{:?}", finished.problems);
    let done = stage.effects().iter().filter(|effect| effect.starts_with("work")).count();
    assert_eq!(done, 4);
    stage.control = Control::new();
    let resumed = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(resumed.record.outcome, Outcome::Succeeded, "{:?}", resumed.problems);
    assert_eq!(stage.calls().iter().filter(|call| call.starts_with("work")).count(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_killed_run_that_is_rolled_back_undoes_the_finished_items() {
    let stage = stage(&["x", "y", "z"]);
    stage.script("work y", [Act::Hangs]);
    let mut plan = working(FanOut { at_once: 1, ..names() });
    plan.actions[1].check = Some(ActionCheck { call: call("check", "\"work ${each.value}\""), done: Some(expr("result.there")) });
    killed_after(&stage, &plan, 30).await;
    let back = stage.roll_back(&plan).await.unwrap();
    stage.check(&back);
    assert_eq!(back.record.outcome, Outcome::RolledBack, "{:?}", back.problems);
    assert_eq!(count(&stage, "undo work x"), 1);
    assert_eq!(count(&stage, "work z"), 0);
    assert!(stage.effects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_one_item_lets_those_beside_it_end_before_anything_is_undone() {
    let stage = stage(&["x", "y"]);
    stage.script("work x", [Act::Panics]);
    stage.script("work y", [Act::Takes(Duration::from_secs(60))]);
    let finished = stage.apply(&working(names())).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    let Some(Ending::Failed { message, output, .. }) = stage.ending(WORK, Direction::Forward) else { panic!() };
    assert_eq!(message, "1 of 2 items failed: x");
    assert_eq!(output, ["x: the driver panicked: work x panics"]);
    assert_eq!((count(&stage, "undo work x"), count(&stage, "undo work y")), (0, 1));
    assert!(stage.effects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_lets_no_item_begin_and_says_why_the_run_is_held() {
    let plan = working(FanOut { at_once: 1, ..names() });
    let mut between_items = 0;
    for good in 1..20 {
        let stage = stage(&["x", "y", "z"]);
        std::fs::create_dir_all(stage.run_dir()).unwrap();
        let elsewhere = stage.dir.path().join("journal");
        let segment = Segment::create(&elsewhere).unwrap();
        let journal: Option<Box<dyn Medium>> = Some(Box::new(Filling { segment, good, bad: 1000 }));
        let Ok(finished) = execute(Arc::new(plan.clone()), RunArgs { journal, ..stage.args(&plan) }).await else { continue };
        stage.check(&finished);
        if finished.record.outcome == Outcome::Succeeded {
            continue;
        }
        assert_eq!(finished.record.outcome, Outcome::Held);
        assert!(finished.problems.iter().any(|problem| problem.detail.contains("journal")), "{good}: {:?}", finished.problems);
        let entries = crate::apply::journal::read(&elsewhere).unwrap().entries;
        let began: Vec<String> = entries
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::ItemBegan { item, .. } => Some(format!("work {item}")),
                _ => None,
            })
            .collect();
        let worked: Vec<String> = stage.calls().into_iter().filter(|call| call.starts_with("work")).collect();
        assert!(worked.iter().all(|call| began.contains(call)), "{good}: {worked:?} were called, the journal has {began:?}");
        between_items += u32::from((1..3).contains(&worked.len()));
    }
    assert!(between_items > 0, "the disk was never full between two items");
}

#[tokio::test(start_paused = true)]
async fn no_item_begins_that_a_shared_store_does_not_know_of() {
    for stops in [false, true] {
        let stage = shared();
        stage.script("a.find", [found(&["x", "y"])]);
        stage.script("work x", [Act::Takes(Duration::from_secs(5))]);
        let plan = working(FanOut { at_once: 1, ..names() });
        let watching = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            *files(&stage).away.lock().unwrap() = true;
            tokio::time::sleep(Duration::from_secs(30)).await;
            assert_eq!(stage.calls(), ["a.find", "work x"], "the next one began, and no other machine could know");
            if stops {
                stage.control.stop();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            *files(&stage).away.lock().unwrap() = false;
        };
        let (finished, ()) = tokio::join!(stage.apply(&plan), watching);
        let (outcome, worked) = if stops { (Outcome::Stopped, 0) } else { (Outcome::Succeeded, 1) };
        assert_eq!(finished.record.outcome, outcome, "{:?}", finished.problems);
        assert_eq!(count(&stage, "work y"), worked);
    }
}

#[tokio::test(start_paused = true)]
async fn each_item_may_be_polled() {
    let state = |text: &str| Act::Works(Value::object([("state", text.into())]));
    let stage = stage(&["x", "y"]);
    stage.script("work x", [state("BUSY"), state("DONE")]);
    stage.script("work y", [state("BUSY"), state("BUSY"), state("DONE")]);
    let mut plan = working(names());
    plan.actions[1].poll = Some(Arc::new(Poll {
        until: expr("result.state == \"DONE\""),
        fail: None,
        message: None,
        progress: None,
        interval: Duration::from_secs(3),
    }));
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    assert_eq!((count(&stage, "work x"), count(&stage, "work y")), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn no_secret_of_an_item_is_written() {
    let mut stage = stage(&["x", "y"]);
    stage.secret = Some("hunter22");
    stage.script("work x", [Act::Works(Value::object([("token", Value::from("hidden-token").sensitive())]))]);
    stage.script("work y", [Act::Works(Value::object([("said", "it is hunter22".into())]))]);
    let finished = stage.apply(&working(names())).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    let written = all_text(&stage.run_dir());
    assert!(written.contains("item_ended") && !written.contains("hidden-token") && !written.contains("hunter22"));
    // Who comes after sees the real one.
    let world = stage.world.lock().unwrap();
    let saw = world.seen.last().unwrap().get("saw").unwrap();
    assert_eq!(saw.get("items").unwrap().get("x").unwrap().get("token"), Some(&"hidden-token".into()));
}
