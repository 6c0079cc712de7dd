//! Whether a plan may be applied now: its gates and the policies, asked again at the time of applying; and waiting until it may.
#![expect(clippy::disallowed_methods, reason = "a door to the clock and to randomness")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::signal::unix::{SignalKind, signal};

use super::approvals::user;
use super::session::{Session, VERSION};
use crate::model::duration::parse_duration;
use crate::model::name::EnvironmentName;
use crate::plan::{Gate, GateKind, Plan, PlanInput, PlanOptions, Report, Ruling, gates_of, substance};
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::view::{alike, named, rulings_text, unsaid_opening};

/// The longest time between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After an opening that many wait for, not all begin at once.
const LONGEST_JITTER: Duration = Duration::from_secs(15);

/// What a plan's way back to its saved file is, and how long to wait.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asking<'a> {
    /// The file of a saved plan.
    pub(super) file: Option<&'a Path>,
    /// Whether it was asked before, and what does not stop it was said then.
    pub(super) again: bool,
    /// Whether to wait, and how long at most.
    pub(super) wait: Option<Option<Duration>>,
}

/// Reads `--wait[=DURATION]`.
pub(super) fn waiting(text: Option<&str>) -> Result<Option<Option<Duration>>, Diagnostics> {
    match text {
        None => Ok(None),
        Some("") => Ok(Some(None)),
        Some(text) => parse_duration(text).map(|longest| Some(Some(longest))).map_err(|why| {
            Diagnostic::error("duration cannot be read")
                .detail(format!("`--wait={text}`: {why}"))
                .help("write it like `--wait=90m`, or `--wait` to wait as long as it takes")
                .into()
        }),
    }
}

