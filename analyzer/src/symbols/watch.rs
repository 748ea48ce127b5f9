//! Tells how far the looking up of names is.

use std::fmt;
use std::sync::Arc;

type Tell = Arc<dyn Fn(u64) + Send + Sync>;

/// Is told how many addresses are to be looked up, and how many were. From any thread.
#[derive(Clone)]
pub struct Watch {
    more: Tell,
    done: Tell,
}

impl Watch {
    /// Calls `more` when addresses are to be looked up, and `done` when they were.
    pub fn new(
        more: impl Fn(u64) + Send + Sync + 'static,
        done: impl Fn(u64) + Send + Sync + 'static,
    ) -> Watch {
        Watch { more: Arc::new(more), done: Arc::new(done) }
    }

    /// So many more are to be looked up.
    pub(super) fn expect(&self, count: usize) {
        (self.more)(count as u64);
    }

    /// So many were.
    pub(super) fn advance(&self, count: usize) {
        (self.done)(count as u64);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
