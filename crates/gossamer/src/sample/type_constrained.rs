//! Type-constrained negatives: entities that stand on the asked side of the relation somewhere.
//!
//! No ontology is needed: what a training triple has on that side counts as its type. An answer that
//! is merely of another kind teaches little; these are of the right kind and not the answer.
//! *Paper:* Krompaß et al., "Type-constrained representation learning in knowledge graphs" (2015).

use gossamer_machine::Address;

use super::{Sampler, Source, uniform::Uniform};

/// Entities of the asked side of the relation, each equally likely.
#[derive(Debug)]
pub struct TypeConstrained;

impl Sampler for TypeConstrained {
    fn name(&self) -> &'static str {
        "type-constrained"
    }
    fn summary(&self) -> &'static str {
        "entities that some training triple has on the asked side of the relation; own negatives only"
    }
    fn formula(&self) -> &'static str {
        "P(e) = 1/|range of (relation, side)| for e in it; of a range of one, from all entities"
    }
    fn paper(&self) -> &'static str {
        "Krompaß, Baier, Tresp: Type-Constrained Representation Learning in Knowledge Graphs \
         (ISWC 2015)"
    }
    fn source(&self) -> Source {
        Source::Range
    }
    fn draw(&self, address: Address, row: u32, n: u32, out: &mut [u32]) {
        Uniform.draw(address, row, n, out);
    }
}
