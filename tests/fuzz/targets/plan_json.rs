//! Fuzz target: see `entry::raw_plan`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::raw_plan(data));
