//! Applied state: what one environment's lockfile says. Data and its text form; where it is kept is `state`'s business.

mod text;

pub use text::{TextError, decode, encode};

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::lang::Value;
use crate::model::name::{Digest, EnvironmentName, HostName, InstanceAddr, Lineage, ProviderName, RunId, StrategyName};

/// The version of the lockfile's format; a newer one is refused, an older one is read.
pub const FORMAT: u32 = 1;

/// One environment's applied state. Holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// Whose.
    pub environment: EnvironmentName,
    /// Made once, when the lockfile is.
    pub lineage: Lineage,
    /// One more with each write; 0: never written.
    pub serial: u64,
    /// Providers in use, pinned.
    pub providers: BTreeMap<ProviderName, ProviderPin>,
    /// Instances by address.
    pub instances: BTreeMap<InstanceAddr, Locked>,
}

/// The provider that was used last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderPin {
    /// The provider's own version.
    pub version: String,
    /// Its digest.
    pub digest: Digest,
}

/// An instance as it was last applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Locked {
    /// Which product.
    pub provider: ProviderName,
    /// The version that is there.
    pub version: Arc<str>,
    /// On which host; `None`: this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Settings as applied; sensitive ones are marks without content.
    pub settings: Value,
    /// Digest over them.
    pub settings_digest: Digest,
    /// Keyed digests of the sensitive ones, by name; the key is in no lockfile.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seals: BTreeMap<Arc<str>, Arc<str>>,
    /// Facts declared as drift-relevant, as they were right after the last hop.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub observed: BTreeMap<Arc<str>, Value>,
    /// What it depended on when it was applied; removal goes in the reverse order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<InstanceAddr>,
    /// The hops that led here and can still be undone, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<AppliedHop>,
    /// Backups that exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backups: Vec<BackupRef>,
    /// Work that people owe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub follow_ups: Vec<FollowUp>,
}

/// One applied hop, with what its undo needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppliedHop {
    /// The version before; `None`: nothing.
    pub from: Option<Arc<str>>,
    /// The version after.
    pub to: Arc<str>,
    /// The provider's route.
    pub route: Arc<str>,
    /// How it was done.
    pub strategy: StrategyName,
    /// The provider that did it: its undo is the one used.
    pub provider: Digest,
    /// The run that did it.
    pub run: RunId,
    /// When it was done.
    pub at: Timestamp,
    /// The hop's scope as far as undo expressions use it (`self`, `fact`, `release`, …), and the results of steps under `step`.
    pub scope: Value,
    /// Whether it cannot be undone, and by which step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<String>,
}

/// A backup that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupRef {
    /// Its id in its repository.
    pub id: String,
    /// Where: a path or URL.
    pub location: String,
    /// How it was made: `tar`, `restic`, `pg_dump`, ….
    pub method: String,
    /// The product's version that it holds.
    pub version: Arc<str>,
    /// When it was made.
    pub at: Timestamp,
    /// The run that made it.
    pub run: RunId,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether it was read back and checked.
    pub verified: bool,
    /// What it is of, where it is a folder or file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether what it holds fits together: false where it was made of something that ran.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub consistent: bool,
    /// The matched set that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<BackupSet>,
    /// What it leaves out: names of exclusion sets, and patterns that belong to none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
}

/// The matched set that a backup is a part of: good only as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSet {
    /// Names the set.
    pub name: String,
    /// Which part this is.
    pub part: String,
    /// All that there must be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
}

impl BackupRef {
    /// Whether a restore may take it unasked.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.verified && self.consistent
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// Work that a person owes after an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    /// The note's name in the provider.
    pub name: Arc<str>,
    /// What to do.
    pub text: String,
    /// The version that brought it up.
    pub version: Arc<str>,
    /// Since when.
    pub since: Timestamp,
}

impl Lock {
    /// A lockfile in which nothing was applied yet.
    #[must_use]
    pub fn fresh(environment: EnvironmentName, lineage: Lineage) -> Self {
        Self { environment, lineage, serial: 0, providers: BTreeMap::new(), instances: BTreeMap::new() }
    }
}
