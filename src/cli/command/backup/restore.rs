//! `windlass backup restore`: puts a backup, or a matched set of them, back by the provider's route.

use super::account;
use crate::cli::args::{BackupRestoreArgs, ScopeArgs};
use crate::cli::command::apply::{approve, check_unfinished, execute, show_plan};
use crate::cli::command::plan::is_blocked;
use crate::cli::exit::Exit;
use crate::cli::hold::{Hold, new_run};
use crate::cli::planning::How;
use crate::cli::running::{environments_of, patience};
use crate::cli::session::Session;
use crate::lock::BackupRef;
use crate::model::backup::MANAGED;
use crate::model::name::{HostName, InstanceAddr};
use crate::plan::{Purpose, Restored};
use crate::source::{Diagnostic, Diagnostics, Fault, nearest};
use crate::view::{Kept, Previews, Whereabouts};

/// Runs the command.
pub(super) async fn run(args: &BackupRestoreArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let addr = one(session, &args.instance)?;
    let from = args.from.as_deref().map_or_else(|| Ok(addr.clone()), |from| one(session, from))?;
    let host = args.host.as_deref().map(|name| known_host(session, name)).transpose()?;
    let environments: Vec<_> = session.estate.environments.keys().cloned().collect();
    let locks = session.locks(&environments).await?;
    let all = account::of(session, &locks, &from).await;
    let picked = pick(args, &from, &all)?;
    let version = account::locked(&locks, &addr).map(|(_, locked)| locked.version.clone());
    let elsewhere = from != addr
        || args.to.is_some()
        || host.is_some()
        || picked.iter().any(|backup| version.as_ref().is_some_and(|version| *version != backup.version));
    let restored = Restored { backups: picked, to: args.to.clone(), host, elsewhere };
    let scope = ScopeArgs { environments: Vec::new(), targets: vec![addr.to_string()] };
    let planned = session.plan_for(Purpose::Restore(Box::new(restored)), &scope, How { refresh: true, upgrade: false }).await?;
    show_plan(&session.place.terminal, (&planned.plan, &planned.report, &Previews::default()), args.run.format);
    if is_blocked(&planned.report) || planned.plan.changes.is_empty() {
        return Err(Diagnostic::error("restore is blocked")
            .fault(Fault::Refused)
            .detail(format!("{addr} cannot be restored so, and nothing was done"))
            .help("see to the reasons above")
            .into());
    }
    check_unfinished(&planned.plan, session, false).await?;
    if !args.run.auto_approve {
        approve(session)?;
    }
    let run = new_run(session.place.now);
    let changed = environments_of(&planned.plan);
    let hold = Hold::take(session, &changed, "backup restore", Some(&run), patience(&args.run)?).await?;
    let exit = match check_unfinished(&planned.plan, session, true).await {
        Ok(()) => execute(session, planned.plan, &run, &hold, &changed, &args.run).await,
        Err(problems) => Err(problems),
    };
    hold.give_back(session).await;
    exit
}

fn one(session: &Session, asked: &str) -> Result<InstanceAddr, Diagnostics> {
    let known = || session.estate.instances.keys();
    known().find(|addr| addr.as_str() == asked).cloned().ok_or_else(|| {
        let unknown = Diagnostic::error("unknown instance").detail(format!("no instance `{asked}` is declared"));
        let near = nearest(asked, known().map(InstanceAddr::as_str));
        let help =
            near.map_or_else(|| "`windlass status` lists the instances".to_owned(), |near| format!("did you mean `{near}`?"));
        unknown.help(help).into()
    })
}

fn known_host(session: &Session, name: &str) -> Result<HostName, Diagnostics> {
    let host = HostName::new(name);
    if session.estate.hosts.contains_key(&host) {
        return Ok(host);
    }
    Err(Diagnostic::error("unknown host")
        .detail(format!("the configuration declares no host `{name}`"))
        .help("declare it, or restore on the instance's own host")
        .into())
}

/// The backup that is named, or the newest that is good; with all other parts of its set.
fn pick(args: &BackupRestoreArgs, from: &InstanceAddr, all: &[Kept]) -> Result<Vec<BackupRef>, Diagnostics> {
    let refuse =
        |detail: String, help: &str| Diagnostics::from(Diagnostic::error("backup cannot be restored").detail(detail).help(help));
    let list = "`windlass backup list` tells which there are";
    let usable = |kept: &&Kept| kept.whereabouts != Whereabouts::Missing && kept.backup.method != MANAGED;
    let named = |kept: &&Kept| args.id.as_ref().is_none_or(|id| kept.backup.id == *id);
    let in_set = |kept: &&Kept| args.set.as_ref().is_none_or(|name| kept.backup.set.as_ref().is_some_and(|set| set.name == *name));
    let explicit = args.id.is_some() || args.set.is_some();
    let complete = |kept: &&Kept| {
        explicit || (kept.backup.is_good() && set_of(all, kept).is_ok_and(|set| set.iter().all(|part| part.is_good())))
    };
    let found = all.iter().rev().filter(usable).filter(named).filter(in_set).find(complete);
    let Some(found) = found else {
        if let Some(id) = &args.id {
            return Err(refuse(format!("{from} has no backup `{id}` that is there"), list));
        }
        if let Some(managed) = all.iter().find(|kept| kept.backup.method == MANAGED) {
            let detail = format!("the backups of {from} are made by others: {}", managed.backup.location);
            return Err(refuse(detail, "restore it by the means of whoever makes them"));
        }
        return Err(refuse(format!("{from} has no verified and consistent backup"), list));
    };
    let set = set_of(all, found).map_err(|why| refuse(why, "restore another set, or name one that is complete with `--set`"))?;
    if let Some(bad) = set.iter().find(|backup| !backup.is_good() && !args.doubtful) {
        let what = if bad.consistent { "was never verified" } else { "is possibly inconsistent" };
        return Err(refuse(
            format!("the backup {} {what}", bad.id),
            "verify it with `windlass backup verify`, or give `--doubtful` where there is no better one",
        ));
    }
    Ok(set)
}

/// All parts of the set that a backup is of; a failure where one is missing.
fn set_of(all: &[Kept], kept: &Kept) -> Result<Vec<BackupRef>, String> {
    let Some(set) = &kept.backup.set else { return Ok(vec![kept.backup.clone()]) };
    let is_there = |other: &&Kept| other.whereabouts != Whereabouts::Missing;
    let parts = all.iter().filter(is_there).filter(|other| other.backup.set.as_ref().is_some_and(|own| own.name == set.name));
    let parts: Vec<BackupRef> = parts.map(|other| other.backup.clone()).collect();
    let here = |name: &String| parts.iter().any(|backup| backup.set.as_ref().is_some_and(|set| set.part == *name));
    let missing: Vec<&str> = set.parts.iter().filter(|name| !here(name)).map(String::as_str).collect();
    if missing.is_empty() {
        Ok(parts)
    } else {
        Err(format!("the set {} is not complete: {} is missing", set.name, missing.join(", ")))
    }
}
