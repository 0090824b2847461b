//! What trivial rules say of classes: the most frequent class for all, and classes that spread along
//! edges.
//!
//! *Paper:* Zhu and Ghahramani, "Learning from labeled and unlabeled data with label propagation"
//! (2002).

use gossamer_machine::{Machine, Observer, Progress};
use gossamer_tensor::array::Array;
use gossamer_tensor::tape::op::neighbours::sums;

use super::likeliest;
use super::problem::Problem;
use crate::layer::around;

/// Rounds of spreading: farther than the classes of one entity reach another in most graphs.
const ROUNDS: usize = 50;

/// A rule's accuracy and macro F1 among the judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    /// The rule.
    pub name: &'static str,
    /// Part that is right.
    pub accuracy: f64,
    /// F1 of each class, averaged.
    pub macro_f1: f64,
}

/// The baselines of a problem.
pub fn baselines(problem: &Problem, machine: &Machine, observer: &dyn Observer) -> Vec<Baseline> {
    let judged = |name, found: &[(u32, f32)]| Baseline {
        name,
        accuracy: problem.accuracy(found, 2),
        macro_f1: problem.macro_f1(found),
    };
    let mut counts = vec![0f32; problem.classes.len()];
    for class in problem.learned() {
        counts[class.1 as usize] += 1.0;
    }
    let majority = vec![(likeliest(&counts).0, 1.0); problem.class_of.len()];
    let spread: Vec<(u32, f32)> = {
        let rows = spread(problem, &counts, machine, observer);
        (0..rows.rows).map(|row| likeliest(rows.row(row))).collect()
    };
    vec![judged("majority", &majority), judged("label propagation", &spread)]
}

/// Each entity's share of every class: the mean of its neighbours', those that are known staying
/// what they are. Whom nothing reaches has the shares of all.
fn spread(problem: &Problem, counts: &[f32], machine: &Machine, observer: &dyn Observer) -> Array {
    let (n, width) = (problem.class_of.len(), counts.len());
    let near = around::means(n, &problem.triples);
    let all: f32 = counts.iter().sum();
    let mut rows = Array::zeroed(&machine.buffers, n, width);
    for round in 0..=ROUNDS {
        if round > 0 {
            rows = sums(machine, &near, &rows);
            let (done, total, unit) = (round as u64, ROUNDS as u64, "rounds");
            observer.progress(&Progress { stage: "propagating", done, total, unit, detail: "" });
        }
        for (entity, class) in problem.learned() {
            let row = &mut rows.values[entity as usize * width..][..width];
            row.fill(0.0);
            row[class as usize] = 1.0;
        }
    }
    for row in rows.values.chunks_exact_mut(width).filter(|row| row.iter().all(|x| *x == 0.0)) {
        row.iter_mut().zip(counts).for_each(|(x, count)| *x = count / all);
    }
    rows
}
