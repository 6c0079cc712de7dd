//! Runs hand-made plans against a small world: real journal files, a paused clock, a store in memory, one scripted driver.

mod back;
mod bracket;
mod cost;
mod failure;
mod fan_out;
mod memory;
mod order;
mod poll;
mod probe;
mod recording;
mod resumption;
mod shared;
mod states;
mod verify;
mod world;
