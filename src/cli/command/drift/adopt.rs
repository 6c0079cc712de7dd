//! `windlass drift adopt`: what is there becomes what is recorded. Nothing that is deployed is touched.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cli::args::{DriftAdoptArgs, ScopeArgs};
use crate::cli::command::run::is_unfinished;
use crate::cli::command::state;
use crate::cli::exit::Exit;
use crate::cli::hold::{new_run, who};
use crate::cli::problem::state_problem;
use crate::cli::session::Session;
use crate::lock::Locked;
use crate::model::inventory::Observation;
use crate::model::name::{Digest, EnvironmentName, InstanceAddr};
use crate::plan::{DriftClass, InstanceState, Sight, compare};
use crate::source::{Diagnostic, Diagnostics, Fault, nearest};
use crate::state::{Move, Outcome, RunRecord};

/// Runs the command.
pub(super) async fn run(args: &DriftAdoptArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    if args.reason.trim().is_empty() {
        let problem = Diagnostic::error("reason is missing").detail("`--reason` is empty");
        return Err(problem.help("say in a few words why what is there is right; the history keeps it").into());
    }
    let locks = session.locks(&session.environments(&ScopeArgs::default())?).await?;
    session.add_recorded_providers(&locks)?;
    let addr = known(session, &locks, &args.address)?;
    let seen = session.seen_of(&locks, &|other| *other == addr).await;
    let states = compare(&session.estate, &locks, &seen, &session.providers);
    let Some(state) = states.into_iter().find(|state| state.instance == addr) else { return Ok(Exit::Error) };
    let there = match &state.observed {
        Sight::Version(there) => Arc::clone(there),
        Sight::Nothing | Sight::NotLooked => {
            return Err(refused(&addr, "nothing is there that could be recorded".to_owned())
                .help(format!("`windlass drift plan` installs it again; `windlass state rm {addr}` forgets it"))
                .into());
        }
        Sight::Unseen(why) => {
            return Err(refused(&addr, format!("its version could not be seen: {why}"))
                .help("adopt it when it can be looked at")
                .into());
        }
    };
    check_unmoved(session, &addr).await?;
    let recorded = locks.get(&state.environment).and_then(|lock| lock.instances.get(&addr)).cloned();
    let exit = match &recorded {
        None => state::import(session, addr.as_str()).await?,
        Some(_) if !is_adoptable(&state) => {
            session.place.terminal.say(&format!("{addr} is as it is recorded: nothing was written."));
            return Ok(Exit::Done);
        }
        Some(recorded) => {
            let adopted = adopted(session, recorded, &there, seen.instances.get(&addr));
            record(session, &state.environment, &addr, recorded, adopted).await?;
            for drift in &state.drift {
                session.place.terminal.say(&format!("    {}: {}", drift.class.word(), drift.message));
            }
            session.place.terminal.say(&format!("{addr} is recorded as it is there ({there}); what is deployed was not touched."));
            Exit::Done
        }
    };
    let entry = entry(session, &state, there, &args.reason);
    let Err(error) = session.store.put_run(&entry).await else { return Ok(exit) };
    // The history keeps the reason of each adoption: without it there is none, so that the next try makes it whole.
    let back = state::change(session, &state.environment, "drift adopt", |lock| {
        match recorded {
            Some(recorded) => lock.instances.insert(addr.clone(), recorded),
            None => lock.instances.remove(&addr),
        };
    });
    let mut problems = Diagnostics::from(state_problem(&error));
    match back.await {
        Ok(()) => {
            session.place.terminal.say(&format!("{addr} is recorded as it was before: the history could not take the reason."))
        }
        Err(more) => problems.extend(more),
    }
    Err(problems)
}

