//! How a held path comes back: trains of copies of useful data, so that nothing waits for them, at a rate like the one it
//! would carry. A link that is idle drains and then measures beautifully; only delivery under load counts.

use tq_time::{Duration, Instant};

use crate::math::bytes_in;

/// First train after a path is held, and the longest time between trains.
const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(10);
/// Shortest and longest time a path is held; it doubles with each hold.
const SHORTEST: Duration = Duration::from_secs(3);
const LONGEST: Duration = Duration::from_secs(120);
/// In service for so long, earlier holds are forgotten.
const FORGIVEN: Duration = Duration::from_secs(300);
/// Packets of a train at least, and bytes at most.
const PACKETS: u64 = 32;
const BYTES: u64 = 256 * 1024;
/// Trains in a row that must pass.
const PASSES: u8 = 2;
/// Loss a train may have, in packets per thousand; and packets in any case.
const LOSS: u64 = 20;
/// What must have come through of the rate offered, percent.
const DELIVERED: u64 = 80;
/// Delay a train may add, ns.
const DELAY: u64 = 40_000_000;
/// Gain that a path must promise, percent of what the others bring.
const GAIN: u64 = 5;

/// A train of copies to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Train {
    /// Bytes of copies.
    pub bytes: u64,
    /// Bytes per second at most.
    pub rate: u64,
}

/// How a train went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Packets sent and lost.
    pub packets: u64,
    /// Of those, lost.
    pub lost: u64,
    /// Rate at which it was sent, bytes per second.
    pub offered: u64,
    /// Rate at which it was delivered.
    pub delivered: u64,
    /// Largest round trip of it over the smallest of the path, ns.
    pub delay: u64,
}

/// Where a held path is on its way back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ladder {
    next: Instant,
    wait: Duration,
    until: Instant,
    holds: u8,
    passes: u8,
    admitted: Option<Instant>,
}

impl Ladder {
    pub(super) fn hold(&mut self, now: Instant) {
        let long = SHORTEST.saturating_mul(1 << self.holds.min(6)).min(LONGEST);
        self.holds = self.holds.saturating_add(1);
        (self.next, self.wait, self.until) = (now + FIRST, FIRST, now + long);
        (self.passes, self.admitted) = (0, None);
    }

    /// The hold was a question, not a verdict.
    pub(super) fn forgive(&mut self) {
        self.holds = self.holds.saturating_sub(1);
    }

    /// The link changed: ask at once, and decide on what comes.
    pub(super) fn hurry(&mut self) {
        (self.next, self.until, self.holds) = (Instant::ZERO, Instant::ZERO, 0);
    }

    /// A window of the path is over.
    pub(super) fn on_window(&mut self, now: Instant, serving: bool) {
        if !serving {
            self.admitted = None;
        } else if now.saturating_since(*self.admitted.get_or_insert(now)) >= FORGIVEN {
            self.holds = 0;
        }
    }

    pub(super) fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn train(&mut self, now: Instant, evidence: u64, srtt: Duration, mtu: u16) -> Train {
        self.wait = (self.wait + self.wait / 2).min(MOST);
        self.next = now + self.wait;
        let two = u64::try_from(srtt.as_nanos()).unwrap_or(u64::MAX).saturating_mul(2);
        let least = PACKETS * u64::from(mtu);
        let rate = evidence.saturating_mul(2).max(least);
        Train { bytes: bytes_in(rate, two).clamp(least, BYTES.max(least)), rate }
    }

    /// Takes a result; says whether the path may come back.
    pub(super) fn on_loaded(&mut self, now: Instant, loaded: &Loaded, sum: u64) -> bool {
        let rate = loaded.offered.min(loaded.delivered);
        let clean = loaded.lost * 1000 <= loaded.packets * LOSS || loaded.lost <= 1;
        let through =
            u128::from(loaded.delivered) * 100 >= u128::from(loaded.offered) * u128::from(DELIVERED);
        let gains = u128::from(rate) * 100 >= u128::from(sum) * u128::from(GAIN);
        let passed = loaded.packets > 0 && clean && (through || gains) && loaded.delay <= DELAY;
        self.passes = if passed { self.passes.saturating_add(1) } else { 0 };
        if passed {
            // The one that decides need not wait as long as if nothing had come through.
            self.next = self.next.min((now + FIRST).max(self.until));
        }
        let ready = self.passes >= PASSES && now >= self.until && gains;
        if ready {
            self.admitted = Some(now);
        }
        ready
    }
}
