//! Fuzz target: see `entry::policy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::policy(data));
