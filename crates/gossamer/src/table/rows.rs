//! Gradients of some rows, each row once.

/// Rows of some ids, sorted by id; what several sources gave to an id is summed in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SparseRows {
    /// Ids, ascending, each once.
    pub ids: Vec<u32>,
    rows: Vec<f32>,
    width: usize,
}

impl SparseRows {
    /// Sums `rows` (ids × width) by id. The order of addition is that of the input, so the result
    /// does not depend on how the work was split.
    pub fn sum(ids: &[u32], rows: &[f32], width: usize) -> Self {
        let mut order: Vec<u32> = (0..ids.len() as u32).collect();
        order.sort_by_key(|place| ids[*place as usize]);
        let mut summed = Self { ids: Vec::new(), rows: Vec::new(), width };
        for place in order {
            let (id, row) = (ids[place as usize], &rows[place as usize * width..][..width]);
            if summed.ids.last() == Some(&id) {
                let start = summed.rows.len() - width;
                summed.rows[start..].iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            } else {
                summed.ids.push(id);
                summed.rows.extend_from_slice(row);
            }
        }
        summed
    }

    /// The row of an id that is there.
    pub fn get(&self, id: u32) -> Option<&[f32]> {
        let place = self.ids.binary_search(&id).ok()?;
        Some(&self.rows[place * self.width..][..self.width])
    }

    /// Adds to `out` (ids × width) what belongs to its ids, which are sorted.
    pub fn add_to(&self, ids: &[u32], out: &mut [f32]) {
        let Some((first, last)) = ids.first().zip(ids.last()) else { return };
        let start = self.ids.partition_point(|id| id < first);
        let end = self.ids.partition_point(|id| id <= last);
        for place in start..end {
            if let Ok(target) = ids.binary_search(&self.ids[place]) {
                let row = &self.rows[place * self.width..][..self.width];
                let out = &mut out[target * self.width..][..self.width];
                out.iter_mut().zip(row).for_each(|(out, value)| *out += value);
            }
        }
    }
}

/// The union of sorted lists of ids, sorted, each once.
pub fn union(lists: &[&[u32]]) -> Vec<u32> {
    let mut ids: Vec<u32> = lists.concat();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed_by_id_and_added_where_they_belong() {
        let rows = SparseRows::sum(&[5, 2, 5], &[1.0, 2.0, 3.0, 4.0, 10.0, 20.0], 2);
        assert_eq!(rows.ids, [2, 5]);
        assert_eq!(rows.get(5), Some(&[11.0, 22.0][..]));
        assert_eq!(rows.get(3), None);
        let mut out = [1.0; 6];
        rows.add_to(&[4, 5, 9], &mut out);
        assert_eq!(out, [1.0, 1.0, 12.0, 23.0, 1.0, 1.0]);
        assert_eq!(union(&[&[3, 1], &[1, 2]]), [1, 2, 3]);
    }
}
