//! `windlass plan`: shows what apply would do, and why.

use crate::cli::args::{PageArgs, PlanArgs, PlanFormat};
use crate::cli::exit::Exit;
use crate::cli::planfile::PlanFile;
use crate::cli::planning::{How, Planned};
use crate::cli::preview::previews;
use crate::cli::session::Session;
use crate::cli::terminal::Terminal;
use crate::plan::{Plan, Report, Ruling, VerdictKind};
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::view::{Page, Previews, plan_markdown, plan_text};

/// Runs the command.
pub(in crate::cli) async fn run(args: &PlanArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let how = How { refresh: args.refresh, upgrade: args.upgrade };
    let Planned { plan, mut report, .. } = session.plan(&args.scope, how).await?;
    report.rulings = session.rulings(&plan, &report, "plan", session.place.now).await?;
    let terminal = session.place.terminal;
    // Who does not want the machines looked at gets no differences either.
    let previews = if args.refresh { previews(session, &plan).await } else { Previews::new() };
    terminal.data(&plan_as(args.format, &args.page, (&plan, &report, &previews), terminal)?);
    let blocked = is_blocked(&report);
    let denied = report.rulings.iter().any(Ruling::denies);
    let changes = !plan.changes.is_empty();
    if let Some(path) = &args.out {
        if blocked {
            return Err(Diagnostic::error("plan was not saved")
                .fault(Fault::Refused)
                .detail("some instances are blocked, so the plan does not lead to what is declared")
                .help("see to the reasons above, or plan a part with `--target`")
                .into());
        }
        PlanFile::new(plan, report)?.save(path)?;
        terminal.say(&format!("Saved the plan to {0}. Apply exactly this with: windlass apply {0}", path.display()));
    } else {
        // The program ends here, and the system takes the memory back faster than it could be given.
        std::mem::forget((plan, report));
    }
    Ok(match (blocked || denied, changes && args.detailed_exitcode) {
        (true, _) => Exit::Refused,
        (false, true) => Exit::Changes,
        (false, false) => Exit::Done,
    })
}

/// A plan in the format that was asked for.
pub(in crate::cli) fn plan_as(
    format: PlanFormat,
    page: &PageArgs,
    (plan, report, previews): (&Plan, &Report, &Previews),
    terminal: Terminal,
) -> Result<String, Diagnostic> {
    Ok(match format {
        PlanFormat::Human => plan_text(plan, report, previews, terminal.out),
        PlanFormat::Json => plan_json(plan, report, previews)?,
        PlanFormat::Markdown => plan_markdown(plan, report, previews, Page { limit: page.limit, link: page.link.as_deref() }),
    })
}

/// Whether the report has instances for which nothing could be planned.
pub(in crate::cli) fn is_blocked(report: &Report) -> bool {
    report.verdicts.iter().any(|verdict| matches!(verdict.kind, VerdictKind::Blocked | VerdictKind::Unobserved))
}

/// The plan, the report and what documents would change as one JSON document; `docs/reference/plan.schema.json` describes it.
pub(in crate::cli) fn plan_json(plan: &Plan, report: &Report, previews: &Previews) -> Result<String, Diagnostic> {
    let bug = |error: serde_json::Error| Diagnostic::error("plan cannot be written").fault(Fault::Bug).detail(error.to_string());
    crate::view::plan_json(plan, report, previews).map_err(bug)
}
