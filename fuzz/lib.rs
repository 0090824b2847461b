//! What the fuzz targets share: a sink that takes everything.

use gossamer_graph::GraphError;
use gossamer_graph::read::{self, Attribute, ReadOptions, Row, SchemaFact, TripleSink};

/// Counts, so that nothing is optimised away.
#[derive(Default)]
pub struct Everything(pub usize);

impl TripleSink for Everything {
    fn row(&mut self, row: &Row<'_>) -> Result<(), GraphError> {
        self.0 += row.head.len() + row.relation.len() + row.tail.len();
        Ok(())
    }
    fn attribute(&mut self, attribute: &Attribute<'_>) -> Result<(), GraphError> {
        self.0 += attribute.text.len();
        Ok(())
    }
    fn kind(&mut self, _: &str, kind: &str) -> Result<(), GraphError> {
        self.0 += kind.len();
        Ok(())
    }
    fn label(&mut self, _: &str, text: &str, _: &str) -> Result<(), GraphError> {
        self.0 += text.len();
        Ok(())
    }
    fn schema(&mut self, fact: &SchemaFact<'_>) -> Result<(), GraphError> {
        self.0 += fact.object.len();
        Ok(())
    }
}

/// Reads bytes as a format; errors are fine, panics are not.
pub fn read(format: &str, bytes: &[u8]) {
    let Ok(reader) = read::find(format) else { panic!("no reader {format}") };
    let mut sink = Everything::default();
    let _ = reader.read(&mut &*bytes, &ReadOptions::default(), &mut sink);
}
