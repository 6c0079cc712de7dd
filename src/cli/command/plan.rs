//! `windlass plan`: shows what apply would do, and why.

use crate::cli::args::{PageArgs, PlanArgs, PlanFormat};
use crate::cli::command::apply::check_unfinished;
use crate::cli::exit::Exit;
use crate::cli::planfile::PlanFile;
use crate::cli::planning::{How, Planned};
use crate::cli::preview::previews;
use crate::cli::problem::state_problem;
use crate::cli::session::Session;
use crate::cli::terminal::Terminal;
use crate::plan::{Plan, Report, Ruling, VerdictKind, additions};
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::view::{Against, Compared, Page, Previews, compared_markdown, compared_text, plan_html, plan_markdown, plan_text};

/// Runs the command.
pub(in crate::cli) async fn run(args: &PlanArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let how = How { refresh: args.refresh, upgrade: args.upgrade };
    let mut planned = session.plan(&args.scope, how).await?;
    planned.report.rulings = session.rulings(&planned.plan, &planned.report, "plan", session.place.now).await?;
    let compared = compare(args, session, how, &planned).await?;
    let Planned { plan, report, .. } = planned;
    // With a base, only what is altered is shown and counts.
    let part = compared.delta.as_ref().map(|delta| delta.part(&plan, &report));
    let (shown, told) = part.as_ref().map_or((&plan, &report), |(plan, report)| (plan, report));
    let terminal = session.place.terminal;
    // Who does not want the machines looked at gets no differences either.
    let previews = if args.refresh { previews(session, shown).await } else { Previews::new() };
    let text = match args.format {
        // A program gets all of it, and what is altered by name.
        PlanFormat::Json => plan_json(&plan, &report, &previews, &compared)?,
        format => plan_beside(format, &args.page, (shown, told, &previews), &compared, terminal)?,
    };
    terminal.data(&text);
    mind_unfinished(&plan, session).await?;
    let adds = compared.against.as_ref().is_some_and(|against| !against.additions.is_empty());
    let denied = told.rulings.iter().any(Ruling::denies);
    let refused = denied || adds || compared.delta.as_ref().map_or_else(|| is_blocked(&report), |delta| delta.is_stuck());
    let changes = !shown.changes.is_empty();
    if let Some(path) = &args.out {
        if is_blocked(&report) {
            return Err(Diagnostic::error("plan was not saved")
                .fault(Fault::Refused)
                .detail("some instances are blocked, so the plan does not lead to what is declared")
                .help("see to the reasons above, or plan a part with `--target`")
                .into());
        }
        drop(part);
        let file = PlanFile::new(plan, report)?;
        file.save(path)?;
        terminal.say(&format!("Saved the plan to {0}. Apply exactly this with: windlass apply {0}", path.display()));
        terminal.say(&format!("Its digest, for an approval: {}", file.digest()));
    } else {
        // The program ends here, and the system takes the memory back faster than it could be given.
        std::mem::forget((part, plan, report));
    }
    Ok(match (refused, changes && args.detailed_exitcode) {
        (true, _) => Exit::Refused,
        (false, true) => Exit::Changes,
        (false, false) => Exit::Done,
    })
}

/// What a run has half done looks like somebody's own work: says that there is such a run.
async fn mind_unfinished(plan: &Plan, session: &Session) -> Result<(), Diagnostics> {
    let mut carried_on = false;
    for environment in plan.bases.keys() {
        let holder = session.store.holder(environment).await.map_err(|error| state_problem(&error))?;
        carried_on |= holder.is_some_and(|holder| !holder.has_died(session.place.now));
    }
    if let Err(unfinished) = check_unfinished(plan, session, !carried_on).await {
        for problem in unfinished.iter() {
            session.place.terminal.say(&format!("Mind: {}. Apply refuses this plan until it is ended.", problem.detail));
        }
    }
    Ok(())
}

/// Compares with what was asked for.
async fn compare(args: &PlanArgs, session: &mut Session, how: How, planned: &Planned) -> Result<Compared, Diagnostics> {
    let delta = match &args.base {
        Some(revision) => Some(session.delta(revision, &args.variables, &args.scope, how, planned).await?),
        None => None,
    };
    let against = match &args.against {
        Some(path) => {
            let approved = PlanFile::load(&session.place.root.join(path))?;
            Some(Against { approved: approved.digest().clone(), additions: additions(&approved.plan, &planned.plan) })
        }
        None => None,
    };
    Ok(Compared { delta, against })
}

/// A plan in the format that was asked for, and what it was compared with.
fn plan_beside(
    format: PlanFormat,
    page: &PageArgs,
    shown: (&Plan, &Report, &Previews),
    compared: &Compared,
    terminal: Terminal,
) -> Result<String, Diagnostic> {
    if compared.is_empty() {
        return plan_as(format, page, shown, terminal);
    }
    // A change of the configuration that alters nothing has no plan to show.
    let idle = compared.delta.is_some() && shown.0.changes.is_empty() && !is_blocked(shown.1);
    match format {
        PlanFormat::Human => {
            let text = if idle { String::new() } else { plan_as(format, page, shown, terminal)? };
            Ok(text + &compared_text(compared, terminal.out))
        }
        PlanFormat::Markdown => {
            let after = compared_markdown(compared, page.limit / 3);
            let page = PageArgs { limit: page.limit - after.len(), link: page.link.clone() };
            let text = if idle { IDLE.to_owned() } else { plan_as(format, &page, shown, terminal)? };
            Ok(text + &after)
        }
        PlanFormat::Html => html(shown, compared),
        PlanFormat::Json => plan_as(format, page, shown, terminal),
    }
}

fn html((plan, report, previews): (&Plan, &Report, &Previews), compared: &Compared) -> Result<String, Diagnostic> {
    plan_html(plan, report, previews, compared)
        .map_err(|error| Diagnostic::error("plan cannot be written").fault(Fault::Bug).detail(format!("{error:#}")))
}

/// The head of a comment on a change that alters nothing.
const IDLE: &str = "### Windlass: nothing changes because of this\n";

/// A plan in the format that was asked for.
pub(in crate::cli) fn plan_as(
    format: PlanFormat,
    page: &PageArgs,
    (plan, report, previews): (&Plan, &Report, &Previews),
    terminal: Terminal,
) -> Result<String, Diagnostic> {
    Ok(match format {
        PlanFormat::Human => plan_text(plan, report, previews, terminal.out),
        PlanFormat::Json => plan_json(plan, report, previews, &Compared::default())?,
        PlanFormat::Html => html((plan, report, previews), &Compared::default())?,
        PlanFormat::Markdown => plan_markdown(plan, report, previews, Page { limit: page.limit, link: page.link.as_deref() }),
    })
}

/// Whether the report has instances for which nothing could be planned.
pub(in crate::cli) fn is_blocked(report: &Report) -> bool {
    report.verdicts.iter().any(|verdict| matches!(verdict.kind, VerdictKind::Blocked | VerdictKind::Unobserved))
}

/// The plan, the report and what documents would change as one JSON document; `docs/reference/plan.schema.json` describes it.
pub(in crate::cli) fn plan_json(
    plan: &Plan,
    report: &Report,
    previews: &Previews,
    compared: &Compared,
) -> Result<String, Diagnostic> {
    let bug = |error: serde_json::Error| Diagnostic::error("plan cannot be written").fault(Fault::Bug).detail(error.to_string());
    crate::view::plan_json_beside(plan, report, previews, compared).map_err(bug)
}
