//! `windlass drift plan`: the plan that brings drifted instances back to what is declared, configuration too.

use std::collections::BTreeSet;

use crate::cli::args::{PlanArgs, ScopeArgs};
use crate::cli::command::plan;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::plan::{DriftClass, DriftReport};
use crate::source::Diagnostics;

/// Looks, and plans for what drifted and for nothing else.
pub(super) async fn run(args: &PlanArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let report = session.drift(&args.scope, true).await?;
    let terminal = session.place.terminal;
    for moving in &report.moving {
        terminal.say(&crate::view::moving_line(moving));
    }
    for (instance, what) in out_of_reach(&report) {
        terminal.say(&format!("{instance}: {what}"));
    }
    let mut targets = BTreeSet::new();
    for (state, drift) in report.findings().filter(|(state, drift)| is_planned(drift.class) && state.declared.is_some()) {
        targets.insert(state.instance.to_string());
        if let (DriftClass::Configuration, Some(fact)) = (drift.class, &drift.fact) {
            session.bring_back.entry(state.instance.clone()).or_default().insert(fact.clone());
        }
    }
    if targets.is_empty() {
        terminal.say("Nothing has drifted that a plan could bring back.");
        return Ok(Exit::Done);
    }
    let scope = ScopeArgs { environments: args.scope.environments.clone(), targets: targets.into_iter().collect() };
    plan::run(&PlanArgs { scope, refresh: true, ..args.clone() }, session).await
}

/// Whether a plan does something about it.
fn is_planned(class: DriftClass) -> bool {
    match class {
        DriftClass::Version | DriftClass::Configuration | DriftClass::Missing | DriftClass::Unmanaged => true,
        DriftClass::Unhealthy | DriftClass::Unreachable | DriftClass::StaleBackup => false,
    }
}

/// What no plan brings back, and what does.
fn out_of_reach(report: &DriftReport) -> impl Iterator<Item = (&str, String)> {
    report.findings().filter_map(|(state, drift)| {
        let help = match drift.class {
            DriftClass::Unhealthy => "no plan makes it healthy: look at it".to_owned(),
            DriftClass::Unreachable => "nothing is planned for what cannot be seen".to_owned(),
            DriftClass::StaleBackup => format!("`windlass backup run {}` makes a new one", state.instance),
            _ if state.declared.is_none() => "it is declared no longer: `windlass plan` says what becomes of it".to_owned(),
            _ => return None,
        };
        Some((state.instance.as_str(), format!("{}; {help}", drift.message)))
    })
}
