//! The head of an environment: one object that holds the lease and says which lockfile is the newest.
//!
//! Lease and lockfile change only together with it, under the condition that it is still the one that was read. So a holder whose
//! lease was taken cannot write: the head that it read is not there any more.
#![expect(clippy::disallowed_methods, reason = "a door to randomness: nonces")]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use object_store::UpdateVersion;
use serde::{Deserialize, Serialize};

use super::S3Store;
use super::objects::Put;
use crate::model::name::{EnvironmentName, Lineage};
use crate::state::{Holder, Lease, StateError, process};

/// The version of the head's format.
const FORMAT: u32 = 1;
/// So often a change is tried where others change the head at the same time.
const TRIES: u32 = 30;
/// Times are told in whole seconds.
const GRAIN: SignedDuration = SignedDuration::from_secs(2);

/// What stands in the object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Head {
    format: u32,
    /// New with every write: tells our own write from another's.
    nonce: String,
    /// Grows with every lease.
    token: u64,
    /// How long the lease holds without a new write, in seconds.
    term: u64,
    holder: Option<Holder>,
    pub(super) lockfile: Option<Pointer>,
}

/// Which lockfile is the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pointer {
    pub(super) serial: u64,
    pub(super) lineage: Lineage,
    /// Its key.
    pub(super) object: String,
}

/// A head as it was read.
pub(super) struct Seen {
    pub(super) head: Head,
    /// When it was written: the holder's last sign of life, by the service's clock.
    modified: Timestamp,
    version: Option<UpdateVersion>,
}

impl Head {
    /// The same with another lockfile.
    pub(super) fn with_lockfile(&self, pointer: &Pointer) -> Self {
        Self { lockfile: Some(pointer.clone()), ..self.clone() }
    }
}

pub(super) fn nonce() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

impl Seen {
    /// Whether a lease is the newest.
    pub(super) fn fenced(&self, lease: &Lease) -> Result<(), StateError> {
        let ours = self.head.token == lease.token && self.head.holder.as_ref().is_some_and(|holder| holder.id == lease.holder.id);
        if ours { Ok(()) } else { Err(StateError::Fenced(lease.environment.clone())) }
    }

    fn holder(&self) -> Option<Holder> {
        self.head.holder.clone().map(|holder| Holder { heartbeat: self.modified, ..holder })
    }
}

fn key(environment: &EnvironmentName) -> String {
    format!("environments/{environment}.json")
}

impl S3Store {
    pub(super) async fn head(&self, environment: &EnvironmentName) -> Result<Seen, StateError> {
        let Some(found) = self.objects.get(&key(environment)).await? else {
            let head = Head { format: FORMAT, nonce: String::new(), token: 0, term: 0, holder: None, lockfile: None };
            return Ok(Seen { head, modified: Timestamp::UNIX_EPOCH, version: None });
        };
        let place = format!("`{}` in {}", key(environment), self.place);
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let corrupt = |error: serde_json::Error| StateError::Corrupt { place: place.clone(), why: error.to_string() };
        let Format { format } = serde_json::from_slice(&found.bytes).map_err(corrupt)?;
        if format > FORMAT {
            return Err(StateError::Newer { place, found: format, known: FORMAT });
        }
        let head = serde_json::from_slice(&found.bytes).map_err(corrupt)?;
        Ok(Seen { head, modified: found.modified, version: Some(found.version) })
    }

    /// Changes a head: `edit` sees it as it is and says what it is to be, or that nothing is to be done. Asked again whenever
    /// somebody else was faster.
    pub(super) async fn change(
        &self,
        environment: &EnvironmentName,
        mut edit: impl FnMut(&Seen) -> Result<Option<Head>, StateError>,
    ) -> Result<(), StateError> {
        let mut unsure: Option<String> = None;
        for attempt in 0..TRIES {
            let seen = self.head(environment).await?;
            if unsure.as_ref() == Some(&seen.head.nonce) {
                return Ok(());
            }
            let Some(mut head) = edit(&seen)? else { return Ok(()) };
            let ours = nonce();
            head.nonce.clone_from(&ours);
            let bytes = serde_json::to_vec_pretty(&head).unwrap_or_default();
            match self.objects.put_if(&key(environment), bytes, seen.version.as_ref()).await {
                Ok(Put::Done) => return Ok(()),
                // Another was faster, or an earlier try of this very request was answered and the answer lost.
                Ok(Put::Refused) => {}
                Err(error) => match self.head(environment).await {
                    Ok(there) if there.head.nonce == ours => return Ok(()),
                    _ => return Err(error),
                },
            }
            unsure = Some(ours);
            // Not in step with the others.
            let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
            tokio::time::sleep(Duration::from_millis(jitter * u64::from(attempt.min(8)) / 8)).await;
        }
        let why = "others change it all the time".to_owned();
        Err(StateError::Unreachable { place: format!("`{}` in {}", key(environment), self.place), action: "written", why })
    }

    pub(super) async fn acquire_lease(&self, environment: &EnvironmentName, holder: &Holder) -> Result<Lease, StateError> {
        let now = match self.head(environment).await?.head.holder {
            // The clock is asked only where somebody's lease may be over.
            Some(there) if there.id != holder.id => Some(self.objects.now(&nonce()).await?),
            _ => None,
        };
        let mut token = 0;
        self.change(environment, |seen| {
            if let Some(there) = seen.holder() {
                if there.id == holder.id {
                    token = seen.head.token;
                    return Ok(None);
                }
                let term = SignedDuration::from_secs(i64::try_from(seen.head.term).unwrap_or(i64::MAX / 2));
                let is_over = now.is_some_and(|now| now.duration_since(seen.modified) > term.saturating_add(GRAIN));
                if !is_over && !process::is_gone(&there) {
                    return Err(StateError::Held { environment: environment.clone(), holder: Box::new(there) });
                }
            }
            token = seen.head.token + 1;
            Ok(Some(Head { token, holder: Some(holder.clone()), term: self.term.as_secs().max(1), ..seen.head.clone() }))
        })
        .await?;
        Ok(Lease { environment: environment.clone(), holder: holder.clone(), token })
    }

    pub(super) async fn renew_lease(&self, lease: &Lease) -> Result<(), StateError> {
        let renew = |seen: &Seen| {
            seen.fenced(lease)?;
            Ok(Some(Head { term: self.term.as_secs().max(1), ..seen.head.clone() }))
        };
        self.change(&lease.environment, renew).await
    }

    pub(super) async fn release_lease(&self, lease: &Lease) -> Result<(), StateError> {
        let release = |seen: &Seen| Ok(seen.fenced(lease).ok().map(|()| Head { holder: None, ..seen.head.clone() }));
        self.change(&lease.environment, release).await
    }

    pub(super) async fn lease_holder(&self, environment: &EnvironmentName) -> Result<Option<Holder>, StateError> {
        Ok(self.head(environment).await?.holder())
    }

    pub(super) async fn break_lease_of(&self, environment: &EnvironmentName, holder: &Holder) -> Result<(), StateError> {
        let take = |seen: &Seen| match &seen.head.holder {
            None => Ok(None),
            // The token grows, so that the one who lost it is fenced even if nobody has taken it since.
            Some(there) if there.id == holder.id => {
                Ok(Some(Head { token: seen.head.token + 1, holder: None, ..seen.head.clone() }))
            }
            Some(there) => {
                Err(StateError::Moved { environment: environment.clone(), what: format!("{} holds it by now", there.who) })
            }
        };
        self.change(environment, take).await
    }
}
