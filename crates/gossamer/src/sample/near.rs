//! Near negatives: entities around the answer in vectors that the user gives.
//!
//! Vectors of names or descriptions, from any language model, say which entities are easily taken for
//! each other; those teach most. The other half is uniform, so that the rest is not forgotten.
//! *Paper:* "LEMON: LanguagE MOdel for Negative Sampling of Knowledge Graph Embeddings" (2022).

use gossamer_machine::Address;

use super::{Sampler, Source, uniform::Uniform};

/// Half from the answer's neighbourhood, half from all.
#[derive(Debug)]
pub struct Near;

impl Sampler for Near {
    fn name(&self) -> &'static str {
        "near"
    }
    fn summary(&self) -> &'static str {
        "half from the answer's neighbourhood in the vectors that --neighbours names; own negatives only"
    }
    fn formula(&self) -> &'static str {
        "P(e) = ½/|neighbourhood of the answer| for e in it, + ½/N"
    }
    fn paper(&self) -> &'static str {
        "LEMON: LanguagE MOdel for Negative Sampling of Knowledge Graph Embeddings (2022)"
    }
    fn source(&self) -> Source {
        Source::Neighbourhood
    }
    fn draw(&self, address: Address, row: u32, n: u32, out: &mut [u32]) {
        Uniform.draw(address, row, n, out);
    }
}
