//! What became of a call that nobody has seen the end of: after a crash, after a failure, before an undo.
//!
//! Takes an [`Errand`]; asks the folder of its tries, its driver and its `check`, in that order. Begins nothing itself.

use std::time::Duration;

use super::attempt::attempt_folder;
use super::errand::{Errand, Purpose, Work};
use super::event::Direction;
use super::invoke::{Mode, Surroundings, Told, already_done, held, succeeded};
use crate::driver::host::Recovered;
use crate::driver::{Failure, FailureKind, Recalled};
use crate::lang::Value;
use crate::model::call::Call;

/// How long it is until something that runs is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What was found out.
pub(super) enum Recovery {
    /// It may be done again.
    Again,
    /// This is how it ended.
    Known(Told),
}

/// What a check says.
pub(super) enum Answer {
    Done,
    NotDone,
    Unclear(String),
    NoCheck,
}

impl Errand<'_> {
    /// Finds out how an action ended that had begun when Windlass died.
    pub(super) async fn recover(&self, number: u32) -> Recovery {
        let Work { call, timeout, poll, .. } = self.work;
        let found = match self.mode {
            Mode::Recover { .. } if number > 0 => match self.look_for(call, self.job.direction, number).await {
                Ok(found) => found,
                Err(failure) => return Recovery::Known(self.out_of_sight(&failure)),
            },
            _ => Recovered::Lost,
        };
        if matches!(found, Recovered::Finished(_) | Recovered::Running) || found == Recovered::Withheld && self.may_begin_again() {
            // The driver finds the command that it began and waits for it; it does not begin it again.
            match self.attempt(call, timeout, Purpose::Try(number)).await {
                Ok(value) => return Recovery::Known(succeeded(value)),
                Err(failure) if failure.kind == FailureKind::Unknown => {}
                // It was lost from sight again, and goes on.
                Err(failure) if failure.kind == FailureKind::Unreachable && found == Recovered::Running => {
                    return Recovery::Known(self.out_of_sight(&failure));
                }
                Err(mut failure) => {
                    // Tries before it may have done something.
                    failure.untouched &= number == 1;
                    let told = match self.tolerated(&failure) {
                        Some(told) => told,
                        None => self.failed(failure).await,
                    };
                    return Recovery::Known(told);
                }
            }
        }
        let recalled = if poll.is_some() { Recalled::Unknown } else { self.recall(call).await };
        // Tries before the last one may have done something: then it may be done again, and is not as if it had never begun.
        if let Mode::Recover { again, .. } = self.mode
            && (recalled == Recalled::Untouched || (again || number <= 1) && self.is_not_begun(call, number).await)
        {
            return match (again, &self.item) {
                (true, _) => Recovery::Again,
                (false, None) => Recovery::Known(Told::Withdrawn),
                (false, Some(_)) => {
                    let failure = Failure::new(FailureKind::Failed, "it was not begun").untouched();
                    Recovery::Known(self.failed(failure).await)
                }
            };
        }
        let (kind, past, again) = match self.mode {
            Mode::Recheck | Mode::Incomplete | Mode::Fresh | Mode::Asked => (FailureKind::Failed, "it had failed", true),
            Mode::Recover { again, .. } => (FailureKind::Unknown, "it had begun, how it ended is not known", again),
        };
        // What leads back is known, however it ended.
        let result = self.known_result(recalled);
        let elsewhere = self.may_run_elsewhere(call, number).await;
        let why = match (self.job.direction, self.check().await) {
            (Direction::Forward, Answer::Done) | (Direction::Undo, Answer::NotDone) => {
                return Recovery::Known(already_done(result));
            }
            _ if !again => format!("{past}, and it will be undone"),
            // What is not done now may be done by what still runs.
            (Direction::Forward, Answer::NotDone) | (Direction::Undo, Answer::Done)
                if elsewhere.is_some() && !self.action.repeatable && poll.is_none() =>
            {
                let machine = elsewhere.unwrap_or_default();
                format!("{past}: it was begun on `{machine}`, where it may still run, and its check says that it is not through")
            }
            (Direction::Forward, Answer::NotDone) | (Direction::Undo, Answer::Done) => return Recovery::Again,
            // What only looks may look again.
            _ if poll.is_some() => return Recovery::Again,
            (_, Answer::NoCheck) if elsewhere.is_some() => {
                let machine = elsewhere.unwrap_or_default();
                format!("{past}: it was begun on `{machine}`, where it may still run, and it has no check")
            }
            _ if self.action.repeatable => return Recovery::Again,
            (_, Answer::NoCheck) => format!("{past}, and it has no check and is not repeatable"),
            (_, Answer::Unclear(why)) => format!("{past}, and its check could not tell: {why}"),
        };
        Recovery::Known(held(kind, why).giving(result))
    }

    /// What a host knows of the command of a try.
    ///
    /// # Errors
    /// It cannot be asked now, and the command may run.
    async fn look_for(&self, call: &Call, direction: Direction, number: u32) -> Result<Recovered, Failure> {
        let Ok(host) = self.machine(call, Purpose::Try(number)) else { return Ok(Recovered::Lost) };
        match host.recover(&attempt_folder(&self.home(), direction, number)).await {
            // Of what is no command nothing can run on; and what nobody can tell is asked for in other ways.
            Err(failure) if !self.is_one_command(call) || failure.kind == FailureKind::Unknown => Ok(Recovered::Lost),
            found => found,
        }
    }

    /// Waits until nothing runs any more of what was begun before: nothing begins beside an earlier try, and no undo beside its step. An
    /// earlier try may run where its host dropped and nobody saw its end; it counts, where it comes to a good one: who asked for another
    /// did not know of it. Answers how it ended, or why nothing may begin, where that is so.
    pub(super) async fn outlast(&self, number: u32) -> Option<Told> {
        let step = match (self.job.direction, self.mode, self.action.kind.call()) {
            (Direction::Undo, Mode::Incomplete, Some(call)) => match self.last_attempt_of(Direction::Forward) {
                Ok(last) => Some((call, Direction::Forward, last)),
                Err(failure) => return Some(self.out_of_sight(&failure)),
            },
            _ => None,
        };
        let Work { call: own, timeout, .. } = self.work;
        for (call, direction, number) in [Some((own, self.job.direction, number)), step].into_iter().flatten() {
            if number == 0 || !self.is_one_command(call) {
                continue;
            }
            loop {
                match self.look_for(call, direction, number).await {
                    Ok(Recovered::Running) if direction == self.job.direction => {
                        match self.attempt(call, timeout, Purpose::Try(number)).await {
                            Ok(value) => return Some(succeeded(value)),
                            Err(failure) if failure.kind == FailureKind::Unreachable => return Some(self.out_of_sight(&failure)),
                            Err(failure) if failure.kind == FailureKind::Cancelled => return Some(self.failed(failure).await),
                            Err(_) => break,
                        }
                    }
                    Ok(Recovered::Running) => {}
                    Ok(_) => break,
                    Err(failure) => return Some(self.out_of_sight(&failure)),
                }
                let Surroundings { control, clock, .. } = &*self.job.around;
                tokio::select! {
                    () = clock.sleep(LOOK_AGAIN) => {}
                    () = control.stopped() => return Some(Told::Withdrawn),
                }
            }
        }
        None
    }

    /// What its driver knows of an earlier call that nobody has seen the end of.
    pub(super) async fn recall(&self, call: &Call) -> Recalled {
        let Ok(last) = self.last_attempt() else { return Recalled::Unknown };
        let number = last.max(1);
        let recalled = match self.surrounded(call, None, Purpose::Try(number)) {
            Ok((driver, args, context)) => driver.recall(&args, &context).await.unwrap_or(Recalled::Unknown),
            Err(_) => Recalled::Unknown,
        };
        // The folders of another machine may not all be here.
        if recalled == Recalled::Untouched && self.job.around.elsewhere.is_some() { Recalled::Unknown } else { recalled }
    }

    /// What of a step's result is known without its end.
    pub(super) fn known_result(&self, recalled: Recalled) -> Value {
        match (recalled, self.job.direction) {
            (Recalled::Partly(result), Direction::Forward) => result,
            _ => Value::Null,
        }
    }

    /// Whether it may be begun where its outcome is to be found out.
    fn may_begin_again(&self) -> bool {
        matches!(self.mode, Mode::Recover { again: true, .. })
    }

    /// Whether the machine itself is away, and not something that was asked for on it.
    pub(super) async fn is_host_away(&self) -> bool {
        let Ok(host) = self.machine(self.work.call, Purpose::Try(0)) else { return false };
        let away = |failure: Failure| failure.kind == FailureKind::Unreachable;
        !host.is_local() && host.stat(std::path::Path::new("/"), false).await.err().is_some_and(away)
    }

    /// Whether it is certain that what was to be begun never was and never will be: the journal says that it begins, the command's
    /// folder that it has not.
    async fn is_not_begun(&self, call: &Call, number: u32) -> bool {
        if self.work.poll.is_some() || !self.folders_tell(call) {
            return false;
        }
        let Ok(host) = self.machine(call, Purpose::Try(number)) else { return false };
        host.forbid(&self.folder(number.max(1))).await.unwrap_or(false)
    }

    /// Whether none of so many tries before has begun anything.
    pub(super) async fn never_began(&self, call: &Call, tries: u32) -> bool {
        if tries == 0 {
            return true;
        }
        let Ok(host) = self.machine(call, Purpose::Try(tries)) else { return false };
        if !self.folders_tell(call) {
            return false;
        }
        for number in 1..=tries {
            if !matches!(host.recover(&self.folder(number)).await, Ok(Recovered::NotBegun)) {
                return false;
            }
        }
        true
    }

    /// Whether the folders of tries say all that was begun: it is one command each, and no other machine has had the run.
    fn folders_tell(&self, call: &Call) -> bool {
        self.job.around.elsewhere.is_none() && self.is_one_command(call)
    }

    pub(super) fn is_one_command(&self, call: &Call) -> bool {
        self.job.around.drivers.get(call.driver.as_str()).is_some_and(|driver| driver.is_one_command())
    }

    /// The other machine from which an action was begun that may still run: what is on "this machine" is out of reach from here, and
    /// so is what was begun on a host under a name that has not come here.
    async fn may_run_elsewhere(&self, call: &Call, number: u32) -> Option<String> {
        let elsewhere = self.job.around.elsewhere.clone().filter(|_| matches!(self.mode, Mode::Recover { .. }))?;
        let host = self.machine(call, Purpose::Try(0)).ok()?;
        if host.is_local() {
            return Some(elsewhere);
        }
        let found = self.look_for(call, self.job.direction, number.max(1)).await;
        (!self.action.repeatable && found.is_ok_and(|found| found == Recovered::NotBegun)).then_some(elsewhere)
    }

    pub(super) async fn check(&self) -> Answer {
        let Some(check) = self.action.check.as_ref().filter(|_| self.can_ask()) else { return Answer::NoCheck };
        match (self.attempt(&check.call, self.action.timeout, Purpose::Check).await, &check.done) {
            (Ok(_), None) => Answer::Done,
            (Err(failure), None) if failure.kind == FailureKind::Failed => Answer::NotDone,
            (Err(failure), _) => Answer::Unclear(self.job.redact.apply(&failure.message).into_owned()),
            (Ok(result), Some(done)) => {
                match self.eval_for(Purpose::Check, done, Some(("result", result))).map(|value| value.unmark().0.as_bool()) {
                    Ok(Some(true)) => Answer::Done,
                    Ok(Some(false)) => Answer::NotDone,
                    Ok(None) => Answer::Unclear("`done` is neither true nor false".to_owned()),
                    Err(problems) => Answer::Unclear(self.sentence(&problems)),
                }
            }
        }
    }

    /// Whether the check can be made here: that of a fanned-out action asks for one of its items.
    fn can_ask(&self) -> bool {
        match (&self.item, self.job.direction) {
            (Some(item), Direction::Undo) => item.asks.is_some() || self.action.fan_out.is_none(),
            (Some(_), Direction::Forward) => true,
            (None, _) => self.action.fan_out.is_none(),
        }
    }
}
