//! Bernoulli negatives: the side that has fewer answers is asked more, so that fewer negatives are
//! answers nobody wrote down.
//!
//! The published sampler corrupts the head with the probability below; here both sides are asked
//! and weigh by it, which has the same mean and less noise.
//! *Paper:* Wang et al., "Knowledge graph embedding by translating on hyperplanes" (2014).

use gossamer_machine::Address;

use super::{Sampler, uniform::Uniform};

/// Uniform entities, sides weighed by how many answers their queries have.
#[derive(Debug)]
pub struct Bernoulli;

impl Sampler for Bernoulli {
    fn name(&self) -> &'static str {
        "bernoulli"
    }
    fn summary(&self) -> &'static str {
        "uniform, and the side with fewer answers per query weighs more"
    }
    fn formula(&self) -> &'static str {
        "weight of the head's query 2·tph/(tph + hpt), of the tail's 2·hpt/(tph + hpt); tph: tails \
         per head of the relation, hpt: heads per tail"
    }
    fn paper(&self) -> &'static str {
        "Wang et al.: Knowledge Graph Embedding by Translating on Hyperplanes (AAAI 2014)"
    }
    fn weighs_sides(&self) -> bool {
        true
    }
    fn draw(&self, address: Address, row: u32, n_entities: u32, out: &mut [u32]) {
        Uniform.draw(address, row, n_entities, out);
    }
}
