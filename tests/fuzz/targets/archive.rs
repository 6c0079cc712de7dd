//! Fuzz target: see `entry::archive`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::archive(data));
