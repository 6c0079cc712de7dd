//! The account of backups: what the lockfiles say and what the repositories hold, as one list.

use std::collections::BTreeMap;

use super::keeper::{Keeper, listed};
use crate::cli::session::Session;
use crate::driver::Failure;
use crate::lock::{BackupRef, Lock, Locked};
use crate::model::backup::{BackupPolicy, MANAGED};
use crate::model::name::{EnvironmentName, InstanceAddr, RunId};
use crate::source::{Diagnostic, Diagnostics, nearest};
use crate::view::{Kept, Whereabouts};

/// The instances that are asked about: declared or recorded; all where none is named.
pub(super) fn chosen(
    session: &Session,
    locks: &BTreeMap<EnvironmentName, Lock>,
    asked: &[String],
) -> Result<Vec<InstanceAddr>, Diagnostics> {
    let environments: Vec<&EnvironmentName> = locks.keys().collect();
    let declared = session.estate.instances.values().filter(|instance| environments.contains(&&instance.environment));
    let mut all: Vec<InstanceAddr> = declared.map(|instance| instance.addr.clone()).collect();
    all.extend(locks.values().flat_map(|lock| lock.instances.keys().cloned()));
    all.sort();
    all.dedup();
    let problems: Diagnostics = asked
        .iter()
        .filter(|asked| !all.iter().any(|addr| addr.is_within(asked)))
        .map(|asked| {
            let unknown = Diagnostic::error("unknown instance").detail(format!("no instance is `{asked}` or in it"));
            match nearest(asked, all.iter().map(InstanceAddr::as_str)) {
                Some(near) => unknown.help(format!("did you mean `{near}`?")),
                None => unknown.help("`windlass status` lists the instances"),
            }
        })
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    if !asked.is_empty() {
        all.retain(|addr| asked.iter().any(|asked| addr.is_within(asked)));
    }
    Ok(all)
}

/// What is recorded of an instance.
pub(super) fn locked<'a>(
    locks: &'a BTreeMap<EnvironmentName, Lock>,
    addr: &InstanceAddr,
) -> Option<(&'a EnvironmentName, &'a Locked)> {
    locks.iter().find_map(|(environment, lock)| Some((environment, lock.instances.get(addr)?)))
}

/// What the configuration says of an instance's backups.
pub(super) fn policy(session: &Session, addr: &InstanceAddr) -> BackupPolicy {
    session.estate.instances.get(addr).map(|instance| BackupPolicy::read(&instance.backup).0).unwrap_or_default()
}

/// All backups of an instance, oldest first. A repository that cannot be read is told and left out.
pub(super) async fn of(session: &Session, locks: &BTreeMap<EnvironmentName, Lock>, addr: &InstanceAddr) -> Vec<Kept> {
    let policy = policy(session, addr);
    let recorded = locked(locks, addr);
    let mut all: Vec<Kept> = Vec::new();
    if let Some((_, locked)) = recorded {
        // A hop that can still be undone may need what its run has backed up.
        let needed = |backup: &BackupRef| locked.hops.iter().any(|hop| hop.run == backup.run);
        let kept = |backup: &BackupRef| Kept {
            instance: addr.clone(),
            whereabouts: if backup.method == MANAGED { Whereabouts::Elsewhere } else { Whereabouts::Unseen },
            needed: needed(backup),
            backup: backup.clone(),
        };
        all.extend(locked.backups.iter().map(kept));
    }
    let mut locations: Vec<(String, Option<String>)> = policy.repository.clone().map(|place| (place, None)).into_iter().collect();
    for kept in &all {
        if Keeper::knows(&kept.backup.method) && !locations.iter().any(|(place, _)| *place == kept.backup.location) {
            locations.push((kept.backup.location.clone(), Some(kept.backup.method.clone())));
        }
    }
    let version = recorded.map(|(_, locked)| locked.version.clone()).unwrap_or_default();
    for (location, method) in locations {
        let keeper = match Keeper::of(session, addr, &location, method.as_deref()) {
            Ok(keeper) => keeper,
            Err(failure) => {
                tell(session, &location, &failure);
                continue;
            }
        };
        match keeper.list().await {
            Ok(found) => merge(&mut all, addr, &location, &version, &found),
            Err(failure) => tell(session, &location, &failure),
        }
    }
    for kept in &mut all {
        if kept.whereabouts == Whereabouts::Unseen && !Keeper::knows(&kept.backup.method) {
            kept.whereabouts = match Keeper::file(session, addr, &kept.backup).await {
                Ok(true) => Whereabouts::Both,
                Ok(false) => Whereabouts::Missing,
                Err(_) => Whereabouts::Unseen,
            };
        }
    }
    all.sort_by(|a, b| (a.backup.at, &a.backup.id).cmp(&(b.backup.at, &b.backup.id)));
    all
}

fn tell(session: &Session, location: &str, failure: &Failure) {
    session.place.terminal.say(&format!("the backups in {location} could not be listed: {}", failure.message));
}

/// Marks what is recorded as there or missing, and adds what bears this instance's label and is not recorded.
fn merge(all: &mut Vec<Kept>, addr: &InstanceAddr, location: &str, version: &str, found: &[crate::lang::Value]) {
    for kept in all.iter_mut().filter(|kept| kept.backup.location == location && kept.whereabouts == Whereabouts::Unseen) {
        kept.whereabouts = Whereabouts::Missing;
    }
    for value in found {
        let Some((backup, labels)) = listed(value, location, version) else { continue };
        if let Some(known) = all.iter_mut().find(|kept| kept.backup.id == backup.id && kept.backup.location == location) {
            known.whereabouts = Whereabouts::Both;
            // What was verified since stands in the repository.
            known.backup.verified = backup.verified;
        } else if labels.get("instance").is_some_and(|label| label == addr.as_str()) {
            let whereabouts = Whereabouts::Repository;
            all.push(Kept { instance: addr.clone(), whereabouts, needed: false, backup });
        }
    }
}

/// The run of what no run is known of.
pub(super) fn no_run() -> RunId {
    RunId::new("-")
}
