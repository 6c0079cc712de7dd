//! One file a command, or a family of commands.

pub(super) mod abandon;
pub(super) mod apply;
pub(super) mod approve;
pub(super) mod backup;
pub(super) mod comment;
pub(super) mod console;
pub(super) mod drift;
pub(super) mod fmt;
pub(super) mod graph;
pub(super) mod history;
pub(super) mod init;
mod migrate;
pub(super) mod plan;
pub(super) mod policy;
pub(super) mod provider;
mod provider_new;
pub(super) mod run;
pub(super) mod show;
pub(super) mod state;
mod state_prune;
pub(super) mod status;
pub(super) mod validate;
