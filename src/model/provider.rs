//! What a provider teaches: settings, facts, routes, strategies. Read from HCL by `config`, never changed after.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::fan_out::FanOut;
use super::name::{Digest, DriverName, ProviderName, StepName, StrategyName};
use super::poll::Poll;
use super::probe::Probe;
use super::release::Release;
use super::version::{VersionReq, VersionScheme};
use crate::lang::{Expr, Type};
use crate::source::Span;

/// One product, as a folder of HCL describes it.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The folder's name, and the first label of its instances.
    pub name: ProviderName,
    /// The product's name, for people.
    pub title: String,
    /// What it is, for people. Markdown.
    pub description: String,
    /// The provider's own version (semver).
    pub version: String,
    /// Digest over every file of the folder: pinned in the lockfile.
    pub digest: Digest,
    /// How the product orders its versions.
    pub scheme: VersionScheme,
    /// What a user may set on an instance.
    pub settings: IndexMap<Arc<str>, Setting>,
    /// Values computed from settings, host and version, named once: `local.NAME`. Evaluated lazily, may use each other.
    pub locals: IndexMap<Arc<str>, Expr>,
    /// What can be observed.
    pub facts: IndexMap<Arc<str>, Fact>,
    /// Releases that the provider knows of; the configuration may add more.
    pub releases: Vec<Release>,
    /// Ways from version to version, tried in order; the planner searches over them.
    pub routes: Vec<Route>,
    /// Versions that may not be crossed without stopping there.
    pub required_stops: Vec<RequiredStop>,
    /// Moves that are forbidden.
    pub blocked: Vec<Blocked>,
    /// Moves that are a risk under a condition.
    pub risks: Vec<Risk>,
    /// What must hold before anything is touched.
    pub preflights: Vec<Preflight>,
    /// What an instance needs of another provider's instance (version skew).
    pub requires: Vec<ProviderRequirement>,
    /// What a person must read or do, by versions crossed.
    pub notes: Vec<Note>,
    /// How hops are done.
    pub strategies: IndexMap<StrategyName, Strategy>,
    /// Documents that steps render, by path in the folder.
    pub files: BTreeMap<Arc<str>, Arc<[u8]>>,
}

/// A setting of an instance: `home = "/opt/kyligence"`.
#[derive(Debug, Clone)]
pub struct Setting {
    /// What it must be.
    pub ty: Type,
    /// Whether it must be given.
    pub required: bool,
    /// What it is where it is not given; may use `self` (other settings), `host`, `instance`.
    pub default: Option<Expr>,
    /// Whether no output may show it.
    pub sensitive: bool,
    /// What it means, for people.
    pub description: String,
    /// Conditions on it.
    pub validations: Vec<Validation>,
    /// What a change of it, at the same version, asks for.
    pub on_change: OnChange,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// What a changed setting asks for while the version stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnChange {
    /// The provider's `reconfigure` strategy.
    #[default]
    Reconfigure,
    /// Nothing: it is only read by later runs (a timeout, a backup folder).
    Ignore,
    /// It can only change together with the version (where a migration leads to): refused while the version stays.
    WithVersion,
    /// It cannot change while the instance lives (a data directory): refused.
    Refuse,
}

/// A condition with what to say where it does not hold.
#[derive(Debug, Clone)]
pub struct Validation {
    /// Must be true.
    pub condition: Expr,
    /// Said where it is not; a template.
    pub message: Expr,
}

/// A call of a driver, not evaluated yet.
#[derive(Debug, Clone)]
pub struct CallTemplate {
    /// Which driver.
    pub driver: DriverName,
    /// Its arguments by name.
    pub args: IndexMap<Arc<str>, Expr>,
    /// On which host, by the name of its declaration; `None`: where the instance lives.
    pub on: Option<Expr>,
    /// Where it is written.
    pub span: Option<Span>,
}

impl CallTemplate {
    /// Everything in it that is evaluated.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.args.values().chain(&self.on)
    }
}

