#![no_main]
//! Any bytes as tsv.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gossamer_fuzz::read("tsv", bytes));
