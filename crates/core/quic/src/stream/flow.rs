//! Flow control: the window a receiver grants and how it grows, and the credit a sender has left (RFC 9000 §4).
//!
//! A window moves when half of it was consumed, and doubles when that half took less than two round trips: then it,
//! and not the reader, may be what holds the sender back. Bytes nobody reads never widen it. On paths with a long round
//! trip it begins larger and grows fourfold, since senders may start faster there. What is granted to whom is not
//! decided here.

use tq_buf::mem::Arc;
use tq_time::{Duration, Instant};

use super::StreamConfig;
use super::budget::{Share, WindowBudget};

/// Round trip from which on a path is long, and up to which it counts: that of a geostationary satellite.
const LONG: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(600);
/// A long path's first window is what this rate, 200 Mbit/s in bytes per millisecond, brings in a round trip.
const LONG_RATE: u64 = 25_000;

/// Over several paths a hole is filled from another one, and is noticed so much later than a round trip.
const ACROSS: Duration = Duration::from_millis(100);

/// The latest time anybody told, because reading has no time argument; and the round trip to compare with: with several
/// paths that of the slowest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    pub(super) now: Instant,
    pub(super) srtt: Option<Duration>,
    pub(super) several: bool,
}

impl Clock {
    /// A window whose half is read in less than this may be what holds the sender back. The first half of a `long` path's
    /// window is read while the sender is still speeding up.
    fn quick(&self, long: bool) -> Option<Duration> {
        let across = if self.several { ACROSS } else { Duration::ZERO };
        self.srtt.map(|srtt| srtt * if long { 4 } else { 2 } + across)
    }

    /// What a window is to be at once, before anything was seen of the sender's rate: a round trip of [`LONG_RATE`] on a long
    /// path, and over several paths two of the slowest with the time in which a hole is noticed, since what overtook that
    /// hole waits in the window. Zero on a short path.
    fn first_window(&self) -> u64 {
        let Some(srtt) = self.srtt.filter(|srtt| self.several || *srtt >= LONG) else { return 0 };
        let srtt = srtt.min(LONGEST);
        let time = if self.several { 2 * (srtt + ACROSS) } else { srtt };
        time.as_millis() as u64 * LONG_RATE
    }
}

/// The receiving window of a stream or of the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Offset the peer may send up to.
    limit: u64,
    size: u64,
    /// When it moved last; unset until the first byte.
    moved: Option<Instant>,
    /// What it was stretched to for the paths' round trips.
    stretched: u64,
}

impl Window {
    pub(super) fn new(size: u64) -> Self {
        let size = size.min(tq_wire::VARINT_MAX);
        Self { limit: size, size, moved: None, stretched: 0 }
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    #[cfg(test)]
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// The first bytes came: what is consumed from now on is measured.
    pub(super) fn start(&mut self, now: Instant) {
        self.moved.get_or_insert(now);
    }

    /// All below `consumed` was consumed. Says whether the limit moved and the peer is to be told. `may_grow` is asked
    /// for the bytes by which the window would grow.
    // MUST 9000-4.2-1
    pub(super) fn consumed(
        &mut self,
        consumed: u64,
        max: u64,
        clock: &Clock,
        mut may_grow: impl FnMut(u64) -> bool,
    ) -> bool {
        let long = clock.srtt.filter(|srtt| *srtt >= LONG);
        let first = clock.first_window();
        let stretch = first > self.size && first / 2 >= self.stretched && consumed > 0 && self.size < max;
        if stretch {
            self.stretched = first;
            self.grow_to(first.min(max), &mut may_grow);
        } else if self.limit.saturating_sub(consumed) > self.size / 2 {
            return false;
        }
        let since = self.moved.map(|moved| clock.now.saturating_since(moved));
        let quick = since.zip(clock.quick(long.is_some())).is_some_and(|(since, quick)| since < quick);
        if quick && !stretch {
            let times = if long.is_some() { 4 } else { 2 };
            self.grow_to(self.size.saturating_mul(times).min(max), &mut may_grow);
        }
        self.moved = Some(clock.now);
        let limit = consumed.saturating_add(self.size).min(tq_wire::VARINT_MAX);
        let moves = limit > self.limit;
        self.limit = self.limit.max(limit);
        moves
    }

    /// Grows if that is growth and nobody minds; by no more than its own size if only that is granted.
    fn grow_to(&mut self, size: u64, may_grow: &mut impl FnMut(u64) -> bool) {
        let modest = size.min(self.size.saturating_mul(2));
        if let Some(size) = [size, modest].into_iter().find(|to| *to > self.size && may_grow(*to - self.size))
        {
            self.size = size;
        }
    }
}

/// What the connection grants for all streams together.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) window: Window,
    max: u64,
    /// Sum over all streams of the highest offset received.
    received: u64,
    /// Sum of what was read or will never be.
    consumed: u64,
    /// Who else may want to grow; nobody asks without it.
    share: Option<Share>,
}

impl Inbound {
    pub(super) fn new(config: &StreamConfig) -> Self {
        Self {
            window: Window::new(config.connection_window),
            max: config.max_connection_window,
            received: 0,
            consumed: 0,
            share: None,
        }
    }

    /// Growth counts against a budget from now on.
    pub(super) fn set_budget(&mut self, budget: Arc<WindowBudget>) {
        self.share = Some(Share::new(budget));
    }

    /// Takes `bytes` more from the peer; `false` if that is beyond the limit.
    // MUST 9000-19.9-2
    pub(super) fn receive(&mut self, bytes: u64) -> bool {
        let received = self.received.saturating_add(bytes);
        if received > self.window.limit() {
            return false;
        }
        self.received = received;
        true
    }

    /// Gives credit for `bytes` back; says whether MAX_DATA is owed.
    pub(super) fn release(&mut self, bytes: u64, clock: &Clock) -> bool {
        self.consumed += bytes;
        let share = &mut self.share;
        let may_grow = |more| share.as_mut().is_none_or(|share| share.grow(more));
        bytes > 0 && self.window.consumed(self.consumed, self.max, clock, may_grow)
    }
}

/// What the peer grants for all streams together.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbound {
    /// MAX_DATA of the peer.
    pub(super) limit: u64,
    /// Sum over all streams of the highest offset sent.
    pub(super) sent: u64,
    /// The limit at which DATA_BLOCKED was owed last.
    pub(super) told: Option<u64>,
}

impl Outbound {
    pub(super) const fn credit(&self) -> u64 {
        self.limit.saturating_sub(self.sent)
    }
}
