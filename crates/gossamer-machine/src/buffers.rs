//! Memory that is used again: what a step gives back, the next one takes.
//!
//! A step of training wants the same few large arrays as the one before. Given back to the system,
//! their pages would be cleared and mapped again every time, which can cost more than the
//! arithmetic.
//!
//! *Invariant:* an array is in one hand at a time. Arrays in hands and arrays that wait are together
//! at most a sixteenth more than were ever in hands at once, or what a plan allows where that is
//! more: so a plan that counts those holds.
//! *Not here:* arrays that live as long as a model ([`column`](crate::column), tables).

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

/// Floats that a new array has room for beyond those asked for, at most.
const MORE: usize = 1 << 16;

/// Arrays that wait for their next use.
#[derive(Debug, Clone, Default)]
pub struct Buffers {
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Debug, Default)]
struct Shelf {
    /// The one that came back last stands last.
    waiting: VecDeque<Vec<f32>>,
    /// Floats that have room in waiting arrays, in arrays in hands, and the most ever in hands.
    waiting_floats: usize,
    in_hands: usize,
    most_in_hands: usize,
    /// Floats that may be in hands and waiting, where that is more.
    allowed: usize,
    /// Floats in hands after each array was taken, where someone wants to know.
    course: Option<Vec<usize>>,
}

impl Shelf {
    /// The smallest that waits and is large enough, but not twice as large; or a new one.
    fn take(&mut self, n: usize) -> Vec<f32> {
        let fits = |values: &Vec<f32>| (n..=2 * n).contains(&values.capacity());
        let sizes = self.waiting.iter().enumerate().filter(|(_, values)| fits(values));
        let place = sizes.min_by_key(|(_, values)| values.capacity()).map(|(place, _)| place);
        let values = match place.and_then(|place| self.waiting.remove(place)) {
            Some(values) => {
                self.waiting_floats -= values.capacity();
                values
            }
            // A little more than asked for: the next step may ask for a little more.
            None => Vec::with_capacity(Buffers::roomy(n)),
        };
        self.in_hands += values.capacity();
        self.most_in_hands = self.most_in_hands.max(self.in_hands);
        if let Some(course) = &mut self.course {
            course.push(self.in_hands);
        }
        self.shrink();
        values
    }

    fn give(&mut self, values: Vec<f32>) {
        self.in_hands -= values.capacity();
        self.waiting_floats += values.capacity();
        self.waiting.push_back(values);
        self.shrink();
    }

    /// Gives the longest waiting back to the system while there are too many.
    fn shrink(&mut self) {
        let most = (self.most_in_hands + self.most_in_hands / 16).max(self.allowed);
        while self.in_hands + self.waiting_floats > most {
            let Some(values) = self.waiting.pop_front() else { return };
            self.waiting_floats -= values.capacity();
        }
    }
}

/// An array; when dropped it goes back to where it came from.
#[derive(Debug, Default)]
pub struct Buffer {
    values: Vec<f32>,
    home: Option<Buffers>,
}

impl Buffers {
    /// Floats that a new array of `n` has room for.
    pub fn roomy(n: usize) -> usize {
        n + (n / 16).min(MORE)
    }

    /// An array of `n` floats that hold anything, for those who write them all.
    pub fn room(&self, n: usize) -> Buffer {
        // Where the lock is poisoned a panic is on its way.
        let taken = self.shelf.lock().ok().map(|mut shelf| shelf.take(n));
        let home = taken.is_some().then(|| self.clone());
        let mut values = taken.unwrap_or_default();
        values.resize(n, 0.0);
        Buffer { values, home }
    }

    /// Makes an array hold `n` floats or more, of any value; what was there goes back first.
    pub fn grow(&self, buffer: &mut Buffer, n: usize) {
        if buffer.len() < n {
            *buffer = Buffer::default();
            *buffer = self.room(n);
        }
    }

    /// Bytes of the most that were ever in hands at once.
    pub fn most_bytes(&self) -> u64 {
        self.shelf.lock().map_or(0, |shelf| 4 * shelf.most_in_hands as u64)
    }

