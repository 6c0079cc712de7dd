//! `windlass apply`: does what a plan says, and records it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::apply::{self, Control};
use crate::cli::approval::Approval;
use crate::cli::args::{ApplyArgs, RunArgs, RunFormat};
use crate::cli::command::plan::is_blocked;
use crate::cli::command::run::is_unfinished;
use crate::cli::exit::Exit;
use crate::cli::hold::{Hold, new_run};
use crate::cli::ledger::{Committed, Ledger};
use crate::cli::permission::{Asking, waiting};
use crate::cli::planfile::PlanFile;
use crate::cli::planning::How;
use crate::cli::preview::previews;
use crate::cli::problem::state_problem;
use crate::cli::running::{Ears, environments_of, finished, patience};
use crate::cli::session::Session;
use crate::cli::terminal::Terminal;
use crate::lang::Value;
use crate::model::name::{EnvironmentName, RunId};
use crate::plan::{Plan, Report};
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::state::{Move, Outcome};
use crate::view::{Previews, plan_text};

/// Runs the command.
pub(in crate::cli) async fn run(args: &ApplyArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let terminal = session.place.terminal;
    let patience = patience(&args.run)?;
    let wait = waiting(args.wait.as_deref())?;
    let approval = Approval::read(&args.review, args.plan.is_some(), session)?;
    let path = args.plan.as_ref().map(|path| session.place.root.join(path));
    let (plan, report, saved) = match &path {
        Some(path) => {
            let file = PlanFile::load(path)?;
            approval.covers(&file.plan, Some(file.digest()))?;
            check_saved(&file.plan, session).await?;
            (file.plan, file.report, true)
        }
        None => {
            let mut planned = session.plan(&args.scope, How { refresh: true, upgrade: args.upgrade }).await?;
            planned.report.rulings = session.rulings(&planned.plan, &planned.report, "apply", session.place.now).await?;
            show(session, &planned.plan, &planned.report, args.run.format).await;
            if is_blocked(&planned.report) {
                return Err(Diagnostic::error("plan is blocked")
                    .fault(Fault::Refused)
                    .detail("some instances cannot be brought to what is declared")
                    .help("see to the reasons above, or apply a part with `--target`")
                    .into());
            }
            approval.covers(&planned.plan, None)?;
            (planned.plan, planned.report, approval.is_given())
        }
    };
    if plan.changes.is_empty() {
        if saved && args.plan.is_some() {
            terminal.say("The plan has no changes.");
        }
        // What earlier runs have recorded, and could not be committed then.
        let environments = session.environments(&args.scope)?;
        if let Some(ledger) = Ledger::open(&args.review.commit, session, &environments)? {
            say_committed(session, &ledger.commit(None)?);
        }
        return Ok(Exit::Done);
    }
    // People's word stands beside the plan that they have read.
    let path = path.or_else(|| args.review.against.as_ref().map(|path| session.place.root.join(path)));
    let asking = Asking { file: path.as_deref(), again: false, wait };
    if session.permit(&plan, &report, asking).await? {
        // Much may have happened while it waited.
        check_saved(&plan, session).await?;
    }
    check_unfinished(&plan, session, false).await?;
    if !saved && !args.run.auto_approve {
        approve(session)?;
    }
    session.pin()?;
    let run = new_run(session.place.now);
    let environments = environments_of(&plan);
    let ledger = Ledger::open(&args.review.commit, session, &environments)?;
    let hold = Hold::take(session, &environments, "apply", Some(&run), patience).await?;
    let exit = match still_allowed(&plan, &report, path.as_deref(), session).await {
        Ok(()) => execute(session, plan, &run, &hold, &environments, &args.run).await,
        Err(problems) => Err(problems),
    };
    // While nobody else can write the lockfile.
    let committed = commit_after(ledger.as_ref(), session, &run).await;
    hold.give_back(session).await;
    with_commit(exit, committed, session)
}

