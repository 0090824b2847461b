//! What a recommender has learned: scores of all items for a user, from the user's history or row.

use std::collections::BTreeMap;

use gossamer_machine::{FileError, InstructionSet, Machine};
use gossamer_tensor::kernel::pack::{Matrix as Of, MatrixMut, Right};
use gossamer_tensor::kernel::product::{Put, multiply};
use gossamer_tensor::kernel::vector;
use gossamer_tensor::row_code::RowCode;

use super::attended::Attended;
use super::conditioned::Conditioned;
use super::nearest::Nearest;
use crate::error::Error;
use crate::model::file::Rows;

/// A matrix (rows × width) as it stands in memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    /// Row after row.
    pub values: Vec<f32>,
    /// Floats of a row.
    pub width: usize,
}

impl Matrix {
    /// A row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..][..self.width]
    }
}

/// The rows of a matrix, as a file takes them.
#[derive(Debug, Clone, Copy)]
pub struct Floats<'a> {
    values: &'a [f32],
    width: usize,
}

impl Rows for Floats<'_> {
    fn size(&self) -> [usize; 2] {
        [self.values.len() / self.width.max(1), self.width]
    }
    fn code(&self) -> Option<&'static dyn RowCode> {
        None
    }
    fn for_each_stored(
        &self,
        write: &mut dyn FnMut(&[u8]) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        write(bytemuck::cast_slice(self.values))
    }
}

/// What was learned.
#[derive(Debug, Clone, PartialEq)]
pub enum Learned {
    /// A score of each item, whoever asks.
    Popularity(Vec<f32>),
    /// What each item of a history says for every item (items × items).
    Weights(Matrix),
    /// What each item of a history says for the items that it is among the nearest of.
    Nearest(Nearest),
    /// A row of each user and of each item, compared by their product.
    Factors {
        /// Users × dim.
        users: Matrix,
        /// Items × dim.
        items: Matrix,
    },
    /// Rows of items that depend on who asks.
    Attended(Attended),
    /// Rows of both that depend on user and item.
    Conditioned(Conditioned),
}

/// The largest number that a float holds exactly.
pub const MOST_NUMBERS: usize = 1 << 24;

/// Refuses more entities than a model that keeps their numbers as floats can tell apart.
///
/// # Errors
/// [`Error::Request`].
pub fn check_numbers(n: usize, (model, others): (&str, &str)) -> Result<(), Error> {
    if n <= MOST_NUMBERS {
        return Ok(());
    }
    let what = format!("{n} entities are more than {model} keeps numbers of ({MOST_NUMBERS})");
    Err(Error::Request { what, hint: format!("use {others}") })
}

impl Learned {
    /// Fills `out` (users × items) with the scores of some users, each with a history of items.
    pub fn scores(
        &self,
        machine: &Machine,
        users: &[(usize, Vec<u32>)],
        n_items: usize,
        out: &mut [f32],
    ) {
        if let Self::Factors { users: rows, items } = self {
            let rooms = (0..).map_while(|task| users.get(task * TOGETHER..));
            let tasks = rooms.zip(out.chunks_mut(TOGETHER * n_items.max(1))).collect();
            machine.workers.each(tasks, |(users, out): (&[(usize, Vec<u32>)], &mut [f32])| {
                let users = users.iter().take(out.len() / n_items.max(1));
                let known: Vec<f32> =
                    users.flat_map(|(user, _)| rows.row(*user)).copied().collect();
                products(machine.instruction_set, &known, items, out);
            });
            return;
        }
        if let Self::Attended(attended) = self {
            let users: Vec<usize> = users.iter().map(|(user, _)| *user).collect();
            return attended.scores(&users, n_items, out, machine);
        }
        let tasks = users.iter().zip(out.chunks_mut(n_items.max(1))).collect();
        machine.workers.each(tasks, |((user, history), out): (&(usize, Vec<u32>), &mut [f32])| {
            self.scores_of((*user, history), machine, out);
        });
    }

    /// Fills `out` with the scores of a user with a history.
    pub fn scores_of(&self, (user, history): (usize, &[u32]), machine: &Machine, out: &mut [f32]) {
        match self {
            Self::Attended(attended) => attended.scores(&[user], out.len(), out, machine),
            Self::Conditioned(conditioned) => {
                conditioned.scores_of((user, history), out, machine.instruction_set);
            }
            Self::Popularity(scores) => out.copy_from_slice(scores),
            Self::Factors { users, items } => {
                products(machine.instruction_set, users.row(user), items, out);
            }
            Self::Weights(_) | Self::Nearest(_) => {
                out.fill(0.0);
                history.iter().for_each(|item| self.add_reasons(*item as usize, out));
            }
        }
    }

    /// Adds what an item of a history says for every item; nothing where histories say nothing.
    pub fn add_reasons(&self, item: usize, out: &mut [f32]) {
        match self {
            Self::Weights(weights) => {
                out.iter_mut().zip(weights.row(item)).for_each(|(out, weight)| *out += weight);
            }
            Self::Nearest(nearest) => {
                nearest.of(item).for_each(|(other, weight)| out[other] += weight);
            }
            _ => {}
        }
    }

