//! Fuzz target: see `entry::provider`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::provider(data));
