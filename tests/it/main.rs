//! The integration tests: one binary.
mod provider_text;
