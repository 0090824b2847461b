//! What the computer gives, without a word about numbers or facts.
//!
//! *Invariant:* nothing here reads a clock, the environment or entropy, and nothing prints: a face
//! fills a [`Machine`] and an [`Observer`] and passes them in.
//! *Not here:* arithmetic on arrays (`gossamer-tensor`), names and triples (`gossamer-graph`).

pub mod column;
pub mod file;
pub mod folder;
pub mod ledger;
pub mod machine;
pub mod observer;
pub mod parallel;
pub mod random;
pub mod registry;

pub use file::FileError;
pub use ledger::{Ledger, Line};
pub use machine::{InstructionSet, Machine};
pub use observer::{Observer, Progress, Silent};
pub use random::{Address, Purpose};
pub use registry::Unknown;
