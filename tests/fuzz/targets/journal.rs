//! Fuzz target: see `entry::run_journal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::run_journal(data));
