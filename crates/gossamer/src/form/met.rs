//! Which queries met which entities, sorted by entity.
//!
//! *Invariant:* what an entity met keeps the order it came in.

/// A query and a candidate, and how their score should move.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Met {
    /// The candidate.
    pub row: u32,
    /// The query's place in its batch.
    pub query: u32,
    /// Their score.
    pub score: f32,
    /// The derivative of the loss by the score.
    pub coefficient: f32,
}

/// All that was met in a step.
#[derive(Debug)]
pub struct MetByRow {
    ids: Vec<u32>,
    /// Where each id's begin; one more than ids.
    starts: Vec<u32>,
    met: Vec<Met>,
}

impl MetByRow {
    /// Sorts; rows are below `n_rows`.
    pub fn new(unsorted: Vec<Met>, n_rows: usize) -> Self {
        // Buckets of few rows are counted, then each is sorted: of one row, where rows are no more
        // than what was met.
        let n = unsorted.len();
        let shift = (n_rows / n.max(1)).checked_ilog2().map_or(0, |log| log + 1);
        let mut places = vec![0u32; (n_rows >> shift) + 2];
        unsorted.iter().for_each(|met| places[(met.row >> shift) as usize + 1] += 1);
        for bucket in 1..places.len() {
            places[bucket] += places[bucket - 1];
        }
        let mut met = vec![Met::default(); n];
        for one in &unsorted {
            let place = &mut places[(one.row >> shift) as usize];
            met[*place as usize] = *one;
            *place += 1;
        }
        if shift > 0 {
            met.chunk_by_mut(|one, next| one.row >> shift == next.row >> shift)
                .for_each(|bucket| bucket.sort_by_key(|met| met.row));
        }
        let (mut ids, mut starts) = (Vec::new(), Vec::new());
        for (place, met) in (0..).zip(&met) {
            if ids.last() != Some(&met.row) {
                ids.push(met.row);
                starts.push(place);
            }
        }
        starts.push(n as u32);
        Self { ids, starts, met }
    }

    /// The entities, ascending, each once.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// What each of some entities met; `ids` ascend.
    pub fn of<'a>(&'a self, ids: &'a [u32]) -> impl Iterator<Item = &'a [Met]> {
        let first = ids.first().copied().unwrap_or_default();
        let mut own = self.ids.partition_point(|id| *id < first);
        ids.iter().map(move |id| {
            while self.ids.get(own).is_some_and(|own| own < id) {
                own += 1;
            }
            match self.ids.get(own) == Some(id) {
                true => &self.met[self.starts[own] as usize..self.starts[own + 1] as usize],
                false => &[],
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::{Address, Purpose};

    #[test]
    fn what_an_entity_met_stands_together_and_in_order() {
        let address = Address::new(1, Purpose::Synthetic, 0);
        for (n, n_rows) in [(0, 5), (1, 1), (500, 7), (300, 300), (100, 50_000)] {
            let met = |place: u32| {
                let [part, ..] = address.symmetric(place, 0);
                let row = (part.abs() * n_rows as f32) as u32;
                Met { row: row.min(n_rows - 1), query: place, ..Met::default() }
            };
            let all: Vec<Met> = (0..n).map(met).collect();
            let sorted = MetByRow::new(all.clone(), n_rows as usize);
            let asked: Vec<u32> = (0..n_rows).step_by(2).collect();
            for (id, found) in asked.iter().zip(sorted.of(&asked)) {
                let expected: Vec<Met> = all.iter().copied().filter(|met| met.row == *id).collect();
                assert_eq!(found, expected);
            }
            assert!(sorted.ids().is_sorted_by(|one, next| one < next));
        }
    }
}
