//! What all connections together may grant their peers beyond the windows they begin with (decision 9).
//!
//! It counts bytes and says yes or no; which window wants to grow, and when, is decided in `flow`. What a connection
//! took comes back when it goes.

use core::sync::atomic::{AtomicUsize, Ordering};

use tq_buf::mem::Arc;

/// For unread bytes a connection gets this part of what is left, in all.
const LENDERS: usize = 8;
/// Unread bytes are counted in lots of this many, so that not every read asks the budget.
const LOT: usize = 256 << 10;

/// Bytes by which the receive windows of all connections that share this may grow, beyond
/// [`connection_window`](super::StreamConfig::connection_window) of each.
///
/// A request is granted if it is no more than half of what is left: one connection alone may take most of the budget,
/// but many never leave nothing for the next. What waits to be read is counted here as well while it does not count
/// against its connection's window; for that a connection has no more than an eighth of what is left.
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

    /// Up to `wish` bytes for who was lent `has` already; says how many.
    fn lend(&self, has: usize, wish: usize) -> usize {
        let mut granted = 0;
        let grant = |used: usize| {
            let left = self.most.saturating_sub(used);
            granted = wish.min((left / LENDERS).saturating_sub(has));
            (granted > 0).then(|| used + granted)
        };
        let lent = self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, grant).is_ok();
        if lent { granted } else { 0 }
    }

    /// What may be lent to who was lent `has` already, in all, as things are.
    fn lendable(&self, has: usize) -> usize {
        has.max(self.most.saturating_sub(self.used()) / LENDERS)
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What one connection took of a budget, for growth and for bytes that wait for their reader outside its window; gives it
/// back when dropped. Without a budget nobody is asked.
#[derive(Debug, Default)]
pub(super) struct Share {
    budget: Option<Arc<WindowBudget>>,
    grown: usize,
    lent: usize,
}

impl Share {
    pub(super) fn set_budget(&mut self, budget: Arc<WindowBudget>) {
        self.budget = Some(budget);
    }

    /// Asks for so much more of a window.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        let Some(budget) = &self.budget else { return true };
        let granted = usize::try_from(bytes).is_ok_and(|bytes| budget.take(bytes));
        if granted {
            self.grown += bytes as usize;
        }
        granted
    }

    /// Has room for `wish` bytes that wait, or for as many of them as it says.
    pub(super) fn cover(&mut self, wish: u64) -> u64 {
        let wanted = usize::try_from(wish).unwrap_or(usize::MAX);
        if let Some(more) = wanted.checked_sub(self.lent).filter(|more| *more > 0) {
            let more = more.max(LOT);
            self.lent += self.budget.as_ref().map_or(more, |budget| budget.lend(self.lent, more));
        }
        wanted.min(self.lent) as u64
    }

    /// Bytes that wait for which there would be room now.
    pub(super) fn lendable(&self) -> u64 {
        self.budget.as_ref().map_or(u64::MAX, |budget| budget.lendable(self.lent) as u64)
    }

    /// So many wait still.
    pub(super) fn reduce(&mut self, needed: u64) {
        let needed = usize::try_from(needed).unwrap_or(usize::MAX);
        let spare = self.lent.saturating_sub(needed);
        let back = match needed {
            0 => spare,
            _ if spare >= 2 * LOT => spare - LOT,
            _ => 0,
        };
        if back > 0 {
            self.lent -= back;
            self.budget.iter().for_each(|budget| budget.give_back(back));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.give_back(self.grown + self.lent);
        }
    }
}

#[cfg(test)]
mod tests;
