//! Errors of the stages as diagnostics for people: what happened, whose fault it is, what to do.

use crate::source::{Diagnostic, Fault};
use crate::state::StateError;

/// What is wrong with the state.
pub(super) fn state_problem(error: &StateError) -> Diagnostic {
    let detail = error.to_string();
    match error {
        StateError::Held { environment, holder } => Diagnostic::error("state is locked")
            .fault(Fault::Locked)
            .detail(format!(
                "{detail}{}; last sign of life {}",
                holder.run.as_ref().map(|run| format!(" for run {run}")).unwrap_or_default(),
                holder.heartbeat.strftime("%Y-%m-%d %H:%M:%SZ"),
            ))
            .help(format!("wait for it, or give `--lock-timeout`; if it has surely died, `windlass unlock {environment}`")),
        StateError::Fenced(environment) => Diagnostic::error("state was taken over")
            .fault(Fault::Locked)
            .detail(detail)
            .help(format!("nothing more was written; see `windlass history` for who holds `{environment}` now")),
        StateError::Moved { .. } | StateError::Lineage { .. } => Diagnostic::error("state has moved")
            .fault(Fault::Refused)
            .detail(detail)
            .help("somebody applied in between: make a new plan"),
        StateError::Corrupt { .. } => Diagnostic::error("state cannot be understood")
            .detail(detail)
            .help("a lockfile: take the last good version from git; what is below `.windlass`: from a backup, or remove the file while no run goes on. Windlass never writes over it"),
        StateError::Newer { .. } => Diagnostic::error("state is newer than this Windlass")
            .detail(detail)
            .help("install the Windlass that wrote it, or a newer one"),
        StateError::Unfit { .. } => Diagnostic::error("state cannot be kept there")
            .detail(detail)
            .help("two processes could overwrite each other's state: use another store"),
        StateError::Unreachable { .. } => Diagnostic::error("state cannot be reached")
            .fault(Fault::Platform)
            .detail(detail)
            .help("nothing was changed there; see to it and run the command again"),
    }
}

/// A file that could not be read or written for the user.
pub(super) fn file_problem(summary: &str, path: &std::path::Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(summary)
        .fault(Fault::Platform)
        .detail(format!("{}: {error}", path.display()))
        .help("see to the file or folder and run the command again")
}
