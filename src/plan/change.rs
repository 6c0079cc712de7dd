//! What happens to one instance, and why.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lang::Value;
use crate::model::name::{Digest, EnvironmentName, HostName, InstanceAddr, ProviderName, RunId, StrategyName};

use super::spread::DowntimeSpread;

/// What happens to one instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Which instance.
    pub instance: InstanceAddr,
    /// Whose.
    pub provider: ProviderName,
    /// Where.
    pub environment: EnvironmentName,
    /// On which host; `None`: this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// What kind of change.
    pub decision: Decision,
    /// The version that is there; `None`: nothing is.
    pub from: Option<Arc<str>>,
    /// The version that will be there; `None`: nothing will.
    pub to: Option<Arc<str>>,
    /// Why, in sentences.
    pub why: Vec<String>,
    /// The stretches, in order. None for an adoption.
    pub hops: Vec<Hop>,
    /// Settings that change. A sensitive one shows as such.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<SettingDiff>,
    /// Settings as they will be recorded; sensitive ones lose their content.
    pub recorded: Value,
    /// Digest over them.
    pub settings_digest: Digest,
    /// Keyed digests of the sensitive ones, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seals: BTreeMap<Arc<str>, Arc<str>>,
    /// The waivers of risks and blocked moves that it relies on, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Arc<str>>,
    /// What a person should read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NoteText>,
    /// Checks that were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preflights: Vec<PreflightResult>,
}

/// Kinds of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nothing is there yet.
    Install,
    /// To a higher version.
    Upgrade,
    /// To a lower version: by undoing what was applied, or by a way of the provider's own.
    Rollback,
    /// Same version, other settings.
    Reconfigure,
    /// It is there but not in the lockfile: recorded as it is, nothing is touched.
    Adopt,
    /// It is in the lockfile but no longer declared: taken away.
    Remove,
    /// It is in the lockfile, no longer declared and no longer there: forgotten.
    Forget,
    /// It is backed up; it stays as it is.
    Backup,
    /// It is restored from a backup.
    Restore,
}

impl Decision {
    /// The verb that it is called by, as in "1 to upgrade".
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Rollback => "roll back",
            Self::Reconfigure => "reconfigure",
            Self::Adopt => "adopt",
            Self::Remove => "remove",
            Self::Forget => "forget",
            Self::Backup => "back up",
            Self::Restore => "restore",
        }
    }
}

/// One stretch of a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hop {
    /// The version before; `None`: nothing.
    pub from: Option<Arc<str>>,
    /// The version after; `None`: nothing.
    pub to: Option<Arc<str>>,
    /// The provider's route; for the undo of an applied hop, that hop's.
    pub route: Arc<str>,
    /// How it is done.
    pub strategy: StrategyName,
    /// The provider that its expressions belong to (an undone hop keeps the one that it was applied with).
    pub provider_digest: Digest,
    /// The applied hop that this one undoes: the run that applied it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<RunId>,
    /// What deferred expressions see: `self`, `fact`, `from`, `to`, `release`, `host`, `instance`, `local`, and for an undo the
    /// recorded `step` results. Sensitive settings are marks without content; apply puts the content in from the configuration.
    pub scope: Value,
    /// Its actions: a range of `Plan::actions` indices is not promised, so the list itself.
    pub actions: Vec<u32>,
    /// The first action (index into `Plan::actions`) after whose beginning only a restore leads back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_of_no_return: Option<u32>,
    /// Step results that must be kept in the lockfile, because an undo uses them: step names with the path below `result`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// Downtime to expect.
    pub downtime: Option<Duration>,
    /// Between what it lies; without it, nothing of it was ever measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downtime_spread: Option<DowntimeSpread>,
    /// The risk of the provider's route, 0 none to 100 dangerous. Of an undone hop nobody says.
    #[serde(default, skip_serializing_if = "is_none")]
    pub risk: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(risk: &u32) -> bool {
    *risk == 0
}

/// A setting before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SettingDiff {
    /// Which.
    pub name: Arc<str>,
    /// Before; null where it was not set.
    pub before: Value,
    /// After; null where it is not set.
    pub after: Value,
}

/// A note of the provider, rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoteText {
    /// Its name in the provider.
    pub name: Arc<str>,
    /// What it says.
    pub text: String,
    /// The vendor's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether somebody owes work afterwards.
    pub follow_up: bool,
    /// Whether the move waits until the configuration says that somebody has read it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acknowledge: bool,
}

/// A check before anything is touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PreflightResult {
    /// Its name in the provider.
    pub name: Arc<str>,
    /// For which hop (index).
    pub hop: u32,
    /// How it went.
    pub outcome: PreflightOutcome,
    /// What was found; for a pass, empty.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How a preflight check went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PreflightOutcome {
    /// It holds.
    Pass,
    /// It does not hold, and that is not enough to stop.
    Warn,
    /// It does not hold; a waiver lets it pass.
    Waived {
        /// The waiver's reason.
        reason: String,
    },
    /// It does not hold: the change is blocked.
    Fail,
}
