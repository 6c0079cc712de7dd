//! The program: reads the command line, lets the stages work, prints through the views.

mod approvals;
pub mod args;
mod backend;
mod brackets;
mod command;
mod exit;
mod hold;
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
mod session;
mod terminal;

pub use exit::Exit;
pub use main::main;
