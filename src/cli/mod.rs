//! The program: reads the command line, lets the stages work, prints through the views.

mod approval;
mod approvals;
pub mod args;
mod backend;
mod base;
mod brackets;
mod command;
mod drifting;
mod exit;
mod hold;
mod ledger;
mod machines;
mod main;
mod permission;
mod pins;
mod planfile;
mod planning;
mod policies;
mod preview;
mod problem;
mod running;
mod seal;
mod session;
mod terminal;

pub use exit::Exit;
pub use main::main;
pub use planfile::open_plan;
