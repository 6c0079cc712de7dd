//! The program: reads the command line, lets the stages work, prints through the views.

pub mod args;
