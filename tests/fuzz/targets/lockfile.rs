//! Fuzz target: see `entry::lockfile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::lockfile(data));
