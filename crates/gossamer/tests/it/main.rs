//! The engine's promises, tested from outside: one binary, a module per promise.

#![allow(clippy::unwrap_used)]

mod golden;
mod house;
mod promise;
