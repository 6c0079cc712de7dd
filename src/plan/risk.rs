//! The gate of risks that somebody must have accepted.
//!
//! Two kinds: a route of more risk than the environment takes without asking, and what a waiver lets pass. The second was open when
//! the plan was made; it is asked again, because waivers end.

use super::change::{Change, PreflightOutcome};
use super::gate::{Gate, GateKind};
use super::input::PlanInput;
use super::waiver::{Standing, Waivers};
use crate::model::estate::Environment;

/// The gates of one change.
pub(super) fn risks(input: &PlanInput<'_>, environment: &Environment, change: &Change, waivers: &Waivers<'_>) -> Vec<Gate> {
    let gate = |open, message| Gate::new(&environment.name, Some(change.instance.clone()), GateKind::Risk, open, message);
    let mut gates = Vec::new();
    if let (Some(most), Some(provider)) = (environment.max_risk, input.providers.get(&change.provider)) {
        for hop in change.hops.iter().filter(|hop| hop.reverts.is_none()) {
            let Some(route) = provider.routes.iter().find(|route| route.name == hop.route) else { continue };
            if route.risk > most {
                let shown =
                    |version: Option<&std::sync::Arc<str>>| version.map_or_else(|| "nothing".to_owned(), ToString::to_string);
                let message = format!(
                    "the move from {} to {} by route {} has risk {}, and {} takes up to {most} without a waiver \"risk\"",
                    shown(hop.from.as_ref()),
                    shown(hop.to.as_ref()),
                    hop.route,
                    route.risk,
                    environment.name,
                );
                let standing = waivers.standing(GateKind::Risk.as_str(), Some(&change.instance), &environment.name);
                gates.push(gate(false, message).waived(standing));
            }
        }
    }
    let waived = change.preflights.iter().filter(|check| matches!(check.outcome, PreflightOutcome::Waived { .. }));
    let mut names: Vec<&str> = change.accepted.iter().map(|name| &**name).chain(waived.map(|check| &*check.name)).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let message = match waivers.standing(name, Some(&change.instance), &environment.name) {
            Standing::Waived(_) => continue,
            Standing::Expired(expiry) => expiry,
            Standing::None => format!("the waiver `{name}` is not there any more"),
        };
        gates.push(gate(false, format!("the plan relies on the waiver `{name}`, which does not stand: {message}")));
    }
    gates
}

#[cfg(test)]
#[path = "risk_tests.rs"]
mod tests;
