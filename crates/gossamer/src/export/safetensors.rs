//! Safetensors.
//!
//! *Paper:* the format's description at the huggingface/safetensors repository.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Export, Vectors};
use crate::error::Error;
use crate::model::file;

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
        let partial = gossamer_machine::file::partial_path(&path);
        file::write(&partial, &[(vectors.kind, vectors.table)], &BTreeMap::new())?;
        std::fs::rename(&partial, &path)
            .map_err(gossamer_machine::FileError::io("rename", &path))?;
        vectors.write_names(folder)
    }
}
