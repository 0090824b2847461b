//! Vectors as a Parquet table.
//!
//! *Paper:* the Apache Parquet format specification.

use std::path::Path;

use super::{Export, Vectors};
use crate::error::Error;

/// A row for each thing: its name, its label and its vector.
#[derive(Debug)]
pub struct Parquet;

impl Export for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }
    fn summary(&self) -> &'static str {
        "a table of name, label and vector for entities and one for relations; builds with \
         --features parquet"
    }
    fn paper(&self) -> &'static str {
        "Apache Parquet format specification"
    }
    fn example(&self) -> &'static str {
        "gossamer export run/ --format parquet -o vectors/\n\
         python: pyarrow.parquet.read_table('vectors/entity.parquet')"
    }
    #[cfg(feature = "parquet")]
    fn bytes_for(&self, width: u64) -> u64 {
        table::bytes_for(width)
    }
    #[cfg(feature = "parquet")]
    fn write(&self, vectors: &Vectors<'_>, folder: &Path) -> Result<(), Error> {
        let path = folder.join(format!("{}.parquet", vectors.kind));
        super::write_file(&path, |out| table::write(vectors, out, &path))
    }
    #[cfg(not(feature = "parquet"))]
    fn write(&self, _: &Vectors<'_>, _: &Path) -> Result<(), Error> {
        Err(gossamer_graph::read::parquet::not_built().into())
    }
}

#[cfg(feature = "parquet")]
mod table {
    use std::io::Write;
    use std::path::Path;
    use std::sync::Arc;

    use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
    use parquet::errors::ParquetError;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::super::{Vectors, unwritable};
    use crate::error::Error;

    const SCHEMA: &str = "message vectors {
        required binary name (UTF8);
        optional binary label (UTF8);
        required group vector (LIST) { repeated group list { required float element; } }
    }";
    /// Floats of a row group: what waits in memory before it is written.
    const FLOATS: usize = 1 << 20;

    /// Bytes of a group of rows of some floats: floats, their levels and what is made of them, and
    /// names of some dozens of bytes.
    pub fn bytes_for(width: u64) -> u64 {
        24 * FLOATS as u64 + 200 * (FLOATS as u64 / width.max(1))
    }

    /// Rows that wait for their group.
    #[derive(Default)]
    struct Group {
        names: Vec<ByteArray>,
        labels: Vec<ByteArray>,
        has_label: Vec<i16>,
        floats: Vec<f32>,
    }

    impl Group {
        fn write(
            self,
            file: &mut SerializedFileWriter<&mut (dyn Write + Send)>,
        ) -> Result<(), ParquetError> {
            let width = self.floats.len() / self.names.len().max(1);
            let mut group = file.next_row_group()?;
            if let Some(mut column) = group.next_column()? {
                column.typed::<ByteArrayType>().write_batch(&self.names, None, None)?;
                column.close()?;
            }
            if let Some(mut column) = group.next_column()? {
                let levels = Some(&self.has_label[..]);
                column.typed::<ByteArrayType>().write_batch(&self.labels, levels, None)?;
                column.close()?;
            }
            if let Some(mut column) = group.next_column()? {
                let defined = vec![1; self.floats.len()];
                // 0 where a list begins.
                let repeated: Vec<i16> =
                    (0..self.floats.len()).map(|i| i16::from(i % width.max(1) != 0)).collect();
                let column_writer = column.typed::<FloatType>();
                column_writer.write_batch(&self.floats, Some(&defined), Some(&repeated))?;
                column.close()?;
            }
            group.close()?;
            Ok(())
        }
    }

    pub fn write(
        vectors: &Vectors<'_>,
        out: &mut (dyn Write + Send),
        path: &Path,
    ) -> Result<(), Error> {
        let failed = |error: ParquetError| unwritable(path)(error.into());
        let schema = Arc::new(parse_message_type(SCHEMA).map_err(failed)?);
        let properties = Arc::new(WriterProperties::builder().build());
        let mut file = SerializedFileWriter::new(out, schema, properties).map_err(failed)?;
        let mut group = Group::default();
        vectors.for_each(|name, label, row| {
            group.names.push(name.into());
            group.has_label.push(i16::from(!label.is_empty()));
            if !label.is_empty() {
                group.labels.push(label.into());
            }
            group.floats.extend_from_slice(row);
            if group.floats.len() >= FLOATS {
                std::mem::take(&mut group).write(&mut file).map_err(failed)?;
            }
            Ok(())
        })?;
        if !group.names.is_empty() {
            group.write(&mut file).map_err(failed)?;
        }
        file.close().map_err(failed)?;
        Ok(())
    }
}
