//! One call of a driver, seen through: evaluates its arguments, calls, tries again, and finds out what became of it after a crash.
//!
//! Takes a [`Job`] and which call of its action is meant; gives what became of it. Knows nothing of the run's state.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::{action_folder, attempt_folder, item_folder, last_attempt};
use super::event::{Direction, Ending, EventKind};
use super::invoke::{Job, Mode, Surroundings, Told, held, succeeded};
use super::place::machine;
use super::recover::{Answer, Recovery};
use super::voice::{ActionVoice, Hushed};
use crate::driver::host::{Host, io_failure};
use crate::driver::{Context, Driver, Failure, FailureKind, Recalled, Silent, Sink};
use crate::lang::{Env, Expr, Object, Value};
use crate::model::call::{Arg, Call};
use crate::model::fan_out::FanOut;
use crate::model::name::file_name;
use crate::model::poll::Poll;
use crate::model::probe::Probe;
use crate::model::provider::Retry;
use crate::model::scope::RecordedScope;
use crate::plan::{Action, ActionUndo, Change};
use crate::source::Diagnostics;

/// How long a driver has to end after it was cancelled or its time is over; then it is dropped.
const GRACE: Duration = Duration::from_secs(15);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What is called, and how.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub call: &'a Call,
    pub retry: Retry,
    pub timeout: Option<Duration>,
    pub poll: Option<&'a Poll>,
    pub probe: Option<&'a Probe>,
    pub fan_out: Option<&'a FanOut>,
}

impl<'a> Work<'a> {
    /// The work of an action in a direction, where something is to be called.
    pub(super) fn of(action: &'a Action, direction: Direction) -> Option<Self> {
        match (direction, &action.undo) {
            (Direction::Forward, _) => {
                let Action { retry, timeout, probe, .. } = action;
                let (poll, fan_out) = (action.poll.as_deref(), action.fan_out.as_deref());
                Some(Self { call: action.kind.call()?, retry: *retry, timeout: *timeout, poll, fan_out, probe: probe.as_deref() })
            }
            (Direction::Undo, ActionUndo::Call { call, retry, timeout, poll, fan_out, .. }) => {
                let (poll, fan_out) = (poll.as_deref(), fan_out.as_deref());
                Some(Self { call, retry: *retry, timeout: *timeout, poll, fan_out, probe: None })
            }
            (Direction::Undo, ActionUndo::Harmless | ActionUndo::Irreversible) => None,
        }
    }
}

/// One call to be seen through.
pub(super) struct Errand<'a> {
    pub(super) job: &'a Job,
    pub(super) action: &'a Action,
    change: &'a Change,
    pub(super) work: Work<'a>,
    pub(super) mode: Mode,
    pub(super) voice: Arc<ActionVoice>,
    /// Of which item, where the action has several.
    pub(super) item: Option<ErrandItem>,
}

/// One item of a fanned-out action.
pub(super) struct ErrandItem {
    key: Arc<str>,
    /// What `each` is.
    each: Value,
    /// What `each` is for the action's `check`, where that is another.
    pub(super) asks: Option<Value>,
}

/// For what a driver is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To do it: the try of that number, which has a folder.
    Try(u32),
    /// To see whether it is done.
    Check,
    /// To see whether it is so by now.
    Poll,
}

impl<'a> Errand<'a> {
    /// The one call of an action.
    pub(super) fn new(job: &'a Job, action: &'a Action, change: &'a Change, work: Work<'a>) -> Self {
        let progress = action.progress.clone().filter(|_| job.direction == Direction::Forward);
        let voice = ActionVoice::new(Arc::clone(&job.around.voice), action.id.clone(), job.redact.clone(), progress);
        Self { job, action, change, work, mode: job.mode, voice: Arc::new(voice), item: None }
    }

