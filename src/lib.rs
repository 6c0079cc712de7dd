//! Windlass moves platform software from version to version: it plans, applies, records and rolls back.
//!
//! A folder is a stage and a file is the noun it defines; `docs/explanation/architecture.md` has the map.

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests look at real files and at the real time"))]

pub mod apply;
pub mod cli;
pub mod config;
pub mod driver;
pub mod forge;
pub mod lang;
pub mod lock;
pub mod model;
pub mod observe;
pub mod plan;
pub mod policy;
#[cfg(test)]
mod simulation;
pub mod source;
pub mod state;
pub mod tls;
pub mod view;
pub mod watch;
