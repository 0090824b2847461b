//! Facts as a Parquet table.
//!
//! Rows wait until there are enough for a row group, so memory does not grow with the graph.
//! *Paper:* the Apache Parquet format specification.

use super::{Out, Started, Writer};

/// Head, relation, tail, weight, from, until, graph, as columns with types.
#[derive(Debug)]
pub struct ParquetWriter;

impl Writer for ParquetWriter {
    fn name(&self) -> &'static str {
        "parquet"
    }
    fn summary(&self) -> &'static str {
        "a table with weight, validity as timestamps and named graph; builds with --features parquet"
    }
    fn paper(&self) -> &'static str {
        "Apache Parquet format specification"
    }
    fn ending(&self) -> &'static str {
        "parquet"
    }
    #[cfg(feature = "parquet")]
    fn start<'a>(&self, out: Out<'a>) -> Started<'a> {
        Ok(Box::new(table::Table::new(out)))
    }
    #[cfg(not(feature = "parquet"))]
    fn start<'a>(&self, _: Out<'a>) -> Started<'a> {
        Err(crate::read::parquet::not_built())
    }
}

#[cfg(feature = "parquet")]
mod table {
    use std::io;
    use std::sync::Arc;

    use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int64Type};
    use parquet::errors::ParquetError;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
    use parquet::schema::parser::parse_message_type;

    use crate::read::Row;
    use crate::write::tsv::cells;
    use crate::write::{Out, Sink};

    const SCHEMA: &str = "message facts {
        required binary head (UTF8);
        required binary relation (UTF8);
        required binary tail (UTF8);
        optional float weight;
        optional int64 from (TIMESTAMP(MILLIS, true));
        optional int64 until (TIMESTAMP(MILLIS, true));
        optional binary graph (UTF8);
    }";
    /// Rows of a row group.
    const ROWS: usize = 1 << 16;

    /// The rows of a group that is not yet written, by column.
    #[derive(Default)]
    struct Group {
        names: [Vec<ByteArray>; 3],
        weights: Vec<Option<f32>>,
        times: [Vec<Option<i64>>; 2],
        graphs: Vec<Option<ByteArray>>,
    }

    pub struct Table<'a> {
        /// Where it goes, until the first group is full; a file has its schema at its start.
        out: Option<Out<'a>>,
        file: Option<SerializedFileWriter<Out<'a>>>,
        group: Group,
    }

    impl<'a> Table<'a> {
        pub fn new(out: Out<'a>) -> Self {
            Self { out: Some(out), file: None, group: Group::default() }
        }

        fn flush(&mut self) -> Result<(), ParquetError> {
            if let Some(out) = self.out.take() {
                let schema = Arc::new(parse_message_type(SCHEMA)?);
                let properties = Arc::new(WriterProperties::builder().build());
                self.file = Some(SerializedFileWriter::new(out, schema, properties)?);
            }
            let Some(file) = &mut self.file else { return Ok(()) };
            let group = std::mem::take(&mut self.group);
            let mut row_group = file.next_row_group()?;
            for names in group.names {
                if let Some(mut column) = row_group.next_column()? {
                    column.typed::<ByteArrayType>().write_batch(&names, None, None)?;
                    column.close()?;
                }
            }
            optional::<FloatType>(&mut row_group, group.weights)?;
            for times in group.times {
                optional::<Int64Type>(&mut row_group, times)?;
            }
            optional::<ByteArrayType>(&mut row_group, group.graphs)?;
            row_group.close()?;
            Ok(())
        }
    }

    fn optional<T: parquet::data_type::DataType>(
        group: &mut SerializedRowGroupWriter<'_, Out<'_>>,
        values: Vec<Option<T::T>>,
    ) -> Result<(), ParquetError> {
        let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
        let values: Vec<T::T> = values.into_iter().flatten().collect();
        if let Some(mut column) = group.next_column()? {
            column.typed::<T>().write_batch(&values, Some(&levels), None)?;
            column.close()?;
        }
        Ok(())
    }

    impl Sink for Table<'_> {
        fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
            // Readers of tables take no white space at the ends of names; this refuses it.
            cells(row, &[])?;
            let group = &mut self.group;
            for (names, name) in group.names.iter_mut().zip([row.head, row.relation, row.tail]) {
                names.push(name.into());
            }
            group.weights.push(row.weight);
            for (times, time) in group.times.iter_mut().zip([row.from, row.until]) {
                times.push(time.map(|time| time.saturating_mul(1000)));
            }
            group.graphs.push(row.graph.map(ByteArray::from));
            if group.weights.len() == ROWS { Ok(self.flush()?) } else { Ok(()) }
        }
        fn finish(mut self: Box<Self>) -> io::Result<()> {
            self.flush()?;
            if let Some(file) = self.file {
                file.close()?;
            }
            Ok(())
        }
    }
}

#[cfg(all(test, feature = "parquet"))]
mod tests {
    use super::*;
    use crate::error::GraphError;
    use crate::read::parquet::Parquet;
    use crate::read::{Attribute, ReadOptions, Reader, Row, SchemaFact, TripleSink};

    #[derive(Default)]
    struct Count(u64);

    impl TripleSink for Count {
        fn row(&mut self, _: &Row<'_>) -> Result<(), GraphError> {
            self.0 += 1;
            Ok(())
        }
        fn attribute(&mut self, _: &Attribute<'_>) -> Result<(), GraphError> {
            Ok(())
        }
        fn kind(&mut self, _: &str, _: &str) -> Result<(), GraphError> {
            Ok(())
        }
        fn label(&mut self, _: &str, _: &str, _: &str) -> Result<(), GraphError> {
            Ok(())
        }
        fn schema(&mut self, _: &SchemaFact<'_>) -> Result<(), GraphError> {
            Ok(())
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_wherever_it_is_damaged() {
        let mut bytes = Vec::new();
        let mut sink = ParquetWriter.start(&mut bytes).unwrap();
        for i in 0..20u32 {
            let (head, tail) = (format!("h{}", i % 7), format!("t{i}"));
            let from = Some(i64::from(i));
            let row = Row { head: &head, relation: "r", tail: &tail, from, ..Row::default() };
            sink.row(&row).unwrap();
        }
        sink.finish().unwrap();
        let read = |bytes: &[u8]| {
            let mut count = Count::default();
            let report = Parquet.read(&mut &*bytes, &ReadOptions::default(), &mut count);
            report.map(|report| (count.0, report.mistakes))
        };
        assert_eq!(read(&bytes).unwrap(), (20, 0));
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        for place in 0..bytes.len() {
            for flip in [0x01, 0x55, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[place] ^= flip;
                // Any answer will do, but there must be one.
                let _ = read(&damaged);
            }
            let _ = read(&bytes[..place]);
        }
        std::panic::set_hook(hook);
    }
}
