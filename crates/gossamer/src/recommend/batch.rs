//! A batch of pairs: a user and an item that it has, beside items that it has not.

/// Pairs, each with as many items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    users: Vec<u32>,
    /// Pair by pair.
    items: Vec<u32>,
    each: usize,
}

/// A pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'b> {
    /// The user.
    pub user: u32,
    /// The item, then negatives.
    pub items: &'b [u32],
}

impl Batch {
    /// Of users, and so many items of each, pair by pair.
    pub fn new(users: Vec<u32>, items: Vec<u32>, each: usize) -> Self {
        debug_assert_eq!(items.len(), each * users.len());
        Self { users, items, each }
    }

    /// How many pairs.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Items of a pair.
    pub fn each(&self) -> usize {
        self.each
    }

    /// Users, pair by pair.
    pub fn users(&self) -> &[u32] {
        &self.users
    }

    /// Items, pair by pair.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// A pair by its place.
    pub fn pair(&self, place: usize) -> Pair<'_> {
        let items = &self.items[place * self.each..][..self.each];
        Pair { user: self.users[place], items }
    }

    /// Pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = Pair<'_>> {
        (0..self.len()).map(|place| self.pair(place))
    }
}
