//! What somebody approved, and whether it covers what is to be applied.

use std::path::PathBuf;

use super::args::ReviewArgs;
use super::planfile::PlanFile;
use super::session::Session;
use crate::model::name::Digest;
use crate::plan::{Plan, additions};
use crate::source::{Diagnostic, Diagnostics, Fault};

/// What somebody approved.
pub(super) enum Approval {
    /// Nobody was asked for one.
    None,
    /// A plan by its digest.
    Digest(Digest),
    /// A plan, which a later one may repeat.
    Plan(Box<PlanFile>, PathBuf),
}

impl Approval {
    /// Reads what the command line says. `saved`: a saved plan is to be applied.
    pub(super) fn read(args: &ReviewArgs, saved: bool, session: &Session) -> Result<Self, Diagnostic> {
        let digest = args.approved.as_deref().map(digest).transpose()?;
        let Some(path) = &args.against else {
            return match digest {
                None => Ok(Self::None),
                Some(digest) if saved => Ok(Self::Digest(digest)),
                Some(_) => Err(Diagnostic::error("approval without its plan")
                    .detail("`--approved` names a plan, and neither a saved plan nor `--against FILE` is given")
                    .help("give the saved plan to apply, or the approved one with `--against` to plan again and compare")),
            };
        };
        let file = PlanFile::load(&session.place.root.join(path))?;
        match digest {
            Some(digest) if digest != *file.digest() => Err(refused(format!(
                "approved is the plan {}, and {} is the plan {}",
                digest.short(),
                path.display(),
                file.digest().short()
            ))),
            _ => Ok(Self::Plan(Box::new(file), path.clone())),
        }
    }

    /// Whether there is one.
    pub(super) fn is_given(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Refuses a plan that it does not cover, with everything that is added. `digest`: that of a saved plan.
    pub(super) fn covers(&self, plan: &Plan, digest: Option<&Digest>) -> Result<(), Diagnostics> {
        match self {
            Self::None => Ok(()),
            Self::Digest(approved) if digest == Some(approved) => Ok(()),
            Self::Digest(approved) => {
                let given = digest.map_or("another", Digest::short);
                Err(refused(format!("approved is the plan {}, and this is the plan {given}", approved.short())).into())
            }
            Self::Plan(approved, path) => {
                let added: Diagnostics = additions(&approved.plan, plan)
                    .into_iter()
                    .map(|addition| {
                        let whose = addition.instance.map(|instance| format!("{instance}: ")).unwrap_or_default();
                        refused(format!("{whose}{} ({} does not have that)", addition.what, path.display()))
                    })
                    .collect();
                if added.is_empty() { Ok(()) } else { Err(added) }
            }
        }
    }
}

fn refused(detail: String) -> Diagnostic {
    Diagnostic::error("plan is not approved")
        .fault(Fault::Refused)
        .detail(detail)
        .help("have the new plan reviewed: `windlass plan --against APPROVED --out PLAN` shows what it adds")
}

/// A digest as people paste it; only a whole one names a plan.
fn digest(text: &str) -> Result<Digest, Diagnostic> {
    let hex = text.trim().strip_prefix("sha256:").unwrap_or(text.trim()).to_ascii_lowercase();
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Digest::new(format!("sha256:{hex}")));
    }
    Err(Diagnostic::error("not a digest")
        .detail(format!("`{text}` is not `sha256:` and 64 hexadecimal digits"))
        .help("take the whole digest that `windlass plan --out FILE` printed"))
}
