//! The deadlines of one connection: a small table with one row per purpose.
//!
//! It decides which timer is due first, never what a timer means: the owner numbers its purposes.

use crate::Instant;

#[cfg(test)]
mod tests;

/// `N` timers, numbered 0 to `N - 1`, each clear or set to a moment.
///
/// Looking for the next one reads all `N` rows, which for the dozen timers of a connection is cheaper than any
/// order kept up to date. [`Instant::MAX`] means never: a timer set to it is clear.
#[derive(Clone, Debug)]
pub struct Timers<const N: usize> {
    at: [Instant; N],
}

impl<const N: usize> Timers<N> {
    /// All timers clear.
    pub const fn new() -> Self {
        Self { at: [Instant::MAX; N] }
    }

    /// Sets timer `index` to `at`, replacing what it was set to. An index of `N` or more does nothing.
    pub fn set(&mut self, index: usize, at: Instant) {
        debug_assert!(index < N, "there are {N} timers");
        if let Some(row) = self.at.get_mut(index) {
            *row = at;
        }
    }

    /// Clears timer `index`.
    pub fn clear(&mut self, index: usize) {
        self.set(index, Instant::MAX);
    }

    /// When timer `index` is due, if it is set.
    pub fn at(&self, index: usize) -> Option<Instant> {
        self.at.get(index).copied().filter(|at| *at != Instant::MAX)
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.at.iter().copied().min().filter(|at| *at != Instant::MAX)
    }

    /// Clears the earliest timer due at or before `now` and returns its number; of equals, the lowest number.
    pub fn pop_expired(&mut self, now: Instant) -> Option<usize> {
        let (index, at) = self.at.iter().copied().enumerate().min_by_key(|(_, at)| *at)?;
        if at > now || at == Instant::MAX {
            return None;
        }
        self.at[index] = Instant::MAX;
        Some(index)
    }
}

impl<const N: usize> Default for Timers<N> {
    fn default() -> Self {
        Self::new()
    }
}
