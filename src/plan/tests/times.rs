//! How long it takes: estimates and measured times.

use std::time::Duration;

use super::single;
use crate::plan::{DowntimeSpread, Spread};

fn measured(step: &str, runs: u32, [least, typical, most]: [u64; 3]) -> (String, Spread) {
    let [least, typical, most] = [least, typical, most].map(Duration::from_secs);
    (step.to_owned(), Spread { runs, least, typical, most })
}

#[test]
fn recorded_durations_are_believed_over_the_providers() {
    let mut world = single("1.0");
    world.want("app.main", "1.1");
    let durations = [measured("app/in_place/migrate", 4, [400, 1000, 5000])].into();
    let (plan, _) = crate::plan::plan(&world.input(&durations));
    let hop = &plan.changes[0].hops[0];
    assert_eq!(hop.downtime, Some(Duration::from_secs(1120)));
    // Two more steps of the downtime were never measured: a minute each, as the provider says.
    let [least, most] = [520, 5120].map(Duration::from_secs);
    assert_eq!(hop.downtime_spread, Some(DowntimeSpread { least, most, runs: 4, unmeasured: 2 }));
    let migrate = plan.actions.iter().find(|action| action.kind.step().is_some_and(|step| step.as_str() == "migrate")).unwrap();
    assert_eq!(migrate.spread, durations.get("app/in_place/migrate").copied());
}

#[test]
fn what_was_never_measured_has_no_spread() {
    let mut world = single("1.0");
    world.want("app.main", "1.1");
    // Measured, but of no part of the downtime.
    let durations = [measured("app/in_place/download", 9, [1, 2, 3])].into();
    let (plan, _) = crate::plan::plan(&world.input(&durations));
    let hop = &plan.changes[0].hops[0];
    assert_eq!((hop.downtime, hop.downtime_spread), (Some(Duration::from_secs(180)), None));
}

#[test]
fn the_time_of_going_back_is_that_of_going_back_and_not_of_going_forward() {
    let mut world = single("1.0");
    world.want("app.main", "1.1");
    world.converge();
    world.want("app.main", "1.0");
    let durations =
        [measured("app/in_place/migrate", 4, [400, 1000, 5000]), measured("app/in_place/undo:migrate", 2, [7, 8, 9])].into();
    let (plan, _) = crate::plan::plan(&world.input(&durations));
    let undo = plan.actions.iter().find(|action| action.id.as_str().ends_with("undo:migrate")).unwrap();
    assert_eq!(undo.estimate, Some(Duration::from_secs(8)));
}