    /// Lets arrays wait as long as they and those in hands have no more floats than these, which a
    /// plan has counted.
    pub fn allow(&self, floats: usize) {
        if let Ok(mut shelf) = self.shelf.lock() {
            shelf.allowed = floats;
            shelf.shrink();
        }
    }

    /// Gives what waits back to the system: before something large of another kind is wanted.
    pub fn release(&self) {
        if let Ok(mut shelf) = self.shelf.lock() {
            shelf.waiting.clear();
            shelf.waiting_floats = 0;
        }
    }

    /// Gives back what waits and forgets how much was ever in hands: before work of other sizes,
    /// which a plan of its own has counted.
    pub fn begin(&self) {
        self.release();
        if let Ok(mut shelf) = self.shelf.lock() {
            (shelf.most_in_hands, shelf.allowed) = (shelf.in_hands, 0);
        }
    }

    /// From here on, notes the bytes in hands whenever an array is taken.
    pub fn follow(&self) {
        if let Ok(mut shelf) = self.shelf.lock() {
            shelf.course = Some(Vec::new());
        }
    }

    /// The bytes in hands after each array that was taken since [`follow`](Self::follow).
    pub fn course(&self) -> Vec<u64> {
        let taken = self.shelf.lock().ok().and_then(|mut shelf| shelf.course.take());
        taken.unwrap_or_default().into_iter().map(|floats| 4 * floats as u64).collect()
    }

    /// An array of `n` zeros.
    pub fn zeroed(&self, n: usize) -> Buffer {
        let mut buffer = self.room(n);
        buffer.fill(0.0);
        buffer
    }
}

/// An array that the system gave, and gets back.
impl From<Vec<f32>> for Buffer {
    fn from(values: Vec<f32>) -> Self {
        Self { values, home: None }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        if let Some(mut shelf) = self.home.as_ref().and_then(|home| home.shelf.lock().ok()) {
            shelf.give(values);
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
        let (mut small, mut large) = (buffers.zeroed(100), buffers.zeroed(1000));
        small.fill(1.0);
        large.fill(2.0);
        let (at_small, at_large) = (small.as_ptr(), large.as_ptr());
        drop((large, small));
        let (first, second) = (buffers.zeroed(90), buffers.zeroed(900));
        assert_eq!((first.as_ptr(), second.as_ptr()), (at_small, at_large));
        assert!(first.iter().chain(&*second).all(|value| *value == 0.0));
        assert_eq!((first.len(), second.len(), buffers.zeroed(5).len()), (90, 900, 5));
    }

    #[test]
    fn what_is_allowed_waits() {
        let buffers = Buffers::default();
        let waiting = || buffers.shelf.lock().unwrap().waiting.len();
        // One after the other.
        let take = || [2000, 900].map(|n| buffers.room(n).as_ptr());
        take();
        // There is room for one of them.
        assert_eq!(waiting(), 1);
        buffers.allow(4000);
        let found = take();
        assert_eq!((waiting(), take()), (2, found));
        buffers.allow(0);
        assert_eq!(waiting(), 1);
    }

    #[test]
    fn sizes_that_change_from_step_to_step_hoard_nothing() {
        let buffers = Buffers::default();
        let address = crate::Address::new(1, crate::Purpose::Synthetic, 0);
        let mut most = 0;
        for step in 0..500u32 {
            let size = |i: u32| 1000 + address.below(100_000, step, i) as usize;
            let taken: Vec<Buffer> = (0..1 + step % 7).map(|i| buffers.room(size(i))).collect();
            let in_hands: usize = taken.iter().map(|buffer| buffer.values.capacity()).sum();
            most = most.max(in_hands);
            let shelf = buffers.shelf.lock().unwrap();
            let waiting: usize = shelf.waiting.iter().map(Vec::capacity).sum();
            assert_eq!((shelf.waiting_floats, shelf.in_hands), (waiting, in_hands));
            assert!(waiting + in_hands <= most + most / 16, "step {step}");
            drop((shelf, taken));
            let shelf = buffers.shelf.lock().unwrap();
            assert!(shelf.in_hands == 0 && shelf.waiting_floats <= most + most / 16);
        }
    }
}
