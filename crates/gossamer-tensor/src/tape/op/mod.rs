//! Operations: forward, what is kept, and backward, side by side.

pub mod linear;
pub mod bias;
pub mod add;
pub mod neighbours;
pub mod rectify;
pub mod fixed;
pub mod compose;
pub mod bases;
pub mod attend;

#[cfg(test)]
mod check;
