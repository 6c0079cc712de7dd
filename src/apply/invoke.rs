//! Carries one action out: evaluates its arguments, calls the driver, tries again, and asks whether it was done already.
//!
//! Runs as a task of its own and touches nothing of the run's state: it takes everything it needs and gives a [`Report`].
#![expect(clippy::disallowed_methods, reason = "a door to the folders of actions")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::clock::{Clock, between};
use super::control::Control;
use super::event::{Direction, Ending, EventKind};
use super::run::{Hosts, Observer};
use super::voice::{ActionVoice, Voice};
use crate::driver::{Context, Drivers, Failure, FailureKind, Redactor};
use crate::lang::{Env, Expr, Object, Value, Vars};
use crate::model::call::{Arg, Call};
use crate::model::name::ActionId;
use crate::model::provider::{Provider, Retry};
use crate::model::scope::RecordedScope;
use crate::plan::{Action, ActionKind, ActionUndo, Change, Plan};
use crate::source::Diagnostics;

/// How long a driver has to end after it was cancelled or its time is over; then it is dropped.
const GRACE: Duration = Duration::from_secs(15);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What all actions of a run share.
pub(super) struct Surroundings {
    pub plan: Arc<Plan>,
    pub drivers: Drivers,
    pub hosts: Arc<dyn Hosts>,
    pub observer: Option<Arc<dyn Observer>>,
    pub clock: Arc<dyn Clock>,
    pub control: Control,
    pub voice: Arc<Voice>,
    /// The run's folder.
    pub dir: PathBuf,
    /// Which other machine had the run before this process, where one had.
    pub elsewhere: Option<String>,
}

/// One action to carry out.
pub(super) struct Job {
    pub around: Arc<Surroundings>,
    pub index: u32,
    pub direction: Direction,
    pub mode: Mode,
    pub scope: Vars,
    /// Whose locals and files expressions use.
    pub provider: Option<Arc<Provider>>,
    pub files: Arc<BTreeMap<Arc<str>, Arc<[u8]>>>,
    pub redact: Redactor,
}

/// What is known when an action is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It has not begun, or may be done whatever was before.
    Fresh,
    /// It had begun, and how it ended is not known.
    Recover {
        /// When it had begun.
        since: Timestamp,
        /// Whether it is done again where that is safe. Otherwise only its outcome is found out, because it will be undone.
        again: bool,
    },
    /// It waited for a person: it is asked again in the folder in which the answer stands.
    Asked,
    /// It has failed in an earlier process: done again where that is safe.
    Recheck,
    /// (Undo) It did not succeed, so that there may be nothing to undo.
    Incomplete,
}

/// What became of a job.
#[derive(Debug)]
pub(super) struct Report {
    pub index: u32,
    pub direction: Direction,
    pub outcome: Told,
}

/// What a job tells.
#[derive(Debug)]
pub(super) enum Told {
    /// Nothing was called.
    Withdrawn,
    /// It ended.
    Ended {
        ending: Ending,
        kind: Option<FailureKind>,
        /// The real one, secrets included.
        result: Value,
    },
}

/// Carries an action out.
pub(super) async fn carry_out(job: Job) -> Report {
    let plan = Arc::clone(&job.around.plan);
    let action = &plan.actions[job.index as usize];
    let (index, direction) = (job.index, job.direction);
    let outcome = match (&action.kind, direction) {
        (ActionKind::Pause(pause), Direction::Forward) => job.pause(action, *pause).await,
        (ActionKind::Record, Direction::Forward) => job.observe(action).await,
        _ => job.call(action, &plan.changes[action.change as usize]).await,
    };
    Report { index, direction, outcome }
}

