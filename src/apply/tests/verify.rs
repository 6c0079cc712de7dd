//! Portions that must be healthy before the next begins.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::world::{Making, Stage, step};
use crate::apply::event::{Direction, Ending};
use crate::apply::{Observer, ResumeOptions, RunArgs, execute, resume};
use crate::lang::Value;
use crate::model::estate::OnFailure;
use crate::model::name::InstanceAddr;
use crate::plan::{ActionKind, Plan};
use crate::state::Outcome;

const ASKS: &str = "fake.b@2:ask";

/// Says of each instance so often that it is not healthy.
#[derive(Default)]
struct Health(Mutex<HashMap<String, u32>>);

#[async_trait::async_trait]
impl Observer for Health {
    async fn observe(&self, _: &InstanceAddr, _: Option<&str>) -> BTreeMap<Arc<str>, Value> {
        BTreeMap::new()
    }

    async fn healthy(&self, instance: &InstanceAddr) -> Result<(), String> {
        match self.0.lock().unwrap().get_mut(instance.as_str()) {
            Some(times) if *times > 0 => {
                *times -= 1;
                Err("is not healthy".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Two canaries; then `b`, which asks for both before it moves.
fn portions() -> Plan {
    let mut plan = Making::default()
        .instance("a1", "test", None, &[], &[step("move")])
        .instance("a2", "test", None, &[], &[step("move")])
        .instance("b", "test", None, &[0, 1], &[step("ask"), step("move")])
        .plan();
    let asks = plan.actions.iter_mut().find(|action| action.id.as_str() == ASKS).unwrap();
    let instances = ["fake.a1", "fake.a2"].map(InstanceAddr::from_text).into();
    asks.kind = ActionKind::Verify { instances, within: Duration::from_secs(60) };
    asks.undo = crate::plan::ActionUndo::Harmless;
    plan
}

fn args(stage: &Stage, plan: &Plan, health: &Arc<Health>) -> RunArgs {
    RunArgs { observer: Some(Arc::clone(health) as Arc<dyn Observer>), ..stage.args(plan) }
}

fn sick(name: &str, times: u32) -> Arc<Health> {
    Arc::new(Health(Mutex::new([(name.to_owned(), times)].into())))
}

#[tokio::test(start_paused = true)]
async fn a_portion_that_becomes_healthy_in_time_lets_the_next_begin() {
    let stage = Stage::new();
    let plan = portions();
    let finished = execute(Arc::new(plan.clone()), args(&stage, &plan, &sick("fake.a2", 3))).await.unwrap();
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    assert_eq!(stage.recorded("test"), ["fake.a1", "fake.a2", "fake.b"]);
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_portion_ends_the_rollout_and_is_taken_back() {
    let stage = Stage::new();
    let plan = portions();
    let finished = execute(Arc::new(plan.clone()), args(&stage, &plan, &sick("fake.a2", 1000))).await.unwrap();
    stage.check(&finished);
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    assert!(!stage.calls().iter().any(|call| call.starts_with("b.")), "{:?}", stage.calls());
    assert!(stage.effects().is_empty() && stage.recorded("test").is_empty());
    let Some(Ending::Failed { message, .. }) = stage.ending(ASKS, Direction::Forward) else { panic!("it did not fail") };
    assert_eq!(message, "fake.a2 is not healthy");
}

#[tokio::test(start_paused = true)]
async fn a_halted_rollout_asks_again_when_it_is_resumed() {
    let mut stage = Stage::new();
    stage.rules.on_failure = OnFailure::Halt;
    let plan = portions();
    let health = sick("fake.a1", 1000);
    let finished = execute(Arc::new(plan.clone()), args(&stage, &plan, &health)).await.unwrap();
    assert_eq!(finished.record.outcome, Outcome::Held);
    assert_eq!(stage.recorded("test"), ["fake.a1", "fake.a2"]);
    let again = resume(ResumeOptions::default(), args(&stage, &plan, &health)).await.unwrap();
    assert_eq!(again.record.outcome, Outcome::Held, "it is not healthy yet");
    health.0.lock().unwrap().clear();
    let done = resume(ResumeOptions::default(), args(&stage, &plan, &health)).await.unwrap();
    stage.check(&done);
    assert_eq!(done.record.outcome, Outcome::Succeeded, "{:?}", done.problems);
    assert_eq!(stage.calls().iter().filter(|call| call.ends_with(".move")).count(), 3, "nothing is done twice");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_waits_for_health_can_be_stopped_and_resumed() {
    let stage = Stage::new();
    let plan = portions();
    let health = sick("fake.a1", 1000);
    let stops = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stage.control.stop();
    };
    let (finished, ()) = tokio::join!(execute(Arc::new(plan.clone()), args(&stage, &plan, &health)), stops);
    assert_eq!(finished.unwrap().record.outcome, Outcome::Stopped);
    health.0.lock().unwrap().clear();
    let fresh = RunArgs { control: crate::apply::Control::new(), ..args(&stage, &plan, &health) };
    assert_eq!(resume(ResumeOptions::default(), fresh).await.unwrap().record.outcome, Outcome::Succeeded);
}
