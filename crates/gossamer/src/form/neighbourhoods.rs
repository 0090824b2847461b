//! Neighbourhoods: entities that stand close together in vectors which the user gives.
//!
//! Spherical k-means: rows of length 1, each with the centre that it has the largest product with,
//! each centre the mean of its rows. About 128 entities share a neighbourhood.
//!
//! *Invariant:* the same vectors give the same neighbourhoods.
//! *Paper:* "LEMON: LanguagE MOdel for Negative Sampling of Knowledge Graph Embeddings" (2022), where
//! negatives come from clusters of text embeddings.

use gossamer_machine::random::Permutation;
use gossamer_machine::{Address, Machine, Purpose};
use gossamer_tensor::kernel::Similarity;
use gossamer_tensor::kernel::similarity::Columns;
use gossamer_tensor::optim::on_sphere::to_unit;

/// Entities of a neighbourhood, on average.
const ENTITIES: usize = 128;
/// Times that all rows choose a centre.
const ROUNDS: usize = 10;
/// Rows that choose together.
const BLOCK: usize = 256;

/// Which neighbourhood each entity stands in; none where it has no vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbourhoods {
    /// By entity.
    pub of: Vec<Option<u32>>,
}

impl Neighbourhoods {
    /// Of rows (n × width) that belong to entities as `place_of` says.
    ///
    /// Cost: 20·n²/128·width floating-point operations.
    pub fn find(
        mut rows: Vec<f32>,
        width: usize,
        place_of: &[Option<usize>],
        machine: &Machine,
    ) -> Self {
        rows.chunks_exact_mut(width).for_each(to_unit);
        let n = rows.len() / width;
        let n_centres = n.div_ceil(ENTITIES);
        let first = Permutation::new(n as u64, Address::new(0, Purpose::Sample, 2));
        let mut centres: Vec<f32> = (0..n_centres as u64)
            .flat_map(|place| rows[first.get(place) as usize * width..][..width].to_vec())
            .collect();
        let mut chosen = vec![0; n];
        for _ in 0..ROUNDS {
            let before = std::mem::replace(&mut chosen, choose(&rows, &centres, width, machine));
            if before == chosen {
                break;
            }
            let mut sums = vec![0.0; centres.len()];
            for (row, centre) in rows.chunks_exact(width).zip(&chosen) {
                let sum = &mut sums[*centre as usize * width..][..width];
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            let both = centres.chunks_exact_mut(width).zip(sums.chunks_exact_mut(width));
            for (centre, sum) in both.filter(|(_, sum)| sum.iter().any(|x| *x != 0.0)) {
                to_unit(sum);
                centre.copy_from_slice(sum);
            }
        }
        Self { of: place_of.iter().map(|place| Some(chosen[(*place)?])).collect() }
    }

    /// A line per entity: its neighbourhood's number, or nothing.
    pub fn to_text(&self) -> String {
        let line = |of: &Option<u32>| of.map_or("\n".into(), |number| format!("{number}\n"));
        self.of.iter().map(line).collect()
    }

    /// From such lines, one for each of so many entities.
    pub fn read(text: &str, n_entities: usize) -> Option<Self> {
        let of = |line: &str| match line {
            "" => Some(None),
            number => number.parse().ok().filter(|n: &u32| (*n as usize) < n_entities).map(Some),
        };
        let of = text.lines().map(of).collect::<Option<Vec<Option<u32>>>>()?;
        (of.len() == n_entities).then_some(Self { of })
    }
}

/// The nearest centre of each row; the first of equals.
fn choose(rows: &[f32], centres: &[f32], width: usize, machine: &Machine) -> Vec<u32> {
    let (columns, isa) = (Columns::from(width), machine.instruction_set);
    let packed = Similarity::Dot.pack(isa, centres, columns);
    let n_centres = centres.len() / width;
    let blocks: Vec<&[f32]> = rows.chunks(BLOCK * width).collect();
    let found = machine.workers.map(blocks.len(), |block| {
        let rows = blocks[block];
        let mut scores = vec![0.0; rows.len() / width * n_centres];
        Similarity::Dot.scores_by_row(isa, &packed, rows, columns, &mut scores);
        let nearest = |scores: &[f32]| {
            let best = |best: usize, place: usize| {
                if scores[place] > scores[best] { place } else { best }
            };
            (0..n_centres).fold(0, best) as u32
        };
        scores.chunks_exact(n_centres).map(nearest).collect::<Vec<u32>>()
    });
    found.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_point_the_same_way_are_together() {
        // Entity i points along axis i % 3, whatever its length, with a little of its own.
        let n = 380;
        let rows: Vec<f32> = (0..n)
            .flat_map(|i| {
                (0..3).map(move |axis| {
                    let along = if i % 3 == axis { 1.0 + i as f32 } else { 0.0 };
                    along + (i * 7 % 5) as f32 * 0.01
                })
            })
            .collect();
        let place_of: Vec<Option<usize>> = (0..n).map(Some).chain([None]).collect();
        let machine = Machine::new(2, None);
        let found = Neighbourhoods::find(rows.clone(), 3, &place_of, &machine);
        for i in 0..n {
            assert_eq!(found.of[i], found.of[i % 3], "{i}");
        }
        assert_eq!(found.of[n], None);
        assert_eq!(found, Neighbourhoods::find(rows, 3, &place_of, &Machine::new(1, None)));
        assert_eq!(Neighbourhoods::read(&found.to_text(), n + 1), Some(found.clone()));
        assert_eq!(Neighbourhoods::read(&found.to_text(), n), None);
        assert_eq!(Neighbourhoods::read("x\n", 1), None);
    }
}
