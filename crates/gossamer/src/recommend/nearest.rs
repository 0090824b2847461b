//! What an item of a history says for the items that it is among the nearest of.
//!
//! *Formula:* s(u, i) = Σ over items j of u, with j among the k nearest of i, of the weight of i and j.
//! *Cost of a user's scores:* the pairs of the items of a history, k of each on average.

use std::collections::BTreeMap;

use super::scores::Matrix;

/// Of each item those that it speaks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    /// How many pairs each item has (items × 1): a float holds them, being fewer than its numbers.
    counts: Matrix,
    /// Where the pairs of each item end.
    ends: Vec<usize>,
    /// The number of an item and its weight (pairs × 2), one item's after the other's.
    pairs: Matrix,
}

impl Nearest {
    /// Bytes of so many items with so many near each.
    pub fn bytes_for(n_items: u64, nearest: u64) -> u64 {
        n_items * (4 + 8 + 8 * nearest)
    }

    /// Of the nearest of each item: number, weight, number … (items × 2k); a weight of 0 is of
    /// none.
    pub fn turned(of_items: &Matrix) -> Self {
        let n = of_items.values.len() / of_items.width.max(1);
        let rows = of_items.values.chunks_exact(of_items.width.max(1));
        let entries = rows.enumerate().flat_map(|(item, row)| {
            let pairs = row.chunks_exact(2).filter(|pair| pair[1] != 0.0);
            pairs.map(move |pair| (pair[0] as usize, item, pair[1]))
        });
        let mut counts = vec![0.0; n];
        entries.clone().for_each(|(own, ..)| counts[own] += 1.0);
        let mut found = Self {
            ends: ends_of(&counts),
            pairs: Matrix { values: Vec::new(), width: 2 },
            counts: Matrix { values: counts, width: 1 },
        };
        found.pairs.values.resize(2 * found.ends.last().copied().unwrap_or(0), 0.0);
        let mut next: Vec<usize> = (0..n).map(|own| found.first(own)).collect();
        for (own, item, weight) in entries {
            found.pairs.values[2 * next[own]..][..2].copy_from_slice(&[item as f32, weight]);
            next[own] += 1;
        }
        found
    }

    fn first(&self, item: usize) -> usize {
        if item == 0 { 0 } else { self.ends[item - 1] }
    }

    /// The items that an item speaks for, ascending, and what it says.
    pub fn of(&self, item: usize) -> impl Iterator<Item = (usize, f32)> {
        let pairs = &self.pairs.values[2 * self.first(item)..2 * self.ends[item]];
        pairs.chunks_exact(2).map(|pair| (pair[0] as usize, pair[1]))
    }

    /// Its matrices by name.
    pub fn matrices(&self) -> [(&'static str, &Matrix); 2] {
        [("nearest", &self.pairs), ("counts", &self.counts)]
    }

    /// From matrices by name; none if they do not fit each other, or not so many items.
    pub fn of_matrices(mut matrices: BTreeMap<String, Matrix>, n_items: usize) -> Option<Self> {
        let (pairs, counts) = (matrices.remove("nearest")?, matrices.remove("counts")?);
        let is_count = |count: &f32| (0.0..=n_items as f32).contains(count);
        let is_known = |pair: &[f32]| pair[0] >= 0.0 && (pair[0] as usize) < n_items;
        let sizes = pairs.width == 2 && counts.width == 1 && counts.values.len() == n_items;
        if !sizes || !counts.values.iter().all(is_count) {
            return None;
        }
        let ends = ends_of(&counts.values);
        let whole = pairs.values.len() == 2 * ends.last().copied().unwrap_or(0);
        let good = whole && pairs.values.chunks_exact(2).all(is_known);
        good.then_some(Self { counts, ends, pairs })
    }
}

/// Where lists of so many end.
fn ends_of(counts: &[f32]) -> Vec<usize> {
    let sums = counts.iter().scan(0, |sum, count| {
        *sum += *count as usize;
        Some(*sum)
    });
    sums.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(values: &[f32], width: usize) -> Matrix {
        Matrix { values: values.to_vec(), width }
    }

    #[test]
    fn an_item_speaks_for_those_that_it_is_nearest_of() {
        // 0 has 1 and 2, 1 has 2 alone, 2 has 1.
        let of_items = [1.0, 0.5, 2.0, 0.25, 2.0, 0.75, 0.0, 0.0, 1.0, 0.75, 0.0, 0.0];
        let found = Nearest::turned(&matrix(&of_items, 4));
        let of = |item: usize| found.of(item).collect::<Vec<_>>();
        assert_eq!(of(0), []);
        assert_eq!(of(1), [(0, 0.5), (2, 0.75)]);
        assert_eq!(of(2), [(0, 0.25), (1, 0.75)]);
        let tables = |of: &Nearest| {
            of.matrices().map(|(name, matrix)| (name.to_string(), matrix.clone())).into()
        };
        assert_eq!(Nearest::of_matrices(tables(&found), 3).as_ref(), Some(&found));
        assert_eq!(Nearest::of_matrices(tables(&found), 2), None);
        let none = Nearest::turned(&matrix(&[0.0; 4], 2));
        assert_eq!(none.of(1).count(), 0);
        assert_eq!(Nearest::of_matrices(tables(&none), 2), Some(none));
    }

    #[test]
    fn what_is_of_no_item_is_refused() {
        let of = |pairs: &[f32], counts: &[f32]| {
            let both = [("nearest", matrix(pairs, 2)), ("counts", matrix(counts, 1))];
            Nearest::of_matrices(both.map(|(name, of)| (name.to_string(), of)).into(), 2)
        };
        assert!(of(&[1.0, 0.5], &[1.0, 0.0]).is_some());
        assert!(of(&[7.0, 0.5], &[1.0, 0.0]).is_none());
        assert!(of(&[f32::NAN, 0.5], &[1.0, 0.0]).is_none());
        assert!(of(&[1.0, 0.5], &[2.0, 0.0]).is_none());
        assert!(of(&[1.0, 0.5], &[2.0, -1.0]).is_none());
        assert!(of(&[1.0, 0.5], &[1.0]).is_none());
    }
}
