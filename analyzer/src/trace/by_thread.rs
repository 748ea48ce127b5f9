//! Outstanding blocks by the thread that allocated them.

use super::estimate::Estimate;

/// What each thread allocated of a site's outstanding blocks. There are never more threads than blocks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ByThread(Vec<ThreadShare>);

/// What one thread allocated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThreadShare {
    /// Its index in [`super::Trace::threads`].
    pub thread: u16,
    /// Outstanding blocks.
    pub blocks: Estimate,
    /// Their bytes.
    pub bytes: Estimate,
}

impl ByThread {
    /// Each thread's, by index.
    pub fn iter(&self) -> impl Iterator<Item = &ThreadShare> {
        self.0.iter()
    }

    /// The indexes of the threads, ascending.
    pub fn threads(&self) -> impl Iterator<Item = u16> {
        self.0.iter().map(|share| share.thread)
    }

    pub(super) fn add(&mut self, share: &ThreadShare) {
        match self.0.binary_search_by_key(&share.thread, |known| known.thread) {
            Ok(place) => {
                self.0[place].blocks.add(&share.blocks);
                self.0[place].bytes.add(&share.bytes);
            }
            Err(place) => {
                // Most sites have one thread, and sites are many.
                if self.0.is_empty() {
                    self.0.reserve_exact(1);
                }
                self.0.insert(place, *share);
            }
        }
    }

    /// Adds other blocks.
    pub(super) fn merge(&mut self, other: &ByThread) {
        other.iter().for_each(|share| self.add(share));
    }

    /// The same blocks where the threads of their trace come after `threads` others; those that have no index then are left out.
    pub(crate) fn shifted(&self, threads: usize) -> ByThread {
        let shift = |share: &ThreadShare| {
            let thread = u16::try_from(usize::from(share.thread) + threads).ok()?;
            Some(ThreadShare { thread, ..*share })
        };
        ByThread(self.iter().filter_map(shift).collect())
    }
}
