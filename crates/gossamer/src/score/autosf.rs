//! AutoSF: a bilinear score put together from blocks.
//!
//! Rows of dim d are four blocks of d floats. A structure is a sum of signed products of one block
//! each of head, relation and tail, such as `h0r0t0 + h1r1t1 - h1r0t1`; DistMult, ComplEx, SimplE
//! and Analogy are structures. The setting `blocks` holds it; the default is the one that its
//! authors' search found for FB15k-237.
//! *Paper:* Zhang et al., "AutoSF: searching scoring functions for knowledge graph embedding" (2020).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex};

use gossamer_graph::Side;
use gossamer_tensor::kernel::Similarity;

use super::{BILINEAR, Folded, Habits, ScoreFunction, Widths};

/// AutoSF with a structure.
#[derive(Debug)]
pub struct AutoSf {
    /// The structure's terms; none stands for [`DEFAULT`].
    terms: Option<BTreeSet<Term>>,
}

/// AutoSF with the structure that a configuration begins with.
pub static AUTO_SF: AutoSf = AutoSf { terms: None };

/// The structure found for FB15k-237.
pub const DEFAULT: &str = "h0r0t2 + h1r1t1 + h2r2t3 + h3r3t0";

/// Blocks of a row.
const BLOCKS: usize = 4;

/// A signed product of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Term {
    head: usize,
    relation: usize,
    tail: usize,
    minus: bool,
}

impl Term {
    /// Of the side that is known and of the one that is asked for.
    fn sides(self, asked: Side) -> [usize; 2] {
        if asked == Side::Tail { [self.head, self.tail] } else { [self.tail, self.head] }
    }

    fn sign(self) -> f32 {
        if self.minus { -1.0 } else { 1.0 }
    }
}

static DEFAULT_TERMS: LazyLock<BTreeSet<Term>> =
    LazyLock::new(|| parse(DEFAULT).unwrap_or_default());

/// The terms of a structure, or what is wrong with it.
fn parse(text: &str) -> Result<BTreeSet<Term>, String> {
    let words = text.replace('+', " +").replace('-', " -").replace("+ ", "+").replace("- ", "-");
    let mut terms = BTreeSet::new();
    for word in words.split_whitespace() {
        let (minus, blocks) = match word.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, word.trim_start_matches('+')),
        };
        let block = |place: usize, letter: u8| {
            let [found, digit] = blocks.as_bytes().get(2 * place..2 * place + 2)? else {
                return None;
            };
            let number = usize::from(digit.wrapping_sub(b'0'));
            (*found == letter && number < BLOCKS).then_some(number)
        };
        let parts = (block(0, b'h'), block(1, b'r'), block(2, b't'));
        let (Some(head), Some(relation), Some(tail), 6) = (parts.0, parts.1, parts.2, blocks.len())
        else {
            return Err(format!("'{word}' is no product of blocks"));
        };
        let term = Term { head, relation, tail, minus };
        if terms.contains(&Term { minus: !minus, ..term }) || !terms.insert(term) {
            return Err(format!("'{blocks}' stands twice"));
        }
    }
    if terms.is_empty() { Err("no term".into()) } else { Ok(terms) }
}

/// AutoSF with this structure. Each structure is made once and then kept, as score functions live
/// as long as the program.
fn of(text: &str) -> Result<&'static AutoSf, String> {
    static MADE: Mutex<BTreeMap<BTreeSet<Term>, &'static AutoSf>> = Mutex::new(BTreeMap::new());
    let terms = parse(text)?;
    let make = || &*Box::leak(Box::new(AutoSf { terms: Some(terms.clone()) }));
    match MADE.lock() {
        Ok(mut made) => Ok(made.entry(terms.clone()).or_insert_with(make)),
        Err(_) => Ok(make()),
    }
}

impl AutoSf {
    fn terms(&self) -> &BTreeSet<Term> {
        self.terms.as_ref().unwrap_or(&DEFAULT_TERMS)
    }
}

