//! The face's side of a long call: the time, progress, cancelling, and what to tell the user.
//!
//! *Invariant:* libraries learn the time and the wish to stop only from here.

use std::time::Duration;

/// How far a long call has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress<'a> {
    /// What is being done: "epoch 3", "validation", "reading train.txt".
    pub stage: &'a str,
    /// Units done.
    pub done: u64,
    /// Units in all; zero when nobody knows.
    pub total: u64,
    /// What the units are: "queries", "rows".
    pub unit: &'static str,
    /// The latest figures in words, such as "loss 1.234".
    pub detail: &'a str,
}

/// What a face offers to a long call.
pub trait Observer: Sync {
    /// Time since some fixed moment before the call.
    fn now(&self) -> Duration;
    /// Called often; must return quickly.
    fn progress(&self, progress: &Progress<'_>);
    /// True once the user wants the call to end; it ends at its next step, everything saved.
    fn cancelled(&self) -> bool;
    /// One line worth keeping.
    fn log(&self, line: &str);
}

/// An observer that shows nothing and never cancels; its clock stands still.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn now(&self) -> Duration {
        Duration::ZERO
    }
    fn progress(&self, _: &Progress<'_>) {}
    fn cancelled(&self) -> bool {
        false
    }
    fn log(&self, _: &str) {}
}
