//! What all connections together may grant their peers beyond the windows they begin with (decision 9).
//!
//! It counts bytes and says yes or no; which window wants to grow, and when, is decided in `flow`. What a connection
//! took comes back when it goes.

use core::sync::atomic::{AtomicUsize, Ordering};

use tq_buf::mem::Arc;

/// Bytes by which the receive windows of all connections that share this may grow, beyond
/// [`connection_window`](super::StreamConfig::connection_window) of each.
///
/// A request is granted if it is no more than half of what is left: one connection alone may take most of the budget,
/// but many never leave nothing for the next.
#[derive(Debug)]
pub struct WindowBudget {
    most: usize,
    used: AtomicUsize,
}

impl WindowBudget {
    /// A budget of `most` bytes.
    pub const fn new(most: usize) -> Self {
        Self { most, used: AtomicUsize::new(0) }
    }

    /// Bytes it began with.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// Bytes granted and not given back.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let grant = |used: usize| {
            let left = self.most.saturating_sub(used);
            (bytes <= left / 2).then(|| used + bytes)
        };
        self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, grant).is_ok()
    }
}

/// What one connection took of a budget; gives it back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<WindowBudget>,
    taken: usize,
}

impl Share {
    pub(super) const fn new(budget: Arc<WindowBudget>) -> Self {
        Self { budget, taken: 0 }
    }

    /// Asks for so much more.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        let granted = usize::try_from(bytes).is_ok_and(|bytes| self.budget.take(bytes));
        if granted {
            self.taken += bytes as usize;
        }
        granted
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
