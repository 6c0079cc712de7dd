//! Policies in Rego: what a plan may not do, decided by the people whose platforms these are.
//!
//! Takes the text of policies and one document about a plan, gives [`Ruling`](crate::plan::Ruling)s. Reads no file, asks nobody for
//! the time; a policy can neither change a plan nor see a secret, for a plan holds none.

mod document;
mod engine;
mod guard;
mod judge;
mod starter;
mod trial;

#[cfg(test)]
mod tests;

pub use document::{Author, Facts, document};
pub use engine::{LARGEST, MOST, Policies, PolicyText};
pub use starter::{starter, starters};
pub use trial::{Trial, TrialEnd};
