//! How the program ends.

use std::process::ExitCode;

use crate::source::{Diagnostics, Fault};
use crate::state::Outcome;

/// Exit codes: a promise to pipelines, documented in `docs/reference/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// An error: nothing was changed, or what was changed is said.
    Error = 1,
    /// Changes or drift were found, and `--detailed-exitcode` asked to be told.
    Changes = 2,
    /// Refused by a gate, a policy or a check.
    Refused = 3,
    /// Failed, and rolled back.
    RolledBack = 4,
    /// Failed or stopped half way: `resume` or `rollback`.
    Halted = 5,
    /// State is held by another.
    Locked = 6,
}

impl Exit {
    /// For a run's outcome.
    #[must_use]
    pub fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded | Outcome::Abandoned => Self::Done,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::Running | Outcome::Held | Outcome::Stopped => Self::Halted,
        }
    }

    /// For problems: the most particular fault decides.
    #[must_use]
    pub fn of_problems(problems: &Diagnostics) -> Self {
        let any = |fault: Fault| problems.iter().any(|problem| problem.fault == fault);
        if any(Fault::Bug) {
            Self::Error
        } else if any(Fault::Locked) {
            Self::Locked
        } else if any(Fault::Refused) && problems.iter().all(|problem| problem.fault == Fault::Refused) {
            Self::Refused
        } else {
            Self::Error
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
