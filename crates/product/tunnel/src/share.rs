//! What there is only so much of on a server, shared among its devices: attempts to connect, look-ups, connections.
//!
//! A device may hold half of what is still free; the last quarter is for those that hold nothing, so that something is left for
//! them however many take all they can get. Decides who may take one more; never waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many of something.
#[derive(Debug)]
pub struct Stock {
    total: usize,
    taken: AtomicUsize,
}

impl Stock {
    /// With `total` of it.
    pub fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { total, taken: AtomicUsize::new(0) })
    }

    /// Taken now, by all.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// A device's part of a stock.
#[derive(Debug)]
pub struct Account {
    stock: Arc<Stock>,
    most: usize,
    held: AtomicUsize,
}

/// One that was taken; it goes back when dropped.
#[derive(Debug)]
pub struct Taken(Arc<Account>);

impl Account {
    /// Of `stock`, `most` at a time.
    pub fn new(stock: &Arc<Stock>, most: usize) -> Arc<Self> {
        Arc::new(Self { stock: Arc::clone(stock), most, held: AtomicUsize::new(0) })
    }

    /// One more, if that is fair.
    pub fn take(self: &Arc<Self>) -> Option<Taken> {
        let one_more = |held: usize| (held < self.most).then_some(held + 1);
        let held = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        let one_more = |taken: usize| {
            let free = self.stock.total.saturating_sub(taken);
            let fair = held == 0 || held < free.saturating_sub(self.stock.total / 4) / 2;
            (free > 0 && fair).then_some(taken + 1)
        };
        if self.stock.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            self.held.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Taken(Arc::clone(self)))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
        self.0.stock.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
