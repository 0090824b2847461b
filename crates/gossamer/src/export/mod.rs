//! Taking a model out: vectors in the files of other tools, names and labels beside them.
//!
//! *Invariant:* rows are in the order of the names beside them; a file has its name only when it is
//! whole. A reciprocal model's second relation rows follow the first, under the same names with
//! ` (reciprocal)`.
//! *Not here:* facts (`gossamer_graph::write`).

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use gossamer_graph::Names;
use gossamer_machine::FileError;
use gossamer_machine::file::partial_path;

use crate::error::Error;
use crate::model::{Model, Run};
use crate::table::Table;

gossamer_machine::registry!("vector format", Export:
    numpy::Numpy,
    safetensors::Safetensors,
    word2vec::Word2Vec,
    projector::Projector,
    parquet::Parquet,
);

/// Files that vectors can be taken out in.
pub trait Export: Sync {
    /// Its name in help.
    fn name(&self) -> &'static str;
    /// What it writes, in a line.
    fn summary(&self) -> &'static str;
    /// Where the format is described.
    fn paper(&self) -> &'static str;
    /// How the files are opened.
    fn example(&self) -> &'static str;
    /// Writes the files of one kind of thing into a folder.
    ///
    /// # Errors
    /// Those of writing.
    fn write(&self, vectors: &Vectors<'_>, folder: &Path) -> Result<(), Error>;
}

/// The rows of one kind of thing with their names.
pub struct Vectors<'a> {
    /// "entity" or "relation": the files' first name.
    pub kind: &'static str,
    /// The rows.
    pub table: &'a Table,
    /// Their names; of a reciprocal model's relations half as many as rows.
    pub names: &'a Names,
}

impl Vectors<'_> {
    /// Calls `visit` with every name, label (empty where there is none) and row.
    ///
    /// # Errors
    /// Those of reading names, and of `visit`.
    pub fn for_each(
        &self,
        mut visit: impl FnMut(&str, &str, &[f32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (n_names, mut room) = (self.names.len(), Vec::new());
        for id in 0..self.table.n_rows() {
            let owner = (id % n_names.max(1)) as u32;
            let again = if id < n_names { "" } else { " (reciprocal)" };
            let label = self.names.label(owner)?.unwrap_or_default();
            let row = self.table.row(id as u32, &mut room);
            visit(&(self.names.name(owner)? + again), &label, row)?;
        }
        Ok(())
    }

    /// Writes `KIND.txt`, a name a line, and with labels `KIND_labels.txt`.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write_names(&self, folder: &Path) -> Result<(), Error> {
        let (mut names, mut labels, mut any) = (String::new(), String::new(), false);
        self.for_each(|name, label, _| {
            names += &(one_line(name) + "\n");
            labels += &(one_line(label) + "\n");
            any |= !label.is_empty();
            Ok(())
        })?;
        let path = |ending: &str| folder.join(format!("{}{ending}", self.kind));
        gossamer_machine::file::write_whole(&path(".txt"), names.as_bytes())?;
        if any {
            gossamer_machine::file::write_whole(&path("_labels.txt"), labels.as_bytes())?;
        }
        Ok(())
    }
}

/// A text without line breaks and tabs, which would be taken for the next row or cell.
pub fn one_line(text: &str) -> String {
    text.replace(['\n', '\r', '\t'], " ")
}

/// Writes a file under a partial name and gives it its own when it is whole.
///
/// # Errors
/// Those of writing.
pub fn write_file(
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), Error>,
) -> Result<(), Error> {
    let partial = partial_path(path);
    let file = File::create(&partial).map_err(FileError::io("create", &partial))?;
    let mut file = BufWriter::with_capacity(1 << 18, file);
    write(&mut file)?;
    file.flush().map_err(FileError::io("write", &partial))?;
    fs::rename(&partial, path).map_err(FileError::io("rename", path))?;
    Ok(())
}

/// The error for a file that cannot be written on.
pub fn unwritable(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |error| FileError::io("write", path)(error).into()
}

/// Writes a run's entity and relation rows into a folder, which is made. Returns its files.
///
/// # Errors
/// [`Error`].
pub fn export(run: &Run, format: &dyn Export, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let model: Model = run.model()?;
    fs::create_dir_all(folder).map_err(FileError::io("create", folder))?;
    let graph = &run.graph;
    for (kind, table, names) in [
        ("entity", &model.entities, graph.entities()),
        ("relation", &model.relations, graph.relations()),
    ] {
        format.write(&Vectors { kind, table, names }, folder)?;
    }
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(FileError::io("read", folder))?
        .flatten()
        .map(|e| e.path())
        .collect();
    files.sort();
    Ok(files)
}