    /// The call for one item of the action. `asks`: what `each` is for the action's `check`, where that is another.
    pub(super) fn of_item(mut self, key: Arc<str>, each: Value, asks: Option<Value>, mode: Mode) -> Self {
        let progress = self.action.progress.clone().filter(|_| self.job.direction == Direction::Forward);
        let voice = Arc::clone(&self.job.around.voice);
        let voice = ActionVoice::new(voice, self.action.id.clone(), self.job.redact.clone(), progress);
        self.voice = Arc::new(voice.of_item(Arc::clone(&key)));
        self.item = Some(ErrandItem { key, each, asks });
        self.mode = mode;
        self
    }

    /// Sees it through.
    pub(super) async fn run(&self) -> Told {
        if let (Some(probe), Some(line)) = (self.work.probe, &self.job.line) {
            return self.probe(probe, line).await;
        }
        let mut number = match self.last_attempt() {
            Ok(number) => number,
            Err(failure) => return self.out_of_sight(&failure),
        };
        let had_asked = matches!(self.mode, Mode::Recover { .. }) && self.asks_a_person();
        if self.mode == Mode::Asked || had_asked {
            // The answer stands in the folder in which it was asked for.
            number = number.saturating_sub(1);
        } else if matches!(self.mode, Mode::Recover { .. } | Mode::Recheck) {
            match self.recover(number).await {
                // Finding out may have used up a folder.
                Recovery::Again => match self.last_attempt() {
                    Ok(last) => number = number.max(last),
                    Err(failure) => return self.out_of_sight(&failure),
                },
                Recovery::Known(told) => return told,
            }
        }
        match self.work.poll {
            Some(poll) => self.poll(poll).await,
            None => match self.outlast(number).await {
                Some(told) => told,
                None => self.tries(number).await,
            },
        }
    }

    fn asks_a_person(&self) -> bool {
        self.job.around.drivers.get(self.work.call.driver.as_str()).is_some_and(|driver| driver.asks_a_person())
    }

    /// What may run cannot be looked at: it is waited for, and nothing begins beside it.
    pub(super) fn out_of_sight(&self, failure: &Failure) -> Told {
        held(FailureKind::Unreachable, self.job.redact.apply(&failure.message).into_owned())
    }

    /// Calls until it works, as often as it may.
    async fn tries(&self, mut number: u32) -> Told {
        let Surroundings { control, clock, .. } = &*self.job.around;
        let Work { call, retry, timeout, .. } = self.work;
        // What had begun before may have left something. Before an undo, that is the undo itself.
        let is_first = match self.job.direction {
            Direction::Forward => self.mode == Mode::Fresh,
            Direction::Undo => matches!(self.mode, Mode::Fresh | Mode::Incomplete),
        };
        let mut untouched = is_first && self.never_began(call, number).await;
        let mut is_on_its_way = false;
        for attempt in 1u32.. {
            if control.is_terminating() && !is_on_its_way {
                return Told::Withdrawn;
            }
            // What may have been begun is asked for, in its folder, and never begun beside it.
            number += u32::from(!is_on_its_way);
            self.say_begun(attempt);
            let mut failure = match self.attempt(call, timeout, Purpose::Try(number)).await {
                Ok(value) => return succeeded(value),
                Err(failure) => failure,
            };
            if let Some(told) = self.tolerated(&failure) {
                return told;
            }
            // A second ask that did not get through has touched nothing, and the first may have begun it all the same.
            is_on_its_way =
                failure.kind == FailureKind::Unreachable && (is_on_its_way || !failure.untouched) && self.is_one_command(call);
            // All tries together have done nothing only where each has done nothing.
            let nothing_before = untouched;
            untouched &= failure.untouched;
            failure.untouched = untouched;
            if is_on_its_way && (attempt >= retry.attempts || control.is_stopping()) {
                return self.out_of_sight(&failure);
            }
            if attempt >= retry.attempts || !may_retry(failure.kind) || control.is_stopping() {
                if failure.kind == FailureKind::Invalid && !nothing_before {
                    // What is refused now may be in the way because a try before has put it there.
                    failure.kind = FailureKind::Failed;
                }
                return self.failed(failure).await;
            }
            let pause = self.say_retry(&failure, attempt);
            tokio::select! {
                () = clock.sleep(pause) => {}
                () = control.stopped(), if !is_on_its_way => return self.failed(failure).await,
            }
        }
        // Not reached: the loop ends by returning.
        Told::Withdrawn
    }