impl Job {
    async fn pause(&self, action: &Action, pause: Duration) -> Told {
        let clock = &self.around.clock;
        let passed = match self.mode {
            Mode::Recover { since, .. } => between(since, clock.now()),
            Mode::Fresh | Mode::Asked | Mode::Recheck | Mode::Incomplete => Duration::ZERO,
        };
        self.say_begun(action, 1);
        tokio::select! {
            () = clock.sleep(pause.saturating_sub(passed)) => succeeded(Value::Null),
            () = self.around.control.stopped() => Told::Withdrawn,
        }
    }

    async fn observe(&self, action: &Action) -> Told {
        let change = &self.around.plan.changes[action.change as usize];
        let version = change.hops.get(action.hop as usize).map_or(change.to.as_ref(), |hop| hop.to.as_ref());
        let facts = match &self.around.observer {
            Some(observer) => observer.observe(&change.instance, version.map(|version| &**version)).await,
            None => BTreeMap::new(),
        };
        succeeded(Value::Object(facts.into()))
    }

    async fn call(&self, action: &Action, change: &Change) -> Told {
        let Work { call, retry, timeout } = match (self.direction, &action.undo) {
            (Direction::Forward, _) => match action.kind.call() {
                Some(call) => Work { call, retry: action.retry, timeout: action.timeout },
                None => return succeeded(Value::Null),
            },
            (Direction::Undo, ActionUndo::Call { call, retry, timeout, .. }) => Work { call, retry: *retry, timeout: *timeout },
            (Direction::Undo, ActionUndo::Harmless | ActionUndo::Irreversible) => return succeeded(Value::Null),
        };
        let voice = Arc::new(ActionVoice::new(
            Arc::clone(&self.around.voice),
            action.id.clone(),
            self.redact.clone(),
            action.progress.clone().filter(|_| self.direction == Direction::Forward),
        ));
        let mut number = self.last_attempt(action);
        if self.mode == Mode::Asked {
            number = number.saturating_sub(1);
        }
        if matches!(self.mode, Mode::Recover { .. } | Mode::Recheck) {
            match self.recover(action, change, call, timeout, number, &voice).await {
                Recovery::Again => {}
                Recovery::Known(told) => return told,
            }
        }
        for attempt in 1u32.. {
            if self.around.control.is_terminating() {
                return Told::Withdrawn;
            }
            number += 1;
            self.say_begun(action, attempt);
            let result = self.attempt(action, change, call, timeout, Some(number), &voice).await;
            let failure = match result {
                Ok(value) => return succeeded(value),
                Err(failure) => failure,
            };
            if let Some(told) = self.tolerated(action, &failure) {
                return told;
            }
            if attempt >= retry.attempts || !may_retry(failure.kind) || self.around.control.is_stopping() {
                return self.failed(action, change, failure, &voice).await;
            }
            let pause = pause_after(retry, attempt);
            let message = self.redact.apply(&failure.message).into_owned();
            self.around.voice.say(EventKind::ActionRetries { action: action.id.clone(), message, pause });
            tokio::select! {
                () = self.around.clock.sleep(pause) => {}
                () = self.around.control.stopped() => return self.failed(action, change, failure, &voice).await,
            }
        }
        // Not reached: the loop ends by returning.
        Told::Withdrawn
    }

