//! Acting: runs a plan's actions, writes ahead what it does, records what was done.
//!
//! Takes a finished plan and the traits of drivers and state; tells everything through [`Event`]s. Decides nothing that the plan
//! could have decided, and prints nothing.

#[macro_use]
pub mod crash;
mod clock;
mod control;
pub mod event;
pub mod journal;

pub use clock::{Clock, SystemClock};
pub use control::Control;
pub use event::Event;
