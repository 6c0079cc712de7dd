//! `windlass state` and `windlass unlock`: looking at recorded state, and repairing it.

use std::collections::BTreeMap;

use super::state_prune;
use crate::cli::args::{Command, ScopeArgs, StateCommand, TextOrJson, UnlockArgs, VariableArgs};
use crate::cli::backend;
use crate::cli::exit::Exit;
use crate::cli::hold::Hold;
use crate::cli::planning::How;
use crate::cli::problem::state_problem;
use crate::cli::session::{Place, Session};
use crate::lock::{Lock, Locked};
use crate::model::name::{EnvironmentName, InstanceAddr};
use crate::plan::Decision;
use crate::source::{Diagnostic, Diagnostics, Fault, nearest};
use crate::view::locked_text;

/// Where a command of the family takes variable values from, where it takes any.
pub(in crate::cli) fn variables(command: &Command) -> Option<&VariableArgs> {
    match command {
        Command::State(StateCommand::Import { variables, .. }) => Some(variables),
        _ => None,
    }
}

/// Runs a command of the family.
pub(in crate::cli) async fn run(command: &StateCommand, session: &mut Session) -> Result<Exit, Diagnostics> {
    let terminal = session.place.terminal;
    match command {
        StateCommand::List(scope) => {
            let environments = session.environments(scope)?;
            for (_, addr, locked) in recorded(&session.locks(&environments).await?) {
                if scope.targets.is_empty() || scope.targets.iter().any(|target| addr.is_within(target)) {
                    terminal.data(&format!("{addr} {}\n", locked.version));
                }
            }
            Ok(Exit::Done)
        }
        StateCommand::Show { address, format } => {
            let locks = all(session).await?;
            print_instance(address, *format, &locks, session.place.terminal)
        }
        StateCommand::Mv { from, to } => mv(session, from, to).await,
        StateCommand::Rm { address } => {
            let locks = all(session).await?;
            let (environment, addr) = find(&locks, address)?;
            change(session, &environment, "state rm", |lock| {
                lock.instances.remove(&addr);
            })
            .await?;
            terminal.say(&format!("{addr} is not recorded any more; what is deployed was not touched."));
            Ok(Exit::Done)
        }
        StateCommand::Prune { older_than, dry_run } => state_prune::run(older_than, *dry_run, session).await,
        StateCommand::Import { address, .. } => import(session, address).await,
    }
}

/// Prints what is recorded of an instance.
pub(in crate::cli) async fn show_instance(address: &str, format: TextOrJson, place: &mut Place) -> Result<Exit, Diagnostics> {
    let estate = place.load(&VariableArgs::default(), false)?.estate;
    let store = backend::store(&estate, place)?;
    let mut locks = BTreeMap::new();
    for environment in estate.environments.into_keys() {
        if let Some(lock) = store.read(&environment).await.map_err(|error| state_problem(&error))? {
            locks.insert(environment, lock);
        }
    }
    print_instance(address, format, &locks, place.terminal)
}

fn print_instance(
    address: &str,
    format: TextOrJson,
    locks: &BTreeMap<EnvironmentName, Lock>,
    terminal: crate::cli::terminal::Terminal,
) -> Result<Exit, Diagnostics> {
    let (environment, addr) = find(locks, address)?;
    let Some(locked) = locks.get(&environment).and_then(|lock| lock.instances.get(&addr)) else { return Ok(Exit::Error) };
    match format {
        TextOrJson::Human => terminal.data(&locked_text(&addr, &environment, locked, terminal.out)),
        TextOrJson::Json => terminal
            .data(&format!("{:#}\n", serde_json::json!({ "instance": addr, "environment": environment, "recorded": locked }))),
    }
    Ok(Exit::Done)
}

async fn all(session: &Session) -> Result<BTreeMap<EnvironmentName, Lock>, Diagnostics> {
    session.locks(&session.environments(&ScopeArgs::default())?).await
}

fn recorded(locks: &BTreeMap<EnvironmentName, Lock>) -> impl Iterator<Item = (&EnvironmentName, &InstanceAddr, &Locked)> {
    locks.iter().flat_map(|(environment, lock)| lock.instances.iter().map(move |(addr, locked)| (environment, addr, locked)))
}

fn find(locks: &BTreeMap<EnvironmentName, Lock>, address: &str) -> Result<(EnvironmentName, InstanceAddr), Diagnostic> {
    if let Some((environment, addr, _)) = recorded(locks).find(|(_, addr, _)| addr.as_str() == address) {
        return Ok((environment.clone(), addr.clone()));
    }
    let unknown = Diagnostic::error("nothing recorded").detail(format!("no lockfile has an instance `{address}`"));
    Err(match nearest(address, recorded(locks).map(|(_, addr, _)| addr.as_str())) {
        Some(near) => unknown.help(format!("did you mean `{near}`?")),
        None => unknown.help("`windlass state list` lists what is recorded"),
    })
}

/// An address as a person wrote it.
fn address(text: &str) -> Result<InstanceAddr, Diagnostic> {
    InstanceAddr::parse(text).ok_or_else(|| {
        Diagnostic::error("not an address")
            .detail(format!("`{}` is no instance's address", text.escape_debug()))
            .help("write it like `dss.design`, `dss.design[\"eu\"]` or `module.eu.dss.design`")
    })
}

/// Whether an address names an instance of a provider.
fn is_of(addr: &InstanceAddr, provider: &crate::model::name::ProviderName) -> bool {
    let name = addr.as_str().split_once('[').map_or(addr.as_str(), |(name, _)| name);
    let declared = if addr.as_str().starts_with("module.") { addr.as_str() } else { name };
    declared.starts_with(&format!("{provider}.")) || declared.contains(&format!(".{provider}."))
}

