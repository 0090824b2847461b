//! TensorBoard's projector: a table of floats and a table of names.
//!
//! *Paper:* Smilkov et al., "Embedding projector" (2016).

use std::path::Path;

use super::{Export, Vectors, one_line, unwritable, write_file};
use crate::error::Error;

/// `KIND_vectors.tsv` and `KIND_metadata.tsv`.
#[derive(Debug)]
pub struct Projector;

impl Export for Projector {
    fn name(&self) -> &'static str {
        "projector"
    }
    fn summary(&self) -> &'static str {
        "pairs of vectors and metadata that projector.tensorflow.org loads"
    }
    fn paper(&self) -> &'static str {
        "Smilkov et al.: Embedding Projector (2016)"
    }
    fn example(&self) -> &'static str {
        "gossamer export run/ --format projector -o vectors/"
    }
    fn write(&self, vectors: &Vectors<'_>, folder: &Path) -> Result<(), Error> {
        let path = |what: &str| folder.join(format!("{}_{what}.tsv", vectors.kind));
        let file = path("vectors");
        write_file(&file, |out| {
            vectors.for_each(|_, _, row| {
                let cells: Vec<String> = row.iter().map(f32::to_string).collect();
                writeln!(out, "{}", cells.join("\t")).map_err(unwritable(&file))
            })
        })?;
        let file = path("metadata");
        write_file(&file, |out| {
            // Two columns, so a heading, which the projector expects then.
            writeln!(out, "name\tlabel").map_err(unwritable(&file))?;
            vectors.for_each(|name, label, _| {
                let (name, label) = (one_line(name), one_line(label));
                writeln!(out, "{name}\t{label}").map_err(unwritable(&file))
            })
        })
    }
}
