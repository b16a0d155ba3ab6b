//! On which paths the acknowledgements of a path go, and how often.
//!
//! The own path always: it keeps samples clean and a cut of another path from silencing this one. The fastest
//! healthy path besides, where that saves at least 10 ms or a third of the way: windows grow by that loop. A path
//! on which nothing arrives is never loaded with acknowledgements alone, nor one on which little arrives with those of much:
//! a link of 1 Mbit/s that brings acknowledgements of 90 has a queue of them, and what comes late or in lumps measures
//! nothing. It writes no frames and keeps no ranges.

use tq_time::{Duration, Instant};

use crate::math::MS;
use crate::memory::Memory;
use crate::silence::nanos;

#[cfg(test)]
mod tests;

/// The own copy is due this often at the least while data arrives.
const OWN_AT_LEAST: u64 = 25 * MS;
/// What the fast copy has to save.
const SAVING: u64 = 10 * MS;
/// How long another path has to be better before it becomes the fast one.
const STEADY: Duration = Duration::from_secs(1);
/// A path on which nothing arrived for this long (or three RTTs) is not known to live.
const SILENT: u64 = 200 * MS;

/// Of what arrives on a path, acknowledgements of others may take one part in so many the other way: links carry up to a tenth
/// of what they carry down, as a rule.
const SHARE: i64 = 10;
/// What an acknowledgement takes on a link, bytes.
const ACK: i64 = 72;
/// What may be taken of a path before much has arrived there, bytes; what is saved up at most, enough for the 200 ms after
/// which a path on which nothing arrives is left anyway; and how far it may be overdrawn.
const FIRST: i64 = 1024;
const MOST: i64 = 16 * 1024;
const DEBT: i64 = 4096;
/// With less than that left acknowledgements become fewer, and fewer still with half and a quarter of it.
const THIN: i64 = FIRST / 2;
const HALF_THIN: i64 = THIN / 2;
const QUARTER_THIN: i64 = THIN / 4;

/// One path as a place for acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckPath {
    /// Path id.
    pub id: u32,
    /// Validated, and its health in our sending direction is good or probation.
    pub healthy: bool,
    /// When a packet last arrived on it.
    pub received_at: Option<Instant>,
    /// Bytes that ever arrived on it.
    pub received: u64,
    /// Smoothed RTT, ns; zero before a sample.
    pub srtt: u64,
    /// Delay from us to the peer, ns, with the queue, up to an offset common to all paths: a
    /// [`crate::Delay::smoothed`] of our own sending direction.
    pub return_delay: i64,
    /// One of those whose cost forbids what is not necessary.
    pub metered: bool,
}

impl AckPath {
    fn is_heard(&self, now: Instant) -> bool {
        let limit = Duration::from_nanos(self.srtt.saturating_mul(3).max(SILENT));
        self.received_at.is_some_and(|at| now.saturating_since(at) <= limit)
    }

    fn may_be_fast(&self, now: Instant) -> bool {
        self.healthy && !self.metered && self.is_heard(now)
    }
}

/// Where to acknowledge a path now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// On the path itself.
    pub own: bool,
    /// On this path as well or instead.
    pub fast: Option<u32>,
}

/// How many packets or how much time may pass before an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Ack-eliciting packets.
    pub packets: u64,
    /// Time since the first of them.
    pub delay: Duration,
}

impl Pace {
    /// The normal pace of a path: `clamp(cwnd/mtu/8, 2, 64)` packets or `clamp(min_rtt/8, 1, 5 ms)`, 25 ms on paths
    /// longer than 200 ms.
    pub fn new(min_rtt: Duration, cwnd: u64, mtu: u16) -> Self {
        let longest = if nanos(min_rtt) > 200 * MS { 25 * MS } else { 5 * MS };
        let packets = (cwnd / u64::from(mtu.max(1)) / 8).clamp(2, 64);
        Self { packets, delay: Duration::from_nanos((nanos(min_rtt) / 8).clamp(MS, longest)) }
    }
}

/// Acknowledgement routes of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct AckRouting {
    fast: Option<u32>,
    /// It was preferred when there was no other.
    alone: bool,
    better: Option<(u32, Instant)>,
    /// When each path's own copy last went, ns.
    own_sent: Memory,
    /// What acknowledgements of all other paths may still take of each, bytes: below zero they would be too much for it,
    /// wherever they go at present.
    room: Memory,
    /// Bytes that had arrived on each when that was worked out.
    counted: Memory,
}

