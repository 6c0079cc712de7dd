//! The folders of an action's tries: drivers find there what they began.
#![expect(clippy::disallowed_methods, reason = "a door to the folders of actions")]

use std::path::{Path, PathBuf};

use super::event::Direction;
use super::progress::ActionState;
use crate::model::name::{ActionId, file_name};

/// What the folders of an action's tries are called, before the number.
fn prefix(direction: Direction) -> &'static str {
    if direction == Direction::Undo { "undo-" } else { "" }
}

/// The folder of all tries of an action.
pub(super) fn action_folder(dir: &Path, action: &ActionId) -> PathBuf {
    dir.join("actions").join(action.file_name())
}

/// The folder of all tries of an item of an action, in that action's folder.
pub(super) fn item_folder(action: &Path, item: &str) -> PathBuf {
    action.join("items").join(file_name(item))
}

/// The folder of the files of one try.
pub(super) fn attempt_folder(tries: &Path, direction: Direction, number: u32) -> PathBuf {
    tries.join(format!("{}{number}", prefix(direction)))
}

/// The number of the last try that has left a folder; 0: none has. Tries before it may have left none.
///
/// # Errors
/// The folder cannot be read: then nobody knows what was begun.
pub(super) fn last_attempt(tries: &Path, direction: Direction) -> std::io::Result<u32> {
    let number = |name: &str| name.strip_prefix(prefix(direction))?.parse().ok();
    // Known without opening anything, where nothing can be opened any more.
    if !tries.try_exists()? {
        return Ok(0);
    }
    let mut last = 0;
    for entry in std::fs::read_dir(tries)? {
        last = last.max(entry?.file_name().to_str().and_then(number).unwrap_or(0));
    }
    Ok(last)
}

/// The folder of the last try of an action of the run in `dir`, or of its undo where the action is in that state; where a confirmation
/// belongs. `None`: it was never begun, or has left none.
#[must_use]
pub fn last_folder(dir: &Path, action: &ActionId, state: ActionState) -> Option<PathBuf> {
    let direction = match state {
        ActionState::Undoing | ActionState::UndoHeld => Direction::Undo,
        _ => Direction::Forward,
    };
    let tries = action_folder(dir, action);
    let number = last_attempt(&tries, direction).unwrap_or(0);
    (number > 0).then(|| attempt_folder(&tries, direction, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_that_left_no_folder_do_not_hide_later_ones() {
        let dir = tempfile::tempdir().unwrap();
        let action = ActionId::new(&crate::model::name::InstanceAddr::from_text("p.a"), "1", "s", None);
        let tries = action_folder(dir.path(), &action);
        assert_eq!(last_folder(dir.path(), &action, ActionState::Held), None);
        for (direction, number) in [(Direction::Forward, 2), (Direction::Forward, 10)] {
            std::fs::create_dir_all(attempt_folder(&tries, direction, number)).unwrap();
        }
        assert_eq!(last_attempt(&tries, Direction::Forward).unwrap(), 10);
        assert_eq!(last_attempt(&tries, Direction::Undo).unwrap(), 0);
        std::fs::create_dir(attempt_folder(&tries, Direction::Undo, 1)).unwrap();
        assert!(last_folder(dir.path(), &action, ActionState::Undoing).unwrap().ends_with("undo-1"));
        assert!(last_folder(dir.path(), &action, ActionState::Held).unwrap().ends_with("10"), "it waits, and not its undo");
    }
}
