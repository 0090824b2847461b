//! A run inside a longer call: its progress under the call's own words, its end when time is up.

use std::time::Duration;

use gossamer_machine::{Observer, Progress};

/// An observer that passes on how far a run is and ends it when the time is up; what the run would
/// say of itself is not passed on.
pub struct Watch<'a> {
    /// Who is told.
    pub observer: &'a dyn Observer,
    /// When the run ends, on the observer's clock.
    pub deadline: Duration,
    /// What the run is to the call.
    pub stage: &'a str,
}

impl Observer for Watch<'_> {
    fn now(&self) -> Duration {
        self.observer.now()
    }
    fn progress(&self, progress: &Progress<'_>) {
        let stage = format!("{}: {}", self.stage, progress.stage);
        self.observer.progress(&Progress { stage: &stage, ..progress.clone() });
    }
    fn cancelled(&self) -> bool {
        self.observer.cancelled() || self.now() >= self.deadline
    }
    fn log(&self, _: &str) {}
}
