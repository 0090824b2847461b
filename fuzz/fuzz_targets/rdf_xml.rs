#![no_main]
//! Any bytes as rdf-xml.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gossamer_fuzz::read("rdf-xml", bytes));
