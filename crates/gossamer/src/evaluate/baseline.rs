//! Trivial rules, ranked like a model: what a score is worth is what it adds to these.
//!
//! - *degree*: an entity is as plausible as it has training triples.
//! - *relation frequency*: as often as it stands on that side of that relation.
//! - *inverse rule*: as surely as relations that mirror the one asked give it (share of mirrored
//!   pairs in train).
//!
//! Where train has more than [`WHOLE_TRIPLES`], the last two rules learn from the triples of a sample
//! of its pairs of entities; relation frequency from all of them where few entities compete.
//!
//! *Invariant:* learned from train alone.
//!
//! [`WHOLE_TRIPLES`]: gossamer_graph::sampling::WHOLE_TRIPLES

use std::collections::{BTreeMap, HashMap, HashSet};

use gossamer_graph::mirror::{Mirror, pair_key};
use gossamer_graph::sampling::Sampling;
use gossamer_graph::stored::SplitTriples;
use gossamer_graph::{Side, Triples};
use gossamer_machine::Machine;

use super::known::Wanted;
use super::taken_out::TakenOut;
use super::{Candidates, Judge, Known, Rank, Scores};
use crate::model::Asked;
use crate::plan::ranking::FILTERED_QUERIES;

/// Mirrors below this share of their pairs are chance.
pub const LEAST_SHARE: f64 = 0.05;

/// Scores of entities, none below zero, and how those who compete stand by them.
#[derive(Debug, Clone, Default)]
pub struct BaselineScores<'a> {
    by_id: ById<'a>,
    /// The scores above zero of those who compete, ascending, each with how many have it or a
    /// higher one. Counts repeat: there are few of them.
    levels: Vec<(f32, u32)>,
}

/// Scores by entity.
#[derive(Debug, Clone)]
enum ById<'a> {
    /// Of all, which are counts.
    All(&'a [u32]),
    /// (entity, score), ascending; of the others it is zero.
    Some(Vec<(u32, f32)>),
}

impl Default for ById<'_> {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

impl<'a> BaselineScores<'a> {
    /// From (entity, score) pairs, of which some compete; the best score of an entity counts.
    pub fn new(mut by_id: Vec<(u32, f32)>, candidates: &Candidates) -> Self {
        by_id.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        by_id.dedup_by_key(|(id, _)| *id);
        by_id.retain(|(_, score)| *score > 0.0);
        by_id.shrink_to_fit();
        let levels = levels(by_id.iter().copied(), candidates);
        Self { by_id: ById::Some(by_id), levels }
    }

    /// From a count of each entity.
    pub fn of_counts(counts: &'a [u32], candidates: &Candidates) -> Self {
        let scores = (0..).zip(counts.iter().map(|count| *count as f32));
        Self { by_id: ById::All(counts), levels: levels(scores, candidates) }
    }

    fn score(&self, id: u32) -> f32 {
        match &self.by_id {
            ById::All(counts) => counts[id as usize] as f32,
            ById::Some(by_id) => {
                let place = by_id.binary_search_by_key(&id, |(id, _)| *id);
                place.map_or(0.0, |place| by_id[place].1)
            }
        }
    }

    /// Candidates above and as high as the answer, known ones among them; the answer itself is not.
    fn rank(&self, answer: u32, candidates: &Candidates, n_entities: usize) -> (u32, u32) {
        let own = self.score(answer);
        let from = |place: usize| self.levels.get(place).map_or(0, |(_, n)| *n as usize);
        let greater = from(self.levels.partition_point(|(score, _)| *score <= own));
        let as_high = match own == 0.0 {
            true => candidates.len(n_entities),
            false => from(self.levels.partition_point(|(score, _)| *score < own)),
        };
        let itself = usize::from(candidates.contains(answer));
        (greater as u32, (as_high - greater - itself) as u32)
    }
}

