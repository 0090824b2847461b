//! Products of rows with matrices of blocks along the diagonal.
//!
//! A matrix of B blocks (F × T) stands as B·F rows of T floats, one for each float of a row; the rows of
//! a block meet the same T floats of the product.

for_each_instruction_set! {
    /// out += w · h · blocks; `sizes` are F and T.
    pub fn add_blocks(out: &mut [f32], w: f32, h: &[f32], blocks: &[f32], sizes: [usize; 2]) {
        let [f, t] = sizes;
        let rows = h.chunks_exact(f).zip(blocks.chunks_exact(f * t)).zip(out.chunks_exact_mut(t));
        for ((h, block), out) in rows {
            for (x, row) in h.iter().zip(block.chunks_exact(t)) {
                let x = w * x;
                out.iter_mut().zip(row).for_each(|(out, q)| *out += x * q);
            }
        }
    }
}

for_each_instruction_set! {
    /// out += w · g · blocksᵀ.
    pub fn add_blocks_back(
        out: &mut [f32],
        w: f32,
        g: &[f32],
        blocks: &[f32],
        sizes: [usize; 2],
    ) {
        let [f, t] = sizes;
        let rows = out.chunks_exact_mut(f).zip(blocks.chunks_exact(f * t)).zip(g.chunks_exact(t));
        for ((out, block), g) in rows {
            for (out, row) in out.iter_mut().zip(block.chunks_exact(t)) {
                let sum: f32 = row.iter().zip(g).map(|(q, g)| q * g).sum();
                *out += w * sum;
            }
        }
    }
}

for_each_instruction_set! {
    /// blocks += w · hᵀ · g, where there are blocks.
    pub fn add_outer_blocks(
        blocks: &mut [f32],
        w: f32,
        h: &[f32],
        g: &[f32],
        sizes: [usize; 2],
    ) {
        let [f, t] = sizes;
        let rows = blocks.chunks_exact_mut(f * t).zip(h.chunks_exact(f)).zip(g.chunks_exact(t));
        for ((block, h), g) in rows {
            for (row, x) in block.chunks_exact_mut(t).zip(h) {
                let x = w * x;
                row.iter_mut().zip(g).for_each(|(q, g)| *q += x * g);
            }
        }
    }
}
