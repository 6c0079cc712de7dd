//! The integration tests: one binary.
#![expect(clippy::disallowed_methods, reason = "tests look at what the program leaves on the disk")]

mod docs;
mod generated;
mod preview;
mod walls;
