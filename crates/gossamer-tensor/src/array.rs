//! Arrays: rows of floats whose shape is known.

use gossamer_machine::{Buffer, Buffers};

/// A row-major matrix (rows × width).
#[derive(Debug, Default)]
pub struct Array {
    /// Row after row.
    pub values: Buffer,
    /// How many rows.
    pub rows: usize,
    /// Floats of a row.
    pub width: usize,
}

impl Array {
    /// Of zeros.
    pub fn zeroed(buffers: &Buffers, rows: usize, width: usize) -> Self {
        Self { values: buffers.zeroed(rows * width), rows, width }
    }

    /// For those who write every float.
    pub fn room(buffers: &Buffers, rows: usize, width: usize) -> Self {
        Self { values: buffers.room(rows * width), rows, width }
    }

    /// A copy of some values (rows × width).
    pub fn of(buffers: &Buffers, values: &[f32], width: usize) -> Self {
        let mut array = Self::room(buffers, values.len() / width.max(1), width);
        array.values.copy_from_slice(values);
        array
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..][..self.width]
    }
}
