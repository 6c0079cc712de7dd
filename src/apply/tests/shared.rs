//! Runs whose store other machines reach: gone on with elsewhere, with a store that goes away, and by two who believe to hold it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::memory::{Memory, SharedFiles};
use super::resumption::{estate, killed, line_ends, see_it_through};
use super::world::{Act, Making, Stage, step};
use crate::apply::event::{Direction, Ending};
use crate::apply::journal::raw;
use crate::apply::{ActionState, ResumeOptions, fetch, inspect};
use crate::driver::FailureKind::Failed;
use crate::model::estate::OnFailure;
use crate::plan::Plan;
use crate::state::Outcome;

pub(super) fn shared() -> Stage {
    let mut stage = Stage::new();
    stage.store = Arc::new(Memory { files: Some(SharedFiles::default()), ..Memory::default() });
    stage
}

pub(super) fn files(stage: &Stage) -> &SharedFiles {
    stage.store.files.as_ref().unwrap()
}

/// Another machine that reaches the same store and platforms.
fn elsewhere(stage: &Stage) -> Stage {
    let mut other = Stage::new();
    (other.store, other.world, other.who) = (Arc::clone(&stage.store), Arc::clone(&stage.world), "you@there");
    (other.rules, other.events) = (stage.rules, Arc::default());
    other
}

/// Takes a run's folder away from this machine: the store has it alone.
fn only_in_the_store(stage: &mut Stage, original: &Path) {
    let store = SharedFiles::default();
    for name in ["plan.json", "base.json"] {
        store.files.lock().unwrap().insert(name.to_owned(), std::fs::read(original.join(name)).unwrap());
    }
    store.chunks.lock().unwrap().push(raw(&original.join("journal")).unwrap());
    stage.store = Arc::new(Memory { files: Some(store), ..Memory::default() });
    std::fs::remove_dir_all(original).unwrap();
}

fn one(steps: &[&str]) -> Plan {
    let steps: Vec<_> = steps.iter().map(|name| step(name)).collect();
    Making::default().instance("db", "test", None, &[], &steps).plan()
}

#[tokio::test(start_paused = true)]
async fn the_store_has_the_whole_run() {
    let stage = shared();
    let plan = estate();
    let finished = stage.apply(&plan).await;
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    assert!(finished.problems.is_empty(), "{:?}", finished.problems);
    assert_eq!(files(&stage).chunks.lock().unwrap().concat(), raw(&stage.run_dir().join("journal")).unwrap());
    assert!(["plan.json", "base.json"].iter().all(|name| files(&stage).files.lock().unwrap().contains_key(*name)));
}

