//! How far back a run is taken.

use super::world::{Making, Stage, step};
use crate::apply::{Back, rollback};
use crate::model::name::InstanceAddr;
use crate::plan::Plan;
use crate::state::Outcome;

/// `base` in test, `top` in production built upon it, `other` in test on its own.
fn two_environments() -> Plan {
    Making::default()
        .instance("base", "test", None, &[], &[step("go")])
        .instance("top", "production", None, &[0], &[step("go")])
        .instance("other", "test", None, &[], &[step("go")])
        .plan()
}

fn only(environment: &str) -> Back {
    Back { environments: [environment.into()].into(), ..Back::default() }
}

#[tokio::test(start_paused = true)]
async fn one_environment_of_a_finished_run_goes_back_and_the_other_later() {
    let stage = Stage::new();
    let plan = two_environments();
    stage.apply(&plan).await;
    let finished = rollback(&only("production"), stage.args(&plan)).await.unwrap();
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    assert_eq!(stage.effects(), ["base.go", "other.go"]);
    assert!(stage.recorded("production").is_empty());
    assert_eq!(stage.recorded("test"), ["fake.base", "fake.other"]);
    let outcomes: Vec<_> = finished.record.moves.iter().map(|step| (step.instance.as_str(), step.outcome)).collect();
    assert_eq!(
        outcomes,
        [("fake.base", Outcome::Succeeded), ("fake.top", Outcome::RolledBack), ("fake.other", Outcome::Succeeded)]
    );
    let all = rollback(&Back::default(), stage.args(&plan)).await.unwrap();
    assert_eq!(all.record.outcome, Outcome::RolledBack, "{:?}", all.problems);
    assert!(stage.effects().is_empty() && stage.recorded("test").is_empty());
    assert_eq!(stage.calls().iter().filter(|call| call.starts_with("undo")).count(), 3, "nothing is undone twice");
}

#[tokio::test(start_paused = true)]
async fn what_another_environment_was_built_upon_is_not_pulled_away() {
    let stage = Stage::new();
    let plan = two_environments();
    stage.apply(&plan).await;
    let before = stage.calls();
    let problems = rollback(&only("test"), stage.args(&plan)).await.unwrap_err();
    let problem = problems.iter().next().unwrap();
    assert_eq!(problem.summary, "run cannot be taken back so far");
    assert!(problem.detail.contains("`fake.top` (production)"), "{}", problem.detail);
    assert_eq!(stage.calls(), before, "nothing was undone");
}

#[tokio::test(start_paused = true)]
async fn dependents_go_back_first_across_environments() {
    let stage = Stage::new();
    let plan = two_environments();
    stage.apply(&plan).await;
    rollback(&Back::default(), stage.args(&plan)).await.unwrap();
    let calls = stage.calls();
    let place = |name: &str| calls.iter().position(|call| call == name).unwrap();
    assert!(place("undo top.go") < place("undo base.go"), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn wishes_that_make_no_sense_are_refused_before_anything_is_undone() {
    let stage = Stage::new();
    let plan = two_environments();
    stage.apply(&plan).await;
    let before = stage.calls();
    let to = |instance: &str, version: &str| Back {
        to: [(InstanceAddr::from_text(instance), version.into())].into(),
        ..Back::default()
    };
    let contradiction = Back { environments: ["production".into()].into(), ..to("fake.base", "2") };
    for (back, summary) in [
        (only("nowhere"), "environment is not in the run"),
        (to("fake.bse", "2"), "instance is not in the run"),
        (to("fake.base", "1"), "version is not on the way back"),
        (contradiction, "contradiction"),
    ] {
        let problems = rollback(&back, stage.args(&plan)).await.unwrap_err();
        assert_eq!(problems.iter().next().unwrap().summary, summary);
    }
    assert_eq!(stage.calls(), before);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_asked_to_stay_keeps_what_it_stands_upon() {
    let stage = Stage::new();
    let plan = two_environments();
    stage.apply(&plan).await;
    let back = |instance: &str| Back { to: [(InstanceAddr::from_text(instance), "2".into())].into(), ..Back::default() };
    // `top` stays, and `base` would be pulled away from under it.
    let problems = rollback(&back("fake.top"), stage.args(&plan)).await.unwrap_err();
    assert_eq!(problems.iter().next().unwrap().summary, "run cannot be taken back so far");
    let finished = rollback(&back("fake.base"), stage.args(&plan)).await.unwrap();
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    assert_eq!(stage.effects(), ["base.go"]);
}
