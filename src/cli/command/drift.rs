//! `windlass drift`: what is recorded and deployed, side by side.

use crate::cli::args::{DriftArgs, ScopeArgs, TextOrJson};
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::plan::{InstanceState, compare};
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::view::drift_text;

/// Runs `drift`.
pub(in crate::cli) async fn run(args: &DriftArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let states = states(session, &args.scope, true).await?;
    let terminal = session.place.terminal;
    match args.format {
        TextOrJson::Human => terminal.data(&drift_text(&states, terminal.out)),
        TextOrJson::Json => terminal.data(&json(&states)?),
    }
    let drifted = states.iter().any(|state| !state.drift.is_empty());
    Ok(if drifted && args.detailed_exitcode { Exit::Changes } else { Exit::Done })
}

async fn states(session: &mut Session, scope: &ScopeArgs, refresh: bool) -> Result<Vec<InstanceState>, Diagnostics> {
    let environments = session.environments(scope)?;
    session.check_targets(scope)?;
    let locks = session.locks(&environments).await?;
    session.add_recorded_providers(&locks)?;
    let mut inventory = if refresh { session.inventory(&locks, true).await } else { crate::model::inventory::Inventory::default() };
    let asked = |addr: &crate::model::name::InstanceAddr| {
        scope.targets.is_empty() || scope.targets.iter().any(|target| addr.is_within(target))
    };
    inventory.instances.retain(|addr, _| asked(addr));
    let mut states = compare(&session.estate, &locks, &inventory, &session.providers);
    states.retain(|state| asked(&state.instance));
    Ok(states)
}

fn json(states: &[InstanceState]) -> Result<String, Diagnostic> {
    document(&serde_json::json!({ "instances": states }))
}

fn document(document: &serde_json::Value) -> Result<String, Diagnostic> {
    serde_json::to_string_pretty(document)
        .map(|text| text + "\n")
        .map_err(|error| Diagnostic::error("answer cannot be written").fault(Fault::Bug).detail(error.to_string()))
}
