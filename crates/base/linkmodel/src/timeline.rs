//! A value that changes at known moments, past and future.
//!
//! A change may be announced before it happens, so a packet that leaves after it already feels it. Which moments
//! matter is the caller's business.

use tq_buf::mem::VecDeque;
use tq_time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How long the past is remembered for packets that are still on their way.
const MEMORY: Duration = Duration::from_secs(60);

/// Steps in ascending time. Never empty: the first holds until the next.
#[derive(Clone, Debug)]
pub(crate) struct Timeline<T> {
    first: (Instant, T),
    steps: VecDeque<(Instant, T)>,
}

/// A stretch of time with one value.
pub(crate) struct Span<'a, T> {
    pub(crate) value: &'a T,
    pub(crate) from: Instant,
    /// The first moment of the next step.
    pub(crate) until: Option<Instant>,
}

impl<T> Timeline<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { first: (Instant::ZERO, value), steps: VecDeque::new() }
    }

    /// From `at` to the next step the value is `value`; of two for one moment the later call wins.
    pub(crate) fn set(&mut self, at: Instant, value: T) {
        let at = at.max(self.first.0);
        let index = self.steps.partition_point(|(from, _)| *from < at);
        match self.steps.get_mut(index) {
            Some((from, old)) if *from == at => *old = value,
            _ => self.steps.insert(index, (at, value)),
        }
    }

    /// Drops steps that ended long before `now`.
    pub(crate) fn forget(&mut self, now: Instant) {
        while self.steps.front().is_some_and(|(from, _)| *from < now - MEMORY) {
            if let Some(step) = self.steps.pop_front() {
                self.first = step;
            }
        }
    }

    /// Whether there is anything but one value.
    #[inline]
    pub(crate) fn changes(&self) -> bool {
        !self.steps.is_empty()
    }

    #[inline]
    pub(crate) fn at(&self, at: Instant) -> &T {
        if self.steps.is_empty() { &self.first.1 } else { self.span(at).value }
    }

    #[inline]
    pub(crate) fn span(&self, at: Instant) -> Span<'_, T> {
        if self.steps.is_empty() {
            return Span { value: &self.first.1, from: self.first.0, until: None };
        }
        let next = self.steps.partition_point(|(from, _)| *from <= at);
        let until = self.steps.get(next).map(|(from, _)| *from);
        let before = next.checked_sub(1).and_then(|index| self.steps.get(index));
        let (from, value) = before.unwrap_or(&self.first);
        Span { value, from: *from, until }
    }

    /// The steps from `from` to `to`, both included.
    pub(crate) fn between(
        &self,
        from: Instant,
        to: Instant,
    ) -> impl DoubleEndedIterator<Item = &(Instant, T)> {
        let start = self.steps.partition_point(|(at, _)| *at < from);
        let end = self.steps.partition_point(|(at, _)| *at <= to).max(start);
        self.steps.range(start..end)
    }
}
