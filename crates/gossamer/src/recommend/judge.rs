//! Judging a recommender: every item is ranked for every user, those the user has had are left out.
//!
//! | metric | of a user, with T held-out items, ranks r among n candidates, ties by mean |
//! |---|---|
//! | recall@K | items with r ≤ K, over \|T\| |
//! | ndcg@K | Σ over r ≤ K of 1 / log₂(r + 1), over the same of ranks 1 … min(\|T\|, K) |
//! | hit@K | 1 if some r ≤ K |
//! | precision@K | items with r ≤ K, over K |
//! | mrr@K | 1 / the best r, 0 if that is above K |
//! | map@K | Σ over r ≤ K of the part of items up to it that are held out, over min(\|T\|, K) |
//! | ndcg_kgat_legacy@K | the sum of ndcg@K, over the same of ranks 1 … min(items with r ≤ 100, K): no nDCG, but what KGAT's code calls so |
//! | auc | part of pairs of a held-out item and another candidate in the right order |
//!
//! *Invariant:* means are over users with a held-out item; intervals come from drawing users anew, and what is
//! told of two is told of the same users.

use gossamer_graph::Split;
use gossamer_machine::random::{Address, Purpose};
use gossamer_machine::{Ledger, Machine, Observer, Progress, Silent};

use super::Shape;
use super::problem::{Lists, Problem};
use super::scores::Learned;
use crate::error::Error;

/// The metrics in their order.
pub const METRICS: [&str; 8] =
    ["recall", "ndcg", "hit", "precision", "mrr", "map", "auc", LEGACY_NDCG];
/// The place of NDCG.
const NDCG: usize = 1;
/// What KGAT's code and its followers call NDCG; to be compared with their figures alone.
pub const LEGACY_NDCG: &str = "ndcg_kgat_legacy";
/// Where the lists end whose hits are the ideal of that.
const LEGACY_LIST: f64 = 100.0;
/// Floats of scores at a time.
const SCORES: usize = 1 << 20;
/// Times that users are drawn anew.
const DRAWS: usize = 1000;

/// A mean over users.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Half of its 95 % interval.
    pub half_width: f64,
}

/// A part of the users or of the held-out items.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Which.
    pub name: String,
    /// How many users or items.
    pub n: usize,
    /// Their recall.
    pub recall: f64,
}

/// How good recommendations are.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Where lists end.
    pub k: usize,
    /// Users with something held out.
    pub n_users: usize,
    /// By [`METRICS`].
    pub means: [Mean; METRICS.len()],
    /// By what users and items there are.
    pub parts: Vec<Part>,
    /// Part of all items that is in some list.
    pub coverage: f64,
    /// Mean number of users that an item of a list has.
    pub popularity: f64,
}

/// Adds what judging takes.
pub fn plan(shape: &Shape, ledger: &mut Ledger) {
    let scores = (SCORES as u64).max(shape.n_items);
    ledger.add("scores", format!("{scores}"), "f32", 4 * scores);
    ledger.add(
        "judgements",
        format!("{} × {}", shape.n_users, METRICS.len()),
        "f64",
        200 * shape.n_users,
    );
    // Of what is judged, and of what stands beside it.
    ledger.add("NDCG by user", format!("2 × {}", shape.n_users), "f64", 16 * shape.n_users);
}

/// The sum of these.
pub fn bytes(shape: &Shape) -> u64 {
    let mut ledger = Ledger::default();
    plan(shape, &mut ledger);
    ledger.total()
}

/// What one user's list is worth.
#[derive(Debug, Clone, Default)]
struct OfUser {
    values: [f64; METRICS.len()],
    /// The items of the list.
    top: Vec<u32>,
    /// The held-out items, and whether each is in the list.
    found: Vec<(u32, bool)>,
}

