//! The integration tests: one binary.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests look at what the program leaves on the disk, and say what they skip"
)]

mod bad_input;
mod comment;
mod console;
mod crash;
mod disk;
mod docs;
mod drift;
mod estate;
mod examples;
mod failure;
mod fleet;
mod forge;
mod fuzz_finds;
mod generated;
mod kills;
mod matrix;
mod page;
mod pipeline;
mod places;
mod plan_json;
mod platforms;
mod policy;
mod ports;
mod preview;
mod probe;
mod provider_text;
mod prune;
mod review;
mod rollback;
mod rollout;
mod schema;
mod secrets;
mod security;
mod servers;
mod sources;
mod ssh_begin;
mod sshd;
mod starved;
mod status;
mod steps;
mod stores;
mod story;
mod two_at_once;
mod walls;
mod ways;
mod words;