/// How a run ended, and its commit: how the run ended goes before, where it is not good.
pub(in crate::cli) fn with_commit(
    exit: Result<Exit, Diagnostics>,
    committed: Result<(), Diagnostics>,
    session: &Session,
) -> Result<Exit, Diagnostics> {
    match (exit, committed) {
        (Ok(Exit::Done), Err(problem)) => Err(problem),
        (exit, Err(problem)) => {
            session.place.terminal.problems(&problem, &session.place.sources);
            exit
        }
        (exit, Ok(())) => exit,
    }
}

/// Brings the lockfiles into git where that was asked for, also where the run failed: what it has recorded did happen.
pub(in crate::cli) async fn commit_after(ledger: Option<&Ledger>, session: &Session, run: &RunId) -> Result<(), Diagnostics> {
    let Some(ledger) = ledger else { return Ok(()) };
    let runs = session.store.runs(1000).await.map_err(|error| state_problem(&error))?;
    let record = runs.iter().find(|record| record.id == *run);
    say_committed(session, &ledger.commit(record)?);
    Ok(())
}

fn say_committed(session: &Session, committed: &Committed) {
    if let Some(commit) = &committed.commit {
        session.place.terminal.say(&format!("Committed the lockfiles as {}.", &commit.to_string()[..12]));
    }
    for remark in &committed.remarks {
        session.place.terminal.say(remark);
    }
}

/// What may have changed while somebody was asked and the state was waited for: a window closes, another run was begun.
async fn still_allowed(plan: &Plan, report: &Report, file: Option<&Path>, session: &mut Session) -> Result<(), Diagnostics> {
    check_unfinished(plan, session, true).await?;
    session.permit(plan, report, Asking { file, again: true, wait: None }).await.map(|_| ())
}

async fn show(session: &Session, plan: &Plan, report: &Report, format: RunFormat) {
    let previews = previews(session, plan).await;
    show_plan(&session.place.terminal, (plan, report, &previews), format);
}

/// Shows the plan of a run that follows: where its events are data, the plan is talk.
pub(in crate::cli) fn show_plan(terminal: &Terminal, (plan, report, previews): (&Plan, &Report, &Previews), format: RunFormat) {
    match format {
        RunFormat::Human => terminal.data(&plan_text(plan, report, previews, terminal.out)),
        RunFormat::Json => terminal.say(plan_text(plan, report, previews, terminal.err).trim_end()),
    }
}

/// Carries a plan out, with its environments held.
pub(in crate::cli) async fn execute(
    session: &mut Session,
    plan: Plan,
    run: &crate::model::name::RunId,
    hold: &Hold,
    environments: &[EnvironmentName],
    flags: &RunArgs,
) -> Result<Exit, Diagnostics> {
    let mut locks = session.locks(environments).await?;
    adopt_fresh_lineages(&plan, &mut locks);
    let control = Control::new();
    let ears = Ears::open(&control, run, session, hold);
    let args = session.run_args(run, &plan, hold, locks, flags, &control).await?;
    let result = apply::execute(Arc::new(plan), args).await;
    drop(ears);
    result.map(|end| finished(session, &end))
}

/// An environment that was never written has the lineage that the plan gave it.
fn adopt_fresh_lineages(plan: &Plan, locks: &mut BTreeMap<EnvironmentName, crate::lock::Lock>) {
    for (environment, lock) in locks {
        if let Some(base) = plan.bases.get(environment)
            && lock.serial == 0
            && base.serial == 0
        {
            lock.lineage = base.lineage.clone();
        }
    }
}

