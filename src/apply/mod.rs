//! Acting: runs a plan's actions, writes ahead what it does, records what was done.
//!
//! Takes a finished plan and the traits of drivers and state; tells everything through [`Event`]s. Decides nothing that the plan
//! could have decided, and prints nothing. The ways in stand in [`run`].

#[macro_use]
pub mod crash;
mod ahead;
mod attempt;
mod back;
pub mod bracket;
mod clock;
mod control;
mod delivery;
mod dispatch;
mod errand;
pub mod event;
mod fan_out;
mod finish;
mod folder;
mod foresee;
mod given;
mod graph;
mod invoke;
pub mod item;
pub mod journal;
mod lease;
mod luggage;
mod open;
mod place;
mod poll;
mod probe;
mod probing;
pub mod progress;
mod record;
mod recover;
pub mod run;
mod scheduler;
mod scope;
mod secret;
mod settle;
mod shared;
mod shipping;
mod tally;
#[cfg(test)]
mod tests;
mod undo;
mod verify;
mod voice;

pub use attempt::last_folder;
pub use back::{Back, Landing, Way, foresee_back};
pub use bracket::bracket_times;
pub use clock::{Clock, SystemClock};
pub use control::Control;
pub use event::Event;
pub use foresee::{Foreseen, arguments_now};
pub use progress::{ActionState, Progress};
pub use run::{
    AbandonedAs, Finished, Hosts, InstanceInput, Observer, ResumeOptions, Rules, RunArgs, Unwell, abandon, check_reason, execute,
    inspect, resume, rollback,
};
pub(crate) use secret::redacted;
pub use shared::fetch;
pub use voice::Listener;
