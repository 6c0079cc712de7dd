//! What every store checks of a lockfile before it is given or written, so that no store can forget it.

use super::StateError;
use crate::lock::{FORMAT, Lock, TextError, decode};
use crate::model::name::{EnvironmentName, Lineage};

/// The lockfile of an environment, from its text. `place`: where the text stands.
pub(super) fn read(place: &str, environment: &EnvironmentName, content: Vec<u8>) -> Result<Lock, StateError> {
    let corrupt = |place: String, why: String| StateError::Corrupt { place, why };
    let text = String::from_utf8(content)
        .map_err(|error| corrupt(place.to_owned(), format!("byte {} is not UTF-8", error.utf8_error().valid_up_to())))?;
    let lock = decode(&text).map_err(|error| match error {
        TextError::Line { line, why } => corrupt(format!("{place}:{line}"), why),
        TextError::Newer { found } => StateError::Newer { place: place.to_owned(), found, known: FORMAT },
    })?;
    if lock.environment != *environment {
        return Err(corrupt(place.to_owned(), format!("it is the lockfile of environment `{}`", lock.environment)));
    }
    Ok(lock)
}

/// Whether a lockfile follows the one that is there: the same lineage, the next serial. The first may have any serial.
pub(super) fn follows(there: Option<(u64, Lineage)>, lock: &Lock) -> Result<(), StateError> {
    let Some((serial, lineage)) = there else { return Ok(()) };
    if lineage != lock.lineage {
        return Err(StateError::Lineage { found: lineage, expected: lock.lineage.clone() });
    }
    if serial + 1 != lock.serial {
        let what = format!("serial {serial} is there, {} was expected", lock.serial.saturating_sub(1));
        return Err(StateError::Moved { environment: lock.environment.clone(), what });
    }
    Ok(())
}
