//! Rows to start from: a NumPy file and the names of its rows.
//!
//! *Invariant:* a row goes to the entity, or relation, of its name; names that the graph does not
//! have are an error, and rows that no name claims keep their random values.

use std::path::{Path, PathBuf};

use gossamer_graph::{Names, Snapshot};
use gossamer_machine::Machine;
use gossamer_machine::file::read_whole;

use crate::error::Error;
use crate::model::Model;
use crate::table::Table;

/// A `.npy` file of f32 or f64 rows, and a text file with a name per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vectors {
    /// The array.
    pub array: PathBuf,
    /// The names of its rows.
    pub names: PathBuf,
    /// True for relations, false for entities. A relation table that is reciprocal takes
    /// twice as many rows as there are names: second rows follow the first.
    pub relations: bool,
}

/// Rows of a file, and where each id's row stands among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// (n × width).
    pub rows: Vec<f32>,
    /// Floats of a row.
    pub width: usize,
    /// By id; none where no name claims a row.
    pub place_of: Vec<Option<usize>>,
}

impl Vectors {
    fn wrong(&self, what: String, hint: &str) -> Error {
        Error::Request { what: format!("{}: {what}", self.array.display()), hint: hint.into() }
    }

    /// Reads the rows and finds each name; `n` ids have a row at most, and where names are of
    /// relations, second rows may follow the first.
    fn read(&self, graph: &Snapshot, n: usize) -> Result<Placed, Error> {
        let bytes = read_whole(&self.array)?;
        let (rows, n_rows, width) = parse_npy(&bytes).ok_or_else(|| {
            let what = "this is no .npy file of f32 or f64 rows";
            self.wrong(what.into(), "save it with numpy.save, in C order")
        })?;
        let names = String::from_utf8_lossy(&read_whole(&self.names)?).into_owned();
        let names: Vec<&str> = names.lines().map(|line| line.trim_end_matches('\r')).collect();
        let vocab = if self.relations { graph.relations() } else { graph.entities() };
        let doubled = n == 2 * vocab.len() && n_rows == 2 * names.len();
        if n_rows != names.len() && !doubled {
            let what = format!("{n_rows} rows, but {} names", names.len());
            return Err(self.wrong(what, "one name per line and row"));
        }
        let mut place_of = vec![None; n];
        for (place, name) in names.iter().enumerate() {
            let id = find(vocab, name, if self.relations { "relation" } else { "entity" })?;
            place_of[id as usize] = Some(place);
            if doubled {
                place_of[id as usize + vocab.len()] = Some(place + names.len());
            }
        }
        if !rows.iter().all(|value| value.is_finite()) {
            return Err(self.wrong("a value is no number".into(), "replace NaN and infinity"));
        }
        Ok(Placed { rows, width, place_of })
    }

    /// Puts the rows where their names say.
    ///
    /// # Errors
    /// [`Error::Request`] with what does not fit.
    pub fn put(&self, graph: &Snapshot, model: &mut Model) -> Result<(), Error> {
        let table: &mut Table =
            if self.relations { &mut model.relations } else { &mut model.entities };
        let Placed { rows, width, place_of } = self.read(graph, table.n_rows())?;
        if width != table.width() {
            let what = format!("rows of {width} floats, the model has {}", table.width());
            let hint = "a complex coordinate takes two floats: real parts, then imaginary";
            return Err(self.wrong(what, hint));
        }
        let old = table.clone();
        *table = Table::empty(old.code(), width);
        table.grow(old.n_rows(), &mut |id, row| match place_of[id as usize] {
            Some(place) => row.copy_from_slice(&rows[place * width..][..width]),
            None => old.copy(id, row),
        });
        Ok(())
    }

    /// Reads the rows of entities.
    ///
    /// # Errors
    /// [`Error::Request`] with what does not fit, or where there are none or they pass the budget.
    pub fn of_entities(&self, graph: &Snapshot, machine: &Machine) -> Result<Placed, Error> {
        // The file's bytes, and the rows made of them.
        let bytes = 2 * std::fs::metadata(&self.array).map_or(0, |found| found.len());
        if let Some(budget) = machine.budget_bytes.filter(|budget| *budget < bytes) {
            let what = format!("reading it takes {bytes} bytes, the budget is {budget}");
            return Err(self.wrong(what, "give shorter vectors or a larger budget"));
        }
        let placed = self.read(graph, graph.entities().len())?;
        if placed.rows.is_empty() {
            return Err(self.wrong("there are no rows".into(), "one row for each name"));
        }
        Ok(placed)
    }
}

fn find(names: &Names, name: &str, kind: &'static str) -> Result<u32, Error> {
    match names.find(name)? {
        Some(id) => Ok(id),
        None => {
            Err(Error::UnknownName { kind, name: name.into(), nearest: names.nearest(name, 3)? })
        }
    }
}

/// The rows of a two-dimensional array in NumPy's format, version 1 or 2.
fn parse_npy(bytes: &[u8]) -> Option<(Vec<f32>, usize, usize)> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (start, length): (usize, usize) = match rest.first()? {
        1 => (4, usize::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?))),
        2 | 3 => (6, u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?) as usize),
        _ => return None,
    };
    let header = std::str::from_utf8(rest.get(start..start.checked_add(length)?)?).ok()?;
    let data = rest.get(start + length..)?;
    if header.contains("'fortran_order': True") {
        return None;
    }
    let shape = header.split_once("'shape': (")?.1.split_once(')')?.0;
    let shape: Vec<usize> = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let &[n_rows, width] = shape.as_slice() else { return None };
    let n = n_rows.checked_mul(width)?;
    let rows: Vec<f32> = if header.contains("'<f4'") {
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap_or_default())).collect()
    } else if header.contains("'<f8'") {
        let float = |b: &[u8]| f64::from_le_bytes(b.try_into().unwrap_or_default()) as f32;
        data.chunks_exact(8).map(float).collect()
    } else {
        return None;
    };
    (rows.len() == n).then_some((rows, n_rows, width))
}

/// The file of names that stands beside an array: `entity.npy` → `entity.txt`.
pub fn names_beside(array: &Path) -> PathBuf {
    array.with_extension("txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numpy_files_are_read_and_nonsense_is_not() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        (0..6).for_each(|i| bytes.extend((i as f32).to_le_bytes()));
        let (rows, n, width) = parse_npy(&bytes).unwrap();
        assert_eq!((rows, n, width), (vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 2, 3));
        for length in 0..bytes.len() {
            assert!(parse_npy(&bytes[..length]).is_none());
        }
    }
}
