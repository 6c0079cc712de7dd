//! The one document that policies see as `input`.
//!
//! What `windlass plan --format json` prints, and what goes with it: the time, who asks, the environments with their rules, what is
//! applied where, waivers and approvals. `docs/reference/policy.md` describes it. Holds no secret.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::lock::{Lock, Locked};
use crate::model::estate::{Environment, Estate, Share, Waiver};
use crate::model::name::EnvironmentName;
use crate::plan::{Plan, Report};

/// What is known beside the plan.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What is desired.
    pub estate: &'a Estate,
    /// What was applied, by environment.
    pub locks: &'a BTreeMap<EnvironmentName, Lock>,
    /// The time of asking.
    pub now: Timestamp,
    /// `plan` or `apply`.
    pub command: &'a str,
    /// Who asks: `user@host`.
    pub user: &'a str,
    /// Who wrote the last commit of the configuration, where it is in git.
    pub author: Option<&'a Author>,
}

/// Who wrote a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// The commit.
    pub commit: String,
}

/// The document.
///
/// # Errors
/// A value that JSON cannot hold; none that a plan can have is known.
pub fn document(plan: &Plan, report: &Report, facts: &Facts<'_>) -> Result<Value, serde_json::Error> {
    let Facts { estate, locks, now, command, user, author } = facts;
    let mut report = serde_json::to_value(report)?;
    // Policies do not see what policies said.
    if let Some(report) = report.as_object_mut() {
        report.remove("rulings");
    }
    let environments: Map<String, Value> =
        estate.environments.iter().map(|(name, of)| (name.to_string(), environment(of))).collect();
    let applied: Map<String, Value> = locks.iter().map(|(name, lock)| (name.to_string(), applied(lock))).collect();
    let waivers: Vec<Value> = estate.waivers.iter().map(|of| waiver(of, *now)).collect();
    let acknowledgements: Vec<Value> = estate
        .acknowledgements
        .iter()
        .map(|of| {
            json!({
                "provider": of.provider, "note": of.note, "instance": of.instance, "version": of.version, "by": of.by, "reason": of.reason,
            })
        })
        .collect();
    let mut downtime = plan.changes.iter().flat_map(|change| &change.hops).map(|hop| hop.downtime);
    let downtime = downtime.try_fold(std::time::Duration::ZERO, |sum, hop| Some(sum + hop?));
    Ok(json!({
        "plan": serde_json::to_value(plan)?,
        "report": report,
        "now": now,
        "command": command,
        "user": user,
        "author": author.map(|of| json!({ "name": of.name, "email": of.email, "commit": of.commit })),
        "environments": environments,
        "applied": applied,
        "waivers": waivers,
        "acknowledgements": acknowledgements,
        "estimate": { "seconds": plan.duration().as_secs(), "downtime_seconds": downtime.map(|sum| sum.as_secs()) },
        "settings": serde_json::to_value(&estate.policy.settings)?,
    }))
}

fn environment(of: &Environment) -> Value {
    let share = |share: Option<Share>| match share {
        None => Value::Null,
        Some(Share::Count(count)) => count.into(),
        Some(Share::Percent(percent)) => format!("{percent}%").into(),
    };
    let windows: Vec<Value> = of
        .windows
        .iter()
        .map(|window| json!({ "cron": window.cron, "duration_seconds": window.duration.as_secs(), "timezone": window.timezone }))
        .collect();
    json!({
        "promote_from": of.promote_from,
        "soak_seconds": of.soak.map(|soak| soak.as_secs()),
        "windows": windows,
        "approval": of.approval.as_ref().map(|asked| json!({ "required": asked.required, "from": asked.from })),
        "max_risk": of.max_risk,
        "on_failure": of.on_failure,
        "concurrency": of.concurrency,
        "rollout": {
            "canary": of.rollout.canary,
            "batch": share(of.rollout.batch),
            "max_unavailable": share(of.rollout.max_unavailable),
            "soak_seconds": of.rollout.soak.map(|soak| soak.as_secs()),
        },
    })
}

/// What an environment's lockfile says of instances: versions, how they came to them, and backups.
fn applied(lock: &Lock) -> Value {
    let instance = |locked: &Locked| {
        let hops: Vec<Value> = locked
            .hops
            .iter()
            .map(|hop| json!({ "from": hop.from, "to": hop.to, "route": hop.route, "strategy": hop.strategy, "at": hop.at }))
            .collect();
        let backups: Vec<Value> = locked
            .backups
            .iter()
            .map(|of| {
                json!({
                    "id": of.id, "method": of.method, "version": of.version, "at": of.at, "verified": of.verified, "consistent": of.consistent,
                })
            })
            .collect();
        json!({ "provider": locked.provider, "version": locked.version, "hops": hops, "backups": backups })
    };
    lock.instances.iter().map(|(addr, locked)| (addr.to_string(), instance(locked))).collect::<Map<_, _>>().into()
}

fn waiver(of: &Waiver, now: Timestamp) -> Value {
    json!({
        "name": of.name,
        "instance": of.instance,
        "environment": of.environment,
        "reason": of.reason,
        "owner": of.owner,
        "until": of.until,
        "expired": of.until.is_some_and(|until| until <= now),
    })
}
