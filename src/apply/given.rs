//! Whether what a run is given fits together, before anything begins.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::by_name;
use super::journal::Word;
use super::progress::{ActionState, Progress, Step};
use super::run::{ResumeOptions, RunArgs};
use crate::lock::{Lock, Locked};
use crate::model::name::{EnvironmentName, RunId};
use crate::plan::{Change, Plan};
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::state::Outcome;

/// The lockfile and the lease of every environment must be there.
pub(super) fn check_held(plan: &Plan, args: &RunArgs) -> Result<(), Diagnostics> {
    let environments: BTreeSet<_> = plan.changes.iter().map(|change| &change.environment).collect();
    let missing = environments.into_iter().filter(|name| !args.locks.contains_key(*name) || !args.leases.contains_key(*name));
    all(missing.map(|environment| {
        let detail = format!("environment `{environment}` of the plan is not held");
        Diagnostic::error("an environment is missing").fault(Fault::Bug).detail(detail)
    }))
}

/// Apply runs that plan or nothing: the state that it was made from must be the state that is there.
pub(super) fn check_base(plan: &Plan, args: &RunArgs) -> Result<(), Diagnostics> {
    let stale = plan.bases.iter().filter_map(|(environment, base)| {
        let lock = args.locks.get(environment)?;
        let what = if lock.serial != base.serial {
            format!("the lockfile of environment `{environment}` has moved: serial {}, planned for {}", lock.serial, base.serial)
        } else if lock.lineage != base.lineage && lock.serial != 0 {
            format!(
                "the lockfile of environment `{environment}` is another one: lineage {}, planned for {}",
                lock.lineage, base.lineage
            )
        } else {
            return None;
        };
        Some(Diagnostic::error("the plan is stale").fault(Fault::Refused).detail(what).help("make the plan again"))
    });
    all(stale)
}

/// A resumed run may find what it recorded itself in the lockfile, or what was there before it, and nothing else: an entry that
/// another run has written since would be lost.
pub(super) fn check_moved(plan: &Plan, base: &BTreeMap<EnvironmentName, Lock>, args: &RunArgs) -> Result<(), Diagnostics> {
    let moved = plan.changes.iter().filter_map(|change| {
        let (old, now) = (base.get(&change.environment)?, args.locks.get(&change.environment)?);
        let (before, entry) = (old.instances.get(&change.instance), now.instances.get(&change.instance));
        if is_ours(change, before, entry, &args.run) {
            return None;
        }
        let what = match entry {
            None => "is not recorded any more".to_owned(),
            Some(entry) => match entry.hops.last() {
                Some(hop) => format!("has version {} by run {}", entry.version, hop.run),
                None => format!("has version {}", entry.version),
            },
        };
        let detail = format!("`{}` {what}, which is neither what was there before this run nor what it recorded", change.instance);
        let problem = Diagnostic::error("the state has moved").fault(Fault::Refused).detail(detail);
        Some(
            problem.help("somebody has changed it since: `windlass abandon --as failed --reason …` ends this run, then plan again"),
        )
    });
    all(moved)
}

/// Whether an entry is the one from before the run, or one that the run has come to.
fn is_ours(change: &Change, before: Option<&Locked>, entry: Option<&Locked>, run: &RunId) -> bool {
    let Some(entry) = entry else { return before.is_none() || change.to.is_none() };
    if entry.hops.last().is_some_and(|hop| hop.run == *run && hop.to == entry.version) {
        return true;
    }
    let Some(before) = before else { return change.hops.is_empty() && change.to.as_ref() == Some(&entry.version) };
    // Backups that the run has made are listed before its hop is.
    let without_ours = |locked: &Locked| Locked {
        backups: locked.backups.iter().filter(|backup| backup.run != *run).cloned().collect(),
        ..locked.clone()
    };
    let goes_back = change.hops.iter().any(|hop| hop.reverts.is_some());
    without_ours(entry) == *before
        || (goes_back && entry.hops.len() < before.hops.len() && before.hops.starts_with(&entry.hops))
        || (change.hops.is_empty() && change.to.as_ref() == Some(&entry.version))
}

/// A run that a person has ended stays ended.
pub(super) fn check_open(run: &RunId, progress: &Progress) -> Result<(), Diagnostic> {
    match progress.ended {
        Some(Outcome::Abandoned) => Err(Diagnostic::error("the run was abandoned")
            .fault(Fault::Refused)
            .detail(format!("run {run} was ended by a person's word"))
            .help("plan and apply again: what it recorded is in the lockfile")),
        _ => Ok(()),
    }
}

/// A person's words, by action.
pub(super) fn words(plan: &Plan, progress: &Progress, options: ResumeOptions) -> Result<Vec<(u32, Word)>, Diagnostics> {
    let index = by_name(plan);
    let mut problems = Diagnostics::new();
    let mut words = BTreeMap::new();
    let ResumeOptions { retry, skip } = options;
    let said = retry.into_iter().map(|action| (action, Word::Retry)).chain(skip.into_iter().map(|action| (action, Word::Skip)));
    for (action, word) in said {
        let Some(number) = index.get(&action).copied() else {
            problems.push(Diagnostic::error("unknown action").detail(format!("the run has no action `{action}`")));
            continue;
        };
        let state = progress.state(number);
        if state.after(Step::Decide(word)).is_none() {
            let detail = format!("`{action}` is {state}; only what has failed or is held can be tried again or skipped");
            problems.push(Diagnostic::error("there is nothing to decide").detail(detail));
        } else if words.insert(number, word).is_some_and(|before| before != word) {
            problems.push(
                Diagnostic::error("contradiction")
                    .detail(format!("`{action}` is to be tried again and to be skipped"))
                    .help("give either `--retry` or `--skip` for it"),
            );
        }
    }
    if problems.has_errors() { Err(problems) } else { Ok(words.into_iter().collect()) }
}

/// A person's word that everything was done, for every action that has not ended well by itself.
pub(super) fn all_done(plan: &Plan, progress: &Progress) -> Result<Vec<(u32, Word)>, Diagnostics> {
    let mut words = Vec::new();
    let mut problems = Diagnostics::new();
    for (number, action) in (0u32..).zip(&plan.actions) {
        let state = progress.state(number);
        if state == ActionState::Succeeded {
            continue;
        }
        if state.after(Step::Decide(Word::Done)).is_some() {
            words.push((number, Word::Done));
        } else {
            let detail = format!("`{}` is {state}: the run has begun to go back", action.id);
            let help = "finish going back with `windlass rollback`, or abandon it with `--as failed`";
            problems.push(Diagnostic::error("a run that was undone cannot be taken as done").detail(detail).help(help));
        }
    }
    if problems.has_errors() { Err(problems) } else { Ok(words) }
}

fn all(problems: impl Iterator<Item = Diagnostic>) -> Result<(), Diagnostics> {
    let problems: Diagnostics = problems.collect();
    if problems.has_errors() { Err(problems) } else { Ok(()) }
}
