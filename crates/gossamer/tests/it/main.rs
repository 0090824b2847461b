//! The engine's promises, tested from outside: one binary, a module per promise.

mod golden;
mod house;
mod promise;
