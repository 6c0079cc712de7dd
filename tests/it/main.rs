//! The integration tests: one binary.

mod console;
mod docs;
mod generated;
mod schema;
mod walls;
