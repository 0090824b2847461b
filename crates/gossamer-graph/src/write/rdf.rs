//! Facts and attributes as quads.

use oxrdf::{GraphName, Literal, NamedOrBlankNode, Quad, Term};

use crate::iri::{iri, node};
use crate::read::{Attribute, Row, rdf};

/// A fact as a quad.
pub fn quad(row: &Row<'_>) -> Quad {
    let tail: Term = match node(row.tail) {
        NamedOrBlankNode::NamedNode(node) => node.into(),
        NamedOrBlankNode::BlankNode(node) => node.into(),
    };
    let graph = match row.graph.map(node) {
        None => GraphName::DefaultGraph,
        Some(NamedOrBlankNode::NamedNode(node)) => node.into(),
        Some(NamedOrBlankNode::BlankNode(node)) => node.into(),
    };
    Quad::new(node(row.head), iri(row.relation), tail, graph)
}

/// An attribute as a quad of the default graph.
pub fn attribute_quad(attribute: &Attribute<'_>) -> Quad {
    let Attribute { subject, property, text, kind, .. } = *attribute;
    let literal = match kind.strip_prefix('@') {
        Some(language) => Literal::new_language_tagged_literal_unchecked(text, language),
        None if kind == rdf::STRING => Literal::new_simple_literal(text),
        None => Literal::new_typed_literal(text, iri(kind)),
    };
    Quad::new(node(subject), iri(property), literal, GraphName::DefaultGraph)
}
