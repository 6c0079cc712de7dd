//! A call that is made again and again until something is so.
//!
//! Each call only looks: it keeps nothing, and its lines are not shown. A call that fails is tried again as the step's `retry` says,
//! counted anew after each that works. A stop ends the looking at once: a resumed run looks again.

use std::time::Duration;

use rust_decimal::prelude::ToPrimitive as _;

use super::clock::between;
use super::errand::{Errand, Purpose, Work, may_retry};
use super::invoke::{Surroundings, Told, succeeded};
use crate::driver::{Failure, FailureKind, Sink as _};
use crate::lang::{Expr, Value};
use crate::model::poll::Poll;

/// The first pause between looks: what is quick is not waited for long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What a look says.
enum Look {
    Over,
    NotYet,
    Failed(Failure),
}

impl Errand<'_> {
    /// Looks until it is over, has failed, or the action's time has.
    pub(super) async fn poll(&self, poll: &Poll) -> Told {
        let Surroundings { control, clock, .. } = &*self.job.around;
        let Work { call, retry, timeout, .. } = self.work;
        let begun = clock.now();
        let (mut failures, mut last) = (0, None);
        let mut quiet = FIRST_PAUSE;
        self.say_begun(1);
        loop {
            if control.is_stopping() {
                return Told::Withdrawn;
            }
            let left = timeout.map(|timeout| timeout.saturating_sub(between(begun, clock.now())));
            if let (Some(Duration::ZERO), Some(timeout)) = (left, timeout) {
                return self.failed(overdue(timeout, last.as_deref())).await;
            }
            let looked = match self.attempt(call, left, Purpose::Poll).await {
                Ok(result) => self.judge(poll, &result).map(|look| (look, result)),
                Err(failure) => Err(failure),
            };
            let pause = match looked {
                Ok((Look::Over, result)) => return succeeded(result),
                Ok((Look::Failed(failure), _)) => {
                    return match self.tolerated(&failure) {
                        Some(told) => told,
                        None => self.failed(failure).await,
                    };
                }
                Ok((Look::NotYet, result)) => {
                    failures = 0;
                    last = self.message(poll, &result);
                    let pause = quiet.min(poll.interval);
                    quiet = (quiet * 2).min(poll.interval);
                    pause
                }
                Err(failure) => {
                    if let Some(told) = self.tolerated(&failure) {
                        return told;
                    }
                    failures += 1;
                    if failures >= retry.attempts || !may_retry(failure.kind) {
                        return self.failed(failure).await;
                    }
                    last = Some(failure.message.clone());
                    self.say_retry(&failure, failures)
                }
            };
            tokio::select! {
                () = clock.sleep(left.map_or(pause, |left| pause.min(left))) => {}
                () = control.stopped() => return Told::Withdrawn,
            }
        }
    }

    fn judge(&self, poll: &Poll, result: &Value) -> Result<Look, Failure> {
        if let Some(fail) = &poll.fail
            && self.truth("fail", fail, result)?
        {
            let message = self.message(poll, result).unwrap_or_else(|| format!("`{}` came true", fail.text().trim()));
            let detail = if result.as_object().is_some() { result.clone() } else { Value::object::<&str>([]) };
            return Ok(Look::Failed(Failure::new(FailureKind::Failed, message).detail(detail)));
        }
        let is_over = self.truth("until", &poll.until, result)?;
        self.tell(poll, result);
        Ok(if is_over { Look::Over } else { Look::NotYet })
    }

    fn truth(&self, name: &str, expr: &Expr, result: &Value) -> Result<bool, Failure> {
        let told = |why: String| Failure::new(FailureKind::Failed, format!("`{name}` {why}"));
        let value = self
            .eval(expr, Some(("result", result.clone())))
            .map_err(|problems| told(format!("cannot be evaluated: {}", self.sentence(&problems))))?;
        value.unmark().0.as_bool().ok_or_else(|| told("is neither true nor false".to_owned()))
    }

    /// What the provider says of a result; `None` where it says nothing, or nothing that may be shown.
    fn message(&self, poll: &Poll, result: &Value) -> Option<String> {
        let value = self.eval(poll.message.as_ref()?, Some(("result", result.clone()))).ok()?;
        value.as_str().map(|text| self.job.redact.apply(text).into_owned())
    }

    /// Tells how far it is, where the result does.
    fn tell(&self, poll: &Poll, result: &Value) {
        let Some(progress) = &poll.progress else { return };
        if let Ok(value) = self.eval(progress, Some(("result", result.clone())))
            && let Value::Number(number) = value.unmark().0
            && let Some(percent) = number.trunc().to_u64()
        {
            self.voice.progress(percent.min(100), Some(100), "%");
        }
    }
}

fn overdue(timeout: Duration, last: Option<&str>) -> Failure {
    let timeout = jiff::SignedDuration::try_from(timeout).unwrap_or(jiff::SignedDuration::MAX);
    let last = last.map(|last| format!(": {last}")).unwrap_or_default();
    Failure::new(FailureKind::TimedOut, format!("it was not over after {timeout:#}{last}"))
}
