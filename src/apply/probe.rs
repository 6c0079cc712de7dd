//! A call that is made again and again beside other actions, until all of them have ended.
//!
//! Each call only looks. What it saw is kept, so that a resumed run goes on counting; the time in which nobody looked is a gap that
//! the result owns up to. Whether there were too many failures is decided at the end.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::clock::between;
use super::errand::{Errand, Purpose};
use super::invoke::{Mode, Surroundings, Told, held, succeeded};
use super::tally::{Tally, Turn, seconds, tally_file};
use crate::driver::{Failure, FailureKind, Sink as _};
use crate::lang::Value;
use crate::model::probe::Probe;

/// How long one look may take where the step does not say: a service that does not answer is an outage, and not a pause.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the dispatcher wants of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Go on.
    Look,
    /// What it watches has ended.
    Conclude,
    /// The run halts before what it watches has ended.
    PutOff,
}

/// Between a probe and the dispatcher.
#[derive(Debug)]
pub(super) struct Line {
    pub orders: watch::Receiver<Order>,
    /// Takes the action's index after its first look.
    pub looked: mpsc::UnboundedSender<u32>,
    /// Something that it watches has begun already: nobody looked then, or what was seen is not at hand.
    pub is_late: bool,
}

impl Errand<'_> {
    /// Looks until it is told that all is over.
    pub(super) async fn probe(&self, probe: &Probe, line: &Line) -> Told {
        let Surroundings { control, clock, dir, .. } = &*self.job.around;
        let path = tally_file(dir, &self.action.id);
        let end_was_lost = match self.mode {
            // Trying again would look at something else than what had failed.
            Mode::Recheck => {
                let why =
                    "it had failed, and what it watched cannot be seen again: skip it to go on all the same, or have it retried";
                return held(FailureKind::Failed, why.to_owned());
            }
            Mode::Recover { .. } => true,
            Mode::Fresh | Mode::Asked | Mode::Incomplete => false,
        };
        let mut tally = Tally::load(&path, end_was_lost).unwrap_or_default();
        tally.interrupted |= line.is_late;
        let mut orders = line.orders.clone();
        let mut has_looked = false;
        self.job.say_begun(self.action, 1);
        loop {
            if control.is_terminating() {
                return Told::Withdrawn;
            }
            let began = clock.now();
            let failure = match self.look(probe).await {
                Ok(()) => None,
                Err(failure) if failure.kind == FailureKind::Invalid => return self.failed(failure).await,
                Err(failure) if failure.kind == FailureKind::Cancelled => return Told::Withdrawn,
                Err(failure) => Some(self.job.redact.apply(&failure.message).into_owned()),
            };
            let now = clock.now();
            match tally.look(began, now, failure) {
                Turn::Same => {}
                Turn::Down => self.voice.line(&format!("a look failed: {}", tally.message.as_deref().unwrap_or_default())),
                Turn::Up(lasted) => self.voice.line(&format!("well again after {} s", seconds(lasted))),
            }
            if let Err(error) = tally.save(&path) {
                return self.failed(Failure::new(FailureKind::Failed, format!("what was seen cannot be kept: {error}"))).await;
            }
            if !std::mem::replace(&mut has_looked, true) {
                let _ = line.looked.send(self.job.index);
            }
            let pause = clock.sleep(probe.interval.saturating_sub(between(began, now)));
            let order = tokio::select! {
                biased;
                () = control.terminated() => Order::PutOff,
                order = orders.wait_for(|order| *order != Order::Look) => order.map_or(Order::PutOff, |order| *order),
                () = pause => Order::Look,
            };
            match order {
                Order::Look => {}
                Order::PutOff => return Told::Withdrawn,
                Order::Conclude => break,
            }
        }
        tally.end(clock.now());
        let _ = tally.save(&path);
        self.concluded(probe, &tally).await
    }

    /// One look; a failure where it is not well.
    async fn look(&self, probe: &Probe) -> Result<(), Failure> {
        let result = self.attempt(self.work.call, Some(self.work.timeout.unwrap_or(PATIENCE)), Purpose::Poll).await?;
        let Some(pass) = &probe.pass else { return Ok(()) };
        let told = |why: String| Failure::new(FailureKind::Failed, format!("`pass` {why}"));
        match self.eval(pass, Some(("result", result))).map(|value| value.unmark().0.as_bool()) {
            Ok(Some(true)) => Ok(()),
            Ok(Some(false)) => Err(told(format!("does not hold: {}", pass.text().trim()))),
            Ok(None) => Err(told("is neither true nor false".to_owned())),
            Err(problems) => Err(told(format!("cannot be evaluated: {}", self.sentence(&problems)))),
        }
    }

    async fn concluded(&self, probe: &Probe, tally: &Tally) -> Told {
        let result = tally.result();
        if tally.failures <= u64::from(probe.allow) {
            return succeeded(result);
        }
        let allowed = if probe.allow == 0 { String::new() } else { format!(", and {} may", probe.allow) };
        let message = format!(
            "{} of {} looks failed{allowed}; the longest outage was {} s; the last failure: {}",
            tally.failures,
            tally.looks,
            seconds(tally.longest_outage),
            tally.message.as_deref().unwrap_or_default()
        );
        let failure = Failure::new(FailureKind::Failed, message).detail(result.clone());
        if let Some(told) = self.tolerated(&failure) {
            return told;
        }
        match self.failed(failure).await {
            Told::Ended { ending, kind, result: Value::Null } => Told::Ended { ending, kind, result },
            told => told,
        }
    }
}
