//! Safetensors.
//!
//! *Paper:* the format's description at the huggingface/safetensors repository.

use std::collections::BTreeMap;
use std::path::Path;

use gossamer_machine::FileError;
use gossamer_machine::file::partial_path;
use gossamer_tensor::row_code::RowCode;

use super::{Export, Vectors};
use crate::error::Error;
use crate::model::file::{self, Rows};

/// One file per kind, with one tensor.
#[derive(Debug)]
pub struct Safetensors;

impl Export for Safetensors {
    fn name(&self) -> &'static str {
        "safetensors"
    }
    fn summary(&self) -> &'static str {
        "a tensor of f32 for entities and one for relations, a text file of names for each"
    }
    fn paper(&self) -> &'static str {
        "huggingface/safetensors, format description"
    }
    fn example(&self) -> &'static str {
        "gossamer export run/ --format safetensors -o vectors/\n\
         python: safetensors.numpy.load_file('vectors/entity.safetensors')['entity']"
    }
    fn write(&self, vectors: &Vectors<'_>, folder: &Path) -> Result<(), Error> {
        let path = folder.join(format!("{}.safetensors", vectors.kind));
        let partial = partial_path(&path);
        file::write(&partial, &[(vectors.kind, vectors)], &BTreeMap::new())?;
        std::fs::rename(&partial, &path).map_err(FileError::io("rename", &path))?;
        vectors.write_names(folder)
    }
}

/// Floats, whatever they stand as.
impl Rows for Vectors<'_> {
    fn size(&self) -> [usize; 2] {
        [self.table.n_rows(), self.table.width()]
    }
    fn code(&self) -> Option<&'static dyn RowCode> {
        None
    }
    fn for_each_stored(
        &self,
        write: &mut dyn FnMut(&[u8]) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        self.for_each_panel(|rows| write(bytemuck::cast_slice(rows)))
    }
}
