//! Who competes with an answer.

use std::sync::Arc;

use crate::table::Panel;

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
