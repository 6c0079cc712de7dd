//! What is desired: the configuration, evaluated.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::drift::DriftRules;
use super::name::{Digest, EnvironmentName, HostName, InstanceAddr, ProviderName, StrategyName};
use super::release::Release;
use crate::lang::{Object, Value};
use crate::source::Span;

/// Everything that the configuration declares, with every expression evaluated.
#[derive(Debug, Clone, Default)]
pub struct Estate {
    /// Where applied state is kept.
    pub backend: Backend,
    /// Environments by name.
    pub environments: BTreeMap<EnvironmentName, Environment>,
    /// Hosts by name.
    pub hosts: BTreeMap<HostName, Host>,
    /// The configuration's part of the catalogue.
    pub releases: Vec<Release>,
    /// Instances by address.
    pub instances: BTreeMap<InstanceAddr, Instance>,
    /// Exceptions.
    pub waivers: Vec<Waiver>,
    /// Notes that somebody has read.
    pub acknowledgements: Vec<Acknowledgement>,
    /// What drift means here.
    pub drift: DriftRules,
    /// The policies that its plans are asked about.
    pub policy: PolicyRules,
    /// `output` blocks of the root module.
    pub outputs: BTreeMap<Arc<str>, Output>,
    /// Digest over every file read, module revisions, and variable values that are not sensitive.
    pub digest: Option<Digest>,
}

/// Where applied state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// `local`, `postgres` or `s3`.
    pub kind: String,
    /// Its attributes.
    pub settings: Object,
    /// Where it is declared.
    pub span: Option<Span>,
}

impl Default for Backend {
    fn default() -> Self {
        Self { kind: "local".to_owned(), settings: Object::new(), span: None }
    }
}

/// `windlass { policy { … } }`: where policies are, and what they are given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PolicyRules {
    /// Their folder; `policies` beside the configuration where not given.
    pub path: Option<String>,
    /// Names of policies that the program carries.
    pub starter: Vec<String>,
    /// What policies see as `input.settings`.
    pub settings: Value,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// `approval { required = 2  from = ["ada", "ben"] }`: who must have agreed to a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRule {
    /// So many.
    pub required: u32,
    /// Of these; empty: of anybody.
    pub from: Vec<String>,
}

/// `output "name" { value = … }`.
#[derive(Debug, Clone)]
pub struct Output {
    /// What it is; marked where sensitive.
    pub value: Value,
    /// What it means.
    pub description: String,
}

/// A place with rules: gates, window, rollout.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// A hop must have been applied and verified there first.
    pub promote_from: Option<EnvironmentName>,
    /// How long it must have been there.
    pub soak: Option<Duration>,
    /// When it may be applied to; none: always.
    pub windows: Vec<Window>,
    /// Who must have agreed to a plan first.
    pub approval: Option<ApprovalRule>,
    /// The greatest risk of a route that needs nobody's acceptance.
    pub max_risk: Option<u32>,
    /// In which portions.
    pub rollout: Rollout,
    /// What a failure before the point of no return leads to.
    pub on_failure: OnFailure,
    /// Actions at once; at least one.
    pub concurrency: u32,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// A recurring time in which an environment may be applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// When it opens: five cron fields.
    pub cron: String,
    /// How long it stays open.
    pub duration: Duration,
    /// IANA name: `Europe/Paris`.
    pub timezone: String,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// How instances of one provider in one environment take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rollout {
    /// So many first, alone.
    pub canary: Option<u32>,
    /// Then in portions of so many.
    pub batch: Option<Share>,
    /// Never more than so many with downtime at once.
    pub max_unavailable: Option<Share>,
    /// Pause between portions.
    pub soak: Option<Duration>,
    /// How long an instance may take to become healthy after its move.
    pub healthy_within: Option<Duration>,
}

impl Rollout {
    /// How long an instance may take to become healthy, where nobody says.
    pub const HEALTHY_WITHIN: Duration = Duration::from_secs(120);
}

/// A number, or a part of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// So many.
    Count(u32),
    /// So many of a hundred, rounded up to at least one.
    Percent(u32),
}

