#![no_main]
//! Any bytes as openke.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gossamer_fuzz::read("openke", bytes));
