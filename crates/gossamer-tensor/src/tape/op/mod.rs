//! Operations: forward, what is kept, and backward, side by side.

pub mod linear;
pub mod bias;
pub mod neighbours;
pub mod rectify;
pub mod kinds;
pub mod attend;
