//! The integration tests: one binary.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests look at what the program leaves on the disk, and say what they skip"
)]

mod console;
mod crash;
mod docs;
mod examples;
mod generated;
mod provider_text;
mod schema;
mod walls;
