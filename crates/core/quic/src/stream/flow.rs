//! Flow control: the window a receiver grants and how it grows, and the credit a sender has left (RFC 9000 §4).
//!
//! A window moves when half of it was consumed, and doubles when that half took less than two round trips: then it,
//! and not the reader, may be what holds the sender back. Bytes nobody reads never widen it. On paths with a long round
//! trip it begins larger and grows fourfold, since senders may start faster there. What is granted to whom is not
//! decided here.
//!
//! A stream gets its credit back when it is read. So does the connection, but what is in order and only waits for its
//! reader is lent to it, so that streams nobody reads do not hold up those that are read. Both what is lent and what
//! streams may grow to together has a bound.

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

/// Of what is left of growth, a stream that begins is given this part, and one whose window is small may grow by this one.
const BEGINS: u64 = 64;
const SMALL: u64 = 8;

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
    /// When it moved last; of no meaning until the first byte.
    moved: Instant,
    /// What had been read by then.
    read: u64,
    started: bool,
    /// What it was stretched to for the paths' round trips.
    stretched: u64,
    /// The limit was told a second time.
    repeated: bool,
}

impl Window {
    pub(super) fn new(size: u64) -> Self {
        let size = size.min(tq_wire::VARINT_MAX);
        Self {
            limit: size,
            size,
            moved: Instant::ZERO,
            read: 0,
            started: false,
            stretched: 0,
            repeated: false,
        }
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// The peer says that `limit` holds it back. If more was granted, that may have been lost, which is noticed late where little
    /// else is sent: says whether it is to be told again, once for each limit.
    pub(super) fn is_missed(&mut self, limit: u64) -> bool {
        let missed = limit < self.limit && !self.repeated;
        self.repeated |= missed;
        missed
    }

    /// Nothing was sent yet, and so much may be, if that is more than before; says whether it is.
    fn begin(&mut self, size: u64) -> bool {
        let more = size > self.size;
        if more {
            (self.size, self.limit) = (size, size);
        }
        more
    }

    /// The first bytes came: what is consumed from now on is measured.
    pub(super) fn start(&mut self, now: Instant) {
        if !self.started {
            (self.started, self.moved) = (true, now);
        }
    }

    /// Whether it moves once all below `consumed` was consumed.
    const fn is_due(&self, consumed: u64) -> bool {
        self.limit.saturating_sub(consumed) <= self.size / 2
    }

    /// All below `read` was read, and `lent` bytes more count as if. The window grows to `most`, and falls back towards
    /// `least` if it is larger than its reader needs. Says whether the limit moved and the peer is to be told. `may_grow`
    /// is asked for the bytes by which the window would grow.
    // MUST 9000-4.2-1
    pub(super) fn consumed(
        &mut self,
        (read, lent): (u64, u64),
        (least, max): (u64, u64),
        clock: &Clock,
        mut may_grow: impl FnMut(u64) -> bool,
    ) -> bool {
        let consumed = read.saturating_add(lent);
        let long = clock.srtt.filter(|srtt| *srtt >= LONG);
        let first = clock.first_window();
        let stretch = first > self.size && first / 2 >= self.stretched && read > 0 && self.size < max;
        if stretch {
            self.stretched = first;
            self.grow_to(first.min(max), &mut may_grow);
        } else if !self.is_due(consumed) {
            return false;
        }
        let since = self.started.then(|| clock.now.saturating_since(self.moved));
        let quick = since.zip(clock.quick(long.is_some())).is_some_and(|(since, quick)| since < quick);
        let wanted = (read - self.read).saturating_mul(4) >= self.size;
        if quick && wanted && !stretch {
            let times = if long.is_some() { 4 } else { 2 };
            self.grow_to(self.size.saturating_mul(times).min(max), &mut may_grow);
        } else if !quick && least < self.size {
            self.size = least.max(self.size / 2);
        }
        (self.started, self.moved, self.read) = (true, clock.now, read);
        let limit = consumed.saturating_add(self.size).min(tq_wire::VARINT_MAX);
        let moves = limit > self.limit;
        self.limit = self.limit.max(limit);
        self.repeated &= !moves;
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

/// What became of a stream's bytes since it was asked last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled {
    /// Read, or never to be.
    pub(super) read: u64,
    /// In order and unread, then and now.
    pub(super) unread: (u64, u64),
}

/// What the connection grants for all streams together.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) window: Window,
    /// Sum over all streams of the highest offset received.
    received: u64,
    /// Sum of what was read or will never be.
    consumed: u64,
    /// Sum of what is in order and waits to be read.
    unread: u64,
    /// Bytes by which windows of streams grew.
    grown: u64,
    /// What it took of what there is for all connections.
    share: Share,
}

impl Inbound {
    pub(super) fn new(config: &StreamConfig) -> Self {
        let window = Window::new(config.connection_window);
        Self { window, received: 0, consumed: 0, unread: 0, grown: 0, share: Share::default() }
    }

