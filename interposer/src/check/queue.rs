//! Positions of blocks that are still to be looked into, in the order in which they were found: so that every block is reached by as
//! few steps as possible.

use super::pool::Pool;

/// A queue of positions.
pub struct Queue {
    places: &'static mut [u32],
    first: usize,
    length: usize,
}

impl Queue {
    /// An empty one with room for `most` positions. `None` if there is no memory.
    pub fn new(most: usize, pool: &mut Pool) -> Option<Queue> {
        Some(Queue { places: pool.take(most.max(1))?, first: 0, length: 0 })
    }

    /// Where the position is that comes after `ahead` others.
    #[inline]
    fn place(&self, ahead: usize) -> usize {
        let place = self.first + ahead;
        if place < self.places.len() { place } else { place - self.places.len() }
    }

    /// Puts a position at the end.
    #[inline]
    pub fn push(&mut self, position: u32) {
        debug_assert!(self.length < self.places.len(), "a block is in it once at most");
        let place = self.place(self.length);
        if let Some(place) = self.places.get_mut(place) {
            *place = position;
            self.length += 1;
        }
    }

    /// Takes the first one out.
    #[inline]
    pub fn pop(&mut self) -> Option<u32> {
        let position = self.ahead(0)?;
        self.length -= 1;
        // An empty one begins anew, so that as little memory as possible is touched.
        self.first = if self.length == 0 { 0 } else { self.place(1) };
        Some(position)
    }

    /// The position that comes after `ahead` others.
    #[inline]
    pub fn ahead(&self, ahead: usize) -> Option<u32> {
        (ahead < self.length).then(|| self.places.get(self.place(ahead)).copied()).flatten()
    }

    /// Whether there is nothing in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_first_comes_out_first() {
        let mut queue = Queue::new(4, &mut Pool::new()).unwrap();
        let mut expected = std::collections::VecDeque::new();
        for step in 0u32..1000 {
            if expected.len() < 4 && step.wrapping_mul(2_654_435_761).leading_zeros() > 1 {
                queue.push(step);
                expected.push_back(step);
            } else {
                assert_eq!(queue.ahead(1), expected.get(1).copied());
                assert_eq!(queue.pop(), expected.pop_front());
            }
            assert_eq!(queue.is_empty(), expected.is_empty());
        }
    }
}
