//! Relation-similar negatives: the same two entities, joined by a relation that is easily mistaken
//! for theirs.
//!
//! *Paper:* Chen et al., "Quantifying similarity between relations with fact distribution" (2019);
//! likeness is that of `gossamer relations similar`.

use gossamer_machine::Address;

use super::{Sampler, uniform::Uniform};

/// Uniform entities, and beside them some like relations.
#[derive(Debug)]
pub struct RelationSimilar;

impl Sampler for RelationSimilar {
    fn name(&self) -> &'static str {
        "relation-similar"
    }
    fn summary(&self) -> &'static str {
        "uniform entities and, beside them, eight relations like the triple's; own negatives only"
    }
    fn formula(&self) -> &'static str {
        "P(r') = likeness(r, r') / Σ likeness(r, ·), for (h, r', t)"
    }
    fn paper(&self) -> &'static str {
        "Chen et al.: Quantifying Similarity between Relations with Fact Distribution (ACL 2019)"
    }
    fn n_relations(&self) -> usize {
        8
    }
    fn draw(&self, address: Address, row: u32, n: u32, out: &mut [u32]) {
        Uniform.draw(address, row, n, out);
    }
}
