//! Users, items and what else facts are about, as nodes of one graph.
//!
//! Nodes are numbered users first, then items, then others in the order of entities. Labels are the
//! relations of facts, then interacting, then the inverse of each.

use gossamer_tensor::sparse::{Entry, Labelled, Sparse};

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
    /// Those of a problem.
    pub fn of(problem: &Problem) -> Self {
        let ends = problem.facts.iter().flat_map(|[head, _, tail]| [*head, *tail]);
        let known = |id: &u32| {
            problem.users.binary_search(id).is_ok() || problem.items.binary_search(id).is_ok()
        };
        let mut others: Vec<u32> = ends.filter(|id| !known(id)).collect();
        others.sort_unstable();
        others.dedup();
        let mut relations: Vec<u32> = problem.facts.iter().map(|fact| fact[1]).collect();
        relations.sort_unstable();
        relations.dedup();
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
        let fact = |[head, relation, tail]: &[u32; 3]| {
            [node(*head), place(&relations, *relation) as u32, node(*tail)]
        };
        let facts = problem.facts.iter().map(fact).collect();
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
    pub fn triples(&self, problem: &Problem) -> Vec<[u32; 3]> {
        let (interacts, first_item) = (self.relations.len() as u32, self.n_users as u32);
        let lists = &problem.interactions[0];
        let of_user = |user: usize| {
            lists.of(user).iter().map(move |item| [user as u32, interacts, first_item + item])
        };
        let interactions = (0..self.n_users).flat_map(of_user);
        self.facts.iter().copied().chain(interactions).collect()
    }

    /// Both ways of every triple: neighbours of each node with labels, weighed 1/(how many it has).
    pub fn around(&self, problem: &Problem) -> Labelled {
        let inverse = self.n_relations() as u32;
        let triples = self.triples(problem);
        let mut degrees = vec![0f32; self.n()];
        for [head, _, tail] in &triples {
            degrees[*head as usize] += 1.0;
            degrees[*tail as usize] += 1.0;
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(2 * triples.len());
        for [head, relation, tail] in triples {
            let weight = |node: u32| 1.0 / degrees[node as usize];
            entries.push((head, tail, relation, weight(head)));
            entries.push((tail, head, relation + inverse, weight(tail)));
        }
        Labelled::new(self.n(), self.n(), 2 * self.n_relations(), entries)
    }

    /// Items and others, as entities of their own: neighbours by facts, both ways, with labels,
    /// weighed 1/(how many an entity has).
    pub fn around_entities(&self) -> Labelled {
        let (n, inverse) = (self.n() - self.n_users, self.relations.len() as u32);
        let first = self.n_users as u32;
        let of_entities = self.facts.iter().filter(|[head, _, tail]| *head.min(tail) >= first);
        let facts: Vec<[u32; 3]> = of_entities
            .map(|[head, relation, tail]| [head - first, *relation, tail - first])
            .collect();
        let mut degrees = vec![0f32; n];
        for [head, _, tail] in &facts {
            degrees[*head as usize] += 1.0;
            degrees[*tail as usize] += 1.0;
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(2 * facts.len());
        for [head, relation, tail] in facts {
            let weight = |entity: u32| 1.0 / degrees[entity as usize];
            entries.push((head, tail, relation, weight(head)));
            entries.push((tail, head, relation + inverse, weight(tail)));
        }
        Labelled::new(n, n, (2 * self.relations.len()).max(1), entries)
    }
}

/// Users by the items that they have, of so many columns: 1/(how many a user has).
pub fn means_of_items(problem: &Problem, n_columns: usize) -> Sparse {
    let lists = &problem.interactions[0];
    let of_user = |user: usize| {
        let items = lists.of(user);
        let weight = 1.0 / items.len().max(1) as f32;
        items.iter().map(move |item| (user as u32, *item, weight))
    };
    let entries = (0..lists.n_rows()).flat_map(of_user);
    Sparse::of_sorted(lists.n_rows(), n_columns, entries)
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
        let problem = two_tastes(20, 30);
        let nodes = Nodes::of(&problem);
        assert_eq!((nodes.n(), nodes.others.len(), nodes.n_relations()), (52, 2, 2));
        assert_eq!(nodes.facts[3], [23, 0, 51]);
        let n = problem.interactions[0].n_values();
        assert_eq!(nodes.triples(&problem).len(), 30 + n);
        let around = nodes.around(&problem);
        assert_eq!(around.labels.len(), 2 * (30 + n));
        // What is held out joins nobody.
        for user in 0..20 {
            let near: Vec<u32> = around.matrix.row(user).0.to_vec();
            let items: Vec<u32> = near.iter().map(|node| node - 20).collect();
            assert_eq!(items, problem.interactions[0].of(user));
            let sum: f32 = around.matrix.row(user).1.iter().sum();
            assert!((sum - 1.0).abs() < 1e-5);
        }
        assert_eq!(around.row(23).last(), Some((51, 0, around.row(23).last().unwrap().2)));
        let entities = nodes.around_entities();
        assert_eq!((entities.matrix.n_rows(), entities.labels.len()), (32, 60));
        assert_eq!(entities.row(3).collect::<Vec<_>>(), [(31, 0, 1.0)]);
        assert_eq!(entities.row(31).next(), Some((1, 1, 1.0 / 15.0)));
        let means = means_of_items(&problem, 32);
        assert_eq!(means.row(4).0, problem.interactions[0].of(4));
    }
}
