//! What the computer gives, without a word about numbers or facts.
//!
//! *Invariant:* nothing here reads a clock, the environment or entropy, and nothing prints: a face
//! fills a [`Machine`] and an [`Observer`] and passes them in.
//! *Not here:* arithmetic on arrays (`gossamer-tensor`), what the data is about (`gossamer-graph`).

pub mod registry;
pub mod observer;
pub mod random;
pub mod parallel;
pub mod buffers;
pub mod faults;
pub mod instructions;
pub mod machine;
pub mod ledger;
pub mod disk;
pub mod file;
pub mod column;
pub mod folder;

pub use buffers::{Buffer, Buffers};
pub use file::FileError;
pub use instructions::InstructionSet;
pub use ledger::{Ledger, Line};
pub use machine::Machine;
pub use observer::{Observer, Progress, Silent};
pub use random::{Address, Purpose};
pub use registry::Unknown;
