//! Where approvals are kept: in the state store, by what the plan does; or in a file beside a saved plan.
#![expect(clippy::disallowed_methods, reason = "a door to the environment, where the user's name may be given")]

use std::path::{Path, PathBuf};

use super::hold::who;
use super::problem::{file_problem, state_problem};
use super::session::Session;
use crate::model::name::Digest;
use crate::plan::Approval;
use crate::source::{Diagnostic, Diagnostics};
use crate::state::durable;

/// The most approvals that are kept of one plan.
const MOST: usize = 100;

/// The name by which somebody approves and applies: `WINDLASS_USER`, or the name of the login.
pub(super) fn user() -> String {
    let given = std::env::var("WINDLASS_USER").ok().filter(|name| !name.trim().is_empty());
    given.map_or_else(|| who().split('@').next().unwrap_or_default().to_owned(), |name| name.trim().to_owned())
}

/// The file beside a saved plan.
pub(super) fn beside(plan: &Path) -> PathBuf {
    let mut name = plan.as_os_str().to_owned();
    name.push(".approvals");
    PathBuf::from(name)
}

/// Under what the store keeps the approval of that number.
fn place(substance: &Digest, number: usize) -> Digest {
    Digest::of(format!("windlass approval {number} of {substance}").as_bytes())
}

impl Session {
    /// The approvals of what a plan does: those in the store, and those in the file beside it.
    pub(super) async fn approvals(&self, substance: &Digest, file: Option<&Path>) -> Result<Vec<Approval>, Diagnostics> {
        let mut approvals = Vec::new();
        for number in 0..MOST {
            let kept = self.store.kept(&place(substance, number)).await.map_err(|error| state_problem(&error))?;
            let Some(kept) = kept else { break };
            approvals.push(read(&kept, &self.store.describe())?);
        }
        if let Some(file) = file {
            let path = beside(file);
            let content = durable::read(&path).map_err(|error| file_problem("approvals cannot be read", &path, &error))?;
            for line in content.unwrap_or_default().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                approvals.push(read(line, &path.display().to_string())?);
            }
        }
        approvals.retain(|approval| approval.substance == *substance);
        Ok(approvals)
    }

    /// Keeps an approval in the store.
    pub(super) async fn keep_approval(&self, approval: &Approval) -> Result<(), Diagnostics> {
        let content = serde_json::to_vec(approval).map_err(|error| unwritable(&error))?;
        for number in 0..MOST {
            let place = place(&approval.substance, number);
            if self.store.kept(&place).await.map_err(|error| state_problem(&error))?.is_some() {
                continue;
            }
            self.store.keep(&place, &content).await.map_err(|error| state_problem(&error))?;
            // Two who approve at once may want the same place: then one of them goes on to the next.
            if self.store.kept(&place).await.map_err(|error| state_problem(&error))?.as_deref() == Some(&content) {
                return Ok(());
            }
        }
        Err(Diagnostic::error("approval cannot be kept")
            .detail(format!("there are {MOST} approvals of this plan"))
            .help("make a new plan")
            .into())
    }
}

/// Adds an approval to the file beside a plan.
pub(super) fn append(plan: &Path, approval: &Approval) -> Result<PathBuf, Diagnostics> {
    let path = beside(plan);
    let mut content =
        durable::read(&path).map_err(|error| file_problem("approvals cannot be read", &path, &error))?.unwrap_or_default();
    if !content.is_empty() && !content.ends_with(b"\n") {
        content.push(b'\n');
    }
    content.extend(serde_json::to_vec(approval).map_err(|error| unwritable(&error))?);
    content.push(b'\n');
    durable::replace(&path, &content, 0o644).map_err(|error| file_problem("approval cannot be written", &path, &error))?;
    Ok(path)
}

fn read(content: &[u8], place: &str) -> Result<Approval, Diagnostic> {
    serde_json::from_slice(content).map_err(|error| {
        Diagnostic::error("approval cannot be read")
            .detail(format!("{place}: {error}"))
            .help("remove what is not an approval, and approve the plan again")
    })
}

fn unwritable(error: &serde_json::Error) -> Diagnostic {
    Diagnostic::error("approval cannot be written").fault(crate::source::Fault::Bug).detail(error.to_string())
}
