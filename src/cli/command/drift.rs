//! `windlass drift` and `windlass status`: what is declared, recorded and deployed, side by side; and what to do about it.

mod adopt;
mod bring_back;
mod tell;
mod watch;

use crate::cli::args::{DriftArgs, DriftCommand, DriftFormat, StatusArgs, TextOrJson};
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::terminal::Terminal;
use crate::plan::DriftReport;
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::view::{Page, brackets_text, drift_json, drift_markdown, drift_text, status_text};

/// Runs `drift`.
pub(in crate::cli) async fn run(args: &DriftArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    match &args.command {
        Some(DriftCommand::Adopt(args)) => return adopt::run(args, session).await,
        Some(DriftCommand::Plan(args)) => return bring_back::run(args, session).await,
        None => {}
    }
    if args.watch {
        return watch::run(args, session).await;
    }
    let report = session.drift(&args.scope, true).await?;
    print(&report, args, session.place.terminal)?;
    let counts = report.worst().is_some_and(|worst| worst >= args.fail_on.severity());
    Ok(if counts && args.detailed_exitcode { Exit::Changes } else { Exit::Done })
}

fn print(report: &DriftReport, args: &DriftArgs, terminal: Terminal) -> Result<(), Diagnostic> {
    terminal.data(&match args.format {
        DriftFormat::Human => drift_text(report, terminal.out),
        DriftFormat::Json => drift_json(report).map_err(|error| unwritable(&error))?,
        DriftFormat::Markdown => drift_markdown(report, Page { limit: args.page.limit, link: args.page.link.as_deref() }),
    });
    Ok(())
}

/// Runs `status`.
pub(in crate::cli) async fn status(args: &StatusArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let states = session.drift(&args.scope, args.refresh).await?.instances;
    let mut left = session.open_brackets().await?;
    left.retain(|left| states.iter().any(|state| state.instance == left.bracket.instance));
    let terminal = session.place.terminal;
    match args.format {
        TextOrJson::Human => {
            terminal.data(&status_text(&states, terminal.out));
            terminal.data(&brackets_text(&left, terminal.out));
            for environment in session.estate.environments.keys() {
                if let Ok(Some(holder)) = session.store.holder(environment).await {
                    terminal.say(&format!("{environment} is held by {} ({}) since {}", holder.who, holder.operation, holder.since));
                }
            }
        }
        TextOrJson::Json => {
            let document = serde_json::to_string_pretty(&serde_json::json!({ "instances": states, "brackets": left }));
            terminal.data(&(document.map_err(|error| unwritable(&error))? + "\n"));
        }
    }
    Ok(Exit::Done)
}

pub(in crate::cli) fn unwritable(error: &serde_json::Error) -> Diagnostic {
    Diagnostic::error("answer cannot be written").fault(Fault::Bug).detail(error.to_string())
}