#[tokio::test(start_paused = true)]
async fn a_run_killed_at_any_entry_is_resumed_on_another_machine_without_repeating_anything() {
    let plan = estate();
    let first = Stage::new();
    first.apply(&plan).await;
    let ends = line_ends(&std::fs::read(first.run_dir().join("journal/000001.log")).unwrap());
    for end in &ends {
        for done in [false, true] {
            let (mut stage, under_way) = killed(&first.run_dir(), &plan, *end, done);
            let original = stage.run_dir();
            only_in_the_store(&mut stage, &original);
            stage.who = "you@there";
            let had = stage.effects();
            see_it_through(&stage, &plan, Outcome::Succeeded).await;
            if let Some(call) = stage.calls().into_iter().find(|call| had.contains(call)) {
                // What is on "this machine" may still run on the other one: not even what is repeatable is simply done again.
                panic!("byte {end}, done {done}: {call} ran twice; under way was {under_way:?}");
            }
            assert_eq!(stage.effects().len(), 12, "byte {end}, done {done}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_had_begun_on_another_machine_is_held_and_the_machine_is_named() {
    let plan = estate();
    let first = Stage::new();
    first.apply(&plan).await;
    let journal = std::fs::read(first.run_dir().join("journal/000001.log")).unwrap();
    // A check that says that it is not done does not say that it will not be.
    for action in ["fake.a@2:repeatable", "fake.a@2:checked"] {
        let begun = |end: &&usize| {
            let text = String::from_utf8_lossy(&journal[..**end]).into_owned();
            text.lines().last().is_some_and(|line| line.contains("\"began\"") && line.contains(action))
        };
        let end = *line_ends(&journal).iter().find(begun).unwrap();
        let (mut stage, _) = killed(&first.run_dir(), &plan, end, false);
        let original = stage.run_dir();
        only_in_the_store(&mut stage, &original);
        stage.who = "you@there";
        // And it stays so, however often it is asked about from there.
        for time in 1..=3 {
            let finished = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
            assert_eq!(finished.record.outcome, Outcome::Held, "{action}, time {time}");
            let ending = stage.ending(action, Direction::Forward);
            assert!(matches!(&ending, Some(Ending::Held { message }) if message.contains("`here`")), "time {time}: {ending:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_begins_that_the_store_does_not_know_of() {
    let stage = shared();
    stage.script("db.one", [Act::Takes(Duration::from_secs(5))]);
    let plan = one(&["one", "two"]);
    let running = stage.apply(&plan);
    let watching = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        *files(&stage).away.lock().unwrap() = true;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(stage.calls(), ["db.one"], "the next one began, and no other machine could know");
        *files(&stage).away.lock().unwrap() = false;
    };
    let (finished, ()) = tokio::join!(running, watching);
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    assert_eq!(stage.calls(), ["db.one", "db.two"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_when_an_action_ends_loses_nothing() {
    let stage = shared();
    stage.script("db.one", [Act::Takes(Duration::from_secs(5))]);
    let plan = one(&["one", "two"]);
    let watching = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        *files(&stage).away.lock().unwrap() = true;
        tokio::time::sleep(Duration::from_secs(10)).await;
        stage.control.stop();
    };
    let (finished, ()) = tokio::join!(stage.apply(&plan), watching);
    assert_eq!(finished.record.outcome, Outcome::Held);
    *files(&stage).away.lock().unwrap() = false;
    let mut again = elsewhere(&stage);
    (again.dir, again.who) = (stage.dir, "me@here");
    let finished = again.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    assert_eq!(again.calls(), ["db.one", "db.two"], "what had ended is not done again");
    assert_eq!(files(&again).chunks.lock().unwrap().concat(), raw(&again.run_dir().join("journal")).unwrap());
}

#[tokio::test(start_paused = true)]
async fn who_was_overtaken_begins_nothing_more() {
    let stage = shared();
    stage.script("db.one", [Act::Takes(Duration::from_secs(5))]);
    let plan = one(&["one", "two"]);
    let overtaking = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        files(&stage).chunks.lock().unwrap().push(b"somebody else's".to_vec());
    };
    let (finished, ()) = tokio::join!(stage.apply(&plan), overtaking);
    assert_eq!(finished.record.outcome, Outcome::Held);
    assert_eq!(stage.calls(), ["db.one"]);
    assert_eq!(*stage.store.writes.lock().unwrap(), 0, "nothing more is written");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_saw_is_put_aside_where_another_machine_went_on() {
    let mut stage = shared();
    stage.rules.on_failure = OnFailure::Halt;
    stage.script("db.one", [Act::Takes(Duration::from_secs(5))]);
    stage.script("db.two", [Act::Fails(Failed)]);
    let plan = one(&["one", "two", "three"]);
    let watching = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        *files(&stage).away.lock().unwrap() = true;
        tokio::time::sleep(Duration::from_secs(10)).await;
        stage.control.stop();
    };
    let _ = tokio::join!(stage.apply(&plan), watching);
    *files(&stage).away.lock().unwrap() = false;
    let other = elsewhere(&stage);
    let held = other.resume(&plan, ResumeOptions::default()).await.unwrap();
    assert_eq!(held.record.outcome, Outcome::Held, "how `one` ended was never told");
    let skip = vec![plan.actions[0].id.clone()];
    other.resume(&plan, ResumeOptions { skip, ..ResumeOptions::default() }).await.unwrap();
    assert_eq!(other.calls(), ["db.one", "db.two"]);
    // Back on the first machine, whose journal says what the store's does not. Who only looks sees what is so, too.
    let mut back = elsewhere(&stage);
    (back.dir, back.who) = (stage.dir, "me@here");
    fetch(&back.run_dir(), &back.args(&plan).run, &*back.store).await.unwrap();
    let (_, seen) = inspect(&back.run_dir()).unwrap();
    assert_eq!(seen.states[..2], [ActionState::Succeeded, ActionState::Failed]);
    let finished =
        back.resume(&plan, ResumeOptions { retry: vec![plan.actions[1].id.clone()], ..ResumeOptions::default() }).await.unwrap();
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    assert_eq!(back.calls(), ["db.one", "db.two", "db.two", "db.three"]);
    assert!(back.run_dir().join("journal.aside-1/000001.log").exists());
    assert_eq!(files(&back).chunks.lock().unwrap().concat(), raw(&back.run_dir().join("journal")).unwrap());
}
