//! The order of buckets: which partitions are in memory one after the other.
//!
//! *Formula:* with c of p partitions in memory, c − 1 stay while each of the others passes through
//! the last place; then they have met all and give way to c − 1 that have not. Of the p(p − 1)/2
//! pairs, the first set has c(c − 1)/2 and each exchange brings at most c − 1 more; this order
//! exchanges little more often than that.
//! *Paper:* Mohoney et al.: Marius (OSDI 2021), the order by elimination.

/// Sets of partitions, one after the other, each differing from the one before by one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    sets: Vec<Vec<usize>>,
    /// The sets with both partitions of each pair.
    of_pair: Vec<Vec<u32>>,
    n: usize,
}

impl Order {
    /// For `in_memory` of `n` partitions at a time.
    pub fn new(n: usize, in_memory: usize) -> Self {
        let c = in_memory.clamp(1, n.max(1));
        let mut here: Vec<usize> = (0..c).collect();
        let mut away: Vec<usize> = (c..n).collect();
        let mut sets = vec![here.clone()];
        while !away.is_empty() {
            for other in &mut away {
                std::mem::swap(&mut here[c - 1], other);
                sets.push(here.clone());
            }
            // All but the last have met everyone. The one that left first comes first: what left
            // last may still be on its way to its file.
            for place in (0..c - 1).take(away.len()) {
                here[place] = away.remove(0);
                sets.push(here.clone());
            }
        }
        let mut of_pair = vec![Vec::new(); n * n];
        for (number, set) in (0u32..).zip(&mut sets) {
            set.sort_unstable();
            for (one, other) in set.iter().flat_map(|one| set.iter().map(move |two| (one, two))) {
                of_pair[one * n + other].push(number);
            }
        }
        Self { sets, of_pair, n }
    }

    /// How many sets: each has its bucket of triples.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The partitions of a set, ascending.
    pub fn set(&self, number: usize) -> &[usize] {
        &self.sets[number]
    }

    /// The sets that have both of two partitions.
    pub fn with(&self, one: usize, other: usize) -> &[u32] {
        &self.of_pair[one * self.n + other]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_meets_and_neighbours_differ_by_one() {
        for n in 1..=17 {
            for c in 2..=n.max(2) {
                let order = Order::new(n, c);
                let c = c.min(n);
                for one in 0..n {
                    for other in 0..n {
                        let with = order.with(one, other);
                        assert!(!with.is_empty());
                        for set in with.iter().map(|set| order.set(*set as usize)) {
                            assert!(set.contains(&one) && set.contains(&other));
                        }
                    }
                }
                for place in 1..order.len() {
                    let (before, now) = (order.set(place - 1), order.set(place));
                    let new = now.iter().filter(|one| !before.contains(one)).count();
                    assert_eq!((new, now.len()), (1, c), "{n} {c} {place}");
                }
                let pairs = |n: usize| n * (n - 1) / 2;
                let least = (pairs(n) - pairs(c)).div_ceil((c - 1).max(1));
                let exchanges = order.len() - 1;
                assert!(exchanges >= least && exchanges <= least + n, "{n} {c}: {exchanges}");
            }
        }
    }
}
