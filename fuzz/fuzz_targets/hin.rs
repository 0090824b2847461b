#![no_main]
//! Any bytes as hin.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gossamer_fuzz::read("hin", bytes));
