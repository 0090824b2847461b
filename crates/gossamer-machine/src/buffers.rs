//! Memory that is used again: what a step gives back, the next one takes.
//!
//! A step of training wants the same few large arrays as the one before. Given back to the system,
//! their pages would be cleared and mapped again every time, which can cost more than the
//! arithmetic.
//!
//! *Invariant:* an array is in one hand at a time.
//! *Not here:* arrays that live as long as a model ([`column`](crate::column), tables).

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

/// Arrays that wait for their next use.
#[derive(Debug, Clone, Default)]
pub struct Buffers {
    waiting: Arc<Mutex<Vec<Vec<f32>>>>,
}

/// An array; when dropped it goes back to where it came from.
#[derive(Debug, Default)]
pub struct Buffer {
    values: Vec<f32>,
    home: Buffers,
}

impl Buffers {
    /// Arrays that may wait; more are given back to the system, the smallest first.
    const MOST: usize = 32;

    /// An array of `n` floats that hold anything, for those who write them all: the smallest that
    /// waits and is large enough, or a new one.
    pub fn room(&self, n: usize) -> Buffer {
        let fitting = self.waiting.lock().ok().and_then(|mut waiting| {
            let place = waiting.partition_point(|values| values.capacity() < n);
            (place < waiting.len()).then(|| waiting.remove(place))
        });
        let mut values = fitting.unwrap_or_default();
        values.resize(n, 0.0);
        Buffer { values, home: self.clone() }
    }

    /// An array of `n` zeros.
    pub fn zeroed(&self, n: usize) -> Buffer {
        let mut buffer = self.room(n);
        buffer.fill(0.0);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        // Where the lock is poisoned a panic is on its way, and nothing needs the array.
        if let Ok(mut waiting) = self.home.waiting.lock() {
            let place = waiting.partition_point(|other| other.capacity() < values.capacity());
            waiting.insert(place, values);
            let surplus = waiting.len().saturating_sub(Buffers::MOST);
            waiting.drain(..surplus);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.values
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_taken_again_and_zeroed() {
        let buffers = Buffers::default();
        let mut small = buffers.zeroed(10);
        let mut large = buffers.zeroed(1000);
        small.fill(1.0);
        large.fill(2.0);
        let (at_small, at_large) = (small.as_ptr(), large.as_ptr());
        drop((large, small));
        let (first, second, third) = (buffers.zeroed(9), buffers.zeroed(20), buffers.zeroed(5));
        assert_eq!((first.as_ptr(), second.as_ptr()), (at_small, at_large));
        assert!(first.iter().chain(&*second).chain(&*third).all(|value| *value == 0.0));
        assert_eq!((first.len(), second.len(), third.len()), (9, 20, 5));
    }

    #[test]
    fn few_wait() {
        let buffers = Buffers::default();
        let taken: Vec<Buffer> = (0..100).map(|n| buffers.zeroed(n)).collect();
        drop(taken);
        let waiting = buffers.waiting.lock().unwrap();
        assert_eq!(waiting.len(), Buffers::MOST);
        assert!(waiting[0].capacity() >= 100 - Buffers::MOST, "the largest stay");
    }
}