impl AckRouting {
    /// No path preferred.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses the fast path again; call it when a view changed, at most each millisecond. It stays what it is unless
    /// it fell silent or another is better by a fifth or 5 ms for a second.
    pub fn update(&mut self, now: Instant, paths: &[AckPath]) -> Option<u32> {
        paths.iter().for_each(|path| self.on_received(path));
        let able = || paths.iter().filter(|path| path.may_be_fast(now));
        let has_room = |path: &&AckPath| self.room.of(path.id, FIRST) >= 0;
        let best = able().filter(has_room).min_by_key(|path| (path.return_delay, path.id));
        let current = self.fast.and_then(|id| able().find(|path| path.id == id));
        // A longer one is nobody's way but its own.
        let longer = |path: &&AckPath| best.is_some_and(|best| best.return_delay < path.return_delay);
        let current = current.filter(|path| has_room(path) || longer(path));
        let (Some(best), Some(current)) = (best, current) else {
            self.better = None;
            self.fast = best.map(|path| path.id);
            self.alone = able().count() == 1;
            return self.fast;
        };
        let margin = (current.srtt / 10).min(5 * MS);
        if best.return_delay.saturating_add_unsigned(margin) > current.return_delay || best.id == current.id {
            self.better = None;
            return self.fast;
        }
        let since = match self.better {
            Some((id, since)) if id == best.id => since,
            _ => now,
        };
        self.better = Some((best.id, since));
        if self.alone || now.saturating_since(since) >= STEADY {
            self.fast = Some(best.id);
            self.better = None;
            self.alone = false;
        }
        self.fast
    }

    /// The path preferred for acknowledgements.
    pub fn fast(&self) -> Option<u32> {
        self.fast
    }

    /// How many times fewer acknowledgements of others than asked for are to go on path `on`: more and more as what may be
    /// taken of it runs out, so that it carries what it can. 1 to 8.
    pub fn thinning(&self, on: u32) -> u8 {
        match self.room.of(on, FIRST) {
            THIN.. => 1,
            HALF_THIN.. => 2,
            QUARTER_THIN.. => 4,
            _ => 8,
        }
    }

    /// Where path `of` is acknowledged now. `due`: its normal pace or a reason to acknowledge at once has come;
    /// `carries`: a packet with other content goes out on `of` anyway, in which an acknowledgement costs nothing.
    /// Without anything new on `of` since its own copy went, do not ask.
    pub fn routes(&self, now: Instant, of: u32, due: bool, carries: bool, paths: &[AckPath]) -> Routes {
        let Some(path) = paths.iter().find(|path| path.id == of) else { return Routes::default() };
        let fast = self.fast_for(now, path, paths);
        // The own copy is the normal one where nothing is gained elsewhere.
        let own_due = match fast {
            Some(_) => self.own_due_at(path) <= now && path.is_heard(now),
            None => due,
        };
        let own = carries || own_due;
        Routes { own, fast: fast.filter(|_| due) }
    }

    /// When the own copy of `of` is due although the fast one runs; `None` if nothing arrives there or there is no
    /// fast one.
    pub fn own_deadline(&self, now: Instant, of: u32, paths: &[AckPath]) -> Option<Instant> {
        let path = paths.iter().find(|path| path.id == of).filter(|path| path.is_heard(now))?;
        self.fast_for(now, path, paths).map(|_| self.own_due_at(path))
    }

    fn on_received(&mut self, path: &AckPath) {
        let counted = self.counted.of(path.id, 0);
        let parts = i64::try_from(path.received).unwrap_or(i64::MAX).saturating_sub(counted) / SHARE;
        self.counted.set(path.id, counted.saturating_add(parts * SHARE));
        self.room.set(path.id, self.room.of(path.id, FIRST).saturating_add(parts).min(MOST));
    }

    /// An acknowledgement of `of` left on `on`.
    pub fn on_ack_sent(&mut self, now: Instant, of: u32, on: u32) {
        let room = self.room;
        for (id, left) in room.entries().iter().filter(|(id, _)| *id != of) {
            self.room.set(*id, (left - ACK).max(-DEBT));
        }
        if of == on {
            self.own_sent.set(of, i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
        }
    }

    /// A path is gone.
    pub fn forget(&mut self, id: u32) {
        self.own_sent.forget(id);
        self.room.forget(id);
        self.counted.forget(id);
        self.fast = self.fast.filter(|fast| *fast != id);
        self.better = self.better.filter(|(better, _)| *better != id);
    }

    fn own_due_at(&self, path: &AckPath) -> Instant {
        let last = u64::try_from(self.own_sent.of(path.id, 0)).unwrap_or(0);
        Instant::from_nanos(last.saturating_add((path.srtt / 4).max(OWN_AT_LEAST)))
    }

    /// The fast path, if it gains enough for this one or this one cannot be trusted with it.
    fn fast_for(&self, now: Instant, path: &AckPath, paths: &[AckPath]) -> Option<u32> {
        let id = self.fast.filter(|id| *id != path.id)?;
        let fast = paths.iter().find(|candidate| candidate.id == id && candidate.may_be_fast(now))?;
        if !path.healthy {
            return Some(id);
        }
        let saved = path.return_delay.saturating_sub(fast.return_delay);
        // Absolute delays for the ratio: half the RTT is close enough on the faster path.
        let fast_way = (fast.srtt / 2).max(1);
        let gains =
            u64::try_from(saved).is_ok_and(|saved| saved >= SAVING || saved.saturating_mul(2) >= fast_way);
        gains.then_some(id)
    }
}
