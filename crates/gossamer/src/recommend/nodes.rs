//! Users, items and what else facts are about, as nodes of one graph.
//!
//! Nodes are numbered users first, then items, then others in the order of entities. Labels are the
//! relations of facts, then interacting, then the inverse of each.

use std::sync::Arc;

use gossamer_tensor::sparse::{Labelled, Sparse};

use super::problem::Problem;

/// Who is which node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodes {
    /// Users.
    pub n_users: usize,
    /// Items.
    pub n_items: usize,
    /// The entities that are neither, ascending.
    pub others: Vec<u32>,
    /// The relations of facts, ascending.
    pub relations: Vec<u32>,
    /// Facts among nodes: head, place of the relation, tail.
    pub facts: Vec<[u32; 3]>,
}

impl Nodes {
    /// Those of a problem, whose facts go into them.
    pub fn of(problem: &mut Problem) -> Self {
        let [relations, others] = problem.of_facts();
        let (n_users, n_items) = (problem.users.len(), problem.items.len());
        let place = |ids: &[u32], id: u32| ids.partition_point(|other| *other < id);
        let node = |id: u32| {
            let [user, item] = [&problem.users, &problem.items].map(|ids| ids.binary_search(&id));
            let node = match (user, item) {
                (Ok(user), _) => user,
                (_, Ok(item)) => n_users + item,
                _ => n_users + n_items + place(&others, id),
            };
            node as u32
        };
        let mut facts = std::mem::take(&mut problem.facts);
        for [head, relation, tail] in &mut facts {
            let of = place(&relations, *relation) as u32;
            (*head, *relation, *tail) = (node(*head), of, node(*tail));
        }
        Self { n_users, n_items, others, relations, facts }
    }

    /// How many nodes.
    pub fn n(&self) -> usize {
        self.n_users + self.n_items + self.others.len()
    }

    /// Relations, interacting inside.
    pub fn n_relations(&self) -> usize {
        self.relations.len() + 1
    }

    /// Everything that is known, as triples of nodes: facts, then interactions.
    fn into_triples(self, problem: &Problem) -> Vec<[u32; 3]> {
        let (interacts, first_item) = (self.relations.len() as u32, self.n_users as u32);
        let lists = &problem.interactions[0];
        let of_user = |user: usize| {
            lists.of(user).iter().map(move |item| [user as u32, interacts, first_item + item])
        };
        let interactions = (0..self.n_users).flat_map(of_user);
        let mut triples = self.facts;
        triples.reserve_exact(lists.n_values());
        triples.extend(interactions);
        triples
    }

    /// Both ways of everything that is known; the facts go into it.
    pub fn into_both(self, problem: &Problem) -> Both {
        let n = self.n();
        let mut triples = self.into_triples(problem);
        triples.sort_unstable_by_key(|[head, relation, tail]| (*relation, *head, *tail));
        Both::of(n, triples)
    }

    /// The facts of items and others, as entities of their own, which start at items.
    pub fn into_facts_of_entities(self) -> Vec<[u32; 3]> {
        let (first, mut facts) = (self.n_users as u32, self.facts);
        facts.retain(|[head, _, tail]| *head.min(tail) >= first);
        facts.iter_mut().for_each(|fact| *fact = [fact[0] - first, fact[1], fact[2] - first]);
        facts
    }

    /// Items and others, as entities of their own: neighbours by facts, both ways, with labels,
    /// weighed 1/(how many an entity has); and the transpose. The facts go into it.
    pub fn into_around_entities(self) -> [Labelled; 2] {
        let (n, inverse) = (self.n() - self.n_users, self.relations.len() as u32);
        let mut facts = self.into_facts_of_entities();
        facts.sort_unstable_by_key(|[head, relation, tail]| (*relation, *head, *tail));
        Both::of(n, facts).into_labelled(inverse)
    }
}

/// Neighbours of nodes, both ways of every triple, and where each way stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Both {
    /// Head, relation, tail, by relation.
    pub triples: Vec<[u32; 3]>,
    /// Neighbours of each node, in the order of triples, weighed 1/(how many it has) at first.
    pub forward: Sparse,
    /// The transpose: the same places, since every entry has its way back.
    pub backward: Sparse,
}

impl Both {
    /// Of triples among n nodes.
    pub fn of(n: usize, triples: Vec<[u32; 3]>) -> Self {
        let mut starts = vec![0u32; n + 1];
        for [head, _, tail] in &triples {
            starts[*head as usize + 1] += 1;
            starts[*tail as usize + 1] += 1;
        }
        (0..n).for_each(|node| starts[node + 1] += starts[node]);
        let mut columns = vec![0; 2 * triples.len()];
        for ([head, _, tail], [one, other]) in triples.iter().zip(places(&starts, &triples)) {
            (columns[one], columns[other]) = (*tail, *head);
        }
        let weights = vec![0.0; columns.len()];
        let (starts, columns) = (Arc::new(starts), Arc::new(columns));
        let forward = Sparse { starts, columns, weights, n_columns: n };
        let mut both = Self { triples, backward: forward.clone(), forward };
        for node in 0..n {
            let own = both.own(node);
            let part = 1.0 / own.len().max(1) as f32;
            both.forward.weights[own].fill(part);
        }
        both.turn();
        both
    }

    /// The places of a node's neighbours.
    pub fn own(&self, node: usize) -> std::ops::Range<usize> {
        self.forward.starts[node] as usize..self.forward.starts[node + 1] as usize
    }

