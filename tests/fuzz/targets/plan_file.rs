//! Fuzz target: see `entry::plan_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::plan_file(data));