impl ScoreFunction for AutoSf {
    fn name(&self) -> &'static str {
        "autosf"
    }
    fn summary(&self) -> &'static str {
        "a bilinear score put together from blocks, given in the setting blocks"
    }
    fn formula(&self) -> &'static str {
        "Σ ±⟨hᵢ, rⱼ, tₖ⟩ over the terms of the structure, i, j, k among four blocks"
    }
    fn paper(&self) -> &'static str {
        "Zhang, Yao, Dai, Chen: AutoSF: Searching Scoring Functions for Knowledge Graph Embedding \
         (ICDE 2020)"
    }
    fn of_blocks(&self, blocks: &str) -> Option<Result<&'static dyn ScoreFunction, String>> {
        Some(of(blocks).map(|function| function as &dyn ScoreFunction))
    }
    fn widths(&self, dim: usize) -> Widths {
        Widths { entity: BLOCKS * dim, relation: BLOCKS * dim, query: BLOCKS * dim }
    }
    fn similarity(&self) -> Similarity {
        Similarity::Dot
    }
    fn fold(&self, side: Side, known: &[f32], condition: &[f32], query: &mut [f32]) {
        let dim = known.len() / BLOCKS;
        query.fill(0.0);
        for term in self.terms() {
            let ([from, to], sign) = (term.sides(side), term.sign());
            let known = &known[from * dim..][..dim];
            let condition = &condition[term.relation * dim..][..dim];
            for (i, query) in query[to * dim..][..dim].iter_mut().enumerate() {
                *query += sign * known[i] * condition[i];
            }
        }
    }
    fn fold_backward(
        &self,
        side: Side,
        rows: Folded<'_>,
        known_gradient: &mut [f32],
        condition_gradient: &mut [f32],
    ) {
        let dim = rows.known.len() / BLOCKS;
        for term in self.terms() {
            let ([from, to], sign) = (term.sides(side), term.sign());
            let gradient = &rows.gradient[to * dim..][..dim];
            let known = &rows.known[from * dim..][..dim];
            let condition = &rows.condition[term.relation * dim..][..dim];
            let known_gradient = &mut known_gradient[from * dim..][..dim];
            let condition_gradient = &mut condition_gradient[term.relation * dim..][..dim];
            for i in 0..dim {
                known_gradient[i] += sign * gradient[i] * condition[i];
                condition_gradient[i] += sign * gradient[i] * known[i];
            }
        }
    }
    fn symmetric(&self) -> bool {
        let swapped = |term: &Term| Term { head: term.tail, tail: term.head, ..*term };
        self.terms().iter().all(|term| self.terms().contains(&swapped(term)))
    }
    fn habits(&self) -> Habits {
        BILINEAR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail_score(function: &dyn ScoreFunction, h: &[f32], r: &[f32], t: &[f32]) -> f32 {
        let mut query = vec![0.0; h.len()];
        function.fold(Side::Tail, h, r, &mut query);
        query.iter().zip(t).map(|(q, t)| q * t).sum()
    }

    #[test]
    fn known_score_functions_are_structures() {
        let rows: Vec<Vec<f32>> =
            (1..4).map(|seed| (0..8).map(|i| ((seed * i) % 7) as f32 - 3.0).collect()).collect();
        let [h, r, t] = [&rows[0], &rows[1], &rows[2]];
        let distmult = of("h0r0t0+h1r1t1 + h2r2t2 +h3r3t3").unwrap();
        assert_eq!(
            tail_score(distmult, h, r, t),
            tail_score(&super::super::distmult::DistMult, h, r, t)
        );
        assert!(distmult.symmetric());
        let complex = "h0r0t0 + h1r1t1 + h2r0t2 + h3r1t3 + h0r2t2 + h1r3t3 - h2r2t0 - h3r3t1";
        let complex = of(complex).unwrap();
        assert_eq!(
            tail_score(complex, h, r, t),
            tail_score(&super::super::complex::ComplEx, h, r, t)
        );
        assert!(!complex.symmetric());
        assert!(std::ptr::eq(distmult, of("h3r3t3 h2r2t2 h1r1t1 h0r0t0").unwrap()), "made once");
    }

    #[test]
    fn a_structure_that_is_none_is_refused() {
        for (text, part) in [
            ("", "no term"),
            ("h0r0", "no product"),
            ("h0r0t4", "no product"),
            ("h0r0t0 + t0r0h1", "no product"),
            ("h0r0t0 + h0r0t0", "twice"),
            ("h0r0t0 - h0r0t0", "twice"),
            ("hé0r0t", "no product"),
        ] {
            assert!(of(text).unwrap_err().contains(part), "{text}");
        }
    }
}
