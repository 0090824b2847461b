//! Gradients of some rows.

use gossamer_machine::{Buffer, InstructionSet};
use gossamer_tensor::kernel::vector;

/// Rows of some ids; an id may have several, which are added in their order.
#[derive(Debug, Default)]
pub struct SparseRows {
    /// Ids, ascending, each once.
    pub ids: Vec<u32>,
    /// Where the rows of each id start in `order`; one more than ids.
    starts: Vec<u32>,
    /// Places in `rows`, by id.
    order: Vec<u32>,
    rows: Buffer,
    width: usize,
}

impl SparseRows {
    /// Of `rows` (ids × width). What an id gets is added in the order of the input, so the result
    /// does not depend on how the work was split.
    pub fn new(of: &[u32], rows: Buffer, width: usize) -> Self {
        let mut keyed: Vec<u64> =
            of.iter().zip(0u64..).map(|(id, place)| u64::from(*id) << 32 | place).collect();
        keyed.sort_unstable();
        let (mut ids, mut starts) = (Vec::new(), Vec::new());
        for (place, key) in (0u32..).zip(&keyed) {
            let id = (key >> 32) as u32;
            if ids.last() != Some(&id) {
                ids.push(id);
                starts.push(place);
            }
        }
        starts.push(keyed.len() as u32);
        let order = keyed.into_iter().map(|key| key as u32).collect();
        Self { ids, starts, order, rows, width }
    }

    /// Adds to `out` (ids × width) what belongs to its ids, which are sorted.
    pub fn add_to(&self, isa: InstructionSet, ids: &[u32], out: &mut [f32]) {
        let Some(first) = ids.first() else { return };
        let mut own = self.ids.partition_point(|id| id < first);
        for (id, out) in ids.iter().zip(out.chunks_exact_mut(self.width.max(1))) {
            while self.ids.get(own).is_some_and(|own| own < id) {
                own += 1;
            }
            if self.ids.get(own) == Some(id) {
                let places = self.starts[own] as usize..self.starts[own + 1] as usize;
                for place in &self.order[places] {
                    let row = &self.rows[*place as usize * self.width..][..self.width];
                    vector::add_scaled(isa, out, 1.0, row);
                }
            }
        }
    }
}

/// The union of sorted lists of ids, sorted, each once.
pub fn union(lists: &[&[u32]]) -> Vec<u32> {
    let mut ids: Vec<u32> = lists.concat();
    // The stable sort sees that parts are sorted, and merges them.
    ids.sort();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::Buffers;

    #[test]
    fn rows_are_summed_by_id_and_added_where_they_belong() {
        let mut rows = Buffers::default().zeroed(6);
        rows.copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 10.0, 20.0]);
        let rows = SparseRows::new(&[5, 2, 5], rows, 2);
        assert_eq!(rows.ids, [2, 5]);
        let mut out = [1.0; 6];
        rows.add_to(InstructionSet::Portable, &[4, 5, 9], &mut out);
        assert_eq!(out, [1.0, 1.0, 12.0, 23.0, 1.0, 1.0]);
        assert_eq!(union(&[&[3, 1], &[1, 2]]), [1, 2, 3]);
    }
}
