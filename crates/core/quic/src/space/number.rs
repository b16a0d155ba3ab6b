//! Packet numbers of one space, with some left out at random.
//!
//! A peer that acknowledges what it cannot have received gives itself away by acknowledging a number that was never
//! sent (optimistic ACK, RFC 9000 §21.4). This decides which numbers those are; it does not remember them, because
//! [`Sent`](super::Sent) sees the gap when the next packet is recorded.

use tq_wire::VARINT_MAX;

#[cfg(test)]
mod tests;

/// The first number left out is at least this.
const FIRST_SKIP: u64 = 8;
/// And less than this much above it: about two initial windows.
const FIRST_SPREAD: u64 = 16;
/// Bounds of the window in packets that spaces the numbers left out: not so often that small windows pay with gaps,
/// and often enough that a large window has one in flight most of the time.
const GAP: core::ops::RangeInclusive<u64> = 32..=65_536;

/// The numbers of a space: ascending, each handed out once.
#[derive(Debug)]
pub(crate) struct Numbers {
    next: u64,
    skip: u64,
    random: u64,
}

impl Numbers {
    /// Starts at 0. The seed decides which numbers are skipped and is not to be guessed by the peer.
    pub(crate) fn new(seed: u64) -> Self {
        // xorshift stays at zero if it starts there.
        let random = (seed ^ 0x9e37_79b9_7f4a_7c15).max(1);
        let mut numbers = Self { next: 0, skip: 0, random };
        numbers.skip = FIRST_SKIP + numbers.draw(FIRST_SPREAD);
        numbers
    }

    /// The number [`Numbers::take`] will hand out.
    pub(crate) fn peek(&self) -> u64 {
        self.next
    }

    /// Whether there is no number left: the last one is not used, the peer expects no answer to it (RFC 9000 §12.3).
    // MUST 9000-12.3-3
    pub(crate) fn is_used_up(&self) -> bool {
        self.next >= VARINT_MAX
    }

    /// Hands out a number. `cwnd_packets` is the congestion window in packets: one number is left out at a random
    /// place every one to two windows.
    // MUST 9000-12.3-1, 9000-12.3-2, 9000-17.2.3-1
    pub(crate) fn take(&mut self, cwnd_packets: u64) -> u64 {
        let pn = self.next;
        self.next += 1;
        if self.next == self.skip {
            self.next += 1;
            let window = cwnd_packets.clamp(*GAP.start(), *GAP.end());
            self.skip = self.next + window + self.draw(window);
        }
        pn
    }

    /// A number below `bound`, which is small.
    fn draw(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        // The low bits of xorshift are its weak ones.
        (self.random >> 32) % bound
    }

    /// Goes on from `next`, as after a very long time.
    #[cfg(test)]
    pub(crate) fn jump(&mut self, next: u64) {
        (self.next, self.skip) = (next, u64::MAX);
    }
}
