#![no_main]
//! Any bytes as neo4j.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gossamer_fuzz::read("neo4j", bytes));
