//! A sink that hands what it is given to another thread, some thousand things at a time: parsing
//! and naming take the same time, so two threads import in half of it.
//!
//! *Invariant:* the other side sees the same calls in the same order.

use crate::error::GraphError;
use crate::read::{Attribute, Row, SchemaFact, SchemaKind, TripleSink};

/// Things that travel together.
const ITEMS: usize = 4096;
/// Stands for a text that is not there.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
enum What {
    Row { weight: Option<f32>, from: Option<i64>, until: Option<i64> },
    Attribute { is_label: bool },
    Kind,
    Label,
    Schema(SchemaKind),
}

/// Things on their way: what each is, the lengths of its texts, and the texts one after another.
#[derive(Debug, Default)]
pub struct Batch {
    items: Vec<(What, [u32; 8])>,
    text: String,
}

impl Batch {
    fn push<const N: usize>(&mut self, what: What, texts: [Option<&str>; N]) {
        let mut lengths = [NONE; 8];
        for (length, text) in lengths.iter_mut().zip(texts) {
            if let Some(text) = text {
                *length = text.len() as u32;
                self.text.push_str(text);
            }
        }
        self.items.push((what, lengths));
    }

    /// Gives everything to a sink.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn deliver(&self, sink: &mut dyn TripleSink) -> Result<(), GraphError> {
        let mut rest = self.text.as_str();
        for (what, lengths) in &self.items {
            let mut texts = [None; 8];
            for (text, length) in texts.iter_mut().zip(lengths).filter(|(_, n)| **n != NONE) {
                let (own, later) = rest.split_at(*length as usize);
                (*text, rest) = (Some(own), later);
            }
            let [a, b, c, graph, head_type, tail_type, head_label, tail_label] = texts;
            let [one, two, three] = [a, b, c].map(Option::unwrap_or_default);
            match *what {
                What::Row { weight, from, until } => sink.row(&Row {
                    head: one,
                    relation: two,
                    tail: three,
                    weight,
                    from,
                    until,
                    graph,
                    head_type,
                    tail_type,
                    head_label,
                    tail_label,
                })?,
                What::Attribute { is_label } => sink.attribute(&Attribute {
                    subject: one,
                    property: two,
                    text: three,
                    kind: graph.unwrap_or_default(),
                    is_label,
                })?,
                What::Kind => sink.kind(one, two)?,
                What::Label => sink.label(one, two, three)?,
                What::Schema(kind) => {
                    sink.schema(&SchemaFact { kind, relation: one, object: two })?;
                }
            }
        }
        Ok(())
    }
}

/// Collects batches and sends them.
pub struct Relay<'a> {
    batch: Batch,
    /// False once nobody takes them any more.
    send: &'a dyn Fn(Batch) -> bool,
}

impl<'a> Relay<'a> {
    /// That sends by this.
    pub fn new(send: &'a dyn Fn(Batch) -> bool) -> Self {
        Self { batch: Batch::default(), send }
    }

    fn take<const N: usize>(
        &mut self,
        what: What,
        texts: [Option<&str>; N],
    ) -> Result<(), GraphError> {
        self.batch.push(what, texts);
        if self.batch.items.len() < ITEMS { Ok(()) } else { self.flush() }
    }

    /// Sends what is left.
    ///
    /// # Errors
    /// [`GraphError::Cancelled`] once nobody takes batches any more.
    pub fn flush(&mut self) -> Result<(), GraphError> {
        let (items, bytes) = (self.batch.items.len(), self.batch.text.len());
        let next = Batch { items: Vec::with_capacity(items), text: String::with_capacity(bytes) };
        let batch = std::mem::replace(&mut self.batch, next);
        if (self.send)(batch) { Ok(()) } else { Err(GraphError::Cancelled) }
    }
}

impl TripleSink for Relay<'_> {
    fn row(&mut self, row: &Row<'_>) -> Result<(), GraphError> {
        let Row { weight, from, until, .. } = *row;
        let texts = [
            Some(row.head),
            Some(row.relation),
            Some(row.tail),
            row.graph,
            row.head_type,
            row.tail_type,
            row.head_label,
            row.tail_label,
        ];
        self.take(What::Row { weight, from, until }, texts)
    }

    fn attribute(&mut self, attribute: &Attribute<'_>) -> Result<(), GraphError> {
        let Attribute { subject, property, text, kind, is_label } = *attribute;
        self.take(What::Attribute { is_label }, [subject, property, text, kind].map(Some))
    }

    fn kind(&mut self, subject: &str, kind: &str) -> Result<(), GraphError> {
        self.take(What::Kind, [subject, kind].map(Some))
    }

    fn label(&mut self, subject: &str, text: &str, language: &str) -> Result<(), GraphError> {
        self.take(What::Label, [subject, text, language].map(Some))
    }

    fn schema(&mut self, fact: &SchemaFact<'_>) -> Result<(), GraphError> {
        self.take(What::Schema(fact.kind), [fact.relation, fact.object].map(Some))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// Writes every call down.
    #[derive(Default, PartialEq, Debug)]
    struct Calls(Vec<String>);

    impl TripleSink for Calls {
        fn row(&mut self, row: &Row<'_>) -> Result<(), GraphError> {
            self.0.push(format!("{row:?}"));
            Ok(())
        }
        fn attribute(&mut self, attribute: &Attribute<'_>) -> Result<(), GraphError> {
            self.0.push(format!("{attribute:?}"));
            Ok(())
        }
        fn kind(&mut self, subject: &str, kind: &str) -> Result<(), GraphError> {
            self.0.push(format!("{subject} {kind}"));
            Ok(())
        }
        fn label(&mut self, subject: &str, text: &str, language: &str) -> Result<(), GraphError> {
            self.0.push(format!("{subject} {text} {language}"));
            Ok(())
        }
        fn schema(&mut self, fact: &SchemaFact<'_>) -> Result<(), GraphError> {
            self.0.push(format!("{fact:?}"));
            Ok(())
        }
    }

    fn say_everything(sink: &mut dyn TripleSink) {
        for i in 0..ITEMS + 10 {
            let name = format!("é{i}");
            let graph = (i % 2 == 0).then_some("g");
            let (weight, from) = ((i % 3 == 0).then_some(0.5), (i % 5 == 0).then_some(i as i64));
            let row =
                Row { head: &name, relation: "r", tail: "", graph, weight, from, ..Row::default() };
            sink.row(&Row { tail_label: Some("ü"), ..row }).unwrap();
        }
        let (subject, property, text, kind, is_label) = ("s", "p", "", "@en", true);
        sink.attribute(&Attribute { subject, property, text, kind, is_label }).unwrap();
        sink.kind("s", "t").unwrap();
        sink.label("s", "Ess", "").unwrap();
        let (kind, relation, object) = (SchemaKind::Range, "r", "t");
        sink.schema(&SchemaFact { kind, relation, object }).unwrap();
    }

    #[test]
    fn the_other_side_sees_the_same_calls() {
        let mut direct = Calls::default();
        say_everything(&mut direct);
        let relayed = RefCell::new(Calls::default());
        let send = |batch: Batch| batch.deliver(&mut *relayed.borrow_mut()).is_ok();
        let mut relay = Relay::new(&send);
        say_everything(&mut relay);
        relay.flush().unwrap();
        assert_eq!(direct, *relayed.borrow());
    }
}
