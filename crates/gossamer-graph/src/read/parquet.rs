//! Parquet: tables by column, whose column names are the header.
//!
//! The format is read from its end, so what comes packed or through a pipe is first laid down in a
//! temporary file. Only builds with the feature `parquet` read it; the others say so.
//! *Paper:* the Apache Parquet format specification.

use std::io::BufRead;

use super::{ReadOptions, ReadReport, Reader, TripleSink};
use crate::error::GraphError;

/// True in a build that reads and writes Parquet.
pub const PARQUET: bool = cfg!(feature = "parquet");

/// What a build without Parquet says.
pub fn not_built() -> GraphError {
    GraphError::Request {
        what: "this program was built without Parquet".into(),
        hint: "build it with: cargo install --path crates/gossamer-cli --features parquet".into(),
    }
}

/// A Parquet table.
#[derive(Debug)]
pub struct Parquet;

impl Reader for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }
    fn summary(&self) -> &'static str {
        "a table by column, names as in csv's header; builds with --features parquet"
    }
    fn paper(&self) -> &'static str {
        "Apache Parquet format specification"
    }
    fn example(&self) -> &'static str {
        "PAR1, binary, with columns head, relation, tail"
    }
    fn is_text(&self) -> bool {
        false
    }
    fn recognises(&self, start: &str) -> bool {
        start.starts_with("PAR1")
    }
    #[cfg(feature = "parquet")]
    fn read(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        table::read(input, options, sink)
    }
    #[cfg(not(feature = "parquet"))]
    fn read(
        &self,
        _: &mut dyn BufRead,
        _: &ReadOptions,
        _: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        Err(not_built())
    }
}

#[cfg(feature = "parquet")]
mod table {
    use std::fs::File;
    use std::io::{self, BufRead, Read};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::PathBuf;

    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::{Field, Row};

    use crate::error::GraphError;
    use crate::read::date::time_in_words;
    use crate::read::table_rows::TableRows;
    use crate::read::{ReadOptions, ReadReport, TripleSink};

    pub fn read(
        input: &mut dyn BufRead,
        options: &ReadOptions,
        sink: &mut dyn TripleSink,
    ) -> Result<ReadReport, GraphError> {
        let damaged = |what: String| GraphError::Source {
            path: PathBuf::from(&options.file),
            what: format!("cannot be read as Parquet: {what}"),
            hint: "check that the file is whole".into(),
        };
        let file = file_of(input, options).map_err(|error| damaged(error.to_string()))?;
        // The library checks much of what it reads, but not all: a damaged file can make it panic.
        let guarded = |result: std::thread::Result<Option<Result<Row, String>>>| match result {
            Ok(row) => row.transpose(),
            Err(_) => Err("its contents contradict each other".into()),
        };
        let opened = catch_unwind(|| SerializedFileReader::new(file));
        let reader = opened
            .map_err(|_| damaged("its contents contradict each other".into()))?
            .map_err(|error| damaged(error.to_string()))?;
        let schema = reader.metadata().file_metadata().schema_descr();
        let names: Vec<String> =
            schema.root_schema().get_fields().iter().map(|field| field.name().into()).collect();
        let mut rows = TableRows::new(options, sink);
        rows.header(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut found = reader.get_row_iter(None).map_err(|error| damaged(error.to_string()))?;
        let mut line = 0;
        loop {
            let next = catch_unwind(AssertUnwindSafe(|| {
                found.next().map(|row| row.map_err(|error| error.to_string()))
            }));
            let Some(row) = guarded(next).map_err(damaged)? else { return Ok(rows.report) };
            line += 1;
            let cells: Vec<String> = row.get_column_iter().map(|(_, field)| cell(field)).collect();
            rows.take(line, &cells.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
    }

    /// The file itself where the source is one, else a temporary copy, which its owner alone sees.
    fn file_of(input: &mut dyn BufRead, options: &ReadOptions) -> io::Result<File> {
        let mut start = [0; 4];
        if let Ok(mut file) = File::open(&options.file)
            && file.metadata()?.is_file()
            && file.read_exact(&mut start).is_ok()
            && start == *b"PAR1"
        {
            return Ok(file);
        }
        let mut copy = tempfile::tempfile()?;
        io::copy(input, &mut copy)?;
        Ok(copy)
    }

    /// A value as a cell of text.
    fn cell(field: &Field) -> String {
        match field {
            Field::Null => String::new(),
            Field::Str(text) => text.clone(),
            Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into_owned(),
            Field::Float(value) => value.to_string(),
            Field::Double(value) => value.to_string(),
            Field::Date(days) => time_in_words(i64::from(*days) * 86_400),
            Field::TimestampMillis(time) => time_in_words(time.div_euclid(1000)),
            Field::TimestampMicros(time) => time_in_words(time.div_euclid(1_000_000)),
            other => other.to_string(),
        }
    }
}