    /// Says that a try begins; of an item only the first is worth it, and that is said by who began it.
    pub(super) fn say_begun(&self, attempt: u32) {
        if self.item.is_none() {
            self.job.say_begun(self.action, attempt);
        }
    }

    /// Says that there will be another try, and answers after which pause.
    pub(super) fn say_retry(&self, failure: &Failure, attempt: u32) -> Duration {
        let pause = pause_after(self.work.retry, attempt);
        let message = self.job.redact.apply(&failure.message).into_owned();
        let item = self.item.as_ref().map(|item| item.key.to_string());
        self.job.around.voice.say(EventKind::ActionRetries { action: self.action.id.clone(), item, message, pause });
        pause
    }

    /// One call of a driver, within its time.
    pub(super) async fn attempt(&self, call: &Call, timeout: Option<Duration>, purpose: Purpose) -> Result<Value, Failure> {
        let clock = &self.job.around.clock;
        let (driver, args, context) = self.surrounded(call, timeout, purpose)?;
        // The driver watches time and cancellation itself; this is for one that does not.
        let overdue = async {
            match timeout {
                Some(timeout) => clock.sleep(timeout.saturating_add(GRACE)).await,
                None => std::future::pending().await,
            }
        };
        let deaf = async {
            context.cancel.cancelled().await;
            clock.sleep(GRACE).await;
        };
        let result = tokio::select! {
            result = driver.run(&args, &context) => result,
            () = overdue => Err(Failure::new(FailureKind::TimedOut, "it took too long and was given up")),
            () = deaf => Err(Failure::new(FailureKind::Cancelled, "it was cancelled, did not end in time and was given up")),
        };
        crash_point!("apply.called");
        // A look says nothing about the looks before it.
        let is_known = driver.knows_untouched() && matches!(purpose, Purpose::Try(_));
        result.map_err(|failure| Failure { untouched: failure.untouched && is_known, ..failure })
    }

    /// A driver with everything that a call of it needs.
    pub(super) fn surrounded(
        &self,
        call: &Call,
        timeout: Option<Duration>,
        purpose: Purpose,
    ) -> Result<(&dyn Driver, Object, Context), Failure> {
        let driver = self.job.around.drivers.get(call.driver.as_str());
        let driver = driver.ok_or_else(|| Failure::new(FailureKind::Invalid, format!("there is no driver `{}`", call.driver)))?;
        let args = self.arguments(call, purpose)?;
        let host = self.machine(call, purpose)?;
        // The driver makes it when it has something to keep: most actions need none. What only looks keeps nothing.
        let (dir, earlier) = match purpose {
            Purpose::Try(number) => (Some(self.folder(number)), (1..number).map(|number| self.folder(number)).collect()),
            Purpose::Check | Purpose::Poll => (None, Vec::new()),
        };
        let suffix = match (self.job.direction, purpose) {
            (_, Purpose::Check) => "-check",
            (Direction::Forward, Purpose::Try(_) | Purpose::Poll) => "",
            (Direction::Undo, Purpose::Try(_) | Purpose::Poll) => "-undo",
        };
        let sink: Arc<dyn Sink> = match purpose {
            // A failure of a probe carries what changed from look to look.
            Purpose::Poll if self.work.probe.is_some() => Arc::new(Silent),
            // The same lines every other second tell nobody anything.
            Purpose::Poll => Arc::new(Hushed(Arc::clone(&self.voice))),
            Purpose::Try(_) | Purpose::Check => Arc::clone(&self.voice) as Arc<_>,
        };
        let context = Context {
            key: format!("{}{suffix}", self.file_name()),
            host,
            dir,
            earlier,
            files: Arc::clone(&self.job.files),
            timeout,
            cancel: self.job.around.control.token(),
            sink,
            redact: self.job.redact.clone(),
            privileged: self.action.privileged,
        };
        Ok((&**driver, args, context))
    }

