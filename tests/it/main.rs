//! The integration tests: one binary.
#![expect(clippy::disallowed_methods, reason = "tests look at what the program leaves on the disk")]

mod console;
mod crash;
mod docs;
mod generated;
mod provider_text;
mod schema;
mod walls;
