//! `windlass status`: the fleet as a whole, as a matrix on the terminal, as data, or as a page.

use std::collections::BTreeMap;

use crate::cli::args::{StatusArgs, StatusFormat};
use crate::cli::command::run::is_unfinished;
use crate::cli::drifting::set_aside;
use crate::cli::exit::Exit;
use crate::cli::planning::How;
use crate::cli::problem::state_problem;
use crate::cli::session::Session;
use crate::model::estate::Environment;
use crate::model::inventory::Inventory;
use crate::model::name::{EnvironmentName, InstanceAddr};
use crate::plan::VerdictKind;
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::view::{Blocked, Fleet, fleet_html, fleet_json, fleet_text};

/// Runs that are looked through for those that have not come to an end.
const RUNS: usize = 1000;

/// Runs `status`.
pub(in crate::cli) async fn run(args: &StatusArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let environments = in_order(session.environments(&args.scope)?, &session.estate.environments);
    let planned = session.plan(&args.scope, How { refresh: args.refresh, upgrade: false }).await?;
    let locks = session.locks(&environments).await?;
    let inventory = if args.refresh { session.without_secrets(planned.inventory) } else { Inventory::default() };
    let targets = &args.scope.targets;
    let asked = |addr: &InstanceAddr| targets.is_empty() || targets.iter().any(|target| addr.is_within(target));
    let mut states = session.judged(&locks, &inventory, &asked).instances;
    let mut gates = planned.plan.gates;
    gates.retain(|gate| !gate.open && gate.instance.as_ref().is_none_or(asked));
    let verdicts = planned.report.verdicts.into_iter();
    let blocked: Vec<Blocked> = verdicts
        .filter(|verdict| verdict.kind == VerdictKind::Blocked && asked(&verdict.instance))
        .map(|verdict| Blocked { instance: verdict.instance, why: verdict.why })
        .collect();
    let mut brackets = session.open_brackets().await?;
    brackets.retain(|left| states.iter().any(|state| state.instance == left.bracket.instance));
    let mut runs = session.store.runs(RUNS).await.map_err(|error| state_problem(&error))?;
    runs.retain(|run| is_unfinished(run) && run.moves.iter().any(|moved| environments.contains(&moved.environment)));
    let mut holders = Vec::new();
    for environment in &environments {
        if let Ok(Some(holder)) = session.store.holder(environment).await {
            // What a holder that died has left is shown by its run.
            if !holder.has_died(session.place.now) {
                holders.push((environment.clone(), holder));
            }
        }
    }
    let carried_on = holders.iter().filter_map(|(_, holder)| holder.run.clone()).collect();
    set_aside(&mut states, &runs, &carried_on, session.place.now);
    let terminal = session.place.terminal;
    let fleet = Fleet {
        environments: &environments,
        states: &states,
        gates: &gates,
        blocked: &blocked,
        brackets: &brackets,
        runs: &runs,
        holders: &holders,
        now: session.place.now,
    };
    match args.format {
        StatusFormat::Human => {
            terminal.data(&fleet_text(&fleet, session.place.verbose > 0, terminal.out));
            for (environment, holder) in &holders {
                terminal.say(&format!("{environment} is held by {} ({}) since {}", holder.who, holder.operation, holder.since));
            }
        }
        StatusFormat::Json => {
            let text = serde_json::to_string_pretty(&fleet_json(&fleet)).map_err(|error| broken(&error))?;
            terminal.data(&(text + "\n"));
        }
        StatusFormat::Html => terminal.data(&fleet_html(&fleet).map_err(|error| broken(&error))?),
    }
    Ok(Exit::Done)
}

fn broken(error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::error("answer cannot be written").fault(Fault::Bug).detail(error.to_string())
}

/// In the order in which versions go through them: first those that are promoted from nowhere.
fn in_order(mut environments: Vec<EnvironmentName>, declared: &BTreeMap<EnvironmentName, Environment>) -> Vec<EnvironmentName> {
    let depth = |name: &EnvironmentName| {
        let source = |name: &EnvironmentName| declared.get(name)?.promote_from.clone();
        // A circle was refused when the configuration was read.
        std::iter::successors(source(name), source).take(declared.len()).count()
    };
    environments.sort_by_key(|name| (depth(name), name.clone()));
    environments
}
