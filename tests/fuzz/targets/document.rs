//! Fuzz target: see `entry::document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::document(data));
