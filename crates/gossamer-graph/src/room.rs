//! Room: the memory in which a graph is brought in, and what part of it each thing gets.
//!
//! While sources are read there are names and three things being sorted; while columns are written, six
//! things at most; in the end, degrees and samples of triples. No moment takes more than three
//! quarters, so that what an allocator keeps back has its place too.

/// Bytes for everything that grows with a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    bytes: u64,
}

impl Room {
    /// The least that is of use.
    pub const LEAST: Self = Self { bytes: 16 << 20 };

    /// So many bytes, or the least.
    pub fn of(bytes: u64) -> Self {
        Self { bytes: bytes.max(Self::LEAST.bytes) }
    }

    /// Less than is of use.
    #[cfg(test)]
    pub fn tiny(bytes: u64) -> Self {
        Self { bytes }
    }

    /// All of them.
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    /// Bytes of names while sources are read.
    pub fn names(self) -> u64 {
        self.bytes / 8 * 3
    }

    /// Bytes of each of the things that are sorted.
    pub fn sorting(self) -> usize {
        /// More does not make it faster.
        const MOST: u64 = 64 << 20;
        (self.bytes / 16).min(MOST) as usize
    }

    /// Entities whose degrees are counted at a time.
    pub fn degrees(self) -> usize {
        (self.bytes / 8) as usize / size_of::<u32>()
    }

    /// Triples that a report looks at to find mirrors and cardinalities.
    pub fn sampled(self) -> u64 {
        /// A pair with its relation, and a tail with its relation.
        const BYTES: u64 = 16 + 8;
        self.bytes / 8 / BYTES
    }
}

impl Default for Room {
    /// Two gibibytes.
    fn default() -> Self {
        Self { bytes: 2 << 30 }
    }
}
