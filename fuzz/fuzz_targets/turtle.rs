#![no_main]
//! Any bytes as turtle.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gossamer_fuzz::read("turtle", bytes));
