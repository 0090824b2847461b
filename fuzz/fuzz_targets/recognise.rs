#![no_main]
//! Any bytes, recognised and read as what they look like.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let reader = gossamer_graph::read::recognise(bytes);
    gossamer_fuzz::read(reader.name(), bytes);
});
