//! NumPy arrays.
//!
//! *Paper:* the format's description, NumPy Enhancement Proposal 1.

use std::path::Path;

use super::{Export, Vectors, unwritable, write_file};
use crate::error::Error;

/// `.npy`, version 1.0.
#[derive(Debug)]
pub struct Numpy;

impl Export for Numpy {
    fn name(&self) -> &'static str {
        "numpy"
    }
    fn summary(&self) -> &'static str {
        "an array of f32 for entities and one for relations, a text file of names for each"
    }
    fn paper(&self) -> &'static str {
        "NumPy Enhancement Proposal 1"
    }
    fn example(&self) -> &'static str {
        "gossamer export run/ --format numpy -o vectors/\npython: numpy.load('vectors/entity.npy')"
    }
    fn write(&self, vectors: &Vectors<'_>, folder: &Path) -> Result<(), Error> {
        let path = folder.join(format!("{}.npy", vectors.kind));
        write_file(&path, |out| {
            let shape = format!("({}, {})", vectors.table.n_rows(), vectors.table.width());
            let mut header =
                format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            // Magic, version and length take ten bytes; the array starts on a multiple of 64.
            let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
            header += &" ".repeat(length - header.len() - 1);
            header.push('\n');
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend_from_slice(&(length as u16).to_le_bytes());
            bytes.extend_from_slice(header.as_bytes());
            out.write_all(&bytes).map_err(unwritable(&path))?;
            vectors.for_each_panel(|rows| {
                out.write_all(bytemuck::cast_slice(rows)).map_err(unwritable(&path))
            })
        })?;
        vectors.write_names(folder)
    }
}
