//! Negative samplers: which entities stand against a positive.
//!
//! *Invariant:* the negatives of a row are a function of the address, so they are never stored.

use gossamer_machine::Address;

gossamer_machine::registry!("negative sampler", Sampler:
    uniform::Uniform,
    bernoulli::Bernoulli,
    type_constrained::TypeConstrained,
    near::Near,
    relation_similar::RelationSimilar,
);

/// Where negatives come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// All entities.
    Everywhere,
    /// The entities of the asked side of the relation.
    Range,
    /// The entities around the answer.
    Neighbourhood,
}

/// Draws negatives.
pub trait Sampler: Sync {
    /// Its name in config and help.
    fn name(&self) -> &'static str;
    /// What it does, in a line.
    fn summary(&self) -> &'static str;
    /// Formula.
    fn formula(&self) -> &'static str;
    /// The source.
    fn paper(&self) -> &'static str;
    /// True if the two queries of a triple weigh by their relation's answers per query.
    fn weighs_sides(&self) -> bool {
        false
    }
    /// Where entities are drawn from.
    fn source(&self) -> Source {
        Source::Everywhere
    }
    /// How many other relations stand against each positive, beside entities.
    fn n_relations(&self) -> usize {
        0
    }
    /// True if each query's negatives are its own.
    fn own(&self) -> bool {
        self.source() != Source::Everywhere || self.n_relations() > 0
    }
    /// Fills `out` with numbers below `n`, with replacement: places among the entities to draw
    /// from. `row` is the query, or the block of queries that shares them.
    fn draw(&self, address: Address, row: u32, n: u32, out: &mut [u32]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::Purpose;

    #[test]
    fn the_same_address_draws_the_same_and_stays_in_range() {
        for sampler in ALL {
            let address = Address::new(3, Purpose::Negative, 8);
            let (mut first, mut again, mut other) = ([0; 999], [0; 999], [0; 999]);
            sampler.draw(address, 4, 50, &mut first);
            sampler.draw(address, 4, 50, &mut again);
            sampler.draw(address, 5, 50, &mut other);
            assert_eq!(first, again);
            assert_ne!(first, other);
            assert!(first.iter().all(|id| *id < 50));
        }
    }
}
