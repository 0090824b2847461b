//! The text format of word2vec, which gensim and many others read.
//!
//! *Paper:* Mikolov et al. (2013), the published tool.

use std::path::Path;

use super::{Export, Vectors, unwritable, write_file};
use crate::error::Error;

/// `KIND.vec`.
#[derive(Debug)]
pub struct Word2Vec;

impl Export for Word2Vec {
    fn name(&self) -> &'static str {
        "word2vec"
    }
    fn summary(&self) -> &'static str {
        "a count line, then a name and its floats a line; white space in names becomes _"
    }
    fn paper(&self) -> &'static str {
        "Mikolov et al.: Efficient Estimation of Word Representations (2013), the published tool"
    }
    fn example(&self) -> &'static str {
        "gossamer export run/ --format word2vec -o vectors/\n\
         python: gensim.models.KeyedVectors.load_word2vec_format('vectors/entity.vec')"
    }
    fn write(&self, vectors: &Vectors<'_>, folder: &Path) -> Result<(), Error> {
        let path = folder.join(format!("{}.vec", vectors.kind));
        write_file(&path, |out| {
            writeln!(out, "{} {}", vectors.table.n_rows(), vectors.table.width())
                .map_err(unwritable(&path))?;
            vectors.for_each(|name, _, row| {
                let mut line = name.replace(char::is_whitespace, "_");
                for value in row {
                    line += &format!(" {value}");
                }
                writeln!(out, "{line}").map_err(unwritable(&path))
            })
        })
    }
}
