//! `windlass drift`: what is declared, recorded and deployed, side by side; and what to do about it.

mod adopt;
mod bring_back;
mod tell;
mod watch;

use crate::cli::args::{DriftArgs, DriftCommand, DriftFormat};
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::terminal::Terminal;
use crate::plan::DriftReport;
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::view::{Page, drift_json, drift_markdown, drift_text};

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

pub(in crate::cli) fn unwritable(error: &serde_json::Error) -> Diagnostic {
    Diagnostic::error("answer cannot be written").fault(Fault::Bug).detail(error.to_string())
}
