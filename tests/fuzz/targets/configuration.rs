//! Fuzz target: see `entry::configuration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::configuration(data));