/// How many of those who compete have each score above zero or a higher one, ascending.
fn levels(scores: impl Iterator<Item = (u32, f32)>, candidates: &Candidates) -> Vec<(f32, u32)> {
    // Bits of numbers above zero are in the order of the numbers.
    let mut counted: BTreeMap<u32, u32> = BTreeMap::new();
    for (_, score) in scores.filter(|(id, score)| *score > 0.0 && candidates.contains(*id)) {
        *counted.entry(score.to_bits()).or_default() += 1;
    }
    let mut levels: Vec<(f32, u32)> =
        counted.into_iter().map(|(bits, n)| (f32::from_bits(bits), n)).collect();
    let mut above = 0;
    for (_, n) in levels.iter_mut().rev() {
        above += *n;
        *n = above;
    }
    levels
}

/// The rules, in the order of their scores.
const RULES: [&str; 3] = ["degree", "relation frequency", "inverse rule"];

/// What each rule scores on the same questions as `ranks`, against the same candidates; by how many
/// triples entities stand in, which relations mirror each other, and train.
pub fn scores(
    judge: &Judge<'_>,
    train: &SplitTriples,
    (degrees, found): (&[u32], Vec<Mirror>),
    (triples, ranks): (&[[u32; 3]], &[Rank]),
) -> Vec<(&'static str, Scores)> {
    let (n_entities, candidates) = (judge.model.entities.n_rows(), judge.candidates);
    let (known, machine) = (judge.known, judge.machine);
    let mut mirrors: HashMap<u32, Vec<Mirror>> = HashMap::new();
    for mirror in found {
        mirrors.entry(mirror.relation).or_default().push(mirror);
    }
    let sampling = Sampling::of(train.len() as u64);
    let mut rules = Rules {
        n_entities,
        candidates,
        degree: BaselineScores::of_counts(degrees, candidates),
        frequencies: HashMap::new(),
        mirrors,
        none: BaselineScores::default(),
    };
    let mut found = RULES.map(|_| Vec::with_capacity(ranks.len()));
    for side in Side::BOTH {
        // Those of one side at a time are in memory.
        rules.frequencies.clear();
        let of_side: Vec<Rank> = ranks.iter().filter(|rank| rank.side == side).copied().collect();
        let asked = of_side.iter().map(|rank| {
            let relation = triples[rank.triple as usize][1];
            [relation, rank.answer(triples)]
        });
        rules.frequencies = match whole_counts(side, (train, sampling), candidates, asked) {
            Some(found) => relation_frequencies(found.into_iter(), candidates),
            None => sampled_frequencies(stands(side, train, sampling), candidates),
        };
        for ranks in of_side.chunks(FILTERED_QUERIES) {
            let more = rules.ranks(ranks, triples, (train, known), machine);
            found.iter_mut().zip(more).for_each(|(found, more)| found.extend(more));
        }
    }
    RULES.into_iter().zip(found.map(|ranks| Scores::of(&ranks))).collect()
}

/// What the rules learned.
struct Rules<'a> {
    n_entities: usize,
    candidates: &'a Candidates,
    degree: BaselineScores<'a>,
    /// By relation, of the side that is asked.
    frequencies: HashMap<u32, BaselineScores<'a>>,
    mirrors: HashMap<u32, Vec<Mirror>>,
    none: BaselineScores<'a>,
}

