//! The program: reads the command line, lets the stages work, prints through the views.

pub mod args;
mod backend;
mod brackets;
mod command;
mod exit;
mod hold;
mod machines;
mod main;
mod planfile;
mod planning;
mod preview;
mod problem;
mod running;
mod session;
mod terminal;

pub use exit::Exit;
pub use main::main;
pub use planfile::open_plan;
