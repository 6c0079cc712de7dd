//! `windlass graph`: draws the graph of a plan.

use crate::cli::args::{GraphArgs, GraphFormat};
use crate::cli::exit::Exit;
use crate::cli::planfile::PlanFile;
use crate::cli::planning::How;
use crate::cli::session::Place;
use crate::plan::Plan;
use crate::source::Diagnostics;
use crate::view::{Way, graph_dot, graph_mermaid};

/// Runs the command.
pub(in crate::cli) async fn run(args: &GraphArgs, place: Place) -> Result<Exit, (Place, Diagnostics)> {
    let terminal = place.terminal;
    let (plan, place): (Plan, Place) = match &args.plan {
        Some(path) => match PlanFile::load(&place.root.join(path)) {
            Ok(file) => (file.plan, place),
            Err(problem) => return Err((place, problem.into())),
        },
        None => {
            let mut session = place.open(&args.variables)?;
            match session.plan(&args.scope, How { refresh: true, upgrade: false }).await {
                Ok(planned) => (planned.plan, session.place),
                Err(problems) => return Err((session.place, problems)),
            }
        }
    };
    drop(place);
    let way = if args.rollback { Way::Back } else { Way::Forward };
    terminal.data(&match args.format {
        GraphFormat::Dot => graph_dot(&plan, way),
        GraphFormat::Mermaid => graph_mermaid(&plan, way),
    });
    Ok(Exit::Done)
}