impl Rules<'_> {
    /// The ranks by each rule.
    fn ranks(
        &self,
        ranks: &[Rank],
        triples: &[[u32; 3]],
        (train, known): (&SplitTriples, Known<'_>),
        machine: &Machine,
    ) -> [Vec<Rank>; 3] {
        let n_entities = self.n_entities;
        let asked = |rank: &Rank| {
            let [head, relation, tail] = triples[rank.triple as usize];
            let known = if rank.side == Side::Tail { head } else { tail };
            Asked { side: rank.side, known, relation }
        };
        let (mut wanted, mut asked_by, mut of_query) = (Wanted::default(), Vec::new(), Vec::new());
        for (place, rank) in ranks.iter().enumerate() {
            let query = wanted.push(asked(rank));
            if query == asked_by.len() {
                asked_by.push(Vec::new());
                of_query.push(asked(rank));
            }
            asked_by[query].push(place);
        }
        let mirrored = self.mirrored(&of_query, train, machine);
        let rules = |query: usize| {
            let frequency = self.frequencies.get(&of_query[query].relation).unwrap_or(&self.none);
            [&self.degree, frequency, &mirrored[query]]
        };
        let answer = |place: usize| ranks[place].answer(triples);
        let mut query_of = vec![0; ranks.len()];
        for (query, places) in asked_by.iter().enumerate() {
            places.iter().for_each(|place| query_of[*place] = query);
        }
        let taken_out = [0, 1, 2].map(|rule: usize| {
            TakenOut::new(&asked_by, |place| rules(query_of[place])[rule].score(answer(place)))
        });
        known.visit(&wanted, machine, |(): &mut (), met| {
            for [query, entity] in
                met.iter().filter(|[_, entity]| self.candidates.contains(*entity))
            {
                let rules = rules(*query as usize);
                for (taken_out, scores) in taken_out.iter().zip(rules) {
                    let judged = |place| answer(place) == *entity;
                    taken_out.meet(*query as usize, scores.score(*entity), judged);
                }
            }
        });
        let mut found = [(); 3].map(|()| ranks.to_vec());
        for (rule, (found, taken_out)) in found.iter_mut().zip(&taken_out).enumerate() {
            taken_out.for_each(|place, counts| {
                let scores = rules(query_of[place])[rule];
                let (greater, equal) = scores.rank(answer(place), self.candidates, n_entities);
                found[place].greater = greater - counts.greater;
                found[place].equal = equal - counts.equal;
            });
        }
        found
    }

    /// What mirrors of its relation say of each query.
    fn mirrored(
        &self,
        asked: &[Asked],
        train: &SplitTriples,
        machine: &Machine,
    ) -> Vec<BaselineScores<'static>> {
        let mut wanted = Wanted::default();
        let mut read_off = Vec::with_capacity(asked.len());
        for Asked { side, known, relation } in asked {
            let mirrors = self.mirrors.get(relation).map_or(&[][..], Vec::as_slice);
            let places = mirrors.iter().map(|mirror| {
                // (h, r, ?) is read off (?, r', h) where r' is inverse, else off (h, r', ?).
                let turned = if *side == Side::Tail { Side::Head } else { Side::Tail };
                let side = if mirror.inverse { turned } else { *side };
                let mirrored = Asked { side, known: *known, relation: mirror.other };
                (wanted.push(mirrored), mirror.share as f32)
            });
            read_off.push(places.collect::<Vec<_>>());
        }
        let here: Vec<&Triples> = train.here().into_iter().collect();
        let answers = Known::new(&here).with(train.stored());
        // Who does not compete is nobody's answer here.
        let competes = |entity: u32| self.candidates.contains(entity);
        let answers = answers.answers(&wanted, &competes, machine);
        let scores = read_off.into_iter().map(|places| {
            let found = places.into_iter().flat_map(|(query, share)| {
                answers[query].iter().map(move |entity| (*entity, share))
            });
            BaselineScores::new(found.collect(), self.candidates)
        });
        scores.collect()
    }
}

/// A relation, an entity, and how often it stands on a side of it.
type Count = ([u32; 2], u32);

/// Who stands on a side of which relation, in a sample of pairs, ascending.
fn stands(side: Side, train: &SplitTriples, sampling: Sampling) -> Vec<[u32; 2]> {
    let mut stands: Vec<[u32; 2]> = Vec::new();
    train.for_each(|[head, relation, tail]| {
        if sampling.has(pair_key(head, tail)) {
            stands.push([relation, if side == Side::Tail { tail } else { head }]);
        }
    });
    stands.sort_unstable();
    stands
}

fn counts(stands: &[[u32; 2]]) -> impl Iterator<Item = Count> {
    stands.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32))
}

