//! How tables come to be: filled one by one or by all threads, read as they were stored, and grown.
//!
//! *Invariant:* rows of a code are rounded by their ids alone, so any number of threads makes the
//! same table.

use std::sync::Arc;

use gossamer_machine::parallel::Workers;
use gossamer_machine::{Address, InstructionSet, Purpose};
use gossamer_tensor::row_code::RowCode;

use super::{BLOCK_ROWS, Blocks, Coding, Table};

impl Table {
    /// Rows of floats filled one by one; `fill` gets the id and the row, zeroed.
    pub fn filled(n_rows: usize, width: usize, mut fill: impl FnMut(u32, &mut [f32])) -> Self {
        let mut table = Self::empty(None, width);
        table.grow(n_rows, &mut fill);
        table
    }

    /// No rows yet: of floats, or in a row code.
    pub fn empty(code: Option<&'static dyn RowCode>, width: usize) -> Self {
        let coding = code.map(|code| Coding { code, isa: InstructionSet::detect() });
        let blocks = coding
            .map_or_else(|| Blocks::Floats(Vec::new()), |coding| Blocks::Codes(coding, Vec::new()));
        Self { width, n_rows: 0, blocks, sums: Vec::new() }
    }

    /// Rows of zeros.
    pub fn zeroed(n_rows: usize, width: usize) -> Self {
        Self::filled(n_rows, width, |_, _| {})
    }

    /// Rows filled by all threads, block by block; `fill` gets the id and the row, zeroed.
    pub fn made(
        code: Option<&'static dyn RowCode>,
        [n_rows, width]: [usize; 2],
        workers: &Workers,
        fill: &(dyn Fn(u32, &mut [f32]) + Sync),
    ) -> Self {
        let mut table = Self::empty(code, width);
        let range =
            |block: usize| (block * BLOCK_ROWS, BLOCK_ROWS.min(n_rows - block * BLOCK_ROWS));
        let n_blocks = n_rows.div_ceil(BLOCK_ROWS);
        match &mut table.blocks {
            Blocks::Floats(blocks) => {
                *blocks = workers.map(n_blocks, |block| {
                    let (first, n) = range(block);
                    let mut rows = vec![0.0; n * width];
                    fill_floats(first, &mut rows, width, &mut |id, row| fill(id, row));
                    Arc::new(rows)
                });
            }
            Blocks::Codes(coding, blocks) => {
                let coding = *coding;
                *blocks = workers.map(n_blocks, |block| {
                    let (first, n) = range(block);
                    let mut rows = vec![0; n * coding.code.row_bytes(width)];
                    coding.fill(first, &mut rows, width, &mut |id, row| fill(id, row));
                    Arc::new(rows)
                });
            }
        }
        table.n_rows = n_rows;
        table
    }

    /// Rows as [`stored`](Self::stored) gives them; `fill` gets the bytes of a block at a time.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn of_stored<E>(
        code: Option<&'static dyn RowCode>,
        [n_rows, width]: [usize; 2],
        mut fill: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut table = Self::empty(code, width);
        for first in (0..n_rows).step_by(BLOCK_ROWS) {
            let n = BLOCK_ROWS.min(n_rows - first);
            match &mut table.blocks {
                Blocks::Floats(blocks) => {
                    let mut block = vec![0.0f32; n * width];
                    fill(bytemuck::cast_slice_mut(&mut block))?;
                    blocks.push(Arc::new(block));
                }
                Blocks::Codes(coding, blocks) => {
                    let mut block = vec![0; n * coding.code.row_bytes(width)];
                    fill(&mut block)?;
                    blocks.push(Arc::new(block));
                }
            }
            table.n_rows += n;
        }
        Ok(table)
    }

    /// Appends rows.
    pub fn grow(&mut self, n_more: usize, fill: &mut dyn FnMut(u32, &mut [f32])) {
        let (target, width) = (self.n_rows + n_more, self.width);
        self.sums.clear();
        while self.n_rows < target {
            let (first, within) = (self.n_rows, self.n_rows % BLOCK_ROWS);
            let more = (BLOCK_ROWS - within).min(target - first);
            match &mut self.blocks {
                Blocks::Floats(blocks) => {
                    let rows = lengthened(blocks, within, more, width);
                    fill_floats(first, rows, width, fill);
                }
                Blocks::Codes(coding, blocks) => {
                    let bytes = coding.code.row_bytes(width);
                    coding.fill(first, lengthened(blocks, within, more, bytes), width, fill);
                }
            }
            self.n_rows += more;
        }
    }
}

/// Fills rows of floats, the first of which has the id `first`.
fn fill_floats(
    first: usize,
    rows: &mut [f32],
    width: usize,
    fill: &mut dyn FnMut(u32, &mut [f32]),
) {
    for (id, row) in (first..).zip(rows.chunks_exact_mut(width.max(1))) {
        fill(id as u32, row);
    }
}

impl Coding {
    /// Fills zeroed rows, the first of which has the id `first`.
    fn fill(
        self,
        first: usize,
        rows: &mut [u8],
        width: usize,
        fill: &mut dyn FnMut(u32, &mut [f32]),
    ) {
        // Of a step before all steps: first values are rounded as others are.
        let rounding = Address::new(0, Purpose::Rounding, 0);
        let mut floats = vec![0.0; width];
        for (id, row) in (first..).zip(rows.chunks_exact_mut(self.code.row_bytes(width).max(1))) {
            floats.fill(0.0);
            fill(id as u32, &mut floats);
            self.code.encode(self.isa, rounding.bits(id as u32, 0)[0], &floats, row);
        }
    }
}

/// Makes room for `more` zeroed rows of `n` parts each, `within` of the block being there.
fn lengthened<T: Clone + Default>(
    blocks: &mut Vec<Arc<Vec<T>>>,
    within: usize,
    more: usize,
    n: usize,
) -> &mut [T] {
    if within == 0 {
        blocks.push(Arc::new(Vec::with_capacity(more * n)));
    }
    let Some(block) = blocks.last_mut().map(Arc::make_mut) else { return &mut [] };
    block.resize((within + more) * n, T::default());
    &mut block[within * n..]
}