    /// Neighbours with the labels of their triples, those of the way back so many higher; and the
    /// transpose.
    pub fn into_labelled(self, inverse: u32) -> [Labelled; 2] {
        let [mut labels, mut turned] = [(); 2].map(|()| vec![0; 2 * self.triples.len()]);
        for ([_, relation, _], [one, other]) in
            self.triples.iter().zip(places(&self.forward.starts, &self.triples))
        {
            (labels[one], labels[other]) = (*relation, relation + inverse);
            (turned[one], turned[other]) = (relation + inverse, *relation);
        }
        let n_labels = (2 * inverse as usize).max(1);
        let of = |(matrix, labels)| Labelled { matrix, labels, n_labels };
        [(self.forward, labels), (self.backward, turned)].map(of)
    }

    /// Weighs neighbours 1/√(how many either of the two has).
    pub fn share_roots(&mut self) {
        let n_of = |node: usize| self.own(node).len() as f32;
        let roots: Vec<f32> =
            (0..self.forward.n_rows()).map(|node| 1.0 / n_of(node).sqrt()).collect();
        for node in 0..roots.len() {
            for place in self.own(node) {
                let other = self.forward.columns[place] as usize;
                self.forward.weights[place] = roots[node] * roots[other];
            }
        }
        self.turn();
    }

    /// Gives the transpose the weights of what it is the transpose of.
    pub fn turn(&mut self) {
        for [one, other] in places(&self.forward.starts, &self.triples) {
            self.backward.weights[one] = self.forward.weights[other];
            self.backward.weights[other] = self.forward.weights[one];
        }
    }
}

/// Where both ways of each triple stand, nodes' neighbours being in the order of triples.
pub fn places<'t>(
    starts: &[u32],
    triples: &'t [[u32; 3]],
) -> impl Iterator<Item = [usize; 2]> + use<'t> {
    let mut next = starts.to_vec();
    let mut stand = move |node: u32| {
        let place = &mut next[node as usize];
        *place += 1;
        *place as usize - 1
    };
    triples.iter().map(move |[head, _, tail]| [stand(*head), stand(*tail)])
}

/// Users by the items that they have: 1/(how many a user has).
pub fn means_of_items(problem: &Problem) -> Sparse {
    let lists = &problem.interactions[0];
    let of_user = |user: usize| {
        let items = lists.of(user);
        let weight = 1.0 / items.len().max(1) as f32;
        items.iter().map(move |item| (user as u32, *item, weight))
    };
    let entries = (0..lists.n_rows()).flat_map(of_user);
    Sparse::of_sorted(lists.n_rows(), problem.items.len(), entries)
}

/// Users, then items, and whom they interact with, both ways: 1/√(degree · degree).
pub fn joined(problem: &Problem) -> Sparse {
    let (n_users, lists) = (problem.users.len(), &problem.interactions[0]);
    let of_items = lists.turned(problem.items.len());
    let mut entries = Vec::with_capacity(2 * lists.n_values());
    for user in 0..n_users {
        for item in lists.of(user) {
            let degrees = lists.of(user).len() * of_items.of(*item as usize).len();
            let weight = 1.0 / (degrees as f32).sqrt();
            let item = n_users as u32 + item;
            entries.extend([(user as u32, item, weight), (item, user as u32, weight)]);
        }
    }
    let n = n_users + problem.items.len();
    Sparse::new(n, n, entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::problem::tests::two_tastes;

    #[test]
    fn every_entity_is_a_node_and_every_triple_stands_both_ways() {
        let mut problem = two_tastes(20, 30);
        let nodes = Nodes::of(&mut problem);
        assert_eq!((nodes.n(), nodes.others.len(), nodes.n_relations()), (52, 2, 2));
        assert_eq!(nodes.facts[3], [23, 0, 51]);
        let n = problem.interactions[0].n_values();
        assert_eq!(nodes.clone().into_triples(&problem).len(), 30 + n);
        let [entities, turned] = nodes.clone().into_around_entities();
        let both = nodes.clone().into_both(&problem);
        assert_eq!(both.forward.columns.len(), 2 * (30 + n));
        // What is held out joins nobody.
        for user in 0..20 {
            let mut items: Vec<u32> =
                both.forward.row(user).0.iter().map(|node| node - 20).collect();
            items.sort_unstable();
            assert_eq!(items, problem.interactions[0].of(user));
            let sum: f32 = both.forward.row(user).1.iter().sum();
            assert!((sum - 1.0).abs() < 1e-5);
        }
        let dense = |of: &Sparse| {
            let mut out = vec![0.0; 52 * 52];
            for row in 0..52 {
                let (columns, weights) = of.row(row);
                let pairs = columns.iter().zip(weights);
                pairs.for_each(|(column, weight)| out[row * 52 + *column as usize] += weight);
            }
            out
        };
        let (forward, backward) = (dense(&both.forward), dense(&both.backward));
        for (at, weight) in forward.into_iter().enumerate() {
            assert_eq!(weight, backward[at % 52 * 52 + at / 52]);
        }
        assert_eq!((entities.matrix.n_rows(), entities.labels.len()), (32, 60));
        assert_eq!(entities.row(3).collect::<Vec<_>>(), [(31, 0, 1.0)]);
        assert_eq!(entities.row(31).next(), Some((1, 1, 1.0 / 15.0)));
        let all = |of: &Labelled| -> Vec<(usize, usize, usize)> {
            let row = |row: usize| of.row(row).map(move |(column, label, _)| (row, column, label));
            let mut all: Vec<_> = (0..32).flat_map(row).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(all(&turned), all(&entities.transposed()));
        let means = means_of_items(&problem);
        assert_eq!(means.row(4).0, problem.interactions[0].of(4));
    }
}
