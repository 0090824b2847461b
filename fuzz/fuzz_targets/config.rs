#![no_main]
//! Any text as a configuration.

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok((settings, _)) = gossamer::Config::read_toml(text) {
        let _ = gossamer::Config::from_settings(&settings, Some((100, 1000)));
    }
});
