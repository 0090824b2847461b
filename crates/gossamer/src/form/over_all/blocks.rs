//! How scores of a panel are made, kept and used, and a thread's room for them.

use crate::table::Panel;

/// What the loss made of a panel's scores, as a pass uses it: the derivative of the loss by the
/// score of query q and row e is factors\[q\]·value(e, q), less what labels give.
pub struct Values<'a> {
    pub panel: Panel<'a>,
    pub stored: &'a [u32],
    pub factors: &'a [f32],
    /// The scores themselves, where the similarity needs them.
    pub scores: &'a [f32],
}

/// How scores of a panel are made, kept and used.
pub trait Blocks: Sync {
    /// A thread's own room.
    type Room;
    /// Empty room.
    fn room(&self) -> Self::Room;
    /// Fills `out` (rows × queries) with scores.
    fn scores(&self, panel: Panel<'_>, room: &mut Self::Room, out: &mut [f32]);
    /// Words that the values of so many rows take.
    fn words(&self, rows: usize) -> usize;
    /// Keeps values (rows × queries) as words.
    fn store(&self, values: &[f32], out: &mut [u32]);
    /// Adds a panel's share of ∂loss/∂queries.
    fn add_query_gradient(&self, values: &Values<'_>, room: &mut Self::Room, out: &mut [f32]);
    /// Adds ∂loss/∂rows of a panel.
    fn add_row_gradient(&self, values: &Values<'_>, room: &mut Self::Room, out: &mut [f32]);
}

/// A thread's scratch.
pub struct Room<B: Blocks> {
    pub scores: Vec<f32>,
    pub values: Vec<u32>,
    pub maxima: Vec<f32>,
    pub factors: Vec<f32>,
    /// Rows of a panel that stands encoded.
    pub decoded: Vec<f32>,
    pub blocks: B::Room,
}

impl<B: Blocks> Room<B> {
    /// Empty.
    pub fn new(blocks: &B) -> Self {
        Self {
            scores: Vec::new(),
            values: Vec::new(),
            maxima: Vec::new(),
            factors: Vec::new(),
            decoded: Vec::new(),
            blocks: blocks.room(),
        }
    }
}
