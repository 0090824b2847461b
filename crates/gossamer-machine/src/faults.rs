//! Faults: what was found wrong where results are looked at again.
//!
//! Whoever finds one notes it and goes on; whoever can stop asks.

use std::sync::Mutex;

/// Whether to look, and the first fault.
#[derive(Debug, Default)]
pub struct Faults {
    looks: bool,
    first: Mutex<Option<String>>,
}

impl Faults {
    /// Lets results be looked at.
    pub fn looking() -> Self {
        Self { looks: true, first: Mutex::default() }
    }

    /// True if results are to be looked at.
    pub fn looks(&self) -> bool {
        self.looks
    }

    /// Notes a fault; the first stays.
    pub fn note(&self, words: String) {
        if let Ok(mut first) = self.first.lock() {
            first.get_or_insert(words);
        }
    }

    /// The first fault, if there was one.
    pub fn take(&self) -> Option<String> {
        self.first.lock().ok().and_then(|mut first| first.take())
    }
}
