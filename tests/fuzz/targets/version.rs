//! Fuzz target: see `entry::version`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::version(data));
