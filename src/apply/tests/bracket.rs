//! What is opened and closed, and what is said where something is left open.

use std::sync::Arc;

use super::world::{Act, Making, Stage, step};
use crate::apply::event::EventKind;
use crate::apply::{AbandonedAs, ResumeOptions, abandon};
use crate::driver::FailureKind::{Failed, Invalid};
use crate::model::estate::OnFailure;
use crate::model::name::ActionId;
use crate::plan::{ActionUndo, Plan};
use crate::state::{Outcome, open_brackets};

/// `a.enter` opens, `a.work` works, `a.leave` closes; their undos do the opposite.
fn bracketed() -> Plan {
    let mut plan = Making::default().instance("a", "test", None, &[], &[step("enter"), step("work"), step("leave")]).plan();
    for (index, opens) in [(0, true), (2, false)] {
        let name: Option<Arc<str>> = Some("maintenance mode".into());
        let action = &mut plan.actions[index];
        let ActionUndo::Call { opens: undo_opens, closes: undo_closes, .. } = &mut action.undo else { panic!() };
        if opens {
            (action.opens, *undo_closes) = (name.clone(), name);
        } else {
            (action.closes, *undo_opens) = (name.clone(), name);
        }
    }
    plan
}

fn said(stage: &Stage) -> Vec<&'static str> {
    let events = stage.events.lock().unwrap();
    let word = |event: &EventKind| match event {
        EventKind::BracketOpened { .. } => Some("opened"),
        EventKind::BracketClosed { .. } => Some("closed"),
        EventKind::BracketOpen { .. } => Some("open"),
        EventKind::RunEnded { .. } => Some("end"),
        _ => None,
    };
    events.iter().filter_map(word).collect()
}

fn warned(finished: &crate::apply::Finished) -> bool {
    finished.problems.iter().any(|problem| problem.summary == "something was left open")
}

#[tokio::test(start_paused = true)]
async fn a_bracket_is_opened_and_closed_and_its_times_are_recorded() {
    let stage = Stage::new();
    stage.script("a.work", [Act::Takes(std::time::Duration::from_secs(90))]);
    let finished = stage.apply(&bracketed()).await;
    assert_eq!(said(&stage), ["opened", "closed", "end"]);
    let [bracket] = &finished.record.brackets[..] else { panic!("{:?}", finished.record) };
    assert_eq!((bracket.closed.unwrap() - bracket.opened).total(jiff::Unit::Second).unwrap() as u32, 90);
    assert!(!warned(&finished));
    // A record of before there were brackets can be read.
    let mut old = serde_json::to_value(&finished.record).unwrap();
    old.as_object_mut().unwrap().remove("brackets");
    assert!(serde_json::from_value::<crate::state::RunRecord>(old).unwrap().brackets.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rollback_closes_what_was_opened() {
    let stage = Stage::new();
    stage.script("a.work", [Act::Fails(Failed)]);
    let finished = stage.apply(&bracketed()).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack);
    assert_eq!(said(&stage), ["opened", "closed", "end"]);
    assert!(!warned(&finished) && finished.record.brackets[0].closed.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_halts_in_between_says_so_at_its_end_and_when_it_is_taken_up() {
    let mut stage = Stage::new();
    stage.rules.on_failure = OnFailure::Halt;
    stage.script("a.work", [Act::Fails(Failed)]);
    let plan = bracketed();
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Held);
    assert_eq!(said(&stage), ["opened", "open", "end"]);
    assert!(warned(&finished));
    let left = open_brackets(std::slice::from_ref(&finished.record));
    assert_eq!(left[0].bracket.name, "maintenance mode");
    stage.events.lock().unwrap().clear();
    let retry = ResumeOptions { retry: vec![ActionId::from_text("fake.a@2:work")], skip: Vec::new() };
    let resumed = stage.resume(&plan, retry).await.unwrap();
    assert_eq!(resumed.record.outcome, Outcome::Succeeded, "{:?}", resumed.problems);
    assert_eq!(said(&stage), ["open", "closed", "end"]);
    assert!(open_brackets(&[resumed.record, finished.record]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_an_abandoned_run_leaves_open_stays_known() {
    let mut stage = Stage::new();
    stage.rules.on_failure = OnFailure::Halt;
    stage.script("a.work", [Act::Fails(Failed)]);
    let plan = bracketed();
    stage.apply(&plan).await;
    let given = stage.args(&plan);
    let abandoned = abandon("enough", AbandonedAs::Failed, given).await.unwrap();
    assert!(warned(&abandoned) && abandoned.record.brackets[0].closed.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_opening_step_that_fails_may_have_opened_unless_nothing_was_called() {
    for (kind, expected) in [(Failed, vec!["opened", "open", "end"]), (Invalid, vec!["opened", "closed", "end"])] {
        let mut stage = Stage::new();
        stage.rules.on_failure = OnFailure::Halt;
        stage.script("a.enter", [Act::Fails(kind)]);
        stage.apply(&bracketed()).await;
        assert_eq!(said(&stage), expected, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn undoing_a_closing_step_opens_again() {
    let stage = Stage::new();
    let plan = bracketed();
    stage.apply(&plan).await;
    stage.events.lock().unwrap().clear();
    let back = stage.roll_back(&plan).await.unwrap();
    assert_eq!(back.record.outcome, Outcome::RolledBack, "{:?}", back.problems);
    assert_eq!(said(&stage), ["opened", "closed", "end"]);
    assert_eq!(back.record.brackets.len(), 2);
}
