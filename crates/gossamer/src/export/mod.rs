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
use gossamer_machine::file::partial_path;
use gossamer_machine::{FileError, Machine};

use crate::error::Error;
use crate::model::{Model, Run};
use crate::plan::{Plan, export_plan};
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
    /// Bytes of what it holds beside a panel of rows of some floats.
    fn bytes_for(&self, _width: u64) -> u64 {
        0
    }
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
    /// Calls `visit` with the floats of every panel, in order.
    ///
    /// # Errors
    /// Those of reading rows, and of `visit`.
    pub fn for_each_panel<E: From<FileError>>(
        &self,
        mut visit: impl FnMut(&[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut room = Vec::new();
        for index in 0..self.table.n_panels() {
            let panel = self.table.panel(index, &mut room);
            self.table.failure()?;
            visit(panel.rows)?;
        }
        Ok(())
    }

    /// Calls `visit` with every name, label (empty where there is none) and row.
    ///
    /// # Errors
    /// Those of reading names and rows, and of `visit`.
    pub fn for_each(
        &self,
        mut visit: impl FnMut(&str, &str, &[f32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut id = 0;
        self.for_each_panel(|rows| {
            rows.chunks_exact(self.table.width().max(1)).try_for_each(|row| {
                let [name, label] = self.called(id)?;
                id += 1;
                visit(&name, &label, row)
            })
        })
    }

    /// The name and the label of a row's owner.
    fn called(&self, row: usize) -> Result<[String; 2], FileError> {
        let n_names = self.names.len();
        let owner = (row % n_names.max(1)) as u32;
        let again = if row < n_names { "" } else { " (reciprocal)" };
        let label = self.names.label(owner)?.unwrap_or_default();
        Ok([self.names.name(owner)? + again, label])
    }

    /// Writes `KIND.txt`, a name a line, and with labels `KIND_labels.txt`.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write_names(&self, folder: &Path) -> Result<(), Error> {
        let kind = self.kind;
        self.write_column("name", " (reciprocal)", &folder.join(format!("{kind}.txt")))?;
        match self.names.file().find("label.offsets") {
            Some(_) => self.write_column("label", "", &folder.join(format!("{kind}_labels.txt"))),
            None => Ok(()),
        }
    }

    /// Writes the texts of a column for as many rows as there are, a line each; those that come a
    /// second time with a word behind.
    fn write_column(&self, column: &str, again: &str, path: &Path) -> Result<(), Error> {
        write_file(path, |out| {
            let mut written = Ok(());
            for row in (0..self.table.n_rows()).step_by(self.names.len().max(1)) {
                let behind = if row == 0 { "" } else { again };
                self.names.for_each_text(column, |_, text| {
                    if written.is_ok() {
                        written = writeln!(out, "{}{behind}", one_line(text));
                    }
                })?;
            }
            written.map_err(unwritable(path))
        })
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
    let written = write(&mut file)
        .and_then(|()| file.flush().map_err(FileError::io("write", &partial)).map_err(Error::from));
    written.inspect_err(|_| {
        let _ = fs::remove_file(&partial);
    })?;
    fs::rename(&partial, path).map_err(FileError::io("rename", path))?;
    Ok(())
}

/// The error for a file that cannot be written on.
pub fn unwritable(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |error| FileError::io("write", path)(error).into()
}

/// Writes a run's entity and relation rows into a folder, which is made. Returns its files and the
/// plan by which it was done: entity rows are read a panel at a time.
///
/// # Errors
/// [`Error`].
pub fn export(
    run: &Run,
    format: &dyn Export,
    folder: &Path,
    machine: &Machine,
) -> Result<(Vec<PathBuf>, Plan), Error> {
    let plan = export_plan(&run.config, &run.graph, |width| format.bytes_for(width), machine)?;
    let model: Model = run.model_with(false)?;
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
    Ok((files, plan))
}
