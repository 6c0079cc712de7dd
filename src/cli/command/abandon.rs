//! `windlass abandon`: a run ends by a person's word.
//!
//! A run whose folder is gone or cannot be read any more holds its environments for ever otherwise: then the history alone is
//! written, and the lockfiles stay as they are.

use super::run::{find, go_on, has_ended, is_unfinished};
use crate::apply::{self, AbandonedAs};
use crate::cli::args::{AbandonArgs, AbandonAs, RunArgs, RunFormat};
use crate::cli::exit::Exit;
use crate::cli::hold::Hold;
use crate::cli::problem::state_problem;
use crate::cli::running::run_dir;
use crate::cli::session::Session;
use crate::model::name::EnvironmentName;
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::state::{Outcome, RunRecord};

/// Runs `abandon`.
pub(in crate::cli) async fn abandon(args: &AbandonArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let record = find(session, args.run_id.as_deref(), "abandon", is_unfinished).await?;
    let dir = run_dir(session, &record.id);
    apply::fetch(&dir, &record.id, &*session.store).await?;
    if let Err(problems) = apply::inspect(&dir) {
        apply::check_reason(&args.reason)?;
        return match args.outcome {
            AbandonAs::Succeeded => Err(cannot_succeed(&record, &problems).into()),
            AbandonAs::Failed => forget(&record, &args.reason, &problems, session).await,
        };
    }
    let flags = RunArgs { auto_approve: true, parallelism: None, format: RunFormat::Human, lock_timeout: None };
    let reason = args.reason.clone();
    let how = match args.outcome {
        AbandonAs::Succeeded => AbandonedAs::Succeeded,
        AbandonAs::Failed => AbandonedAs::Failed,
    };
    go_on(session, &record.id, "abandon", (&flags, &args.commit), async |_, given| apply::abandon(&reason, how, given).await).await
}

/// Why a folder cannot be read, in a line.
fn why(problems: &Diagnostics) -> String {
    problems.iter().next().map(ToString::to_string).unwrap_or_default()
}

fn cannot_succeed(record: &RunRecord, problems: &Diagnostics) -> Diagnostic {
    Diagnostic::error("nothing tells what the run has done")
        .fault(Fault::Refused)
        .detail(format!("run {} cannot be taken as done: {}", record.id, why(problems)))
        .help("bring `.windlass/runs` back from where it was begun or from a backup; or `windlass abandon --as failed`, which leaves the lockfiles as they are, and then `windlass drift`")
}

/// Ends a run in the history alone.
async fn forget(record: &RunRecord, reason: &str, problems: &Diagnostics, session: &mut Session) -> Result<Exit, Diagnostics> {
    let mut environments: Vec<EnvironmentName> = record.moves.iter().map(|moved| moved.environment.clone()).collect();
    environments.sort();
    environments.dedup();
    let hold = Hold::take(session, &environments, "abandon", Some(&record.id), None).await?;
    let written = write(record, reason, &hold, session).await;
    hold.give_back(session).await;
    written?;
    let terminal = session.place.terminal;
    terminal.say(&format!("Abandoned run {}. What it has done is not known any more: {}.", record.id, why(problems)));
    terminal.say("The lockfiles are as they were. `windlass drift` compares them with what is there.");
    Ok(Exit::Done)
}

/// Only while nobody else carries the run out, and only if nobody has ended it meanwhile.
async fn write(record: &RunRecord, reason: &str, hold: &Hold, session: &Session) -> Result<(), Diagnostics> {
    let mut record = find(session, Some(record.id.as_str()), "abandon", is_unfinished).await?;
    if !is_unfinished(&record) {
        return Err(has_ended(&record).into());
    }
    record.outcome = Outcome::Abandoned;
    record.ended = Some(session.place.now);
    record.message = Some(reason.to_owned());
    record.token = hold.leases.values().next().map_or(record.token, |lease| lease.token);
    for moved in &mut record.moves {
        if matches!(moved.outcome, Outcome::Running | Outcome::Held | Outcome::Stopped) {
            moved.outcome = Outcome::Abandoned;
        }
    }
    session.store.put_run(&record).await.map_err(|error| state_problem(&error).into())
}
