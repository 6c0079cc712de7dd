//! The integration tests: one binary.

mod docs;
mod generated;
mod walls;
