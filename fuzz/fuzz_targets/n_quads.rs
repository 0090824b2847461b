#![no_main]
//! Any bytes as n-quads.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gossamer_fuzz::read("n-quads", bytes));