impl Session {
    /// Lets pass, or says everything that speaks against it. True where something was waited for.
    pub(super) async fn permit(&mut self, plan: &Plan, report: &Report, asking: Asking<'_>) -> Result<bool, Diagnostics> {
        let begun = Timestamp::now();
        let deadline = asking.wait.flatten().map(|longest| later(begun, longest));
        let (mut waited, mut said, mut pause) = (false, Vec::new(), Duration::from_secs(1));
        loop {
            let now = Timestamp::now();
            let gates = self.gates_now(plan, asking.file, now).await?;
            let closed: Vec<&Gate> = gates.iter().filter(|gate| !gate.open).collect();
            let may_wait = asking.wait.is_some() && !closed.is_empty() && closed.iter().all(|gate| opens_by_itself(gate));
            if !may_wait || deadline.is_some_and(|deadline| now >= deadline) {
                let mut problems = closed_gates(&closed);
                let fresh = Plan { gates: gates.clone(), ..plan.clone() };
                let rulings = self.rulings(&fresh, report, "apply", now).await?;
                let quiet: Vec<Ruling> = rulings.iter().filter(|ruling| !ruling.denies()).cloned().collect();
                problems.extend(denials(&rulings));
                if problems.has_errors() {
                    return Err(problems);
                }
                // What does not stop it is seen by whoever applies a saved plan, once.
                if asking.file.is_some() && !asking.again && !quiet.is_empty() {
                    self.place.terminal.say(rulings_text(&quiet, self.place.terminal.err).trim_end());
                }
                if waited {
                    self.place.now = now;
                }
                return Ok(waited);
            }
            let waits: Vec<String> = closed.iter().map(|gate| gate.message.clone()).collect();
            if waits != said {
                self.place.terminal.say(&told(&closed, now));
                // A policy may deny it for good: who waits should know.
                let fresh = Plan { gates: gates.clone(), ..plan.clone() };
                let mut denials = self.rulings(&fresh, report, "apply", now).await?;
                denials.retain(Ruling::denies);
                if !denials.is_empty() {
                    self.place.terminal.say("After that it would still be refused, as things are now:");
                    self.place.terminal.say(rulings_text(&denials, self.place.terminal.err).trim_end());
                }
                said = waits;
                pause = Duration::from_secs(1);
            }
            waited = true;
            let next = closed.iter().filter_map(|gate| gate.opens).filter(|opens| *opens > now).min();
            let until = [next, deadline].into_iter().flatten().min();
            let most = until.map_or(pause, |until| pause.min(between(now, until)));
            let jitter = if next.is_some_and(|next| later(now, most) >= next) { jitter() } else { Duration::ZERO };
            sleep(most + jitter).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The gates of a plan as they are at `now`.
    pub(super) async fn gates_now(&self, plan: &Plan, file: Option<&Path>, now: Timestamp) -> Result<Vec<Gate>, Diagnostics> {
        let all: Vec<EnvironmentName> = self.estate.environments.keys().cloned().collect();
        let locks = self.locks(&all).await?;
        let asked = plan.bases.keys().any(|name| self.estate.environments.get(name).is_some_and(|of| of.approval.is_some()));
        let approvals = if asked { self.approvals(&substance(&plan.changes, &plan.actions), file).await? } else { Vec::new() };
        let options = PlanOptions { tool_version: VERSION.to_owned(), user: user(), approvals, ..PlanOptions::default() };
        let input = PlanInput {
            estate: &self.estate,
            providers: &self.providers,
            applied_providers: &BTreeMap::new(),
            inventory: &plan.inventory,
            locks: &locks,
            durations: &BTreeMap::new(),
            now,
            options: &options,
        };
        Ok(gates_of(&input, plan))
    }
}

/// Whether a gate may open while nothing is written into the configuration.
fn opens_by_itself(gate: &Gate) -> bool {
    match gate.kind {
        GateKind::Window => gate.opens.is_some(),
        GateKind::Promotion | GateKind::Soak | GateKind::Approval => true,
        GateKind::Risk | GateKind::Acknowledgement => false,
    }
}

/// A closed gate refuses the whole plan.
fn closed_gates(closed: &[&Gate]) -> Diagnostics {
    alike(closed.iter().copied())
        .into_iter()
        .map(|(gate, about)| {
            let whose = if about.is_empty() { String::new() } else { format!(" for {}", named(&about, str::to_owned)) };
            let opens = unsaid_opening(&gate.message, gate.opens).map(|opens| format!("; it opens at {opens}")).unwrap_or_default();
            Diagnostic::error("gate is closed")
                .fault(Fault::Refused)
                .detail(format!("{}{whose}: {}{opens}", gate.environment, gate.message))
                .help(match (&gate.paste, gate.kind) {
                    (Some(paste), _) => format!("read it and see to what it asks for; then write into the configuration:\n{paste}"),
                    (None, GateKind::Approval) => {
                        "let others say `windlass approve PLAN --reason …`, or wait for them with `--wait`".to_owned()
                    }
                    (None, GateKind::Risk) => "declare a waiver with a reason, an owner and an end, and make a new plan".to_owned(),
                    (None, kind) => {
                        format!("wait for it (`--wait`), or declare a waiver \"{}\" with a reason and an end", kind.as_str())
                    }
                })
        })
        .collect()
}

/// What policies deny.
fn denials(rulings: &[Ruling]) -> Diagnostics {
    let denying = rulings.iter().filter(|ruling| ruling.denies());
    denying
        .map(|ruling| {
            let whose = ruling.instance.as_ref().map(|instance| format!(" for {instance}")).unwrap_or_default();
            let help = ruling.help.as_ref().map(|help| format!("{help}; or ")).unwrap_or_default();
            Diagnostic::error("policy denies it")
                .fault(Fault::Refused)
                .detail(format!("{}{whose}: {}", ruling.id, ruling.message))
                .help(format!("{help}declare a waiver \"{}\" with a reason, an owner and an end", ruling.id))
        })
        .collect()
}

/// What is waited for, and how long that will take where it is known.
fn told(closed: &[&Gate], now: Timestamp) -> String {
    let mut text = "Waiting (Ctrl-C ends it):".to_owned();
    for (gate, about) in alike(closed.iter().copied()) {
        let whose = if about.is_empty() { String::new() } else { format!("{}: ", named(&about, str::to_owned)) };
        let left = gate.opens.filter(|opens| *opens > now).map(|opens| {
            let minutes = between(now, opens).as_secs().div_ceil(60);
            format!(", in {} h {} min", minutes / 60, minutes % 60)
        });
        text.push_str(&format!("\n  {whose}{}{}", gate.message, left.unwrap_or_default()));
    }
    text
}

async fn sleep(time: Duration) -> Result<(), Diagnostics> {
    let stopped = || {
        Diagnostics::from(
            Diagnostic::error("waiting was ended")
                .fault(Fault::Refused)
                .detail("nothing was applied")
                .help("run the command again"),
        )
    };
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        tokio::time::sleep(time).await;
        return Ok(());
    };
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(()),
        _ = interrupt.recv() => Err(stopped()),
        _ = terminate.recv() => Err(stopped()),
    }
}

fn jitter() -> Duration {
    let random = uuid::Uuid::new_v4().as_u128() % LONGEST_JITTER.as_millis().max(1);
    Duration::from_millis(u64::try_from(random).unwrap_or_default())
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| time.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
