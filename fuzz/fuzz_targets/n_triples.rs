#![no_main]
//! Any bytes as n-triples.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gossamer_fuzz::read("n-triples", bytes));
