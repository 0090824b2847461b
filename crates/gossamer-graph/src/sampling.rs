//! Which keys of a large graph a statistic looks at: a part of fixed size, chosen by their bits.
//!
//! All triples with a chosen key are looked at, so a ratio over chosen keys estimates the whole
//! graph's without bias; below [`WHOLE_TRIPLES`] every key is chosen and the ratio is exact.

/// Triples up to which nothing is left out.
pub const WHOLE_TRIPLES: u64 = 4 << 20;

/// A choice of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// A key is chosen when these bits of its hash are zero.
    mask: u64,
}

impl Sampling {
    /// Every key.
    pub const WHOLE: Self = Self { mask: 0 };

    /// One key in 2ⁿ, so that about [`WHOLE_TRIPLES`] triples or fewer are looked at.
    pub fn of(n_triples: u64) -> Self {
        Self::within(n_triples, WHOLE_TRIPLES)
    }

    /// One key in 2ⁿ, so that about `most` triples or fewer are looked at.
    pub fn within(n_triples: u64, most: u64) -> Self {
        Self { mask: n_triples.div_ceil(most.max(1)).max(1).next_power_of_two() - 1 }
    }

    /// How many keys stand behind a chosen one.
    pub fn every(self) -> u64 {
        self.mask + 1
    }

    /// About how many of so many triples are looked at, rather more than fewer.
    pub fn chosen(self, n_triples: u64) -> u64 {
        match self.every() {
            1 => n_triples,
            every => n_triples.div_ceil(every) * 65 / 64,
        }
    }

    /// True if a key is chosen.
    pub fn has(self, key: u64) -> bool {
        // The finaliser of SplitMix64: every bit of the key moves every bit of the hash.
        let mut hash = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (hash ^ hash >> 31) & self.mask == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_graph_is_looked_at_whole_and_a_large_one_in_part() {
        assert_eq!(Sampling::of(WHOLE_TRIPLES), Sampling::WHOLE);
        let eighth = Sampling::of(8 * WHOLE_TRIPLES);
        assert_eq!(eighth.every(), 8);
        let chosen = (0..80_000).filter(|key| eighth.has(*key)).count();
        assert!((9_600..10_400).contains(&chosen), "{chosen}");
    }
}
