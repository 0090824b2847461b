#![no_main]
//! Any bytes as csv.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gossamer_fuzz::read("csv", bytes));
