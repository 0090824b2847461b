//! Names as IRIs and blank nodes, and back.
//!
//! A name that is an absolute IRI is written as it is, `_:x` as a blank node, and anything else as
//! an IRI of the scheme `gossamer:` with its bytes percent-encoded, which readers decode.

use std::borrow::Cow;

use oxrdf::{BlankNodeRef, NamedNode, NamedOrBlankNode};

/// The scheme of names that are no IRIs.
pub const SCHEME: &str = "gossamer:";

/// The IRI of a name.
pub fn iri(name: &str) -> NamedNode {
    if !name.starts_with(SCHEME)
        && let Ok(iri) = NamedNode::new(name)
    {
        return iri;
    }
    let mut iri = String::from(SCHEME);
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            iri.push(char::from(byte));
        } else {
            iri += &format!("%{byte:02X}");
        }
    }
    NamedNode::new_unchecked(iri)
}

/// The name that an IRI stands for: itself, unless it is of our scheme.
pub fn name_of(iri: &str) -> Cow<'_, str> {
    decoded(iri).map_or(Cow::Borrowed(iri), Cow::Owned)
}

fn decoded(iri: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = iri.strip_prefix(SCHEME)?.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok().filter(|name| !name.is_empty())
}

/// The term of a name.
pub fn node(name: &str) -> NamedOrBlankNode {
    let blank = name.strip_prefix("_:").and_then(|label| BlankNodeRef::new(label).ok());
    blank.map_or_else(|| iri(name).into(), |blank| blank.into_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_comes_back() {
        for name in ["Paris", "é ü/%20", "gossamer:x", "a<b>c", "100%", "wd:Q42"] {
            let iri = iri(name);
            assert_eq!(name_of(iri.as_str()), name);
        }
        assert_eq!(iri("http://a.org/x").as_str(), "http://a.org/x");
        assert_eq!(
            (decoded("http://a.org"), decoded("gossamer:%F"), decoded("gossamer:%ff")),
            (None, None, None)
        );
    }
}
