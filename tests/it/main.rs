//! The integration tests: one binary.
#![expect(clippy::disallowed_methods, reason = "tests look at what the program leaves on the disk")]

mod bad_input;
mod console;
mod crash;
mod disk;
mod docs;
mod estate;
mod failure;
mod fleet;
mod generated;
mod plan_json;
mod provider_text;
mod schema;
mod secrets;
mod story;
mod walls;
