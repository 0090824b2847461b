//! Ids, and the two small words that go with them.
//!
//! *Invariant:* ids are `u32`, given in order of first appearance, and never leave the process.

/// Which place of a triple is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The head: (?, relation, tail).
    Head,
    /// The tail: (head, relation, ?).
    Tail,
}

impl Side {
    /// Both, tails first.
    pub const BOTH: [Self; 2] = [Self::Tail, Self::Head];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Tail => "tail",
        }
    }
}

/// Which part of a graph a triple belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// Learned from.
    Train,
    /// Chosen by.
    Valid,
    /// Judged on.
    Test,
}

impl Split {
    /// All three, in order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    /// The word for it, which is also the name of its file without ending.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}
