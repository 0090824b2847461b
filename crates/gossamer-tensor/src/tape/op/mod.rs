//! Operations: forward, what is kept, and backward, side by side.

pub mod linear;
pub mod bias;
pub mod add;
pub mod entries;
pub mod neighbours;
pub mod rectify;
pub mod pick;
pub mod leave_out;
pub mod tanh;
pub mod normalise;
pub mod fixed;
pub mod compose;
pub mod bases;
pub mod blocks;
pub mod leak;
pub mod reversible;
pub mod attend;
pub mod attend_labels;
pub mod attend_twice;
pub mod interact;
pub mod mix;
pub mod worths;
pub mod attend_by;
pub mod attend_for;
pub mod intents;
pub mod weigh;
pub mod principal;

#[cfg(test)]
mod check;
