//! Predictions as RDF: reified statements with their score, which any store takes as they are.
//!
//! A prediction is a `rdf:Statement` with `rdf:subject`, `rdf:predicate`, `rdf:object`, and its
//! numbers under `gossamer:score` and `gossamer:probability`: nothing is claimed to be a fact.

use std::io::{self, Write};

use oxrdf::vocab::{rdf, xsd};
use oxrdf::{BlankNode, Literal, NamedNode, Term, Triple};
use oxttl::NTriplesSerializer;
use oxttl::ntriples::WriterNTriplesSerializer;

use crate::iri::{iri, node};

/// A predicted triple, by names.
#[derive(Debug, Clone, Copy)]
pub struct Prediction<'a> {
    /// Head, relation, tail.
    pub triple: [&'a str; 3],
    /// Its score.
    pub score: f32,
    /// Its probability, where the model is calibrated.
    pub probability: Option<f64>,
}

/// Writes predictions as N-Triples.
pub struct Predictions<W: Write> {
    out: WriterNTriplesSerializer<W>,
    n: u64,
}

impl<W: Write> Predictions<W> {
    /// To an output.
    pub fn new(out: W) -> Self {
        Self { out: NTriplesSerializer::new().for_writer(out), n: 0 }
    }

    /// Writes one.
    ///
    /// # Errors
    /// Those of writing.
    pub fn push(&mut self, prediction: &Prediction<'_>) -> io::Result<()> {
        let statement = BlankNode::new_unchecked(format!("p{}", self.n));
        self.n += 1;
        let [head, relation, tail] = prediction.triple;
        let number =
            |value: f64| Term::from(Literal::new_typed_literal(value.to_string(), xsd::DOUBLE));
        let own = |name: &str| NamedNode::new_unchecked(format!("gossamer:{name}"));
        let mut says = vec![
            (rdf::TYPE.into_owned(), Term::from(rdf::STATEMENT.into_owned())),
            (rdf::SUBJECT.into_owned(), node(head).into()),
            (rdf::PREDICATE.into_owned(), iri(relation).into()),
            (rdf::OBJECT.into_owned(), node(tail).into()),
            (own("score"), number(f64::from(prediction.score))),
        ];
        says.extend(prediction.probability.map(|value| (own("probability"), number(value))));
        for (property, value) in says {
            self.out.serialize_triple(&Triple::new(statement.clone(), property, value))?;
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(self) -> io::Result<W> {
        let mut out = self.out.finish();
        out.flush()?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prediction_is_a_statement_with_its_numbers() {
        let mut bytes = Vec::new();
        let mut out = Predictions::new(&mut bytes);
        let triple = ["http://a.org/x", "near to", "_:b"];
        out.push(&Prediction { triple, score: 1.5, probability: Some(0.25) }).unwrap();
        out.finish().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().count(), 6);
        for part in [
            "#subject> <http://a.org/x> .",
            "#predicate> <gossamer:near%20to> .",
            "#object> _:b .",
            "<gossamer:score> \"1.5\"^^<http://www.w3.org/2001/XMLSchema#double> .",
            "<gossamer:probability> \"0.25\"",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