/// Something observed about an instance. Asked concurrently; a fact may use others (`fact.NAME`), then it waits for them.
///
/// Known to the planner by name: `version` (null: not installed; required of every provider), `running`, `healthy` (bool).
#[derive(Debug, Clone)]
pub struct Fact {
    /// The driver call that observes; `None`: computed from other facts alone.
    pub call: Option<CallTemplate>,
    /// The fact's value, from `result`; the whole result where it is not given.
    pub value: Option<Expr>,
    /// Asked only where this is true; null otherwise.
    pub when: Option<Expr>,
    /// Asked once for each item, `each.key`, `each.value`; its value is then a map with the same names.
    pub for_each: Option<Expr>,
    /// Whether a difference between two observations is drift of the configuration.
    pub drift: bool,
    /// Whether no output may show it.
    pub sensitive: bool,
    /// How long it may take.
    pub timeout: Duration,
    /// What it means, for people.
    pub description: String,
    /// Where it is declared.
    pub span: Option<Span>,
}

impl Fact {
    /// Everything in it that is evaluated.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.value.iter().chain(&self.when).chain(&self.for_each).chain(self.call.iter().flat_map(CallTemplate::exprs))
    }
}

/// What an instance is moved by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Movement {
    /// From nothing to a version.
    Install,
    /// To a higher version.
    Upgrade,
    /// To a lower version by a way of the provider's own; an applied hop is rolled back by its undo instead.
    Downgrade,
    /// Same version, other settings.
    Reconfigure,
    /// Away.
    Remove,
    /// Nowhere: what is there is backed up.
    Backup,
    /// From what a backup holds to the version that is there.
    Restore,
}

/// A way from version to version.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name, unique in the provider.
    pub name: Arc<str>,
    /// What it does.
    pub movement: Movement,
    /// Versions that it may start from; `None`: any (and nothing, for an install).
    pub from: Option<VersionReq>,
    /// Versions that it may lead to; `None`: any.
    pub to: Option<VersionReq>,
    /// Must be true, where given: over `from`, `to` (objects with `text`, `major`, `minor`, `patch`), `self`, `fact`.
    pub when: Option<Expr>,
    /// How the hop is done.
    pub strategy: StrategyName,
    /// Downtime to expect where no recorded run says better.
    pub downtime: Option<Duration>,
    /// Lower is preferred among ways of equal downtime: 0 none, 100 dangerous.
    pub risk: u32,
    /// Said in the plan.
    pub note: Option<String>,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// A version at which every way that crosses it must stop.