/// Judges by a split that was not learned from; beside it the NDCG of each user who has something
/// there.
///
/// # Errors
/// [`Error::Stopped`]; [`Error::Request`] where nothing is held out.
pub fn judge(
    problem: &Problem,
    learned: &Learned,
    (split, k): (Split, usize),
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<(Judged, Vec<f64>), Error> {
    let users = users_of(problem, split);
    if users.is_empty() {
        let what = format!("no user has an item in the {} split", split.name());
        let hint = "import with --split per-user:80/10/10".into();
        return Err(Error::Request { what, hint });
    }
    let of_users = each(problem, learned, &users, (split, k), machine, observer)?;
    let ndcgs = of_users.iter().map(|of| of.values[NDCG]).collect();
    Ok((summed(problem, &users, &of_users, (k, machine)), ndcgs))
}

/// The mean NDCG alone.
pub fn ndcg(
    problem: &Problem,
    learned: &Learned,
    (split, k): (Split, usize),
    machine: &Machine,
) -> f64 {
    let users = users_of(problem, split);
    let found = each(problem, learned, &users, (split, k), machine, &Silent).unwrap_or_default();
    found.iter().map(|of| of.values[NDCG]).sum::<f64>() / found.len().max(1) as f64
}

/// The users with something held out.
fn users_of(problem: &Problem, split: Split) -> Vec<usize> {
    let held_out = &problem.interactions[split as usize];
    (0..problem.users.len()).filter(|user| !held_out.of(*user).is_empty()).collect()
}

/// What each of some users' lists is worth.
fn each(
    problem: &Problem,
    learned: &Learned,
    users: &[usize],
    (split, k): (Split, usize),
    machine: &Machine,
    observer: &dyn Observer,
) -> Result<Vec<OfUser>, Error> {
    let held_out = &problem.interactions[split as usize];
    // What was there before the split is not recommended again.
    let before: &[Split] =
        if split == Split::Test { &[Split::Train, Split::Valid] } else { &[Split::Train] };
    // Whose histories say nothing for other items, only leaves items out of lists.
    let lists = matches!(learned, Learned::Conditioned(_));
    let speaks = if lists { before } else { &[Split::Train] };
    let n_items = problem.items.len();
    let (mut of_users, total) = (Vec::with_capacity(users.len()), users.len() as u64);
    let mut scores = Vec::new();
    for some in users.chunks((SCORES / n_items.max(1)).max(1)) {
        let (stage, unit, detail) = ("judging", "users", "");
        let done = of_users.len() as u64;
        observer.progress(&Progress { stage, done, total, unit, detail });
        if observer.cancelled() {
            return Err(Error::Stopped);
        }
        let history = |user: &usize| (*user, problem.seen(*user, speaks));
        let asking: Vec<_> = some.iter().map(history).collect();
        scores.resize(some.len() * n_items, 0.0);
        learned.scores(machine, &asking, n_items, &mut scores);
        let known = of_users.len();
        of_users.resize_with(known + some.len(), OfUser::default);
        let tasks = of_users[known..].iter_mut().zip(some).zip(scores.chunks(n_items.max(1)));
        machine.workers.each_with(tasks.collect(), Vec::new, |room, ((out, user), scores)| {
            let seen = problem.seen(*user, before);
            *out = of_user((scores, room), &seen, held_out.of(*user), k);
        });
    }
    Ok(of_users)
}

/// What a user's scores are worth; the room is where candidates stand.
fn of_user(
    (scores, candidates): (&[f32], &mut Vec<u32>),
    seen: &[u32],
    held_out: &[u32],
    k: usize,
) -> OfUser {
    let is_seen = |item: u32| seen.binary_search(&item).is_ok();
    candidates.clear();
    candidates.extend((0..scores.len() as u32).filter(|item| !is_seen(*item)));
    let score = |item: u32| scores[item as usize];
    // Ranks of the held-out items that are candidates.
    let mut ranks: Vec<(f64, u32)> = Vec::new();
    for item in held_out.iter().filter(|item| !is_seen(**item)) {
        let (mut at_most, mut alike) = (0u32, 0u32);
        for other in candidates.iter() {
            at_most += u32::from(score(*other) <= score(*item));
            alike += u32::from(score(*other) == score(*item));
        }
        // What is no number is above all others, and below them where it is asked for.
        let above = candidates.len() as u32 - at_most;
        ranks.push((f64::from(above) + f64::from(alike + 1) / 2.0, *item));
    }
    ranks.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (n, n_true) = (candidates.len() as f64, ranks.len() as f64);
    let within = ranks.partition_point(|(rank, _)| *rank <= k as f64);
    let (mut gain, mut precisions) = (0.0, 0.0);
    for (place, (rank, _)) in ranks[..within].iter().enumerate() {
        gain += 1.0 / (rank + 1.0).log2();
        precisions += (place + 1) as f64 / rank;
    }
    let most = held_out.len().min(k);
    let ideal = |n: usize| (1..=n).map(|rank| 1.0 / (rank as f64 + 1.0).log2()).sum::<f64>();
    let listed = ranks.partition_point(|(rank, _)| *rank <= LEGACY_LIST).max(1);
    let (hits, all) = (within as f64, held_out.len() as f64);
    let first = ranks.first().map_or(0.0, |(rank, _)| 1.0 / rank);
    let sum: f64 = ranks.iter().map(|(rank, _)| rank).sum();
    let auc = match n_true * (n - n_true) {
        pairs if pairs > 0.0 => (n_true * (n + 1.0) - n_true * (n_true + 1.0) / 2.0 - sum) / pairs,
        _ => 0.5,
    };
    let hit = f64::from(u8::from(within > 0));
    let values = [
        hits / all,
        gain / ideal(most),
        hit,
        hits / k as f64,
        hit * first,
        precisions / most as f64,
        auc,
        gain / ideal(listed.min(k)),
    ];
    let found = ranks.iter().enumerate().map(|(place, (_, item))| (*item, place < within));
    OfUser { values, top: top(candidates, k, score), found: found.collect() }
}

/// The best items, of equals those with the smaller number.
///
/// What is returned is a copy: a list that stayed at the head of its candidates' array would leave
/// room behind itself in which no other's candidates fit.
pub fn top(candidates: &mut Vec<u32>, k: usize, score: impl Fn(u32) -> f32) -> Vec<u32> {
    let order = |one: &u32, other: &u32| score(*other).total_cmp(&score(*one)).then(one.cmp(other));
    if candidates.len() > k && k > 0 {
        candidates.select_nth_unstable_by(k - 1, order);
    }
    candidates.truncate(k);
    candidates.sort_by(order);
    candidates.to_vec()
}

/// How far one is ahead of another, by what the same users have of each.
///
/// *Formula:* the mean of one_u − other_u; its interval is from drawing users anew. *Cost:* 1,000
/// sums over users.
pub fn ahead(one: &[f64], other: &[f64], machine: &Machine) -> Mean {
    let [mean] = means_of(one.len(), |user| [one[user] - other[user]], machine);
    mean
}

/// Means over users of what each has, with half of the 95 % interval of users drawn anew.
fn means_of<const N: usize>(
    n_users: usize,
    of: impl Fn(usize) -> [f64; N] + Sync,
    machine: &Machine,
) -> [Mean; N] {
    let mean = |user: &dyn Fn(usize) -> usize| -> [f64; N] {
        let mut sums = [0.0; N];
        for place in 0..n_users {
            sums.iter_mut().zip(of(user(place))).for_each(|(sum, value)| *sum += value);
        }
        sums.map(|sum| sum / n_users as f64)
    };
    let address = Address::new(0, Purpose::Resample, 0);
    let drawn = |draw: usize| {
        mean(&|place| address.below(n_users as u64, draw as u32, place as u32) as usize)
    };
    let drawn = machine.workers.map(DRAWS, drawn);
    let values = mean(&|place| place);
    std::array::from_fn(|metric| {
        let mut drawn: Vec<f64> = drawn.iter().map(|means| means[metric]).collect();
        drawn.sort_by(f64::total_cmp);
        let [low, high] = [0.025, 0.975].map(|part| drawn[(part * DRAWS as f64) as usize]);
        Mean { value: values[metric], half_width: (high - low) / 2.0 }
    })
}

/// Means over users, and by what users and items there are.
fn summed(
    problem: &Problem,
    users: &[usize],
    of_users: &[OfUser],
    (k, machine): (usize, &Machine),
) -> Judged {
    let n = of_users.len();
    let means = means_of(n, |user| of_users[user].values, machine);
    let (train, n_items) = (&problem.interactions[0], problem.items.len());
    let of_items = train.turned(n_items);
    let mut shown = vec![false; n_items];
    let (mut listed, mut popular) = (0usize, 0usize);
    for item in of_users.iter().flat_map(|of| &of.top) {
        shown[*item as usize] = true;
        (listed, popular) = (listed + 1, popular + of_items.of(*item as usize).len());
    }
    Judged {
        k,
        n_users: n,
        means,
        parts: parts(train, &of_items, users, of_users),
        coverage: shown.iter().filter(|shown| **shown).count() as f64 / n_items.max(1) as f64,
        popularity: popular as f64 / listed.max(1) as f64,
    }
}

/// Recall of cold and warm items, and of users with few and with many.
fn parts(train: &Lists, of_items: &Lists, users: &[usize], of_users: &[OfUser]) -> Vec<Part> {
    let mut parts = Vec::new();
    for (name, cold) in [("items that nobody had", true), ("items that somebody had", false)] {
        let found = of_users.iter().flat_map(|of| &of.found);
        let of: Vec<bool> = found
            .filter(|(item, _)| of_items.of(*item as usize).is_empty() == cold)
            .map(|(_, hit)| *hit)
            .collect();
        if !of.is_empty() {
            let recall = of.iter().filter(|hit| **hit).count() as f64 / of.len() as f64;
            parts.push(Part { name: name.into(), n: of.len(), recall });
        }
    }
    let mut by_activity: Vec<(usize, f64)> = users
        .iter()
        .zip(of_users)
        .map(|(user, of)| (train.of(*user).len(), of.values[0]))
        .collect();
    by_activity.sort_by_key(|(n, _)| *n);
    for third in by_activity.chunks(by_activity.len().div_ceil(3).max(1)) {
        let [least, most] = [third[0].0, third[third.len() - 1].0];
        let recall = third.iter().map(|(_, recall)| recall).sum::<f64>() / third.len() as f64;
        parts.push(Part {
            name: format!("users of {least}–{most} items"), n: third.len(), recall
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;
    use crate::recommend::{Settings, learn};

    /// The metrics of a user by their definitions, from the list in order, where no scores are alike.
    fn by_definition(order: &[u32], held_out: &[u32], k: usize) -> [f64; METRICS.len()] {
        let is_true = |item: &u32| held_out.contains(item);
        let hits: Vec<bool> = order.iter().map(is_true).collect();
        let n_hits = hits[..k].iter().filter(|hit| **hit).count() as f64;
        let discount = |place: usize| 1.0 / (place as f64 + 2.0).log2();
        let gain: f64 = (0..k).filter(|place| hits[*place]).map(discount).sum();
        let most = held_out.len().min(k);
        let ideal: f64 = (0..most).map(discount).sum();
        let first = hits[..k].iter().position(|hit| *hit);
        let precision = |place: usize| {
            hits[..=place].iter().filter(|hit| **hit).count() as f64 / (place + 1) as f64
        };
        let precisions: f64 = (0..k).filter(|place| hits[*place]).map(precision).sum();
        let (mut right, mut pairs) = (0.0, 0.0);
        for one in 0..hits.len() {
            for other in one + 1..hits.len() {
                if hits[one] != hits[other] {
                    pairs += 1.0;
                    right += f64::from(u8::from(hits[one]));
                }
            }
        }
        [
            n_hits / held_out.len() as f64,
            gain / ideal,
            f64::from(u8::from(n_hits > 0.0)),
            n_hits / k as f64,
            first.map_or(0.0, |place| 1.0 / (place + 1) as f64),
            precisions / most as f64,
            right / pairs,
            gain / (0..hits.iter().filter(|hit| **hit).count().clamp(1, k))
                .map(discount)
                .sum::<f64>(),
        ]
    }

    #[test]
    fn the_legacy_ndcg_forgets_what_is_far_down() {
        // Held out are the third and the last but nine of 150 items.
        let scores: Vec<f32> = (0..150).map(|item| -(item as f32)).collect();
        let values = of_user((&scores, &mut Vec::new()), &[], &[2, 140], 20).values;
        let (third, ideal) = (0.5, 1.0 + 1.0 / 3f64.log2());
        assert!((values[1] - third / ideal).abs() < 1e-12);
        assert!((values[7] - third).abs() < 1e-12);
    }

    #[test]
    fn metrics_are_those_of_their_definitions() {
        // Of one user after the other: what the last left must not matter.
        let mut room = vec![7; 3];
        for seed in 0..50u32 {
            let scores: Vec<f32> =
                (0..40u32).map(|i| ((i * 37 + seed * 11) % 41) as f32 * 0.1).collect();
            let seen = [3, 8, seed % 3];
            let mut seen = seen.to_vec();
            seen.sort_unstable();
            let held_out: Vec<u32> =
                (0..40).filter(|i| (i + seed) % 7 == 4 && !seen.contains(i)).collect();
            let mut order: Vec<u32> = (0..40).filter(|item| !seen.contains(item)).collect();
            order.sort_by(|one, other| scores[*other as usize].total_cmp(&scores[*one as usize]));
            for k in [1, 5, 20] {
                let found = of_user((&scores, &mut room), &seen, &held_out, k);
                let wanted = by_definition(&order, &held_out, k);
                for (metric, (found, wanted)) in found.values.iter().zip(wanted).enumerate() {
                    assert!((found - wanted).abs() < 1e-12, "{} {seed} {k}", METRICS[metric]);
                }
                assert_eq!(found.top, order[..k]);
            }
        }
    }

    #[test]
    fn what_is_no_number_helps_nobody() {
        let none = f32::NAN;
        let first = |scores: &[f32]| of_user((scores, &mut Vec::new()), &[], &[0], 2).values[0];
        assert_eq!([first(&[3.0, 2.0, 1.0]), first(&[none, 2.0, 1.0])], [1.0, 0.0]);
        assert_eq!([first(&[3.0, none, none]), first(&[none; 3])], [0.0, 0.0]);
    }

    #[test]
    fn who_is_ahead_is_told_by_the_same_users() {
        let machine = Machine::new(2, None);
        // What users differ in is not in it: a tenth more for each is a tenth more for sure.
        let other: Vec<f64> = (0..200).map(|user| f64::from(user % 7) / 7.0).collect();
        let one: Vec<f64> = other.iter().map(|value| value + 0.1).collect();
        let found = ahead(&one, &other, &machine);
        assert!((found.value - 0.1).abs() < 1e-9 && found.half_width < 1e-9, "{found:?}");
        // Of ± 1 by turns the mean is 0, and its interval that of the mean of 200 coins.
        let one: Vec<f64> = (0..200).map(|user| f64::from(user % 2) * 2.0 - 1.0).collect();
        let found = ahead(&one, &[0.0; 200], &machine);
        let wanted = 1.96 / 200f64.sqrt();
        assert!(found.value == 0.0 && (found.half_width - wanted).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn what_cannot_be_told_apart_has_its_mean_rank() {
        let found = of_user((&[1.0; 9], &mut Vec::new()), &[], &[4], 4);
        assert_eq!((found.values[0], found.values[6]), (0.0, 0.5));
        let found = of_user((&[1.0; 9], &mut Vec::new()), &[], &[4], 5);
        assert_eq!((found.values[0], found.values[4]), (1.0, 0.2));
    }

    #[test]
    fn a_taste_is_learned_and_the_split_decides_what_is_left_out() {
        let problem = two_tastes(60, 40);
        let machine = Machine::new(2, None);
        for model in ["itemknn", "ease", "ials"] {
            let usual = Settings::of(model).unwrap();
            // Two tastes are two floats; more would remember who has what.
            let dim = if model == "ials" { 2 } else { usual.dim };
            let settings = Settings { dim, ..usual };
            let learned = learn(problem.clone(), &settings, &machine, &Silent).unwrap().learned;
            for split in [Split::Valid, Split::Test] {
                let (judged, _) =
                    judge(&problem, &learned, (split, 20), &machine, &Silent).unwrap();
                assert!(judged.means[0].value > 0.95, "{model} {judged:?}");
                let auc = judged.means[6];
                assert!(auc.value > 0.7 && auc.half_width < 0.1, "{model} {auc:?}");
            }
        }
        let learned = Learned::Popularity(vec![0.0; 40]);
        let (judged, ndcgs) =
            judge(&problem, &learned, (Split::Test, 40), &machine, &Silent).unwrap();
        assert_eq!((judged.means[0].value, judged.means[6].value), (1.0, 0.5));
        let mean = ndcgs.iter().sum::<f64>() / judged.n_users as f64;
        assert!((mean - judged.means[NDCG].value).abs() < 1e-12, "{mean} {judged:?}");
        let nobody = Problem { interactions: Default::default(), users: Vec::new(), ..problem };
        assert!(judge(&nobody, &learned, (Split::Test, 20), &machine, &Silent).is_err());
    }
}
