//! A saved plan: the plan, the report beside it, and a seal that shows whether anybody has changed it.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::file_problem;
use crate::model::name::Digest;
use crate::plan::{FORMAT, Plan, Report};
use crate::source::{Diagnostic, Fault};
use crate::state::durable;

/// A saved plan larger than this is not read.
const LARGEST: u64 = 2 << 30;

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct PlanFile {
    /// Says what kind of file it is.
    windlass_plan: u32,
    /// Digest over everything else in the file: what was edited is refused.
    seal: Digest,
    /// The plan.
    pub(super) plan: Plan,
    /// Why things are as they are.
    #[serde(default)]
    pub(super) report: Report,
}

impl PlanFile {
    /// Seals a plan.
    ///
    /// # Errors
    /// It cannot be written as JSON, which is a mistake in Windlass.
    pub(super) fn new(plan: Plan, report: Report) -> Result<Self, Diagnostic> {
        let seal = seal(&plan, &report)?;
        Ok(Self { windlass_plan: FORMAT, seal, plan, report })
    }

    /// The plan's digest: what an approval names.
    pub(super) fn digest(&self) -> &Digest {
        &self.seal
    }

    /// Writes it so that it is there whole or not at all.
    ///
    /// # Errors
    /// As the file system says.
    pub(super) fn save(&self, path: &Path) -> Result<(), Diagnostic> {
        let text = serde_json::to_vec(self).map_err(|error| unwritable(&error))?;
        durable::replace(path, &text, 0o600).map_err(|error| file_problem("plan cannot be saved", path, &error))
    }

    /// Reads one that was saved.
    ///
    /// # Errors
    /// Unreadable, not a plan, of another format, or changed since it was saved.
    pub(super) fn load(path: &Path) -> Result<Self, Diagnostic> {
        let place = path.display();
        let size = durable::size(path).map_err(|error| file_problem("plan cannot be read", path, &error))?;
        if size > LARGEST {
            return Err(Diagnostic::error("plan cannot be read")
                .detail(format!("{place} is larger than 2 GiB"))
                .help("give the file that `windlass plan --out` wrote"));
        }
        let content = durable::read(path).map_err(|error| file_problem("plan cannot be read", path, &error))?;
        let content = content.ok_or_else(|| {
            Diagnostic::error("plan cannot be read")
                .detail(format!("there is no file {place}"))
                .help("make one with `windlass plan --out FILE`")
        })?;
        Self::decode(&content, &place.to_string())
    }

    /// Reads the content of a file, found at `place`.
    ///
    /// # Errors
    /// Not a plan, of another format, or changed since it was saved.
    fn decode(content: &[u8], place: &str) -> Result<Self, Diagnostic> {
        let not_a_plan = |why: String| {
            Diagnostic::error("not a saved plan")
                .detail(format!("{place}: {why}"))
                .help("give the file that `windlass plan --out` wrote")
        };
        #[derive(Deserialize)]
        struct Head {
            windlass_plan: u32,
        }
        let head: Head = serde_json::from_slice(content).map_err(|error| not_a_plan(error.to_string()))?;
        if head.windlass_plan != FORMAT {
            return Err(Diagnostic::error("plan of another format")
                .detail(format!("{place} has format {}, this Windlass reads format {FORMAT}", head.windlass_plan))
                .help("make the plan with the Windlass that applies it"));
        }
        let file: Self = serde_json::from_slice(content).map_err(|error| not_a_plan(error.to_string()))?;
        // The bytes too: what is not understood here might be by another reader.
        let is_whole = serde_json::to_vec(&file).is_ok_and(|bytes| bytes == content);
        if !is_whole || seal(&file.plan, &file.report)? != file.seal {
            return Err(Diagnostic::error("plan was changed")
                .fault(Fault::Refused)
                .detail(format!("the content of {place} does not match its seal"))
                .help("what is applied must be what was reviewed: make a new plan"));
        }
        Ok(file)
    }
}

/// What a reviewer saw is sealed with what is applied.
fn seal(plan: &Plan, report: &Report) -> Result<Digest, Diagnostic> {
    let bytes = serde_json::to_vec(&(FORMAT, plan, report)).map_err(|error| unwritable(&error))?;
    Ok(Digest::of(&bytes))
}

/// Reads the content of a saved plan, found at `place`.
///
/// # Errors
/// Not a plan, of another format, or changed since it was saved.
pub fn open_plan(content: &[u8], place: &str) -> Result<(Plan, Report), Diagnostic> {
    PlanFile::decode(content, place).map(|file| (file.plan, file.report))
}

fn unwritable(error: &serde_json::Error) -> Diagnostic {
    Diagnostic::error("plan cannot be written")
        .fault(Fault::Bug)
        .detail(error.to_string())
        .help("please report it with the configuration")
}
