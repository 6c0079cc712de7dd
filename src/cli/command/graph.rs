//! `windlass graph`: draws the graph of a plan.

use std::path::Path;

use crate::cli::args::{GraphArgs, GraphFormat};
use crate::cli::exit::Exit;
use crate::cli::planfile::PlanFile;
use crate::cli::planning::How;
use crate::cli::session::{Place, Session};
use crate::cli::terminal::Terminal;
use crate::plan::Plan;
use crate::source::Diagnostics;
use crate::view::{Way, graph_dot, graph_mermaid};

/// Draws a new plan.
pub(in crate::cli) async fn run(args: &GraphArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let planned = session.plan(&args.scope, How { refresh: true, upgrade: false }).await?;
    Ok(draw(&planned.plan, args, session.place.terminal))
}

/// Draws a saved plan.
pub(in crate::cli) fn saved(path: &Path, args: &GraphArgs, place: &Place) -> Result<Exit, Diagnostics> {
    let file = PlanFile::load(&place.root.join(path))?;
    Ok(draw(&file.plan, args, place.terminal))
}

fn draw(plan: &Plan, args: &GraphArgs, terminal: Terminal) -> Exit {
    let way = if args.rollback { Way::Back } else { Way::Forward };
    terminal.data(&match args.format {
        GraphFormat::Dot => graph_dot(plan, way),
        GraphFormat::Mermaid => graph_mermaid(plan, way),
    });
    Exit::Done
}