async fn mv(session: &mut Session, from: &str, to: &str) -> Result<Exit, Diagnostics> {
    let locks = all(session).await?;
    let (environment, from) = find(&locks, from)?;
    if recorded(&locks).any(|(_, addr, _)| addr.as_str() == to) {
        return Err(Diagnostic::error("address is taken")
            .detail(format!("`{to}` is recorded already"))
            .help("remove or move that one first")
            .into());
    }
    let to = address(to)?;
    let provider = locks.get(&environment).and_then(|lock| lock.instances.get(&from)).map(|locked| &locked.provider);
    if let Some(provider) = provider.filter(|provider| !is_of(&to, provider)) {
        return Err(Diagnostic::error("other provider")
            .detail(format!("`{from}` is recorded as an instance of provider `{provider}`, which `{to}` would not be"))
            .help("an instance keeps its provider: remove it and import it anew")
            .into());
    }
    if let Some(instance) = session.estate.instances.get(&to)
        && instance.environment != environment
    {
        return Err(Diagnostic::error("other environment")
            .detail(format!(
                "`{to}` is declared in environment `{}`, `{from}` is recorded in `{environment}`",
                instance.environment
            ))
            .help("an instance cannot change its environment by a new name: remove it there and import it here")
            .into());
    }
    change(session, &environment, "state mv", |lock| {
        if let Some(locked) = lock.instances.remove(&from) {
            lock.instances.insert(to.clone(), locked);
        }
        for locked in lock.instances.values_mut() {
            locked.depends_on.iter_mut().filter(|addr| **addr == from).for_each(|addr| *addr = to.clone());
        }
    })
    .await?;
    session.place.terminal.say(&format!("{from} is recorded as {to} from now on."));
    Ok(Exit::Done)
}

/// Records what is there: the plan's own adoption of one instance, without anything else of the plan.
pub(in crate::cli) async fn import(session: &mut Session, address: &str) -> Result<Exit, Diagnostics> {
    let scope = ScopeArgs { targets: vec![address.to_owned()], ..ScopeArgs::default() };
    let planned = session.plan(&scope, How { refresh: true, upgrade: false }).await?;
    let change = planned.plan.changes.iter().find(|change| change.instance.as_str() == address);
    let Some(change) = change
        .filter(|change| change.decision == Decision::Adopt || (change.from.is_some() && change.decision == Decision::Upgrade))
    else {
        return Err(Diagnostic::error("nothing to import")
            .fault(Fault::Refused)
            .detail(format!("`{address}` is recorded already, or nothing is deployed there"))
            .help("`windlass status` shows what is declared, recorded and deployed")
            .into());
    };
    let Some(version) = change.from.clone().or_else(|| change.to.clone()) else { return Ok(Exit::Error) };
    let Some(instance) = session.estate.instances.get(&change.instance).cloned() else { return Ok(Exit::Error) };
    let observed = session.drift_facts(&instance.provider, planned.inventory.instances.get(&instance.addr));
    let locked = Locked {
        provider: instance.provider.clone(),
        version: version.clone(),
        host: instance.host.clone(),
        settings: change.recorded.clone(),
        settings_digest: instance.settings_digest.clone(),
        seals: instance.seals.clone(),
        observed,
        depends_on: instance.depends_on.clone(),
        hops: Vec::new(),
        backups: Vec::new(),
        follow_ups: Vec::new(),
    };
    self::change(session, &instance.environment, "state import", |lock| {
        lock.instances.insert(instance.addr.clone(), locked);
    })
    .await?;
    session.place.terminal.say(&format!("{address} is recorded with version {version}; what is deployed was not touched."));
    Ok(Exit::Done)
}

/// Changes one lockfile, alone.
pub(in crate::cli) async fn change(
    session: &Session,
    environment: &EnvironmentName,
    operation: &str,
    edit: impl FnOnce(&mut Lock),
) -> Result<(), Diagnostics> {
    let hold = Hold::take(session, std::slice::from_ref(environment), operation, None, None).await?;
    let result = async {
        let mut locks = session.locks(std::slice::from_ref(environment)).await?;
        if let (Some(mut lock), Some(lease)) = (locks.remove(environment), hold.leases.get(environment)) {
            edit(&mut lock);
            lock.serial += 1;
            session.store.write(&lock, lease).await.map_err(|error| state_problem(&error))?;
        }
        Ok(())
    }
    .await;
    hold.give_back(session).await;
    result
}

/// Runs `unlock`: shows whose lock it breaks, and asks.
pub(in crate::cli) async fn unlock(args: &UnlockArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let terminal = session.place.terminal;
    let scope = ScopeArgs { environments: vec![args.environment.clone()], ..ScopeArgs::default() };
    for environment in session.environments(&scope)? {
        let Some(holder) = session.store.holder(&environment).await.map_err(|error| state_problem(&error))? else {
            terminal.say(&format!("Nobody holds the state of {environment}."));
            continue;
        };
        terminal.say(&format!(
            "{environment} is held by {} (process {}, {}{}) since {}; last sign of life {}.",
            holder.who,
            holder.pid,
            holder.operation,
            holder.run.as_ref().map(|run| format!(", run {run}")).unwrap_or_default(),
            holder.since,
            holder.heartbeat
        ));
        let yes = args.force
            || terminal.confirm("Take it away? If that process lives, it will not be able to record what it does.") == Some(true);
        if !yes {
            return Err(Diagnostic::error("lock was not broken")
                .fault(Fault::Refused)
                .detail("nobody said yes")
                .help("answer `yes`, or give `--force` where nobody can be asked")
                .into());
        }
        session.store.break_lease(&environment, &holder).await.map_err(|error| state_problem(&error))?;
        terminal.say(&format!("The state of {environment} is free."));
    }
    Ok(Exit::Done)
}
