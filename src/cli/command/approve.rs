//! `windlass approve`: says that a saved plan may be applied.

use crate::cli::approvals::{append, user};
use crate::cli::args::ApproveArgs;
use crate::cli::exit::Exit;
use crate::cli::planfile::PlanFile;
use crate::cli::session::Session;
use crate::plan::{Approval, substance};
use crate::source::{Diagnostic, Diagnostics, Fault};

/// Runs the command.
pub(in crate::cli) async fn run(args: &ApproveArgs, session: &Session) -> Result<Exit, Diagnostics> {
    let path = session.place.root.join(&args.plan);
    let PlanFile { plan, .. } = PlanFile::load(&path)?;
    let by = args.by.clone().unwrap_or_else(user).trim().to_owned();
    let reason = args.reason.trim().to_owned();
    if reason.is_empty() || by.is_empty() {
        return Err(Diagnostic::error("nothing was approved")
            .detail("an approval needs a name and a reason")
            .help("write `--reason \"…\"`, and `--by NAME` where the login's name will not do")
            .into());
    }
    let approval = Approval { substance: substance(&plan.changes, &plan.actions), by, reason, at: session.place.now };
    let terminal = session.place.terminal;
    let asking: Vec<_> =
        plan.bases.keys().filter_map(|name| Some((name, session.estate.environments.get(name)?.approval.as_ref()?))).collect();
    for (name, rule) in &asking {
        if !rule.from.is_empty() && !rule.from.iter().any(|of| of.trim().eq_ignore_ascii_case(&approval.by)) {
            return Err(Diagnostic::error("nothing was approved")
                .fault(Fault::Refused)
                .detail(format!("{} may not approve for {name}: it asks for an approval of {}", approval.by, rule.from.join(", ")))
                .help("let one of them approve it")
                .into());
        }
    }
    if asking.is_empty() {
        terminal.say("No environment of this plan asks for approvals.");
    }
    let place = if args.beside {
        append(&path, &approval)?.display().to_string()
    } else {
        session.keep_approval(&approval).await?;
        session.store.describe()
    };
    terminal.say(&format!("{} approves {} ({place}).", approval.by, approval.substance.short()));
    Ok(Exit::Done)
}
