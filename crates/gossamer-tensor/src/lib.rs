//! Numbers: kernels on slices, optimisers and their schedules.
//!
//! *Invariant:* this crate has no word for facts; it sees rows, queries and slices of `f32`.
//! Every array is row-major and its shape is known to the caller.
//! *Not here:* which row belongs to what (`gossamer`), threads (`gossamer-machine`).

pub mod kernel;
pub mod codec;
pub mod row_code;
pub mod dropout;
pub mod array;
pub mod inverse;
pub mod sparse;
pub mod tape;
pub mod optim;
pub mod schedule;