    /// Finds out how an action ended that had begun when Windlass died.
    async fn recover(
        &self,
        action: &Action,
        change: &Change,
        call: &Call,
        timeout: Option<Duration>,
        number: u32,
        voice: &Arc<ActionVoice>,
    ) -> Recovery {
        use crate::driver::host::Recovered;
        if let Mode::Recover { .. } = self.mode
            && number > 0
            && let Ok(host) = self.around.hosts.host(change.host.as_ref())
            && let Ok(Recovered::Finished(_) | Recovered::Running) = host.recover(&self.folder(action, number)).await
        {
            // The driver finds the command that it began and waits for it; it does not begin it again.
            match self.attempt(action, change, call, timeout, Some(number), voice).await {
                Ok(value) => return Recovery::Known(succeeded(value)),
                Err(failure) if failure.kind == FailureKind::Unknown => {}
                Err(failure) => {
                    let told = match self.tolerated(action, &failure) {
                        Some(told) => told,
                        None => self.failed(action, change, failure, voice).await,
                    };
                    return Recovery::Known(told);
                }
            }
        }
        let (kind, past, again) = match self.mode {
            Mode::Recheck | Mode::Incomplete | Mode::Fresh | Mode::Asked => (FailureKind::Failed, "it had failed", true),
            Mode::Recover { again, .. } => (FailureKind::Unknown, "it had begun, how it ended is not known", again),
        };
        let elsewhere = self.may_run_elsewhere(change);
        let why = match (self.direction, self.check(action, change, voice).await) {
            (Direction::Forward, Answer::Done) | (Direction::Undo, Answer::NotDone) => return Recovery::Known(already_done()),
            _ if !again => format!("{past}, and it will be undone"),
            (Direction::Forward, Answer::NotDone) | (Direction::Undo, Answer::Done) => return Recovery::Again,
            (_, Answer::NoCheck) if elsewhere.is_some() => {
                let machine = elsewhere.unwrap_or_default();
                format!("{past}: it was begun on `{machine}`, where it may still run, and it has no check")
            }
            _ if action.repeatable => return Recovery::Again,
            (_, Answer::NoCheck) => format!("{past}, and it has no check and is not repeatable"),
            (_, Answer::Unclear(why)) => format!("{past}, and its check could not tell: {why}"),
        };
        Recovery::Known(held(kind, why))
    }

    /// The other machine on which an action that had begun may still run: what is on "this machine" is out of reach from here.
    fn may_run_elsewhere(&self, change: &Change) -> Option<String> {
        let had_begun = matches!(self.mode, Mode::Recover { .. });
        let is_local = self.around.hosts.host(change.host.as_ref()).is_ok_and(|host| host.is_local());
        self.around.elsewhere.clone().filter(|_| had_begun && is_local)
    }

    async fn check(&self, action: &Action, change: &Change, voice: &Arc<ActionVoice>) -> Answer {
        let Some(check) = &action.check else { return Answer::NoCheck };
        match (self.attempt(action, change, &check.call, action.timeout, None, voice).await, &check.done) {
            (Ok(_), None) => Answer::Done,
            (Err(failure), None) if failure.kind == FailureKind::Failed => Answer::NotDone,
            (Err(failure), _) => Answer::Unclear(self.redact.apply(&failure.message).into_owned()),
            (Ok(result), Some(done)) => match self.eval(done, Some(("result", result))).map(|value| value.unmark().0.as_bool()) {
                Ok(Some(true)) => Answer::Done,
                Ok(Some(false)) => Answer::NotDone,
                Ok(None) => Answer::Unclear("`done` is neither true nor false".to_owned()),
                Err(problems) => Answer::Unclear(self.sentence(&problems)),
            },
        }
    }

    /// One call of a driver, within its time. `number`: which try, for its folder; `None`: it only looks.
    async fn attempt(
        &self,
        action: &Action,
        change: &Change,
        call: &Call,
        timeout: Option<Duration>,
        number: Option<u32>,
        voice: &Arc<ActionVoice>,
    ) -> Result<Value, Failure> {
        let Surroundings { drivers, hosts, clock, control, .. } = &*self.around;
        let driver = drivers
            .get(call.driver.as_str())
            .ok_or_else(|| Failure::new(FailureKind::Invalid, format!("there is no driver `{}`", call.driver)))?;
        let args = self.arguments(call)?;
        let host = hosts.host(change.host.as_ref())?;
        // The driver makes it when it has something to keep: most actions need none.
        let dir = number.map(|number| self.folder(action, number));
        let suffix = match (self.direction, number) {
            (_, None) => "-check",
            (Direction::Forward, _) => "",
            (Direction::Undo, _) => "-undo",
        };
        let cancel = control.token();
        let context = Context {
            key: format!("{}{suffix}", action.id.file_name()),
            host,
            dir,
            files: Arc::clone(&self.files),
            timeout,
            cancel: cancel.clone(),
            sink: Arc::clone(voice) as Arc<_>,
            redact: self.redact.clone(),
            privileged: action.privileged,
        };
        // The driver watches time and cancellation itself; this is for one that does not.
        let overdue = async {
            match timeout {
                Some(timeout) => clock.sleep(timeout.saturating_add(GRACE)).await,
                None => std::future::pending().await,
            }
        };
        let deaf = async {
            cancel.cancelled().await;
            clock.sleep(GRACE).await;
        };
        let result = tokio::select! {
            result = driver.run(&args, &context) => result,
            () = overdue => Err(Failure::new(FailureKind::TimedOut, "it took too long and was given up")),
            () = deaf => Err(Failure::new(FailureKind::Cancelled, "it was cancelled, did not end in time and was given up")),
        };
        crash_point!("apply.called");
        result
    }

