//! How long something is expected to take, in words: how sure that is stands beside it.

use std::time::Duration;

use super::{count, duration};
use crate::plan::{Action, ActionKind, DowntimeSpread, Hop, Plan, Spread};

/// How long an action takes: `2 min (1 min to 4 min in 5 runs)`; what was never measured stands without parentheses. Empty: nobody says.
pub(super) fn action_time(action: &Action) -> String {
    match (action.estimate, action.spread) {
        (_, Some(Spread { runs, least, typical, most })) => {
            format!("{} ({})", duration(typical), between(least, most, runs))
        }
        (Some(estimate), None) => duration(estimate),
        (None, None) => String::new(),
    }
}

/// The downtime of a hop: `none`, `unknown`, `about 3 min (2 min to 5 min in 4 runs)`, `about 3 min (never measured)`.
pub(super) fn hop_downtime(hop: &Hop) -> String {
    match (hop.downtime, hop.downtime_spread) {
        (None, _) => "unknown".to_owned(),
        (Some(Duration::ZERO), None) => "none".to_owned(),
        (Some(downtime), None) => format!("about {} (never measured)", duration(downtime)),
        (Some(downtime), Some(DowntimeSpread { least, most, runs, unmeasured })) => {
            let rest = if unmeasured == 0 { String::new() } else { format!(", {} never", count(unmeasured as usize, "step")) };
            format!("about {} ({}{rest})", duration(downtime), between(least, most, runs))
        }
    }
}

fn between(least: Duration, most: Duration, runs: u32) -> String {
    let runs = count(runs as usize, "run");
    match (duration(least), duration(most)) {
        (least, most) if least == most => format!("measured in {runs}"),
        (least, most) => format!("{least} to {most} in {runs}"),
    }
}

/// Where the times of a plan come from, in a sentence.
pub(super) fn basis(plan: &Plan) -> String {
    let steps = || plan.actions.iter().filter(|action| matches!(action.kind, ActionKind::Step { .. } | ActionKind::Revert { .. }));
    let measured = steps().filter(|action| action.spread.is_some()).count();
    let said = steps().filter(|action| action.spread.is_none() && action.estimate.is_some()).count();
    let unknown = steps().count() - measured - said;
    if steps().next().is_none() {
        return String::new();
    }
    if measured == 0 && said == 0 {
        return "Nothing is known of the times: no step was measured in an earlier run, and the provider gives no estimates."
            .to_owned();
    }
    let mut parts = Vec::new();
    match measured {
        0 => parts.push("no step was measured in an earlier run".to_owned()),
        measured => parts.push(format!("{} measured in earlier runs", count(measured, "step"))),
    }
    if said > 0 {
        parts.push(format!("{} only estimated by the provider", count(said, "step")));
    }
    if unknown > 0 {
        parts.push(format!("{} of unknown length, counted as no time", count(unknown, "step")));
    }
    format!("Times: {}.", parts.join("; "))
}

/// The highest risk of the routes taken: `20 of 100`; `none stated` where all are without.
pub(super) fn risk(plan: &Plan) -> String {
    match plan.changes.iter().flat_map(|change| &change.hops).map(|hop| hop.risk).max().unwrap_or(0) {
        0 => "none stated".to_owned(),
        risk => format!("{risk} of 100"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_says_over_how_many_runs_it_is() {
        let seconds = Duration::from_secs;
        assert_eq!(between(seconds(60), seconds(240), 5), "1 min to 4 min in 5 runs");
        assert_eq!(between(seconds(60), seconds(60), 1), "measured in 1 run");
    }
}
