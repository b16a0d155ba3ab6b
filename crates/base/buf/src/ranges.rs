//! A set of numbers kept as ascending ranges.
//!
//! Serves packet numbers to acknowledge, bytes acknowledged or lost, and bytes received. It merges what
//! touches, so its size is the number of gaps plus one. It never limits itself: whoever feeds it from a peer
//! calls [`Ranges::keep_highest`] or checks [`Ranges::len`].

use core::ops::Range;

use crate::mem::VecDeque;

#[cfg(test)]
mod tests;

/// A set of `u64` held as disjoint, non-touching, ascending half-open ranges.
///
/// Members are 0 to 2^64-2; `u64::MAX` cannot be a member because no half-open range ends after it. A range
/// whose end is not above its start is empty and changes nothing. Memory follows the number of ranges down as well
/// as up: 16 to 64 bytes for each, once there are more than 64.
///
/// Work at the end (a new highest member) and at the start (`pop_first`, `remove_below`) takes constant time;
/// elsewhere a search takes O(log ranges) and an insertion moves at most half of the ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    runs: VecDeque<Range<u64>>,
}

impl Ranges {
    /// The empty set. Does not allocate.
    pub const fn new() -> Self {
        Self { runs: VecDeque::new() }
    }

    /// Adds all of `range`; says whether any of it was new.
    pub fn insert(&mut self, range: Range<u64>) -> bool {
        if range.is_empty() {
            return false;
        }
        match self.runs.back_mut() {
            Some(last) if range.start < last.start => self.insert_below(range),
            Some(last) if range.start <= last.end => {
                let new = range.end > last.end;
                last.end = last.end.max(range.end);
                new
            }
            _ => {
                if self.runs.capacity() == 0 {
                    // one run is what most have
                    self.runs.reserve_exact(1);
                }
                self.runs.push_back(range);
                true
            }
        }
    }

    /// Adds one number; says whether it was new.
    pub fn insert_one(&mut self, value: u64) -> bool {
        self.insert(value..value.saturating_add(1))
    }

    /// Adds a range that starts before the last run does.
    fn insert_below(&mut self, range: Range<u64>) -> bool {
        let from = self.runs.partition_point(|run| run.end < range.start);
        let to = self.runs.partition_point(|run| run.start <= range.end);
        if from == to {
            self.runs.insert(from, range);
            return true;
        }
        let merged = range.start.min(self.runs[from].start)..range.end.max(self.runs[to - 1].end);
        if merged == self.runs[from] {
            return false;
        }
        self.runs[from] = merged;
        self.cut(from + 1..to);
        true
    }

    /// Takes all of `range` out of the set. May split one range into two.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut from, mut to) = self.span(&range);
        if from == to {
            return;
        }
        let (head, tail) = (self.runs[from].start, self.runs[to - 1].end);
        if head < range.start && range.end < tail && to - from == 1 {
            self.runs[from].end = range.start;
            self.runs.insert(from + 1, range.end..tail);
            return;
        }
        if head < range.start {
            self.runs[from].end = range.start;
            from += 1;
        }
        if range.end < tail {
            to -= 1;
            self.runs[to].start = range.end;
        }
        self.cut(from..to);
    }

    /// Is `value` a member?
    pub fn contains(&self, value: u64) -> bool {
        self.covers(value..value.saturating_add(1))
    }

    /// Are all numbers of `range` members? True for an empty range.
    pub fn covers(&self, range: Range<u64>) -> bool {
        if range.is_empty() {
            return true;
        }
        if self.runs.back().is_some_and(|last| last.start <= range.start) {
            return self.runs.back().is_some_and(|last| range.end <= last.end);
        }
        let at = self.runs.partition_point(|run| run.end <= range.start);
        self.runs.get(at).is_some_and(|run| run.start <= range.start && range.end <= run.end)
    }

    /// The ranges, ascending; `rev()` gives the order of an ACK frame.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + ExactSizeIterator + Clone + '_ {
        self.runs.iter().cloned()
    }

    /// The smallest member.
    pub fn min(&self) -> Option<u64> {
        self.runs.front().map(|run| run.start)
    }

    /// The largest member (not the end of the last range).
    pub fn max(&self) -> Option<u64> {
        self.runs.back().map(|run| run.end - 1)
    }

    /// How many ranges there are (not how many members).
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Is there no member?
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The lowest range.
    pub fn first(&self) -> Option<Range<u64>> {
        self.runs.front().cloned()
    }

    /// Takes out the lowest range.
    pub fn pop_first(&mut self) -> Option<Range<u64>> {
        let first = self.runs.pop_front();
        self.shrink();
        first
    }

    /// Takes out all members smaller than `bound`.
    pub fn remove_below(&mut self, bound: u64) {
        while let Some(first) = self.runs.front_mut() {
            if first.end > bound {
                first.start = first.start.max(bound);
                break;
            }
            self.runs.pop_front();
        }
        self.shrink();
    }

    /// Keeps the `count` highest ranges and forgets the rest.
    pub fn keep_highest(&mut self, count: usize) {
        let surplus = self.runs.len().saturating_sub(count);
        self.cut(0..surplus);
    }

    /// Takes out everything; keeps the allocation.
    pub fn clear(&mut self) {
        self.runs.clear();
    }

    /// Ranges there is room for without an allocation.
    pub(crate) fn room(&self) -> usize {
        self.runs.capacity()
    }

    /// The ranges that share a member with `range`, whole.
    pub(crate) fn within(&self, range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let (from, to) = self.span(range);
        self.runs.range(from..to).cloned()
    }

    /// Indices `from..to` of the runs that share a member with `range`.
    fn span(&self, range: &Range<u64>) -> (usize, usize) {
        let from = self.runs.partition_point(|run| run.end <= range.start);
        let to = self.runs.partition_point(|run| run.start < range.end);
        (from, to.max(from))
    }

    /// Drops runs by index.
    fn cut(&mut self, indices: Range<usize>) {
        if !indices.is_empty() {
            self.runs.drain(indices);
            self.shrink();
        }
    }

    /// Gives back memory that a burst of gaps left behind.
    fn shrink(&mut self) {
        if self.runs.capacity() > 64 && self.runs.len() < self.runs.capacity() / 4 {
            self.runs.shrink_to(2 * self.runs.len().max(16));
        }
    }
}