    /// Growth and unread bytes count against a budget from now on.
    pub(super) fn set_budget(&mut self, budget: Arc<WindowBudget>) {
        self.share.set_budget(budget);
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

    /// Bytes of a stream came in order.
    #[inline]
    pub(super) fn arrive(&mut self, (before, now): (u64, u64)) {
        self.unread = self.unread - before + now;
    }

    /// Bytes of a stream were read or dropped; says whether MAX_DATA is owed.
    pub(super) fn settle(&mut self, settled: &Settled, config: &StreamConfig, clock: &Clock) -> bool {
        self.consumed += settled.read;
        self.arrive(settled.unread);
        if settled.read == 0 {
            return false;
        }
        let lent = self.window.limit().saturating_sub(self.consumed.saturating_add(self.window.size()));
        self.share.reduce(lent);
        self.advance(0, config, clock)
    }

    /// Unread bytes take up half of the window: what is lent for them goes to the peer. To be called when readers have had
    /// their turn. Says whether MAX_DATA is owed.
    pub(super) fn lend(&mut self, config: &StreamConfig, clock: &Clock) -> bool {
        let wanted = self.unread.min(config.most_unread());
        if wanted == 0 || !self.window.is_due(self.consumed.saturating_add(wanted)) {
            return false;
        }
        let lent = self.share.cover(wanted);
        self.advance(lent, config, clock)
    }

    fn advance(&mut self, lent: u64, config: &StreamConfig, clock: &Clock) -> bool {
        let (share, bounds) = (&mut self.share, (u64::MAX, config.max_connection_window));
        self.window.consumed((self.consumed, lent), bounds, clock, |more| share.grow(more))
    }

    /// Bytes by which windows of streams may grow together for now.
    fn most_grown(&self, config: &StreamConfig) -> u64 {
        config.most_grown(self.window.size(), self.share.lendable())
    }

    /// A stream begins; says whether MAX_STREAM_DATA is owed.
    pub(super) fn begin(&mut self, window: &mut Window, config: &StreamConfig) -> bool {
        let (before, left) = (window.size(), self.most_grown(config).saturating_sub(self.grown));
        let more = window.begin(config.first_window.min(left / BEGINS));
        self.grown += window.size() - before;
        more
    }

    /// All below `read` was read of a stream whose window began with `first`; says whether
    /// MAX_STREAM_DATA is owed. What all grow by together has a bound: each grows by half of what is left of it, but for what
    /// is kept for small windows, and once half of it is taken, those whose readers are slow give way.
    pub(super) fn widen(
        &mut self,
        window: &mut Window,
        read: u64,
        (first, config): (u64, &StreamConfig),
        clock: &Clock,
    ) -> bool {
        let (before, most) = (window.size(), self.most_grown(config));
        let left = most.saturating_sub(self.grown);
        let least = if left < most / 2 { first } else { u64::MAX };
        let may = match before < config.first_window {
            true => left / SMALL,
            false => left.saturating_sub(config.for_small(most)) / 2,
        };
        let moved = window.consumed((read, 0), (least, config.max_stream_window), clock, |more| more <= may);
        self.grown = self.grown + window.size() - before;
        moved
    }

    /// A window that grew by so much is no more.
    pub(super) fn narrow(&mut self, grown: u64) {
        self.grown -= grown;
    }

    /// Bytes by which windows of streams are larger than they began.
    #[cfg(test)]
    pub(super) fn grown(&self) -> u64 {
        self.grown
    }

    /// Bytes in order that wait to be read.
    #[cfg(test)]
    pub(super) fn unread(&self) -> u64 {
        self.unread
    }

    /// Bytes received and not yet read or given up, in order or not.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.received - self.consumed
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
