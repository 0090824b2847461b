//! The learning rate follows half a cosine down to nothing.

use super::Schedule;

/// Half a cosine.
#[derive(Debug)]
pub struct Cosine;

impl Schedule for Cosine {
    fn name(&self) -> &'static str {
        "cosine"
    }
    fn summary(&self) -> &'static str {
        "slow, fast, slow down to nothing: longer at large steps than linear"
    }
    fn formula(&self) -> &'static str {
        "½·(1 + cos πt)"
    }
    fn paper(&self) -> &'static str {
        "Loshchilov, Hutter: SGDR (ICLR 2017)"
    }
    fn factor(&self, done: f32) -> f32 {
        0.5 * (1.0 + (std::f32::consts::PI * done).cos())
    }
}
