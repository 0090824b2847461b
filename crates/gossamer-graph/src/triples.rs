//! Triples in memory, sorted and free of duplicates.
//!
//! *Invariant:* sorted by head, relation, tail; no triple twice.

use std::ops::Range;

use gossamer_machine::FileError;
use gossamer_machine::column::ColumnFile;

/// The triples of a split, column by column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Triples {
    /// Heads.
    pub heads: Vec<u32>,
    /// Relations.
    pub relations: Vec<u32>,
    /// Tails.
    pub tails: Vec<u32>,
    /// Weights, where the source gave some; a triple without one has 1.
    pub weights: Option<Vec<f32>>,
}

impl Triples {
    /// Bytes of `n` triples in memory.
    pub fn bytes_for(n: u64, weighted: bool) -> u64 {
        n * if weighted { 16 } else { 12 }
    }

    /// From (head, relation, tail) in any order, repeated or not.
    pub fn from_rows(mut rows: Vec<[u32; 3]>) -> Self {
        rows.sort_unstable();
        rows.dedup();
        Self {
            heads: rows.iter().map(|row| row[0]).collect(),
            relations: rows.iter().map(|row| row[1]).collect(),
            tails: rows.iter().map(|row| row[2]).collect(),
            weights: None,
        }
    }

    /// The triples of a column file, checked against the numbers of names.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] also when an id has no name.
    pub fn read(
        file: &ColumnFile,
        n_entities: usize,
        n_relations: usize,
    ) -> Result<Self, FileError> {
        Self::window(file, 0..file.n_values("head"), n_entities, n_relations)
    }

    /// Those at some places of a column file.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn window(
        file: &ColumnFile,
        places: Range<u64>,
        n_entities: usize,
        n_relations: usize,
    ) -> Result<Self, FileError> {
        let read = |name: &str| {
            let mut ids = Vec::new();
            file.read::<u32>(name, places.clone(), &mut ids).map(|()| ids)
        };
        let (heads, relations, tails) = (read("head")?, read("relation")?, read("tail")?);
        let weights = file.find("weight").map(|_| {
            let mut weights = Vec::new();
            file.read::<f32>("weight", places.clone(), &mut weights).map(|()| weights)
        });
        let weights = weights.transpose()?;
        let lengths = ["relation", "tail"].map(|name| file.n_values(name));
        let named = |ids: &[u32], n: usize| ids.iter().all(|id| (*id as usize) < n);
        let same = lengths == [file.n_values("head"); 2];
        if !same
            || !named(&heads, n_entities)
            || !named(&tails, n_entities)
            || !named(&relations, n_relations)
        {
            return Err(FileError::corrupt(
                file.path(),
                0,
                "an id has no name, or columns differ in length",
            ));
        }
        Ok(Self { heads, relations, tails, weights })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The triple at a place.
    pub fn get(&self, index: usize) -> [u32; 3] {
        [self.heads[index], self.relations[index], self.tails[index]]
    }

    /// The weight at a place.
    pub fn weight(&self, index: usize) -> f32 {
        self.weights.as_ref().map_or(1.0, |weights| weights[index])
    }

    /// All triples in order.
    pub fn iter(&self) -> impl Iterator<Item = [u32; 3]> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }

    /// True if the triple is among them. Cost: a binary search.
    pub fn contains(&self, triple: [u32; 3]) -> bool {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).cmp(&triple) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return true,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_deduplicated_and_found() {
        let triples = Triples::from_rows(vec![[2, 0, 1], [0, 1, 2], [2, 0, 1], [0, 0, 9]]);
        assert_eq!(triples.iter().collect::<Vec<_>>(), [[0, 0, 9], [0, 1, 2], [2, 0, 1]]);
        assert!(triples.contains([0, 1, 2]) && !triples.contains([0, 1, 3]));
        assert_eq!(triples.weight(0), 1.0);
    }
}
