//! Alternatives: relations that a triple's own is mistaken for.
//!
//! *Paper:* Chen et al., "Quantifying similarity between relations with fact distribution" (2019).

use gossamer_graph::Triples;
use gossamer_graph::likeness::likenesses;
use gossamer_machine::Address;

/// For each relation, the others by likeness.
#[derive(Debug)]
pub struct Alternatives {
    /// Where the others of each relation begin; one more than there are.
    starts: Vec<u32>,
    others: Vec<u32>,
    /// The sum of the likenesses up to each of them, over all of the relation's.
    sums: Vec<f64>,
}

impl Alternatives {
    /// Bytes while likenesses are found and as they stay.
    pub fn bytes_for(n_relations: u64, n_triples: u64) -> u64 {
        (8 + 16) * n_triples + 50 * n_relations * (48 + 16 + 12)
    }

    /// From the training triples.
    pub fn new(n_entities: usize, n_relations: usize, triples: &Triples) -> Self {
        let mut of = vec![Vec::new(); n_relations];
        for both in likenesses(n_entities, n_relations, triples) {
            of[both.one as usize].push((both.other, both.likeness));
            of[both.other as usize].push((both.one, both.likeness));
        }
        let (mut starts, mut others, mut sums) = (vec![0], Vec::new(), Vec::new());
        for found in of {
            let all: f64 = found.iter().map(|(_, likeness)| likeness).sum();
            let mut sum = 0.0;
            for (other, likeness) in found.iter().filter(|_| all > 0.0) {
                sum += likeness / all;
                others.push(*other);
                sums.push(sum);
            }
            starts.push(others.len() as u32);
        }
        Self { starts, others, sums }
    }

    /// Another relation, the likelier the more alike; of one that is like no other, any other.
    pub fn draw(&self, relation: u32, address: Address, row: u32, column: u32) -> u32 {
        let n_relations = self.starts.len() - 1;
        let range =
            self.starts[relation as usize] as usize..self.starts[relation as usize + 1] as usize;
        if range.is_empty() {
            let other = address.below((n_relations as u64 - 1).max(1), row, column) as u32;
            return (other + u32::from(other >= relation)) % n_relations as u32;
        }
        let wanted = address.unit(row, column);
        let place = self.sums[range.clone()].partition_point(|sum| *sum <= wanted);
        self.others[range.start + place.min(range.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gossamer_machine::Purpose;

    #[test]
    fn those_alike_are_drawn_most_and_a_relation_is_never_its_own() {
        let mut rows = Vec::new();
        for i in 0..60u32 {
            rows.extend([[i, 0, i + 100], [i, 1, i + 100], [i, 2, (i + 7) % 60 + 100]]);
            rows.push([i + 400, 3, i + 500]);
        }
        let alternatives = Alternatives::new(600, 4, &Triples::from_rows(rows));
        let address = Address::new(1, Purpose::Negative, 0);
        let counts = |relation: u32| {
            let mut counts = [0; 4];
            (0..1000)
                .for_each(|row| counts[alternatives.draw(relation, address, row, 0) as usize] += 1);
            counts
        };
        let of_first = counts(0);
        assert_eq!((of_first[0], of_first[3]), (0, 0));
        assert!(of_first[1] > 800, "{of_first:?}");
        let of_stranger = counts(3);
        assert_eq!(of_stranger[3], 0);
        assert!(of_stranger[..3].iter().all(|count| *count > 250), "{of_stranger:?}");
    }
}