/// A run that is held or was killed must be ended first: planning over it would take its half-done work for somebody's own.
///
/// `held`: this process holds the state, so one that seems to run was killed.
pub(in crate::cli) async fn check_unfinished(plan: &Plan, session: &Session, held: bool) -> Result<(), Diagnostics> {
    let runs = session.store.runs(1000).await.map_err(|error| state_problem(&error))?;
    let mut problems = Diagnostics::new();
    for record in runs.iter().filter(|record| is_unfinished(record) && (held || record.outcome != Outcome::Running)) {
        let touches = |step: &&Move| plan.bases.contains_key(&step.environment) && step.outcome != Outcome::Succeeded;
        let Some(step) = record.moves.iter().find(touches) else { continue };
        problems.push(
            Diagnostic::error("run is not finished")
                .fault(Fault::Refused)
                .detail(format!("run {} in environment `{}` was begun at {} and is {}", record.id, step.environment, record.began, outcome_word(record.outcome)))
                .help("end it first: `windlass resume` goes on, `windlass rollback` goes back, `windlass abandon` ends it by your word"),
        );
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Held => "held",
        Outcome::Stopped => "stopped half way",
        _ => "neither finished nor rolled back",
    }
}

/// Asks.
pub(in crate::cli) fn approve(session: &Session) -> Result<(), Diagnostics> {
    match session.place.terminal.confirm("Do you want to apply this?") {
        Some(true) => Ok(()),
        answer => Err(Diagnostic::error("nothing was applied")
            .fault(Fault::Refused)
            .detail(if answer.is_none() { "there is nobody to ask" } else { "the answer was not `yes`" })
            .help("answer `yes`; or save a plan, have it reviewed and apply it; or give `--auto-approve`")
            .into()),
    }
}

/// A saved plan is applied as it is or not at all: whatever it was made from must be as it was.
async fn check_saved(plan: &Plan, session: &mut Session) -> Result<(), Diagnostics> {
    let mut moved: Vec<String> = Vec::new();
    if session.estate.digest.as_ref() != Some(&plan.configuration) {
        moved.push("the configuration (files, modules or variable values) is not what it was".to_owned());
    }
    for (name, digest) in &plan.providers {
        match session.providers.get(name) {
            Some(provider) if provider.digest == *digest => {}
            Some(provider) => moved.push(format!("provider {name} was {} and is {}", digest.short(), provider.digest.short())),
            // The provider of an instance that is only recorded is loaded by name when it is needed.
            None if session
                .place
                .providers(std::slice::from_ref(name))
                .is_ok_and(|found| found.values().any(|provider| provider.digest == *digest)) => {}
            None => moved.push(format!("provider {name} is not within reach any more")),
        }
    }
    let environments = environments_of(plan);
    let locks = session.locks(&environments).await?;
    for (environment, base) in &plan.bases {
        let Some(lock) = locks.get(environment) else { continue };
        if lock.serial != base.serial {
            moved.push(format!("the lockfile of {environment} had serial {} and has {}", base.serial, lock.serial));
        } else if lock.serial > 0 && lock.lineage != base.lineage {
            moved.push(format!("the lockfile of {environment} is another one (lineage {}, not {})", lock.lineage, base.lineage));
        }
    }
    if moved.is_empty() {
        session.add_recorded_providers(&locks)?;
        moved.extend(versions_moved(plan, session, &locks).await);
    }
    if moved.is_empty() {
        return Ok(());
    }
    Err(moved
        .into_iter()
        .map(|what| {
            Diagnostic::error("plan is stale")
                .fault(Fault::Refused)
                .detail(what)
                .help("what is applied must be what was reviewed: make a new plan")
        })
        .collect())
}

/// Versions that are not what the plan saw.
async fn versions_moved(plan: &Plan, session: &Session, locks: &BTreeMap<EnvironmentName, crate::lock::Lock>) -> Vec<String> {
    let inventory = session.inventory(locks, true).await;
    let changed = plan.changes.iter().map(|change| &change.instance);
    changed
        .filter_map(|addr| {
            let before = plan.inventory.instances.get(addr)?.value("version");
            let now = inventory.instances.get(addr)?;
            let shown = |value: Option<&Value>| match value {
                Some(Value::String(text)) => text.to_string(),
                Some(Value::Null) => "nothing".to_owned(),
                _ => "unknown".to_owned(),
            };
            (before != now.value("version"))
                .then(|| format!("{addr} had version {} and has {}", shown(before), shown(now.value("version"))))
        })
        .collect()
}