    pub(super) fn machine(&self, call: &Call, purpose: Purpose) -> Result<Arc<dyn Host>, Failure> {
        let eval = |expr: &Expr| self.eval_for(purpose, expr, None).map_err(|problems| self.sentence(&problems));
        machine(&*self.job.around.hosts, self.change, call, eval)
    }

    fn arguments(&self, call: &Call, purpose: Purpose) -> Result<Object, Failure> {
        let mut args = Object::new();
        for (name, arg) in &call.args {
            let value = match arg {
                Arg::Known(value) => value.clone(),
                Arg::Deferred(expr) => self.eval_for(purpose, expr, None).map_err(|problems| match self.unknown_step(expr) {
                    Some(step) => {
                        let message = format!(
                            "its undo, `{}`, needs what step `{step}` gave (`{name}`), and nobody saw that: see what it left behind",
                            call.driver
                        );
                        Failure::new(FailureKind::Invalid, message)
                    }
                    None => {
                        let why = self.sentence(&problems);
                        Failure::new(FailureKind::Invalid, format!("argument `{name}` of `{}`: {why}", call.driver))
                    }
                })?,
            };
            let value = value.revealed();
            if value.has_unknown() {
                let message = format!("argument `{name}` of `{}` is not known here", call.driver);
                let help = "it depends on a secret that was not given, or on a result that a restarted run may not keep";
                return Err(Failure::new(FailureKind::Invalid, message).help(help));
            }
            args.insert(Arc::clone(name), value);
        }
        Ok(args)
    }

    /// The step whose result an undo asks for and nobody knows.
    fn unknown_step(&self, expr: &Expr) -> Option<Arc<str>> {
        let steps = self.job.scope.0.get("step");
        let references = expr.references().into_iter().filter(|reference| &*reference.root == "step");
        let mut named = references.filter_map(|reference| reference.path.first().cloned());
        let is_known = |step: &str| steps.and_then(|steps| steps.get(step)?.get("result")).is_some_and(|result| !result.is_null());
        named.find(|step| self.job.direction == Direction::Undo && !is_known(step))
    }

    /// What became of it, where the provider counts the failure as success.
    pub(super) fn tolerated(&self, failure: &Failure) -> Option<Told> {
        if self.job.direction == Direction::Undo || matches!(failure.kind, FailureKind::Cancelled | FailureKind::Unknown) {
            return None;
        }
        let mut error = failure.detail.as_object().cloned().unwrap_or_default();
        error.insert("message".into(), Value::string(&failure.message));
        let kind = serde_json::to_value(failure.kind).ok().and_then(|kind| kind.as_str().map(Value::string)).unwrap_or_default();
        error.insert("kind".into(), kind);
        let error = Value::Object(error.into());
        // An expression that cannot be evaluated (this failure has no exit code) does not tolerate.
        let tolerates = |expr: &Expr| {
            self.eval(expr, Some(("error", error.clone()))).is_ok_and(|value| value.unmark().0.as_bool() == Some(true))
        };
        self.action.tolerate.iter().any(tolerates).then(|| Told::Ended {
            ending: Ending::Tolerated { message: self.job.redact.apply(&failure.message).into_owned() },
            kind: None,
            result: failure.detail.clone(),
        })
    }

    /// What became of it after a failure.
    pub(super) async fn failed(&self, mut failure: Failure) -> Told {
        // The driver may know better than the failure whether something was changed, and what leads back.
        let forward = self.job.direction == Direction::Forward && !failure.untouched && self.work.poll.is_none();
        let recalled = if forward { self.recall(self.work.call).await } else { Recalled::Unknown };
        failure.untouched |= recalled == Recalled::Untouched;
        let result = self.known_result(recalled);
        let message = self.job.redact.apply(&failure.message).into_owned();
        match failure.kind {
            FailureKind::Unknown | FailureKind::Waiting | FailureKind::Cancelled => {
                return held(failure.kind, message).giving(result);
            }
            // Nothing can be done or undone there until it is back.
            FailureKind::Unreachable if self.is_host_away().await => return held(failure.kind, message).giving(result),
            FailureKind::Invalid
            | FailureKind::Failed
            | FailureKind::TimedOut
            | FailureKind::Unreachable
            | FailureKind::NotBegun => {}
        }
        if self.job.direction == Direction::Undo && self.mode == Mode::Incomplete && matches!(self.check().await, Answer::NotDone) {
            let message = format!("there was nothing to undo: {message}");
            return Told::Ended { ending: Ending::Tolerated { message }, kind: None, result: Value::Null };
        }
        let help = failure.help.map(|help| self.job.redact.apply(&help).into_owned());
        let kind = if failure.untouched { FailureKind::NotBegun } else { failure.kind };
        let ending = Ending::Failed { kind, message, output: self.voice.tail(), help };
        Told::Ended { ending, kind: Some(kind), result }
    }

