#![no_main]
//! Any bytes as trig.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gossamer_fuzz::read("trig", bytes));
