//! Killed at any moment: nothing that may not be repeated is, and in the end everything is recorded.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::world::{Act, Making, Stage, U, step};
use crate::apply::ResumeOptions;
use crate::apply::event::Direction;
use crate::apply::journal::{Entry, read};
use crate::driver::FailureKind::Failed;
use crate::model::estate::OnFailure;
use crate::model::name::ActionId;
use crate::plan::{ActionKind, Plan};
use crate::state::Outcome;

pub(super) fn estate() -> Plan {
    let mut checked = step("checked");
    checked.checked = true;
    let mut repeatable = step("repeatable");
    repeatable.repeatable = true;
    let mut harmless = step("look");
    harmless.undo = U::Harmless;
    let steps = [harmless, checked, step("plain"), repeatable];
    Making::default()
        .instance("a", "test", None, &[], &steps)
        .instance("b", "test", None, &[0], &steps)
        .instance("c", "test", None, &[], &steps)
        .plan()
}

/// Where each line of the only segment ends.
pub(super) fn line_ends(bytes: &[u8]) -> Vec<usize> {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes[..used].iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place + 1).collect()
}

/// The segments of a run's journal, the oldest first.
fn segments(run: &Path) -> Vec<std::path::PathBuf> {
    let mut segments: Vec<_> = std::fs::read_dir(run.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
    segments.sort();
    segments
}

/// A stage whose run was killed when the last segment of its journal said so much. `done`: whether calls that had begun by then had
/// their effect.
pub(super) fn killed(original: &Path, plan: &Plan, cut: usize, done: bool) -> (Stage, BTreeSet<String>) {
    let stage = Stage::new();
    let to = stage.run_dir();
    std::fs::create_dir_all(to.join("journal")).unwrap();
    for file in ["plan.json", "base.json"] {
        std::fs::copy(original.join(file), to.join(file)).unwrap();
    }
    let segments = segments(original);
    for (place, path) in segments.iter().enumerate() {
        let bytes = std::fs::read(path).unwrap();
        let end = if place + 1 == segments.len() { cut } else { bytes.len() };
        std::fs::write(to.join("journal").join(path.file_name().unwrap()), &bytes[..end]).unwrap();
    }
    let names: HashMap<ActionId, String> = plan
        .actions
        .iter()
        .filter_map(|action| {
            let ActionKind::Step { step, .. } = &action.kind else { return None };
            let instance = plan.changes[action.change as usize].instance.as_str().trim_start_matches("fake.");
            Some((action.id.clone(), format!("{instance}.{step}")))
        })
        .collect();
    let mut under_way = BTreeSet::new();
    let mut world = stage.world.lock().unwrap();
    for entry in read(&to.join("journal")).unwrap().entries {
        let (action, direction, ended) = match entry {
            Entry::Began { action, direction, .. } => (action, direction, false),
            Entry::Ended { action, direction, .. } => (action, direction, true),
            _ => continue,
        };
        let Some(name) = names.get(&action).cloned() else { continue };
        if ended {
            under_way.remove(&name);
        } else {
            under_way.insert(name.clone());
        }
        if ended || done {
            match direction {
                Direction::Forward => drop(world.effects.insert(name)),
                Direction::Undo => drop(world.effects.remove(&name)),
            }
        }
    }
    drop(world);
    (stage, under_way)
}

/// Resumes, as a person who looks at what is held would.
pub(super) async fn see_it_through(stage: &Stage, plan: &Plan, expected: Outcome) {
    for _ in 0..20 {
        let finished = stage.resume(plan, ResumeOptions::default()).await.unwrap();
        stage.check(&finished);
        if finished.record.outcome == expected {
            return;
        }
        assert_eq!(finished.record.outcome, Outcome::Held, "{:?}", finished.problems);
        let (_, progress) = crate::apply::inspect(&stage.run_dir()).unwrap();
        let mut options = ResumeOptions::default();
        for (index, action) in plan.actions.iter().enumerate() {
            if progress.states[index].is_stuck() {
                let instance = plan.changes[action.change as usize].instance.as_str().trim_start_matches("fake.");
                let is_there = stage.effects().contains(&format!("{instance}.{}", action.kind.step().unwrap()));
                let is_undo = progress.states[index] == crate::apply::ActionState::UndoHeld;
                let is_done = is_there != is_undo;
                if is_done { options.skip.push(action.id.clone()) } else { options.retry.push(action.id.clone()) }
            }
        }
        assert!(!options.retry.is_empty() || !options.skip.is_empty(), "held without a way out: {:?}", finished.problems);
        let finished = stage.resume(plan, options).await.unwrap();
        stage.check(&finished);
        if finished.record.outcome == expected {
            return;
        }
    }
    panic!("it never ended");
}

#[tokio::test(start_paused = true)]
async fn a_run_killed_at_any_entry_is_resumed_without_repeating_anything() {
    let plan = estate();
    let first = Stage::new();
    let whole = first.apply(&plan).await;
    assert_eq!(whole.record.outcome, Outcome::Succeeded, "{:?}", whole.problems);
    let ends = line_ends(&std::fs::read(first.run_dir().join("journal/000001.log")).unwrap());
    assert!(ends.len() > 25, "{}", ends.len());
    for (number, end) in ends.iter().enumerate() {
        for (cut, done) in [(*end, false), (*end, true), (end.saturating_sub(9), true)] {
            if cut < ends[0] {
                continue;
            }
            let (stage, under_way) = killed(&first.run_dir(), &plan, cut, done);
            let had = stage.effects();
            see_it_through(&stage, &plan, Outcome::Succeeded).await;
            for call in stage.calls() {
                let repeated = had.contains(&call);
                assert!(
                    !repeated || call.ends_with("repeatable"),
                    "entry {number}: {call} was done twice (under way: {under_way:?})"
                );
            }
            assert_eq!(stage.effects(), first.effects());
            let versions = |stage: &Stage| stage.store.locks.lock().unwrap()["test"].instances.keys().cloned().collect::<Vec<_>>();
            assert_eq!(versions(&stage), versions(&first));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_killed_at_any_entry_is_resumed_and_ends_where_it_began() {
    let plan = estate();
    let first = Stage::new();
    first.script("b.plain", [Act::Fails(Failed)]);
    let whole = first.apply(&plan).await;
    assert_eq!(whole.record.outcome, Outcome::RolledBack, "{:?}", whole.problems);
    let bytes = std::fs::read(first.run_dir().join("journal/000001.log")).unwrap();
    let ends = line_ends(&bytes);
    let decided = ends.iter().position(|end| String::from_utf8_lossy(&bytes[..*end]).contains("undo_began")).unwrap();
    for end in &ends[decided..] {
        for done in [false, true] {
            let (stage, _) = killed(&first.run_dir(), &plan, *end, done);
            see_it_through(&stage, &plan, Outcome::RolledBack).await;
            let left: Vec<String> = stage.effects().into_iter().filter(|effect| !effect.ends_with("look")).collect();
            assert!(left.is_empty(), "{left:?}");
            assert!(stage.recorded("test").is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_whose_rollback_was_not_decided_yet_is_rolled_back_on_resuming() {
    let plan = estate();
    let first = Stage::new();
    first.script("a.plain", [Act::Fails(Failed)]);
    first.apply(&plan).await;
    let bytes = std::fs::read(first.run_dir().join("journal/000001.log")).unwrap();
    let ends = line_ends(&bytes);
    let decided = ends.iter().position(|end| String::from_utf8_lossy(&bytes[..*end]).contains("undo_began")).unwrap();
    let (stage, _) = killed(&first.run_dir(), &plan, ends[decided - 1], true);
    see_it_through(&stage, &plan, Outcome::RolledBack).await;
    assert!(!stage.calls().iter().any(|call| call == "a.plain" || call == "b.look"), "{:?}", stage.calls());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_ended_well_may_be_resumed_and_does_nothing() {
    let stage = Stage::new();
    let plan = estate();
    stage.apply(&plan).await;
    let (calls, writes) = (stage.calls(), *stage.store.writes.lock().unwrap());
    let again = stage.resume(&plan, ResumeOptions::default()).await.unwrap();
    stage.check(&again);
    assert_eq!(again.record.outcome, Outcome::Succeeded);
    assert_eq!((stage.calls(), *stage.store.writes.lock().unwrap()), (calls, writes));
}

#[tokio::test(start_paused = true)]
async fn a_changed_plan_a_damaged_journal_and_a_moved_state_are_refused() {
    let stage = Stage::new();
    let plan = estate();
    stage.apply(&plan).await;
    let refused = |stage: &Stage| {
        let args = stage.args(&plan);
        async move { crate::apply::resume(ResumeOptions::default(), args).await.unwrap_err().iter().next().unwrap().summary.clone() }
    };
    let lock = stage.store.locks.lock().unwrap()["test"].clone();
    let mut moved = lock.clone();
    moved.instances.get_mut("fake.a").unwrap().version = "9".into();
    stage.store.locks.lock().unwrap().insert("test".into(), moved);
    assert_eq!(refused(&stage).await, "the state has moved");
    stage.store.locks.lock().unwrap().insert("test".into(), lock);
    let path = stage.run_dir().join("plan.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("fake.a@2:plain", "fake.a@2:plein")).unwrap();
    assert_eq!(refused(&stage).await, "the run's plan was changed");
    std::fs::write(&path, text).unwrap();
    let path = stage.run_dir().join("journal/000001.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(refused(&stage).await, "the journal cannot be read");
}

#[tokio::test(start_paused = true)]
async fn words_about_actions_that_need_none_are_refused_all_at_once() {
    let stage = Stage::new();
    let plan = estate();
    stage.apply(&plan).await;
    let options = ResumeOptions {
        retry: vec![ActionId::from_text("fake.a@2:plain"), ActionId::from_text("nobody")],
        skip: vec![ActionId::from_text("fake.b@2:plain")],
    };
    assert_eq!(stage.resume(&plan, options).await.unwrap_err().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_run_stays_ended() {
    let mut stage = Stage::new();
    stage.rules.on_failure = OnFailure::Halt;
    stage.script("a.plain", [Act::Fails(Failed)]);
    let plan = estate();
    stage.apply(&plan).await;
    assert!(crate::apply::abandon("  ", crate::apply::AbandonedAs::Failed, stage.args(&plan)).await.is_err(), "without a reason");
    // Where the history does not hear of it, it is to be said again.
    *stage.store.no_history.lock().unwrap() = true;
    let unheard = crate::apply::abandon("the machine is gone", crate::apply::AbandonedAs::Failed, stage.args(&plan)).await.unwrap();
    assert_eq!(unheard.record.outcome, Outcome::Held);
    assert!(unheard.problems.iter().any(|problem| problem.help.as_deref() == Some("`windlass abandon` delivers it")));
    *stage.store.no_history.lock().unwrap() = false;
    let finished =
        crate::apply::abandon("the machine is gone", crate::apply::AbandonedAs::Failed, stage.args(&plan)).await.unwrap();
    assert_eq!(finished.record.outcome, Outcome::Abandoned);
    assert!(finished.record.message.unwrap().contains("the machine is gone"));
    assert_eq!(stage.store.runs.lock().unwrap().last().map(|run| run.outcome), Some(Outcome::Abandoned));
    assert!(stage.resume(&plan, ResumeOptions::default()).await.is_err());
    assert!(stage.roll_back(&plan).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_finished_by_hand_is_taken_into_the_lockfile() {
    let mut stage = Stage::new();
    stage.rules.on_failure = OnFailure::Halt;
    stage.script("a.plain", [Act::Fails(Failed)]);
    let plan = estate();
    stage.apply(&plan).await;
    let how = crate::apply::AbandonedAs::Succeeded;
    let finished = crate::apply::abandon("done by hand", how, stage.args(&plan)).await.unwrap();
    assert_eq!(finished.record.outcome, Outcome::Abandoned);
    for change in &plan.changes {
        let lock = &finished.locks[&change.environment];
        assert_eq!(lock.instances.get(&change.instance).map(|locked| &locked.version), change.to.as_ref(), "{}", change.instance);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_not_begun_twice_in_one_folder() {
    let stage = Stage::new();
    let plan = Making::default().instance("db", "test", None, &[], &[]).plan();
    stage.apply(&plan).await;
    stage.store.locks.lock().unwrap().clear();
    let refused = crate::apply::execute(std::sync::Arc::new(plan.clone()), stage.args(&plan)).await.unwrap_err();
    assert_eq!(refused.iter().next().unwrap().summary, "the run has begun already");
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_was_under_way_comes_before_what_is_below_it_also_after_a_person_s_word() {
    let checked = |name: &str| {
        let mut step = step(name);
        step.checked = true;
        step
    };
    let plan = Making::default().instance("db", "test", None, &[], &[checked("one"), checked("two"), checked("three")]).plan();
    let first = Stage::new();
    first.script("db.three", [Act::Refuses]);
    assert_eq!(first.apply(&plan).await.record.outcome, Outcome::RolledBack);
    let bytes = std::fs::read(first.run_dir().join("journal/000001.log")).unwrap();
    // Killed when the undo of the second step had begun and nobody had seen its end.
    let ends = line_ends(&bytes);
    let is_begun = |end: &usize| {
        let text = String::from_utf8_lossy(&bytes[..*end]).into_owned();
        text.contains("undo_began") && text.lines().last().is_some_and(|line| line.contains("\"began\"") && line.contains(":two"))
    };
    let cut = *ends.iter().find(|end| is_begun(end)).unwrap();
    let (stage, _) = killed(&first.run_dir(), &plan, cut, false);
    let retry = ResumeOptions { retry: vec![ActionId::from_text("fake.db@2:three")], skip: Vec::new() };
    let finished = stage.resume(&plan, retry).await.unwrap();
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    assert_eq!(stage.calls(), ["undo db.two", "undo db.one"]);
}

#[tokio::test(start_paused = true)]
async fn a_word_past_the_point_of_no_return_is_not_forgotten_by_a_kill() {
    let mut migrate = step("migrate");
    migrate.undo = U::Never;
    let plan = Making::default().instance("db", "test", None, &[], &[step("one"), migrate, step("two")]).plan();
    for word in ["retry", "skip"] {
        let first = Stage::new();
        first.script("db.migrate", [Act::Fails(Failed)]);
        assert_eq!(first.apply(&plan).await.record.outcome, Outcome::Held);
        let said = vec![ActionId::from_text("fake.db@2:migrate")];
        let options = match word {
            "retry" => ResumeOptions { retry: said, skip: Vec::new() },
            _ => ResumeOptions { retry: Vec::new(), skip: said },
        };
        let whole = first.resume(&plan, options).await.unwrap();
        assert_eq!(whole.record.outcome, Outcome::Succeeded, "{:?}", whole.problems);
        let bytes = std::fs::read(segments(&first.run_dir()).last().unwrap()).unwrap();
        let heard = |end: &&usize| String::from_utf8_lossy(&bytes[..**end]).contains("decided");
        for cut in line_ends(&bytes).iter().filter(heard) {
            let (stage, _) = killed(&first.run_dir(), &plan, *cut, true);
            see_it_through(&stage, &plan, Outcome::Succeeded).await;
        }
    }
}
