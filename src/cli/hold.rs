//! Holding environments for one writer, and giving them back.
#![expect(clippy::disallowed_methods, reason = "a door to the clock, to the environment and to randomness")]

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::problem::state_problem;
use super::session::Session;
use crate::model::name::{EnvironmentName, RunId};
use crate::source::Diagnostics;
use crate::state::local::host_name;
use crate::state::{Holder, Lease, StateError, process};

/// Environments that this process holds. Must be given back; a process that dies is noticed by others.
pub(super) struct Hold {
    /// The right to write, by environment.
    pub(super) leases: BTreeMap<EnvironmentName, Lease>,
}

impl Hold {
    /// Takes all of these environments, or none. Waits for others as long as `patience` says.
    pub(super) async fn take(
        session: &Session,
        environments: &[EnvironmentName],
        operation: &str,
        run: Option<&RunId>,
        patience: Option<Duration>,
    ) -> Result<Self, Diagnostics> {
        let mut hold = Self { leases: BTreeMap::new() };
        let mut left = patience.unwrap_or_default();
        // In the order of names, so that two who want the same environments cannot each hold one and wait for the other.
        let mut environments = environments.to_vec();
        environments.sort();
        for environment in environments {
            loop {
                match session.store.acquire(&environment, &holder(operation, run)).await {
                    Ok(lease) => {
                        hold.leases.insert(environment, lease);
                        break;
                    }
                    Err(StateError::Held { .. }) if !left.is_zero() => {
                        let pause = left.min(Duration::from_secs(1));
                        left -= pause;
                        tokio::time::sleep(pause).await;
                    }
                    Err(error) => {
                        hold.give_back(session).await;
                        return Err(state_problem(&error).into());
                    }
                }
            }
        }
        Ok(hold)
    }

    /// Gives everything back. What cannot be given back is told, and expires by itself.
    pub(super) async fn give_back(self, session: &Session) {
        for lease in self.leases.values() {
            if let Err(error) = session.store.release(lease).await {
                session.place.terminal.say(&format!("the state of {} was not given back: {error}", lease.environment));
            }
        }
    }
}

/// This process, as a holder of an environment.
pub(super) fn holder(operation: &str, run: Option<&RunId>) -> Holder {
    let now = Timestamp::now();
    let nonce = uuid::Uuid::new_v4().to_string();
    Holder {
        id: process::mark().map_or(nonce.clone(), |mark| format!("{nonce}.{mark}")),
        who: who(),
        pid: std::process::id(),
        operation: operation.to_owned(),
        run: run.cloned(),
        since: now,
        heartbeat: now,
    }
}

/// `user@host`, for the history and for others who wait.
pub(super) fn who() -> String {
    let name = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let uid = rustix::process::getuid().as_raw().to_string();
    let name =
        name.or_else(|| login_name(&std::fs::read_to_string("/etc/passwd").ok()?, &uid)).unwrap_or_else(|| format!("uid{uid}"));
    format!("{name}@{}", host_name())
}

/// The name of a user id in the text of `/etc/passwd`.
fn login_name(passwd: &str, uid: &str) -> Option<String> {
    let mut users = passwd.lines().map(|line| line.split(':'));
    users.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

/// A new run's id: the time, so that ids sort by it, and four random digits.
pub(super) fn new_run(now: Timestamp) -> RunId {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    RunId::new(format!("{}-{}", now.strftime("%Y%m%dT%H%M%S%.3fZ"), &nonce[..4]))
}
