//! KGCN's protocol: each held-out interaction against one item that its user never had.
//!
//! *Formula:* AUC = part of all (held-out, drawn) pairs of pairs, over all users at once, that are in the right
//! order, ties counting half; F1 = 2·right / (guessed + held out), guessed being those whose score is above 0,
//! which means a chance above ½ where scores are log odds. It says nothing of lists, and is to be compared with figures of the same
//! protocol alone.
//! *Paper:* Wang et al.: Knowledge Graph Convolutional Networks for Recommender Systems (WWW 2019),
//! whose code averages over batches; here all pairs are one.

use gossamer_graph::Split;
use gossamer_machine::Machine;
use gossamer_machine::random::{Address, Purpose};

use super::problem::Problem;
use super::scores::Learned;

/// What the protocol finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ByPairs {
    /// The area under the curve.
    pub auc: f64,
    /// F1 where scores above 0 are guesses.
    pub f1: f64,
    /// Interactions judged, each beside one that never was.
    pub n: usize,
}

/// Judges a split's interactions and as many pairs that never were.
pub fn by_pairs(
    problem: &Problem,
    learned: &Learned,
    (split, seed): (Split, u64),
    machine: &Machine,
) -> ByPairs {
    let n_items = problem.items.len();
    let held_out = &problem.interactions[split as usize];
    let address = Address::new(seed, Purpose::Negative, 1 << 40);
    let of_user = |user: usize| -> Vec<(f32, bool)> {
        let own = held_out.of(user);
        let seen = problem.seen(user, &Split::ALL);
        if own.is_empty() || seen.len() == n_items {
            return Vec::new();
        }
        let mut scores = vec![0.0; n_items];
        let history = problem.seen(user, &[Split::Train]);
        if !matches!(learned, Learned::Conditioned(_)) {
            learned.scores_of((user, &history), machine, &mut scores);
        }
        // Scores of a list's items tell an order within it alone; here each is asked for by itself.
        let score = |item: u32| match learned {
            Learned::Conditioned(of) => of.score(user, item as usize, machine.instruction_set),
            _ => scores[item as usize],
        };
        let mut found: Vec<(f32, bool)> = own.iter().map(|item| (score(*item), true)).collect();
        // Without putting back, as long as there are others.
        let mut taken = seen;
        let mut column = 0;
        for _ in own {
            if taken.len() == n_items {
                break;
            }
            let drawn = loop {
                let drawn = address.below(n_items as u64, user as u32, column) as u32;
                column += 1;
                if let Err(place) = taken.binary_search(&drawn) {
                    taken.insert(place, drawn);
                    break drawn;
                }
            };
            found.push((score(drawn), false));
        }
        found
    };
    let found = machine.workers.map(problem.users.len(), of_user);
    let mut found: Vec<(f32, bool)> = found.into_iter().flatten().collect();
    found.sort_by(|one, other| one.0.total_cmp(&other.0));
    // The sum of the ranks of what was held out, from below, ties by mean.
    let (mut sum, mut n_true, mut before) = (0.0, 0usize, 0usize);
    for alike in found.chunk_by(|one, other| one.0 == other.0) {
        let rank = before as f64 + (alike.len() + 1) as f64 / 2.0;
        let held_out = alike.iter().filter(|(_, is_true)| *is_true).count();
        sum += rank * held_out as f64;
        (n_true, before) = (n_true + held_out, before + alike.len());
    }
    let (held_out, others) = (n_true as f64, (found.len() - n_true) as f64);
    let guessed = found.iter().filter(|(score, _)| *score > 0.0);
    let right = guessed.clone().filter(|(_, is_true)| *is_true).count();
    let f1 = 2.0 * right as f64 / ((guessed.count() + n_true) as f64).max(1.0);
    let auc = (sum - held_out * (held_out + 1.0) / 2.0) / (held_out * others).max(1.0);
    ByPairs { auc, f1, n: n_true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;
    use crate::recommend::scores::Matrix;

    #[test]
    fn a_perfect_order_is_one_a_wrong_one_zero_and_none_a_half() {
        let problem = two_tastes(40, 30);
        let machine = Machine::new(2, None);
        // Users and items of a taste point in one direction: the drawn are of the other taste, or
        // of the same and never had.
        let of = |sign: f32| {
            let row = |place: usize| [(place % 2) as f32, 1.0 - (place % 2) as f32];
            let users = (0..40).flat_map(row).map(|x| sign * x).collect();
            let items = (0..30).flat_map(row).collect();
            let matrix = |values| Matrix { values, width: 2 };
            Learned::Factors { users: matrix(users), items: matrix(items) }
        };
        let judge = |learned: &Learned| by_pairs(&problem, learned, (Split::Test, 3), &machine);
        let (right, wrong) = (judge(&of(1.0)), judge(&of(-1.0)));
        assert!(right.auc > 0.7 && (right.auc + wrong.auc - 1.0).abs() < 1e-12, "{right:?}");
        assert_eq!(right.n, problem.interactions[2].n_values());
        // All that was held out is guessed, and of the others those of the same taste.
        assert!(right.f1 > 0.7 && wrong.f1 == 0.0, "{right:?}");
        let all = judge(&Learned::Popularity(vec![1.0; 30]));
        assert_eq!((all.auc, all.f1), (0.5, 2.0 / 3.0));
    }
}
