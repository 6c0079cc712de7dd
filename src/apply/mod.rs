//! Acting: runs a plan's actions, writes ahead what it does, records what was done.
//!
//! Takes a finished plan and the traits of drivers and state; tells everything through [`Event`]s. Decides nothing that the plan
//! could have decided, and prints nothing.

pub mod event;

pub use event::Event;
