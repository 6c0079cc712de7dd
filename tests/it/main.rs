//! The integration tests: one binary.
#![expect(clippy::disallowed_methods, reason = "tests look at what the program leaves on the disk")]

mod bad_input;
mod console;
mod crash;
mod docs;
mod estate;
mod generated;
mod provider_text;
mod schema;
mod walls;
