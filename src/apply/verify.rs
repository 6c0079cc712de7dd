//! Seeing that instances are healthy: between portions of a rollout, and before an instance is recorded.
//!
//! Asks the run's observer again and again until nobody is unhealthy any more or the time is over. Changes nothing.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;

use super::clock::between;
use super::event::Ending;
use super::invoke::{Job, Told, succeeded};
use crate::driver::FailureKind;
use crate::lang::Value;
use crate::model::name::InstanceAddr;
use crate::plan::Action;

/// Instances that are asked at once.
const AT_ONCE: usize = 16;
/// Pause after the first look; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How many a message names.
const NAMED: usize = 5;

impl Job {
    /// Waits until all of these are healthy, at most so long. To be told to stop ends the waiting: a resumed run asks anew.
    pub(super) async fn verify(&self, action: &Action, instances: &[InstanceAddr], within: Duration) -> Told {
        let (clock, control) = (&self.around.clock, &self.around.control);
        self.say_begun(action, 1);
        let began = clock.now();
        let mut pause = FIRST_PAUSE;
        loop {
            let sick = self.unhealthy(instances).await;
            if sick.is_empty() {
                return succeeded(Value::Null);
            }
            let left = within.saturating_sub(between(began, clock.now()));
            if left.is_zero() {
                return self.is_unhealthy(&sick, instances.len());
            }
            tokio::select! {
                () = clock.sleep(pause.min(left)) => {}
                () = control.stopped() => return Told::Withdrawn,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What is wrong, a sentence for each that is not healthy.
    async fn unhealthy(&self, instances: &[InstanceAddr]) -> Vec<String> {
        let Some(observer) = &self.around.observer else { return Vec::new() };
        let mut asking: Vec<BoxFuture<'_, Option<String>>> = Vec::with_capacity(instances.len());
        for instance in instances {
            asking.push(Box::pin(async move {
                let why = observer.healthy(instance).await.err()?;
                Some(format!("{instance} {}", self.redact.apply(&why)))
            }));
        }
        let answers: Vec<_> = futures_util::stream::iter(asking).buffered(AT_ONCE).collect().await;
        answers.into_iter().flatten().collect()
    }

    fn is_unhealthy(&self, sick: &[String], asked: usize) -> Told {
        let mut message = sick.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
        if sick.len() > NAMED {
            message = format!("{} of {asked} are not healthy: {message}; …", sick.len());
        }
        let help = Some("nothing after it is begun; `windlass drift` shows what their provider sees".to_owned());
        let ending = Ending::Failed { kind: FailureKind::Failed, message, output: Vec::new(), help };
        Told::Ended { ending, kind: Some(FailureKind::Failed), result: Value::Null }
    }
}
