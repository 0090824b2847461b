//! Knowledge-graph learning that fits the machine you have.
//!
//! Bring a graph in, learn it inside a memory budget, judge it honestly, ask it.
//!
//! ```no_run
#![doc = include_str!("../examples/first.rs")]
//! ```
//!
//! *Invariant:* this crate prints nothing, and reads no clock, no environment and no entropy; a
//! [`Machine`] and an [`Observer`] bring
//! what it needs. All public types are `Send + Sync`; data of a user never panics.
//! *Not here:* the terminal, JSON for users, HTTP (`gossamer-cli`).

pub mod error;
pub mod table;
pub mod score;
pub mod loss;
pub mod regulariser;
pub mod sample;
pub mod layer;
pub mod network;
pub mod config;
pub mod paging;
pub mod model;
pub mod form;
pub mod plan;
pub mod evaluate;
pub mod train;
pub mod tune;
pub mod offer;
pub mod recommend;
pub mod query;
pub mod export;
pub mod classes;

pub use config::Config;
pub use error::{Category, Error};
pub use gossamer_graph::{ImportReport, ImportRequest, Side, Snapshot, Split, import};
pub use gossamer_machine::{Machine, Observer, Progress, Silent};
pub use gossamer_tensor::{codec, optim, row_code, schedule};
pub use model::{Model, Run};