    /// Evaluates a deferred expression over the hop's scope, with one more name where something is asked about.
    pub(super) fn eval(&self, expr: &Expr, more: Option<(&str, Value)>) -> Result<Value, Diagnostics> {
        self.eval_for(Purpose::Poll, expr, more)
    }

    pub(super) fn eval_for(&self, purpose: Purpose, expr: &Expr, more: Option<(&str, Value)>) -> Result<Value, Diagnostics> {
        let mut names = self.job.scope.clone();
        if let Some(ErrandItem { each, asks, .. }) = &self.item {
            names.set("each", if purpose == Purpose::Check { asks.as_ref().unwrap_or(each).clone() } else { each.clone() });
        }
        if let Some((name, value)) = more {
            names.set(name, value);
        }
        let env = Env::pure(self.job.around.plan.created);
        let Some(provider) = &self.job.provider else { return expr.eval(&names, &env) };
        let env = Env { files: &**provider, ..env };
        let names = Value::Object(names.0.into());
        expr.eval(&RecordedScope::new(&names, provider, &env), &env)
    }

    /// Problems in one redacted sentence.
    pub(super) fn sentence(&self, problems: &Diagnostics) -> String {
        let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        self.job.redact.apply(&text).into_owned()
    }

    /// The folder of the files of one try: drivers find there what they began.
    pub(super) fn folder(&self, number: u32) -> PathBuf {
        attempt_folder(&self.home(), self.job.direction, number)
    }

    /// The number of the last try that has left a folder, by any process; 0: none.
    pub(super) fn last_attempt(&self) -> Result<u32, Failure> {
        self.last_attempt_of(self.job.direction)
    }

    /// The same of the step or of its undo.
    pub(super) fn last_attempt_of(&self, direction: Direction) -> Result<u32, Failure> {
        let home = self.home();
        last_attempt(&home, direction).map_err(|error| io_failure("read", &home, &error))
    }

    /// The folder of all tries.
    pub(super) fn home(&self) -> PathBuf {
        let folder = action_folder(&self.job.around.dir, &self.action.id);
        match &self.item {
            Some(item) => item_folder(&folder, &item.key),
            None => folder,
        }
    }

    /// The call's name as a file name.
    fn file_name(&self) -> String {
        match &self.item {
            Some(item) => file_name(&format!("{}#{}", self.action.id, item.key)),
            None => self.action.id.file_name(),
        }
    }
}

/// Whether trying again may help, and is known to be no repetition.
pub(super) fn may_retry(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Failed | FailureKind::TimedOut | FailureKind::Unreachable => true,
        FailureKind::Invalid | FailureKind::Cancelled | FailureKind::Waiting | FailureKind::Unknown | FailureKind::NotBegun => {
            false
        }
    }
}

fn pause_after(retry: Retry, attempt: u32) -> Duration {
    let factor = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    retry.backoff.saturating_mul(factor).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_and_has_an_end() {
        let retry = Retry { attempts: 99, backoff: Duration::from_secs(2) };
        let pauses: Vec<u64> = [1, 2, 3, 10, 33, 99].map(|attempt| pause_after(retry, attempt).as_secs()).into();
        assert_eq!(pauses, [2, 4, 8, 600, 600, 600]);
    }
}
