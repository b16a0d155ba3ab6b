//! What came of everything that was offered.
//!
//! The books balance at any moment: every packet offered was delivered or dropped for one reason.

use tq_time::Duration;

use crate::packet::Drop;

/// Totals of one direction. `offered = delivered + dropped by any reason`; second copies come on top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets offered.
    pub offered: u64,
    /// Bytes of IP offered.
    pub offered_bytes: u64,
    /// Packets delivered, second copies not counted.
    pub delivered: u64,
    /// Bytes of IP delivered, second copies not counted.
    pub delivered_bytes: u64,
    /// Delivered packets of which a second copy arrives too.
    pub duplicated: u64,
    /// Delivered packets that are damaged.
    pub corrupted: u64,
    /// Delivered packets whose ECN field became CE here.
    pub marked: u64,
    /// Delivered packets that arrive before one that was offered earlier.
    pub reordered: u64,
    /// The longest the link's own queue ever was, each figure for itself.
    pub longest: Depth,
    dropped: [u64; Drop::ALL.len()],
}

impl Counters {
    /// Packets dropped for `reason`.
    pub const fn dropped(&self, reason: Drop) -> u64 {
        self.dropped[reason as usize]
    }

    /// Packets dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Whether every packet offered has been accounted for.
    pub fn balance(&self) -> bool {
        self.offered == self.delivered + self.dropped_total()
    }

    pub(crate) const fn with_longest(self, longest: Depth) -> Self {
        Self { longest, ..self }
    }

    pub(crate) const fn drop(&mut self, reason: Drop) {
        self.dropped[reason as usize] += 1;
    }
}

/// How long a queue is, the packet being sent included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Bytes of IP.
    pub bytes: u64,
    /// Packets.
    pub packets: u32,
    /// How long the next packet would wait before its first byte is sent.
    pub delay: Duration,
}

impl Depth {
    pub(crate) fn raise(&mut self, other: Self) {
        self.bytes = self.bytes.max(other.bytes);
        self.packets = self.packets.max(other.packets);
        self.delay = self.delay.max(other.delay);
    }
}
