//! The ways from state to state, against the page that says which there are.

use std::collections::BTreeSet;

use crate::apply::ActionState;
use crate::apply::event::Direction::{Forward, Undo};
use crate::apply::journal::Word;
use crate::apply::progress::Step;

const STATES: [ActionState; 8] = [
    ActionState::Planned,
    ActionState::Running,
    ActionState::Succeeded,
    ActionState::Failed,
    ActionState::Held,
    ActionState::Undoing,
    ActionState::Undone,
    ActionState::UndoHeld,
];

const STEPS: [(Step, &str); 13] = [
    (Step::Begin(Forward), "begin"),
    (Step::Withdraw(Forward), "withdraw"),
    (Step::Succeed(Forward), "succeed"),
    (Step::Fail(Forward), "fail"),
    (Step::Hold(Forward), "hold"),
    (Step::Begin(Undo), "begin undo"),
    (Step::Withdraw(Undo), "withdraw undo"),
    (Step::Succeed(Undo), "succeed undo"),
    (Step::Fail(Undo), "fail undo"),
    (Step::Hold(Undo), "hold undo"),
    (Step::Decide(Word::Retry), "retry"),
    (Step::Decide(Word::Skip), "skip"),
    (Step::Decide(Word::Done), "done"),
];

#[test]
fn every_way_from_state_to_state_stands_in_the_book_and_no_other() {
    let page = include_str!("../../../docs/explanation/states.md");
    let table = page.split("## A run").next().unwrap();
    let mut said = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| from")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        for from in cells[0].split(", ") {
            said.insert((from.to_owned(), cells[1].to_owned(), cells[2].to_owned()));
        }
    }
    let mut is = BTreeSet::new();
    for from in STATES {
        for (step, name) in STEPS {
            if let Some(to) = from.after(step) {
                is.insert((from.to_string(), name.to_owned(), to.to_string()));
            }
        }
    }
    assert_eq!(said, is);
}

#[test]
fn what_is_undone_or_done_is_left_only_by_undoing() {
    for (step, _) in STEPS {
        assert_eq!(ActionState::Undone.after(step), None, "{step:?}");
        if !matches!(step, Step::Begin(Undo) | Step::Succeed(Undo)) {
            assert_eq!(ActionState::Succeeded.after(step), None, "{step:?}");
        }
    }
}
