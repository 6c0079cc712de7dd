//! Everything that a plan is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::approval::Approval;
use super::purpose::Purpose;
use super::spread::Spread;

use crate::lock::Lock;
use crate::model::estate::Estate;
use crate::model::inventory::Inventory;
use crate::model::name::{Digest, EnvironmentName, InstanceAddr, ProviderName};
use crate::model::provider::Provider;

/// Everything that a plan is made from. Borrowed, so that making one costs nothing.
#[derive(Clone, Copy)]
pub struct PlanInput<'a> {
    /// What is desired.
    pub estate: &'a Estate,
    /// Providers as they are now.
    pub providers: &'a BTreeMap<ProviderName, Arc<Provider>>,
    /// Providers as they were when recorded hops were applied, by digest; includes the current ones.
    pub applied_providers: &'a BTreeMap<Digest, Arc<Provider>>,
    /// What is there.
    pub inventory: &'a Inventory,
    /// What was applied, for every environment of the estate (a fresh [`Lock`] where nothing was).
    pub locks: &'a BTreeMap<EnvironmentName, Lock>,
    /// How long steps took in earlier runs, by `provider/strategy/step`; of undos that went back over an applied hop by
    /// `provider/strategy/undo:step`.
    pub durations: &'a BTreeMap<String, Spread>,
    /// The time of planning.
    pub now: Timestamp,
    /// What the user asked for.
    pub options: &'a PlanOptions,
}

/// What the user asked for beyond the configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanOptions {
    /// Only these environments; empty: all.
    pub environments: Vec<EnvironmentName>,
    /// Only these instances (address or leading part of one) and what they depend on; empty: all.
    pub targets: Vec<String>,
    /// Moves versions that a constraint chose earlier to the newest that fits now; otherwise they stay where the lockfile has them.
    pub upgrade: bool,
    /// What the plan is made for. Unless it is to bring instances to what is declared, `targets` are whole addresses, and nothing else
    /// is touched.
    pub purpose: Purpose,
    /// Facts of configuration that are not as recorded, by instance: brought back by the provider's way to reconfigure.
    pub bring_back: BTreeMap<InstanceAddr, BTreeSet<Arc<str>>>,
    /// Who plans or applies: an approval of theirs is not enough alone.
    pub user: String,
    /// Approvals that were given.
    pub approvals: Vec<Approval>,
    /// The version of Windlass, written into the plan.
    pub tool_version: String,
}