/// What a run has left half way is its own to end: its record would not fit to another that was written under it.
async fn check_unmoved(session: &Session, addr: &InstanceAddr) -> Result<(), Diagnostics> {
    let runs = session.store.runs(1000).await.map_err(|error| state_problem(&error))?;
    let moves = |record: &&RunRecord| is_unfinished(record) && record.moves.iter().any(|moved| moved.instance == *addr);
    let Some(record) = runs.iter().find(moves) else { return Ok(()) };
    Err(refused(addr, format!("run {} moves it and has not come to its end", record.id))
        .help("end the run first: `windlass resume`, `windlass rollback` or `windlass abandon`")
        .into())
}

/// The address, if any configuration or lockfile knows it.
fn known(
    session: &Session,
    locks: &BTreeMap<EnvironmentName, crate::lock::Lock>,
    address: &str,
) -> Result<InstanceAddr, Diagnostic> {
    let all = || session.estate.instances.keys().chain(locks.values().flat_map(|lock| lock.instances.keys()));
    if let Some(addr) = all().find(|addr| addr.as_str() == address) {
        return Ok(addr.clone());
    }
    let unknown = Diagnostic::error("unknown instance").detail(format!("`{address}` is neither declared nor recorded"));
    Err(match nearest(address, all().map(InstanceAddr::as_str)) {
        Some(near) => unknown.help(format!("did you mean `{near}`?")),
        None => unknown.help("`windlass status` lists the instances"),
    })
}

/// What is written of an instance can only change by its version and its facts.
fn is_adoptable(state: &InstanceState) -> bool {
    state.drift.iter().any(|drift| matches!(drift.class, DriftClass::Version | DriftClass::Configuration))
}

/// The entry as it is to be.
fn adopted(session: &Session, recorded: &Locked, there: &Arc<str>, seen: Option<&Observation>) -> Locked {
    let mut facts = session.drift_facts(&recorded.provider, seen);
    // What could not be seen stays what it was.
    for (name, value) in &recorded.observed {
        if seen.is_some_and(|seen| seen.unseen(name).is_some()) {
            facts.insert(Arc::clone(name), value.clone());
        }
    }
    let mut entry = Locked { observed: facts, ..recorded.clone() };
    if *there != recorded.version {
        // The hops lead to a version that is not there any more: undoing them would undo something else.
        entry.version = Arc::clone(there);
        entry.hops.clear();
    }
    entry
}

/// Writes the entry in place of the one that was compared with, and of no other.
async fn record(
    session: &Session,
    environment: &EnvironmentName,
    addr: &InstanceAddr,
    before: &Locked,
    entry: Locked,
) -> Result<(), Diagnostics> {
    let mut moved = false;
    state::change(session, environment, "drift adopt", |lock| {
        match lock.instances.get_mut(addr) {
            Some(locked) if locked == before => *locked = entry,
            _ => moved = true,
        };
    })
    .await?;
    if moved {
        let problem = refused(addr, "its record was changed by another while it was looked at".to_owned());
        return Err(problem.help("look again with `windlass drift`").into());
    }
    Ok(())
}

fn entry(session: &Session, state: &InstanceState, there: Arc<str>, reason: &str) -> RunRecord {
    let now = session.place.now;
    RunRecord {
        id: new_run(now),
        operation: "drift adopt".to_owned(),
        who: who(),
        began: now,
        ended: Some(now),
        outcome: Outcome::Succeeded,
        message: Some(reason.to_owned()),
        moves: vec![Move {
            instance: state.instance.clone(),
            environment: state.environment.clone(),
            from: state.recorded.clone(),
            to: Some(there),
            outcome: Outcome::Succeeded,
        }],
        // There was no plan: the digest of nothing.
        plan: Digest::of(b""),
        brackets: Vec::new(),
        downtime_seconds: 0,
        durations: BTreeMap::new(),
        token: 0,
    }
}

fn refused(addr: &InstanceAddr, why: String) -> Diagnostic {
    Diagnostic::error("nothing was adopted")
        .fault(Fault::Refused)
        .detail(format!("{addr}: {why}"))
        .help("`windlass drift` shows what is there; nothing was recorded")
}
