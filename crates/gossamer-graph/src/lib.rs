//! Facts: names, triples, readers, snapshots, known answers, splits.
//!
//! *Invariant:* this crate holds no learned number. A snapshot never changes; ids are never reused.
//! *Not here:* tables, scores and training (`gossamer`).

pub mod id;
pub mod error;
pub mod members;
pub mod room;
pub mod names;
pub mod iri;
pub mod read;
pub mod relay;
pub mod triples;
pub mod stored;
pub mod adjacency;
pub mod sampling;
pub mod cardinality;
pub mod mirror;
pub mod likeness;
pub mod snapshot;
pub mod buckets;
pub mod inspect;
pub mod write;
pub mod split;
pub mod split_users;
pub mod synth;
pub mod build;
pub mod dangling;
pub mod import;
pub mod made_up;
pub mod k_core;

pub use adjacency::{Adjacency, Answers};
pub use error::{GraphError, Mistake};
pub use id::{Side, Split};
pub use import::{ImportReport, ImportRequest, import};
pub use names::Names;
pub use room::Room;
pub use snapshot::Snapshot;
pub use triples::Triples;
