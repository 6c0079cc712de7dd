//! Says of drift what counts and how much: severities, exceptions, the age of backups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Drift, InstanceState};
use crate::lock::{Lock, Locked};
use crate::model::drift::{DriftClass, DriftIgnore, DriftRules};
use crate::model::duration::{Human, parse_duration};
use crate::model::estate::{Estate, Instance};
use crate::model::name::EnvironmentName;

/// Drift that is accepted for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ignored {
    /// What it is.
    #[serde(flatten)]
    pub drift: Drift,
    /// The exception's name.
    pub rule: Arc<str>,
    /// Why.
    pub reason: String,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// An exception that has run out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiredIgnore {
    /// Its name.
    pub rule: Arc<str>,
    /// Why it was there.
    pub reason: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it ran out.
    pub until: Timestamp,
    /// How much drift it would still hide.
    pub would_hide: usize,
}

/// Gives every drift its severity, adds backups that are too old, and puts aside what is accepted. Tells the exceptions that have
/// run out.
pub fn judge(
    states: &mut [InstanceState],
    estate: &Estate,
    locks: &BTreeMap<EnvironmentName, Lock>,
    now: Timestamp,
) -> Vec<ExpiredIgnore> {
    let rules = &estate.drift;
    let mut expired: BTreeMap<&Arc<str>, ExpiredIgnore> = rules.ignores.iter().filter_map(|rule| gone(rule, now)).collect();
    for state in states {
        let locked = locks.get(&state.environment).and_then(|lock| lock.instances.get(&state.instance));
        if let (Some(declared), Some(locked)) = (estate.instances.get(&state.instance), locked) {
            state.drift.extend(stale_backup(declared, locked, rules, now));
        }
        for mut drift in std::mem::take(&mut state.drift) {
            drift.severity = rules.severity(drift.class);
            let matches =
                |rule: &&DriftIgnore| rule.matches(&state.environment, &state.instance, drift.class, drift.fact.as_deref());
            match rules.ignores.iter().filter(matches).find(|rule| !rule.is_expired(now)) {
                Some(rule) => {
                    let (rule, reason, until) = (Arc::clone(&rule.name), rule.reason.clone(), rule.until);
                    state.ignored.push(Ignored { drift, rule, reason, until });
                }
                None => {
                    for rule in rules.ignores.iter().filter(matches) {
                        expired.entry(&rule.name).and_modify(|expired| expired.would_hide += 1);
                    }
                    state.drift.push(drift);
                }
            }
        }
    }
    expired.into_values().collect()
}

fn gone(rule: &DriftIgnore, now: Timestamp) -> Option<(&Arc<str>, ExpiredIgnore)> {
    let until = rule.until.filter(|_| rule.is_expired(now))?;
    let (reason, owner) = (rule.reason.clone(), rule.owner.clone());
    Some((&rule.name, ExpiredIgnore { rule: Arc::clone(&rule.name), reason, owner, until, would_hide: 0 }))
}

/// The sentence has no age in it: it would be another one with every look.
fn stale_backup(declared: &Instance, locked: &Locked, rules: &DriftRules, now: Timestamp) -> Option<Drift> {
    if declared.backup.is_null() {
        return None;
    }
    let own = declared.backup.get("max_age").and_then(|age| parse_duration(age.as_str()?).ok());
    let most = own.or(rules.backup_max_age)?;
    let since = |at: Timestamp| Duration::try_from(now.duration_since(at)).unwrap_or_default();
    let newest = locked.backups.iter().filter(|backup| backup.is_good()).map(|backup| backup.at).max();
    // What was changed only now has time to be backed up.
    let changed = locked.hops.last().map(|hop| hop.at);
    if newest.or(changed).is_some_and(|at| since(at) <= most) {
        return None;
    }
    let most = Human(most);
    Some(Drift::new(
        DriftClass::StaleBackup,
        match newest {
            Some(at) => format!("its newest good backup is of {at}, which is longer ago than {most}"),
            None => format!("it has no good backup, and should have one that is at most {most} old"),
        },
    ))
}
