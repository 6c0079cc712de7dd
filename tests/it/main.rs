//! The integration tests: one binary.
#![expect(clippy::disallowed_methods, reason = "tests look at what the program leaves on the disk")]

mod console;
mod crash;
mod docs;
mod generated;
mod schema;
mod walls;
