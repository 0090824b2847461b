//! Who competes with an answer.

use std::sync::Arc;

use gossamer_machine::random::{Address, Permutation, Purpose};

use crate::table::{PANEL_ROWS, Panel};

/// Who competes with the answer. The answer itself always does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Candidates {
    /// Every entity.
    #[default]
    All,
    /// These entities, sorted, each once.
    Some(Arc<[u32]>),
}

impl Candidates {
    /// From ids in any order.
    pub fn some(mut ids: Vec<u32>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        Self::Some(ids.into())
    }

    /// So many of them, or all that there are, drawn at random without replacement.
    pub fn drawn(&self, n: usize, n_entities: usize, seed: u64) -> Self {
        let total = self.len(n_entities);
        let order = Permutation::new(total as u64, Address::new(seed, Purpose::Sample, 1));
        let places = (0..n.min(total)).map(|place| order.get(place as u64));
        Self::some(match self {
            Self::All => places.map(|place| place as u32).collect(),
            Self::Some(ids) => places.map(|place| ids[place as usize]).collect(),
        })
    }

    /// Those that are among both.
    pub fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, some) | (some, Self::All) => some.clone(),
            (Self::Some(ids), Self::Some(_)) => {
                Self::Some(ids.iter().copied().filter(|id| other.contains(*id)).collect())
            }
        }
    }

    /// How many of `n_entities` they are.
    pub fn len(&self, n_entities: usize) -> usize {
        match self {
            Self::All => n_entities,
            Self::Some(ids) => ids.len(),
        }
    }

    /// True if the entity is one of them.
    pub fn contains(&self, id: u32) -> bool {
        match self {
            Self::All => true,
            Self::Some(ids) => ids.binary_search(&id).is_ok(),
        }
    }

    /// True if one of them has its row in the panel at a place.
    pub fn any_in(&self, panel: usize) -> bool {
        let Self::Some(ids) = self else { return true };
        let at = ids.partition_point(|id| (*id as usize) < panel * PANEL_ROWS);
        ids.get(at).is_some_and(|id| (*id as usize) < (panel + 1) * PANEL_ROWS)
    }

    /// Those in a panel, as places in it; none stands for all of them.
    pub fn within(
        &self,
        panel: Panel<'_>,
        width: usize,
    ) -> Option<impl Iterator<Item = usize> + '_> {
        let Self::Some(ids) = self else { return None };
        let first = panel.first;
        let n = panel.rows.len() / width;
        let start = ids.partition_point(|id| *id < first);
        let end = ids.partition_point(|id| (*id as usize) < first as usize + n);
        Some(ids[start..end].iter().map(move |id| (id - first) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_drawn_are_different_and_of_the_set() {
        let set = Candidates::some((0..90).step_by(3).collect());
        for (from, most) in [(&Candidates::All, 90), (&set, 30)] {
            let Candidates::Some(ids) = from.drawn(20, 90, 4) else { panic!("not all") };
            assert_eq!(ids.len(), 20);
            assert!(ids.is_sorted_by(|a, b| a < b) && ids.iter().all(|id| from.contains(*id)));
            assert_ne!(from.drawn(20, 90, 4), from.drawn(20, 90, 5));
            assert_eq!(from.drawn(100, 90, 4).len(90), most);
        }
    }

    #[test]
    fn a_panel_is_asked_for_where_a_candidate_stands_in_it() {
        let set = Candidates::some(vec![511, 1024, 1030]);
        assert_eq!([0, 1, 2, 3].map(|panel| set.any_in(panel)), [true, false, true, false]);
        assert!(Candidates::All.any_in(7));
    }
}