#[derive(Debug, Clone)]
pub struct RequiredStop {
    /// Which versions are such stops.
    pub version: VersionReq,
    /// Why.
    pub reason: String,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// A move that is forbidden.
#[derive(Debug, Clone)]
pub struct Blocked {
    /// Its name, which a waiver may use.
    pub name: Arc<str>,
    /// Starting from these; `None`: any.
    pub from: Option<VersionReq>,
    /// Leading to these; `None`: any.
    pub to: Option<VersionReq>,
    /// Only where this is true; `None`: always.
    pub when: Option<Expr>,
    /// Why, and what to do instead.
    pub reason: String,
    /// The vendor's page.
    pub url: Option<String>,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// A move that is a risk under a condition. Where the rule is true *or cannot be evaluated*, the move is not recommended: it is
/// refused without a waiver of the risk's name.
#[derive(Debug, Clone)]
pub struct Risk {
    /// Its name, which a waiver uses.
    pub name: Arc<str>,
    /// Starting from these; `None`: any.
    pub from: Option<VersionReq>,
    /// Leading to these; `None`: any.
    pub to: Option<VersionReq>,
    /// When it applies: over `from`, `to`, `self`, `fact`.
    pub rule: Expr,
    /// What may happen.
    pub message: String,
    /// Where it is explained.
    pub url: Option<String>,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// What must hold before anything is touched, for every hop. Pure: over `self`, `fact`, `from`, `to`, `backup`.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// Its name, which a waiver uses.
    pub name: Arc<str>,
    /// Asked only for these movements; empty: all.
    pub movements: Vec<Movement>,
    /// Asked only where true.
    pub when: Option<Expr>,
    /// Must be true. Where it cannot be evaluated because a fact is missing, the check fails and says so.
    pub pass: Expr,
    /// Said where it is not; a template.
    pub message: Expr,
    /// What to do; a template.
    pub remedy: Option<Expr>,
    /// Whether failing only warns.
    pub warn_only: bool,
    /// Whether a waiver of its name lets it pass.
    pub waivable: bool,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// What an instance needs of another provider's instance that it depends on.
#[derive(Debug, Clone)]
pub struct ProviderRequirement {
    /// The other provider.
    pub provider: ProviderName,
    /// The versions of this product that need it; `None`: all.
    pub when: Option<VersionReq>,
    /// Versions of the other that will do.
    pub version: VersionReq,
    /// Why.
    pub reason: String,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// What a person must read or do when a version is reached or crossed.
#[derive(Debug, Clone)]
pub struct Note {
    /// Its name, unique in the provider.
    pub name: Arc<str>,
    /// Versions whose reaching or crossing brings it up.
    pub versions: Option<VersionReq>,
    /// Only for these movements; empty: upgrades.
    pub movements: Vec<Movement>,
    /// Only where true.
    pub when: Option<Expr>,
    /// What it says; a template.
    pub text: Expr,
    /// The vendor's page.
    pub url: Option<String>,
    /// Whether somebody owes work afterwards: tracked in the lockfile until confirmed.
    pub follow_up: bool,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// How a hop is done: a graph of steps.
#[derive(Debug, Clone)]
pub struct Strategy {
    /// Its name.
    pub name: StrategyName,
    /// What it does, for people.
    pub description: String,
    /// The steps, in the order declared. `after` is acyclic and names steps of this strategy.
    pub steps: Vec<Step>,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// One step of a strategy.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name, unique in the strategy.
    pub name: StepName,
    /// What it does, for people: `Back up the database`.
    pub title: String,
    /// Steps that must have ended before.
    pub after: Vec<StepName>,
    /// Part of the plan only where true.
    pub when: Option<Expr>,
    /// One action for each item; `each.key`, `each.value`.
    pub for_each: Option<Expr>,
    /// What it does.
    pub call: CallTemplate,
    /// Whether it is already done: asked when a run resumes and the outcome is unknown.
    pub check: Option<Check>,
    /// The way back.
    pub undo: Undo,
    /// May be done twice without harm; then an unknown outcome means: do it again.
    pub repeatable: bool,
    /// How often, and how long between.
    pub retry: Retry,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Failures that count as success: any of these true, over `error` (`message`, `exit_code`, `stdout`, `stderr`, `status`).
    pub tolerate: Vec<Expr>,
    /// Calls again and again until something is so.
    pub poll: Option<Arc<Poll>>,
    /// Looks on beside the steps of `during`.
    pub probe: Option<Arc<Probe>>,
    /// (A probe) It begins before these do and ends after all of them have.
    pub during: Vec<StepName>,
    /// Calls for each of several items that become known only while applying.
    pub fan_out: Option<Arc<FanOut>>,
    /// What it puts the platform into: `maintenance mode`.
    pub opens: Option<Arc<str>>,
    /// What it takes the platform out of.
    pub closes: Option<Arc<str>>,
    /// How far it is, in percent: over `line`, a line of its output; null for a line that does not tell.
    pub progress: Option<Expr>,
    /// The instance does not serve while this runs.
    pub downtime: bool,
    /// Needs root on the host.
    pub privileged: bool,
    /// How long it is expected to take where no recorded run says better.
    pub estimate: Option<Duration>,
    /// Said in the plan.
    pub note: Option<String>,
    /// Where it is declared.
    pub span: Option<Span>,
}

/// Asks whether something is already done.
#[derive(Debug, Clone)]
pub struct Check {
    /// The driver call that asks.
    pub call: CallTemplate,
    /// Done, where true: over `result`. `None`: done where the call succeeds.
    pub done: Option<Expr>,
}

/// The way back from a step.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly every step is undone by a call: a box would be made for each")]
pub enum Undo {
    /// A call reverses it.
    Call {
        /// The call.
        call: CallTemplate,
        /// Whether it puts back an older state of data, so that what was written since is lost.
        restores_data: bool,
        /// The instance does not serve while this runs.
        downtime: bool,
        /// How often, and how long between.
        retry: Retry,
        /// How long it may take.
        timeout: Option<Duration>,
        /// Calls again and again until something is so.
        poll: Option<Arc<Poll>>,
        /// Calls for each of several items that become known only while applying.
        fan_out: Option<Arc<FanOut>>,
        /// What it puts the platform into.
        opens: Option<Arc<str>>,
        /// What it takes the platform out of.
        closes: Option<Arc<str>>,
    },
    /// Nothing needs to be reversed.
    Harmless,
    /// Cannot be reversed: the point of no return.
    Irreversible,
}

/// How often a failed call is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Retry {
    /// Tries in all, at least one.
    pub attempts: u32,
    /// Pause after the first failure; doubles each time.
    pub backoff: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 1, backoff: Duration::from_secs(1) }
    }
}
