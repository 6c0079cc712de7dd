//! What runs have left open, from the history and from the folders of runs that are not through.

use super::command::run::is_unfinished;
use super::problem::state_problem;
use super::running::run_dir;
use super::session::Session;
use crate::apply::{self, bracket_times};
use crate::source::Diagnostics;
use crate::state::{OpenBracket, open_brackets};

impl Session {
    /// The brackets that runs have left open.
    pub(super) async fn open_brackets(&self) -> Result<Vec<OpenBracket>, Diagnostics> {
        let mut runs = self.store.runs(1000).await.map_err(|error| state_problem(&error))?;
        for record in runs.iter_mut().filter(|record| is_unfinished(record)) {
            // A run that was killed could not tell the history.
            if let Ok((plan, progress)) = apply::inspect(&run_dir(self, &record.id)) {
                record.brackets = bracket_times(&plan, &progress);
            }
        }
        Ok(open_brackets(&runs))
    }
}