    /// What an item of a history says for another; nothing where histories say nothing.
    pub fn says(&self, own: usize, item: usize) -> f32 {
        match self {
            Self::Weights(weights) => weights.row(own)[item],
            Self::Nearest(nearest) => {
                nearest.of(own).find(|(other, _)| *other == item).map_or(0.0, |(_, weight)| weight)
            }
            _ => 0.0,
        }
    }

    /// Its matrices by name, as files have them.
    pub fn tables<'a>(&'a self) -> Vec<(&'static str, Floats<'a>)> {
        let of = |(name, matrix): (&'static str, &'a Matrix)| {
            (name, Floats { values: &matrix.values, width: matrix.width })
        };
        match self {
            Self::Popularity(scores) => vec![("popularity", Floats { values: scores, width: 1 })],
            Self::Weights(weights) => vec![of(("weights", weights))],
            Self::Nearest(nearest) => nearest.matrices().map(of).to_vec(),
            Self::Factors { users, items } => vec![of(("user", users)), of(("item", items))],
            Self::Conditioned(conditioned) => conditioned.matrices().map(of).to_vec(),
            Self::Attended(attended) => attended.matrices().map(of).to_vec(),
        }
    }

    /// From the tables of a file; none if they are of no recommender for so many users and items.
    pub fn of_tables(
        mut tables: BTreeMap<String, Matrix>,
        [n_users, n_items]: [usize; 2],
    ) -> Option<Self> {
        if tables.contains_key("near") {
            let sizes = [n_users, n_items];
            return match tables.contains_key("given") {
                true => Conditioned::of(tables, sizes).map(Self::Conditioned),
                false => Attended::of(tables, sizes).map(Self::Attended),
            };
        }
        if tables.contains_key("nearest") {
            return Nearest::of_matrices(tables, n_items).map(Self::Nearest);
        }
        let mut take = |name: &str, n: usize| {
            tables.remove(name).filter(|table| table.values.len() == n * table.width)
        };
        if let Some(scores) = take("popularity", n_items) {
            return Some(Self::Popularity(scores.values));
        }
        if let Some(weights) = take("weights", n_items) {
            return (weights.width == n_items).then_some(Self::Weights(weights));
        }
        let (users, items) = (take("user", n_users)?, take("item", n_items)?);
        (users.width == items.width).then_some(Self::Factors { users, items })
    }
}

/// Users whose scores are made together.
const TOGETHER: usize = 64;

/// The products of rows with all rows of a matrix.
fn products(isa: InstructionSet, rows: &[f32], of: &Matrix, out: &mut [f32]) {
    /// Rows that are packed together.
    const PANEL: usize = 512;
    let (width, n) = (of.width, of.values.len() / of.width.max(1));
    if rows.len() == width {
        let score = |(out, row): (&mut f32, &[f32])| *out = vector::dot(rows, row);
        return out.iter_mut().zip(of.values.chunks_exact(width.max(1))).for_each(score);
    }
    let mut packed = Right::<f32>::default();
    for (panel, values) in of.values.chunks(PANEL * width).enumerate() {
        packed.pack_transposed(isa, width, values.len() / width, Of { values, stride: width });
        let out = MatrixMut { values: &mut out[panel * PANEL..], stride: n };
        let left = Of { values: rows, stride: width };
        multiply(isa, rows.len() / width, left.into(), &packed, Put::Set, out);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The tables of a file that has what was learned.
    pub fn as_read(learned: &Learned) -> BTreeMap<String, Matrix> {
        let table = |(name, of): (&str, Floats<'_>)| {
            (name.to_string(), Matrix { values: of.values.to_vec(), width: of.width })
        };
        learned.tables().into_iter().map(table).collect()
    }

    #[test]
    fn more_entities_than_floats_tell_apart_are_refused() {
        assert!(check_numbers(MOST_NUMBERS, ("kgcn", "kgin")).is_ok());
        let error = check_numbers(MOST_NUMBERS + 1, ("kgcn", "kgin")).unwrap_err().to_string();
        assert!(error.contains("16777217 entities") && error.contains("use kgin"), "{error}");
    }

    #[test]
    fn all_kinds_score_and_come_back_from_their_tables() {
        let machine = Machine::new(2, None);
        let matrix = |values: &[f32], width| Matrix { values: values.to_vec(), width };
        let users = [(0, vec![0, 1]), (1, vec![])];
        for (learned, wanted) in [
            (Learned::Popularity(vec![3.0, 1.0]), [3.0, 1.0, 3.0, 1.0]),
            (Learned::Weights(matrix(&[0.0, 2.0, 0.5, 0.0], 2)), [0.5, 2.0, 0.0, 0.0]),
            (
                Learned::Nearest(Nearest::turned(&matrix(&[1.0, 2.0, 0.0, 0.5], 2))),
                [2.0, 0.5, 0.0, 0.0],
            ),
            (
                Learned::Factors {
                    users: matrix(&[1.0, 0.0, 2.0, 1.0], 2),
                    items: matrix(&[0.5, 1.0, 3.0, 0.0], 2),
                },
                [0.5, 3.0, 2.0, 6.0],
            ),
        ] {
            let mut out = [9.0; 4];
            learned.scores(&machine, &users, 2, &mut out);
            assert_eq!(out, wanted, "{learned:?}");
            let tables = as_read(&learned);
            assert_eq!(Learned::of_tables(tables.clone(), [2, 2]).as_ref(), Some(&learned));
            assert_eq!(Learned::of_tables(tables, [2, 3]), None);
        }
    }
}