/// How often who stands where in all triples, ascending: of those who compete or answer and of the
/// relations that are asked, where a sample leaves some out and these are few.
fn whole_counts(
    side: Side,
    (train, sampling): (&SplitTriples, Sampling),
    candidates: &Candidates,
    asked: impl Iterator<Item = [u32; 2]>,
) -> Option<Vec<Count>> {
    /// Pairs of relation and entity: fewer bytes than a sample takes.
    const FEW: usize = 1 << 20;
    let (Candidates::Some(ids), false) = (candidates, sampling == Sampling::WHOLE) else {
        return None;
    };
    let (mut relations, mut who) = (HashSet::new(), ids.to_vec());
    for [relation, answer] in asked {
        relations.insert(relation);
        who.push(answer);
    }
    let who = Candidates::some(who);
    let (mut found, mut few): (HashMap<[u32; 2], u32>, _) = (HashMap::new(), true);
    train.for_each(|[head, relation, tail]| {
        let entity = if side == Side::Tail { tail } else { head };
        if few && who.contains(entity) && relations.contains(&relation) {
            *found.entry([relation, entity]).or_default() += 1;
            few = found.len() <= FEW;
        }
    });
    let mut found: Vec<Count> = found.into_iter().collect();
    found.sort_unstable();
    few.then_some(found)
}

/// The scores of each relation in a sample, which makes room for them relation by relation.
fn sampled_frequencies(
    mut stands: Vec<[u32; 2]>,
    candidates: &Candidates,
) -> HashMap<u32, BaselineScores<'static>> {
    /// So much room is given back at a time.
    const ROOM: usize = 1 << 18;
    let mut found = HashMap::new();
    while let Some([relation, _]) = stands.last().copied() {
        let first = stands.partition_point(|[other, _]| *other < relation);
        let own = counts(&stands[first..]).map(|([_, entity], n)| (entity, n as f32));
        found.insert(relation, BaselineScores::new(own.collect(), candidates));
        stands.truncate(first);
        if stands.capacity() - first > ROOM {
            stands.shrink_to_fit();
        }
    }
    found
}

