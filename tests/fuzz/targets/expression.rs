//! Fuzz target: see `entry::expression`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::expression(data));
