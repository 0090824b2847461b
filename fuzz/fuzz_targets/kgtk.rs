#![no_main]
//! Any bytes as kgtk.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gossamer_fuzz::read("kgtk", bytes));
