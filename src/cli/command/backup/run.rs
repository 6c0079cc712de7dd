//! `windlass backup run`: backs instances up by the routes of their providers, then prunes what is too old.

use std::sync::Arc;

use super::account;
use crate::cli::args::{BackupRunArgs, ScopeArgs};
use crate::cli::command::apply::{check_unfinished, execute};
use crate::cli::command::plan::is_blocked;
use crate::cli::command::state::change;
use crate::cli::exit::Exit;
use crate::cli::hold::{Hold, new_run};
use crate::cli::planning::How;
use crate::cli::running::{environments_of, patience};
use crate::cli::session::Session;
use crate::lock::BackupRef;
use crate::model::backup::{BackupPolicy, MANAGED};
use crate::model::name::InstanceAddr;
use crate::model::provider::Movement;
use crate::plan::Purpose;
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::view::{Previews, plan_text};

/// Runs the command.
pub(super) async fn run(args: &BackupRunArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let scope = ScopeArgs { environments: args.environments.clone(), targets: Vec::new() };
    let environments = session.environments(&scope)?;
    let locks = session.locks(&environments).await?;
    let chosen = account::chosen(session, &locks, &args.instances)?;
    let (managed, own) = sort_out(session, &chosen, !args.instances.is_empty())?;
    for addr in &managed {
        hand_over(session, addr).await?;
    }
    if own.is_empty() {
        if managed.is_empty() {
            session.place.terminal.say("No instance is to be backed up: none has a `backup` block and a provider that knows how.");
        }
        return Ok(Exit::Done);
    }
    let exit = back_up(args, session, &own, &environments).await?;
    if exit != Exit::Done {
        // What is old may be the last that is good: it stays.
        return Ok(exit);
    }
    prune(session, &own).await?;
    Ok(exit)
}

/// Which are made by somebody else, and which by us. Those that are named must be one or the other.
fn sort_out(
    session: &Session,
    chosen: &[InstanceAddr],
    named: bool,
) -> Result<(Vec<InstanceAddr>, Vec<InstanceAddr>), Diagnostics> {
    let (mut managed, mut own) = (Vec::new(), Vec::new());
    let mut problems = Diagnostics::new();
    for addr in chosen {
        let Some(instance) = session.estate.instances.get(addr) else { continue };
        let knows_how = session
            .providers
            .get(&instance.provider)
            .is_some_and(|provider| provider.routes.iter().any(|route| route.movement == Movement::Backup));
        if BackupPolicy::read(&instance.backup).0.is_managed() {
            managed.push(addr.clone());
        } else if knows_how && (named || !instance.backup.is_null()) {
            own.push(addr.clone());
        } else if named {
            problems.push(
                Diagnostic::error("instance cannot be backed up")
                    .fault(Fault::Refused)
                    .detail(format!("the provider `{}` of {addr} has no route with `movement = \"backup\"`", instance.provider))
                    .help(
                        "add one to the provider, or say `method = \"managed\"` in `backup` where somebody else makes the backups",
                    ),
            );
        }
    }
    if problems.is_empty() { Ok((managed, own)) } else { Err(problems) }
}

/// Records that somebody else keeps the backups of an instance.
async fn hand_over(session: &Session, addr: &InstanceAddr) -> Result<(), Diagnostics> {
    let policy = account::policy(session, addr);
    let reference = policy.reference.unwrap_or_default();
    let Some(instance) = session.estate.instances.get(addr) else { return Ok(()) };
    let now = session.place.now;
    let mut known = false;
    change(session, &instance.environment, "backup run", |lock| {
        let Some(locked) = lock.instances.get_mut(addr) else { return };
        known = true;
        locked.backups.retain(|backup| backup.method != MANAGED);
        locked.backups.push(BackupRef {
            id: MANAGED.to_owned(),
            location: reference.clone(),
            method: MANAGED.to_owned(),
            version: Arc::clone(&locked.version),
            at: now,
            run: account::no_run(),
            size: None,
            // Nobody here has read it back.
            verified: false,
            path: None,
            consistent: true,
            set: None,
            excluded: Vec::new(),
        });
    })
    .await?;
    let words = if known { "handed over" } else { "not recorded, because the instance is in no lockfile" };
    session.place.terminal.say(&format!("{addr}: its backups are made by others ({reference}): {words}."));
    Ok(())
}

async fn back_up(
    args: &BackupRunArgs,
    session: &mut Session,
    own: &[InstanceAddr],
    environments: &[crate::model::name::EnvironmentName],
) -> Result<Exit, Diagnostics> {
    let scope = ScopeArgs {
        environments: environments.iter().map(ToString::to_string).collect(),
        targets: own.iter().map(ToString::to_string).collect(),
    };
    let planned = session.plan_for(Purpose::Backup, &scope, How { refresh: true, upgrade: false }).await?;
    let terminal = session.place.terminal;
    let blocked = is_blocked(&planned.report);
    if blocked || args.show || session.place.verbose > 0 {
        terminal.say(&plan_text(&planned.plan, &planned.report, &Previews::default(), terminal.err));
    }
    if blocked {
        return Err(Diagnostic::error("backup is blocked")
            .fault(Fault::Refused)
            .detail("some instances cannot be backed up, and nothing was done")
            .help("see to the reasons above, or name the others")
            .into());
    }
    let run = new_run(session.place.now);
    let changed = environments_of(&planned.plan);
    check_unfinished(&planned.plan, session, false).await?;
    let hold = Hold::take(session, &changed, "backup run", Some(&run), patience(&args.run)?).await?;
    let exit = match check_unfinished(&planned.plan, session, true).await {
        Ok(()) => execute(session, planned.plan, &run, &hold, &changed, &args.run).await,
        Err(problems) => Err(problems),
    };
    hold.give_back(session).await;
    exit
}

/// Prunes by the declared rules, now that a new backup is there. Where that is not verified, nothing goes.
async fn prune(session: &Session, own: &[InstanceAddr]) -> Result<(), Diagnostics> {
    let environments: Vec<_> = session.estate.environments.keys().cloned().collect();
    let locks = session.locks(&environments).await?;
    let mut problems = Diagnostics::new();
    for addr in own {
        let rules = account::policy(session, addr).keep;
        if !rules.says_something() {
            continue;
        }
        let newest = account::locked(&locks, addr).and_then(|(_, locked)| locked.backups.last().map(BackupRef::is_good));
        if newest == Some(true) {
            problems.extend(super::prune::prune(session, addr, &rules, false, false).await?);
        } else {
            session
                .place
                .terminal
                .say(&format!("{addr}: the new backup is not verified and consistent, so no old one is removed."));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
