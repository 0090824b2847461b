//! Splits of interactions: what is held out of each user's, or of all by time. Facts stay in train.
//!
//! *Invariant:* the same interactions, shares and seed give the same split; a user keeps at least one
//! interaction to be learned from. Memory is 24 bytes an interaction.
//! *Not here:* splits of facts ([`split`](crate::split)).

use std::collections::BTreeMap;

use gossamer_machine::random::{Address, Purpose};

use crate::error::GraphError;
use crate::id::Split;
use crate::split::Shares;

/// How interactions are held out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// Parts of each user's, drawn at random; one for test and one for validation where there are
    /// enough.
    PerUser(Shares),
    /// Each user's last for test, the one before it for validation.
    LeaveLast,
    /// The last of all for test, those before them for validation.
    ByTime(Shares),
}

impl Way {
    /// From words such as "per-user:80/10/10"; none if they are of no such way.
    ///
    /// # Errors
    /// Those of [`Shares::parse`].
    pub fn parse(words: &str) -> Result<Option<Self>, GraphError> {
        let (way, shares) = words.split_once(':').unwrap_or((words, "80/10/10"));
        Ok(match way {
            "per-user" => Some(Self::PerUser(Shares::parse(shares)?)),
            "leave-last" => Some(Self::LeaveLast),
            "by-time" => Some(Self::ByTime(Shares::parse(shares)?)),
            _ => None,
        })
    }
}

/// What interactions are ordered by: time, then chance.
type Key = (i64, u64);

/// Says where interactions go, once it has seen them all.
pub struct OfUsers {
    way: Way,
    /// The relation of interactions; none if the graph has no such.
    relation: Option<u32>,
    address: Address,
    keys: BTreeMap<u32, Vec<Key>>,
    /// By user, or of all under 0: the first key of validation and the first of test.
    firsts: BTreeMap<u32, [Option<Key>; 2]>,
}

impl OfUsers {
    /// For the interactions of a relation.
    pub fn new(way: Way, relation: Option<u32>, seed: u64) -> Self {
        let address = Address::new(seed, Purpose::Split, 0);
        Self { way, relation, address, keys: BTreeMap::new(), firsts: BTreeMap::new() }
    }

    fn group(&self, user: u32) -> u32 {
        if matches!(self.way, Way::ByTime(_)) { 0 } else { user }
    }

    fn key(&self, [user, _, item]: [u32; 3], time: i64) -> Key {
        let [low, high, ..] = self.address.bits(user, item);
        let chance = u64::from(high) << 32 | u64::from(low);
        (if matches!(self.way, Way::PerUser(_)) { 0 } else { time }, chance)
    }

    /// Sees a triple and its time; every one is to be seen before the first is asked for.
    pub fn see(&mut self, triple: [u32; 3], time: i64) {
        if Some(triple[1]) == self.relation {
            let (group, key) = (self.group(triple[0]), self.key(triple, time));
            self.keys.entry(group).or_default().push(key);
        }
    }

    /// To be called when all were seen.
    pub fn settle(&mut self) {
        for (group, mut keys) in std::mem::take(&mut self.keys) {
            keys.sort_unstable();
            let n = keys.len();
            let part = |share: f64| (n as f64 * share) as usize;
            // Where a share is less than one, there is one as long as one is left.
            let [valid, test] = match self.way {
                Way::ByTime(Shares { valid, test }) => [part(valid), part(test)],
                Way::LeaveLast => [usize::from(n > 2), usize::from(n > 1)],
                Way::PerUser(Shares { valid, test }) => {
                    let at_least =
                        |share: f64, one: bool| part(share).max(usize::from(one && share > 0.0));
                    [at_least(valid, n > 2), at_least(test, n > 1)]
                }
            };
            let first = |place: usize| keys.get(place).copied();
            let (of_test, of_valid) = (n - test, n - test - valid);
            let of_valid = if valid > 0 { first(of_valid) } else { first(of_test) };
            self.firsts.insert(group, [of_valid, if test > 0 { first(of_test) } else { None }]);
        }
    }

    /// The split of a triple.
    pub fn split(&self, triple: [u32; 3], time: i64) -> Split {
        if Some(triple[1]) != self.relation {
            return Split::Train;
        }
        let key = Some(self.key(triple, time));
        match self.firsts.get(&self.group(triple[0])) {
            Some([_, Some(test)]) if key >= Some(*test) => Split::Test,
            Some([Some(valid), _]) if key >= Some(*valid) => Split::Valid,
            _ => Split::Train,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of each split every user of 1, 2, 3, 10 and 40 interactions has; the time of one is its item.
    fn counts(words: &str) -> Vec<[usize; 3]> {
        let mut of_users = OfUsers::new(Way::parse(words).unwrap().unwrap(), Some(1), 4);
        let sizes = [1, 2, 3, 10, 40];
        let all: Vec<[u32; 3]> =
            (0..5).flat_map(|user| (0..sizes[user as usize]).map(move |i| [user, 1, i])).collect();
        all.iter().for_each(|triple| of_users.see(*triple, i64::from(triple[2])));
        of_users.see([0, 0, 9], 0);
        of_users.settle();
        assert_eq!(of_users.split([0, 0, 9], 0), Split::Train);
        let mut counts = vec![[0; 3]; 5];
        for triple in &all {
            let split = of_users.split(*triple, i64::from(triple[2]));
            counts[triple[0] as usize][split as usize] += 1;
            if words == "leave-last" {
                let last = sizes[triple[0] as usize] - 1;
                assert_eq!(split == Split::Test, triple[2] == last && last > 0);
            }
        }
        counts
    }

    #[test]
    fn each_user_keeps_something_and_shares_are_met() {
        let (few, enough) = ([[1, 0, 0], [1, 0, 1], [1, 1, 1]], [[8, 1, 1], [32, 4, 4]]);
        assert_eq!(counts("per-user:80/10/10"), [&few[..], &enough[..]].concat());
        assert_eq!(counts("per-user"), counts("per-user:80/10/10"));
        assert_eq!(counts("per-user:80/0/20")[3..], [[8, 0, 2], [32, 0, 8]]);
        let last = [[8, 1, 1], [38, 1, 1]];
        assert_eq!(counts("leave-last"), [&few[..], &last[..]].concat());
        let by_time = counts("by-time:50/25/25");
        assert_eq!(by_time.iter().map(|n| n[2]).sum::<usize>(), 14);
        assert_eq!(by_time[..4], [[1, 0, 0], [2, 0, 0], [3, 0, 0], [10, 0, 0]]);
        assert!(Way::parse("90/5/5").unwrap().is_none() && Way::parse("per-user:9").is_err());
    }
}