    fn arguments(&self, call: &Call) -> Result<Object, Failure> {
        let mut args = Object::new();
        for (name, arg) in &call.args {
            let value = match arg {
                Arg::Known(value) => value.clone(),
                Arg::Deferred(expr) => self.eval(expr, None).map_err(|problems| {
                    let why = self.sentence(&problems);
                    Failure::new(FailureKind::Invalid, format!("argument `{name}` of `{}`: {why}", call.driver))
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

    fn tolerated(&self, action: &Action, failure: &Failure) -> Option<Told> {
        if self.direction == Direction::Undo || matches!(failure.kind, FailureKind::Cancelled | FailureKind::Unknown) {
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
        action.tolerate.iter().any(tolerates).then(|| Told::Ended {
            ending: Ending::Tolerated { message: self.redact.apply(&failure.message).into_owned() },
            kind: None,
            result: failure.detail.clone(),
        })
    }

    async fn failed(&self, action: &Action, change: &Change, failure: Failure, voice: &Arc<ActionVoice>) -> Told {
        let message = self.redact.apply(&failure.message).into_owned();
        match failure.kind {
            FailureKind::Unknown | FailureKind::Waiting | FailureKind::Cancelled => return held(failure.kind, message),
            FailureKind::Invalid | FailureKind::Failed | FailureKind::TimedOut | FailureKind::Unreachable => {}
        }
        if self.direction == Direction::Undo
            && self.mode == Mode::Incomplete
            && matches!(self.check(action, change, voice).await, Answer::NotDone)
        {
            let message = format!("there was nothing to undo: {message}");
            return Told::Ended { ending: Ending::Tolerated { message }, kind: None, result: Value::Null };
        }
        let help = failure.help.map(|help| self.redact.apply(&help).into_owned());
        let ending = Ending::Failed { kind: failure.kind, message, output: voice.tail(), help };
        Told::Ended { ending, kind: Some(failure.kind), result: Value::Null }
    }

    fn say_begun(&self, action: &Action, attempt: u32) {
        let (action, direction) = (action.id.clone(), self.direction);
        self.around.voice.say(EventKind::ActionBegan { action, direction, attempt });
    }

    /// Evaluates a deferred expression over the hop's scope, with one more name where something is asked about.
    fn eval(&self, expr: &Expr, more: Option<(&str, Value)>) -> Result<Value, Diagnostics> {
        let mut names = self.scope.clone();
        if let Some((name, value)) = more {
            names.set(name, value);
        }
        let env = Env::pure(self.around.plan.created);
        let Some(provider) = &self.provider else { return expr.eval(&names, &env) };
        let env = Env { files: &**provider, ..env };
        let names = Value::Object(names.0.into());
        expr.eval(&RecordedScope::new(&names, provider, &env), &env)
    }

    fn sentence(&self, problems: &Diagnostics) -> String {
        let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        self.redact.apply(&text).into_owned()
    }

    /// The folder of the files of one try: drivers find there what they began.
    fn folder(&self, action: &Action, number: u32) -> PathBuf {
        attempt_folder(&self.around.dir, &action.id, self.direction, number)
    }

    /// The number of the last try that has left a folder, by any process; 0: none.
    fn last_attempt(&self, action: &Action) -> u32 {
        last_attempt(&self.around.dir, &action.id, self.direction).unwrap_or(0)
    }
}

/// What the folders of an action's tries are called, before the number.
fn prefix(direction: Direction) -> &'static str {
    if direction == Direction::Undo { "undo-" } else { "" }
}

/// The folder of the files of one try.
fn attempt_folder(dir: &Path, action: &ActionId, direction: Direction, number: u32) -> PathBuf {
    dir.join("actions").join(action.file_name()).join(format!("{}{number}", prefix(direction)))
}

/// The number of the last try that has left a folder. Tries before it may have left none.
fn last_attempt(dir: &Path, action: &ActionId, direction: Direction) -> Option<u32> {
    let entries = std::fs::read_dir(dir.join("actions").join(action.file_name())).ok()?;
    let number = |name: &str| name.strip_prefix(prefix(direction))?.parse().ok();
    entries.flatten().filter_map(|entry| number(entry.file_name().to_str()?)).max()
}

/// The folder of the last try of an action of the run in `dir`, its undo's where that was begun; where a confirmation belongs.
/// `None`: it was never begun, or has left none.
#[must_use]
pub fn last_folder(dir: &Path, action: &ActionId) -> Option<PathBuf> {
    [Direction::Undo, Direction::Forward]
        .into_iter()
        .find_map(|direction| Some(attempt_folder(dir, action, direction, last_attempt(dir, action, direction)?)))
}

struct Work<'a> {
    call: &'a Call,
    retry: Retry,
    timeout: Option<Duration>,
}

enum Recovery {
    /// It may be done again.
    Again,
    /// This is how it ended.
    Known(Told),
}

enum Answer {
    Done,
    NotDone,
    Unclear(String),
    NoCheck,
}

fn succeeded(result: Value) -> Told {
    Told::Ended { ending: Ending::Succeeded, kind: None, result }
}

fn already_done() -> Told {
    Told::Ended { ending: Ending::AlreadyDone, kind: None, result: Value::Null }
}

pub(super) fn held(kind: FailureKind, message: String) -> Told {
    Told::Ended { ending: Ending::Held { message }, kind: Some(kind), result: Value::Null }
}

/// Whether trying again may help, and is known to be no repetition.
fn may_retry(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Failed | FailureKind::TimedOut | FailureKind::Unreachable => true,
        FailureKind::Invalid | FailureKind::Cancelled | FailureKind::Waiting | FailureKind::Unknown => false,
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
    fn tries_that_left_no_folder_do_not_hide_later_ones() {
        let dir = tempfile::tempdir().unwrap();
        let action = ActionId::new(&crate::model::name::InstanceAddr::from_text("p.a"), "1", "s", None);
        assert_eq!(last_folder(dir.path(), &action), None);
        for (direction, number) in [(Direction::Forward, 2), (Direction::Forward, 10)] {
            std::fs::create_dir_all(attempt_folder(dir.path(), &action, direction, number)).unwrap();
        }
        assert_eq!(last_attempt(dir.path(), &action, Direction::Forward), Some(10));
        assert_eq!(last_attempt(dir.path(), &action, Direction::Undo), None);
        std::fs::create_dir(attempt_folder(dir.path(), &action, Direction::Undo, 1)).unwrap();
        assert!(last_folder(dir.path(), &action).unwrap().ends_with("undo-1"));
    }

    #[test]
    fn the_pause_doubles_and_has_an_end() {
        let retry = Retry { attempts: 99, backoff: Duration::from_secs(2) };
        let pauses: Vec<u64> = [1, 2, 3, 10, 33, 99].map(|attempt| pause_after(retry, attempt).as_secs()).into();
        assert_eq!(pauses, [2, 4, 8, 600, 600, 600]);
    }
}