impl Share {
    /// The number that it means of `total`; at least one.
    #[must_use]
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => (count as usize).max(1),
            Self::Percent(percent) => (total * percent as usize).div_ceil(100).max(1),
        }
    }
}

/// What a failure before the point of no return leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// What was done is undone in reverse order.
    #[default]
    Rollback,
    /// Everything stays, for a person to decide.
    Halt,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// How it is reached; `None`: this machine.
    pub ssh: Option<Ssh>,
    /// Actions at once on it; at least one.
    pub concurrency: u32,
    /// Free attributes, for expressions: `host.attributes.rack`.
    pub attributes: Value,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// How a host is reached over SSH.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ssh {
    /// Name or address.
    pub address: String,
    /// Port; 22 where not given.
    pub port: Option<u16>,
    /// User; the ssh configuration's where not given.
    pub user: Option<String>,
    /// Private key file; the agent's or the ssh configuration's where not given.
    pub identity_file: Option<String>,
    /// The file of known host keys, beside the system's; the ssh configuration's where not given.
    pub known_hosts_file: Option<String>,
    /// For how long a machine that has dropped is asked again in the middle of a step.
    pub patience: Option<Duration>,
}

/// One deployed product, as desired.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its address.
    pub addr: InstanceAddr,
    /// Which product.
    pub provider: ProviderName,
    /// Which environment.
    pub environment: EnvironmentName,
    /// The environment that this one is promoted from, if it is.
    pub promote_from: Option<EnvironmentName>,
    /// Where; `None`: this machine.
    pub host: Option<HostName>,
    /// Which version: exact, or a constraint. As written; the provider's scheme reads it.
    pub version: Arc<str>,
    /// Where the version is written.
    pub version_span: Option<Span>,
    /// The strategy that the user insists on.
    pub strategy: Option<StrategyName>,
    /// The provider's settings with defaults filled in, checked and converted; sensitive ones marked.
    pub settings: Arc<Object>,
    /// Digest over the settings that are not sensitive, host included.
    pub settings_digest: Digest,
    /// Keyed digests of the settings that are sensitive, by name: they tell that one has changed, and nothing else. None without a key.
    pub seals: BTreeMap<Arc<str>, Arc<str>>,
    /// How it is backed up, for `self.backup` of the provider's steps: a plain object (`method`, `exclude`, `retention`, …).
    pub backup: Value,
    /// What must be done before on the way up, and after on the way down.
    pub depends_on: Vec<InstanceAddr>,
    /// Version skew rules.
    pub requires: Vec<Requirement>,
    /// Taken out of the configuration's care: `removed` instances are only in the lockfile.
    pub span: Option<Span>,
}

/// `requires { instance = instance.postgresql.db  version = ">= 16" }`.
#[derive(Debug, Clone)]
pub struct Requirement {
    /// Which instance.
    pub instance: InstanceAddr,
    /// Which of its versions will do; read with its provider's scheme.
    pub version: Arc<str>,
    /// Why.
    pub reason: String,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// That somebody has read a note for a move, and what it asks for is done.
#[derive(Debug, Clone)]
pub struct Acknowledgement {
    /// Whose note.
    pub provider: ProviderName,
    /// Which note.
    pub note: Arc<str>,
    /// For which instance; `None`: for any.
    pub instance: Option<InstanceAddr>,
    /// The version that is moved to.
    pub version: String,
    /// Who.
    pub by: String,
    /// Why the move may go on.
    pub reason: String,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// A declared, reasoned, dated exception.
#[derive(Debug, Clone)]
pub struct Waiver {
    /// What it excepts from: the name of a preflight, a risk, a blocked edge or a gate.
    pub name: Arc<str>,
    /// For which instance; `None`: for any.
    pub instance: Option<InstanceAddr>,
    /// For which environment; `None`: for any.
    pub environment: Option<EnvironmentName>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Until when (exclusive); after it the waiver is an error.
    pub until: Option<Timestamp>,
    /// Where it is declared.
    pub span: Option<Span>,
}
