//! Sets of numbers: a bit for each that could be a member, and each member's place among them.

/// Words of 64 numbers between two counts.
const WORDS: usize = 8;

/// A set of numbers below a bound.
#[derive(Debug, Clone, Default)]
pub struct Members {
    bits: Vec<u64>,
    /// For every few words, how many members stand before them; and of all.
    before: Vec<u32>,
}

impl Members {
    /// None of the numbers below `n`.
    pub fn none(n: usize) -> Self {
        Self { bits: vec![0; n.div_ceil(64)], before: Vec::new() }
    }

    /// Makes a number a member.
    pub fn add(&mut self, number: u32) {
        self.bits[number as usize / 64] |= 1 << (number % 64);
    }

    /// True for a member.
    pub fn has(&self, number: u32) -> bool {
        self.bits[number as usize / 64] >> (number % 64) & 1 == 1
    }

    /// Counts the members; [`len`](Self::len) and [`rank`](Self::rank) know those that were there.
    pub fn count(&mut self) {
        let mut sum = 0;
        self.before.clear();
        self.before.push(0);
        for words in self.bits.chunks(WORDS) {
            sum += words.iter().map(|word| word.count_ones()).sum::<u32>();
            self.before.push(sum);
        }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.before.last().map_or(0, |all| *all as usize)
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many members are below a number.
    pub fn rank(&self, number: u32) -> u32 {
        let word = number as usize / 64;
        let start = word / WORDS * WORDS;
        let whole: u32 = self.bits[start..word].iter().map(|word| word.count_ones()).sum();
        let below = self.bits[word] & ((1 << (number % 64)) - 1);
        self.before[word / WORDS] + whole + below.count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_places_among_the_members() {
        let mut members = Members::none(3000);
        let drawn: Vec<u32> = (0..3000).filter(|i| i % 7 == 3 || *i > 2900).collect();
        drawn.iter().for_each(|number| members.add(*number));
        members.count();
        assert_eq!(members.len(), drawn.len());
        for (place, number) in drawn.iter().enumerate() {
            assert!(members.has(*number));
            assert_eq!(members.rank(*number), place as u32);
        }
    }
}