/// The scores of each relation.
fn relation_frequencies(
    counts: impl Iterator<Item = Count>,
    candidates: &Candidates,
) -> HashMap<u32, BaselineScores<'static>> {
    let (mut counts, mut found) = (counts.peekable(), HashMap::new());
    while let Some(([relation, _], _)) = counts.peek().copied() {
        let mut own = Vec::new();
        while let Some(([_, entity], n)) = counts.next_if(|count| count.0[0] == relation) {
            own.push((entity, n as f32));
        }
        found.insert(relation, BaselineScores::new(own, candidates));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Model};

    #[test]
    fn ranks_of_sparse_scores_equal_their_definition() {
        let of = |candidates: &Candidates| {
            let pairs = vec![(1, 3.0), (4, 3.0), (5, 1.0), (1, 2.0), (7, 0.0)];
            let scores = BaselineScores::new(pairs, candidates);
            [1, 5, 0].map(|id| scores.rank(id, candidates, 10))
        };
        assert_eq!(of(&Candidates::All), [(0, 1), (2, 0), (3, 6)]);
        // Entity 1 does not compete; 0 is as high as 7 and 8.
        assert_eq!(of(&Candidates::some(vec![4, 5, 7, 8])), [(0, 1), (1, 0), (2, 2)]);
    }

    #[test]
    fn counts_of_all_rank_as_pairs_of_them_do() {
        let counts = [0, 3, 1, 0, 3, 7, 1, 0];
        let pairs = (0..).zip(counts.map(|count| count as f32)).collect::<Vec<_>>();
        for candidates in [Candidates::All, Candidates::some(vec![0, 2, 4, 5])] {
            let dense = BaselineScores::of_counts(&counts, &candidates);
            let sparse = BaselineScores::new(pairs.clone(), &candidates);
            for id in 0..8 {
                assert_eq!(dense.score(id), counts[id as usize] as f32);
                let [a, b] = [&dense, &sparse].map(|scores| scores.rank(id, &candidates, 8));
                assert_eq!(a, b, "{id}");
            }
        }
    }

    /// The rules' scores by the definition of [`scores`], of a model that is not asked.
    fn rules(
        [n_entities, n_relations]: [usize; 2],
        (train, known): (&SplitTriples, Known<'_>),
        candidates: &Candidates,
        (triple, ranks): ([u32; 3], &[Rank]),
    ) -> Vec<(&'static str, Scores)> {
        let machine = Machine::new(1, None);
        let config = Config::for_model("distmult").unwrap();
        let model = Model::initial(&config, [n_entities, n_relations], &machine.workers).unwrap();
        let judge = Judge { model: &model, known, candidates, machine: &machine };
        let counted = super::super::Counted::of(train, [n_entities, n_relations]);
        scores(&judge, train, (&counted.degrees, counted.mirrors), (&[triple], ranks))
    }

    #[test]
    fn known_answers_do_not_compete_with_the_one_asked_for() {
        // Degrees: entity 1 has 4, entity 2 has 3, entities 3 and 0 have 2, 4 and 5 one.
        let rows =
            vec![[0, 0, 1], [0, 0, 2], [3, 0, 1], [3, 1, 2], [4, 0, 1], [5, 0, 1], [2, 1, 2]];
        let train = SplitTriples::Here(Triples::from_rows(rows));
        let ranks = [Rank { triple: 0, side: Side::Tail, greater: 9, equal: 9, n_candidates: 6 }];
        // Asked (0, 0, ?) for 3: of what scores higher, 1 and 2 are known.
        let held_out = Triples::from_rows(vec![[0, 0, 3]]);
        let parts = [train.here().unwrap(), &held_out];
        let reciprocal = |known, candidates: &Candidates| {
            rules([6, 2], (&train, known), candidates, ([0, 0, 3], &ranks))[0].1.mrr()
        };
        let (none, all) = (Known::new(&[]), Candidates::All);
        assert_eq!(reciprocal(none, &all), 1.0 / 3.5);
        assert_eq!(reciprocal(Known::new(&parts), &all), 1.0 / 1.5);
        // Of these, 2 scores higher, but is known.
        let some = Candidates::some(vec![2, 4, 5]);
        assert_eq!(reciprocal(none, &some), 1.0 / 2.0);
        assert_eq!(reciprocal(Known::new(&parts), &some), 1.0);
    }

    #[test]
    fn where_few_compete_every_triple_counts_though_the_graph_is_large() {
        let rows: Vec<[u32; 3]> = (0..5000).map(|i| [i % 71, i % 3, 100 + i * i % 53]).collect();
        let train = SplitTriples::Here(Triples::from_rows(rows.clone()));
        let (sampling, some) = (Sampling::within(5000, 300), Candidates::some(vec![101, 104, 116]));
        assert!(stands(Side::Tail, &train, sampling).len() < 1000);
        let asked = || [[1, 125], [2, 101]].into_iter();
        let found = whole_counts(Side::Tail, (&train, sampling), &some, asked()).unwrap();
        let all = stands(Side::Tail, &train, Sampling::WHOLE);
        let matters =
            |[relation, entity]: [u32; 2]| relation > 0 && [101, 104, 116, 125].contains(&entity);
        let wanted: Vec<Count> = counts(&all).filter(|(of, _)| matters(*of)).collect();
        assert!(wanted.len() > 3);
        assert_eq!(found, wanted);
        let whole = (&train, Sampling::WHOLE);
        assert_eq!(whole_counts(Side::Tail, whole, &some, asked()), None);
        let all = Candidates::All;
        assert_eq!(whole_counts(Side::Tail, (&train, sampling), &all, asked()), None);
    }

    #[test]
    fn the_inverse_rule_reads_mirrors_off() {
        let rows: Vec<[u32; 3]> = (0..10).flat_map(|i| [[i, 0, i + 10], [i + 10, 1, i]]).collect();
        let held_out = [3, 0, 13];
        let train = rows.iter().copied().filter(|row| *row != held_out);
        let train = SplitTriples::Here(Triples::from_rows(train.collect()));
        let all = Triples::from_rows(rows);
        let parts = [&all];
        let known = Known::new(&parts);
        let rank = |side| Rank { triple: 0, side, greater: 0, equal: 0, n_candidates: 20 };
        let ranks = [rank(Side::Tail), rank(Side::Head)];
        let found = rules([20, 2], (&train, known), &Candidates::All, (held_out, &ranks));
        assert_eq!(found[2].0, "inverse rule");
        assert_eq!(found[2].1.mrr(), 1.0);
        assert!(found[0].1.mrr() < 0.2);
    }
}
