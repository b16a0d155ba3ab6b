//! The part of a loss-based controller that does not depend on its growth curve.
//!
//! Window and threshold, slow start with HyStart++, the recovery period that allows one reduction per round trip,
//! collapse on persistent congestion, change of MTU. It never decides how far to reduce nor how to grow in
//! congestion avoidance.

use tq_time::Instant;

use crate::controller::{Ack, initial_window, minimum_window};
use crate::fixed::Bytes;
use crate::hystart::{CSS_GROWTH_DIVISOR, HyStart};
use crate::start::Start;

#[cfg(test)]
mod tests;

/// "No threshold yet" (RFC 9002 §7.3.1).
pub(crate) const NO_THRESHOLD: u64 = u64::MAX;

/// Highest delivery rate of two spans of a round trip, the second of which is under way.
#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    last: u64,
    round: u64,
    ends: Instant,
}

impl Peak {
    fn on_ack(&mut self, now: Instant, ack: &Ack<'_>) {
        let Some(sample) = ack.delivered else { return };
        if now >= self.ends {
            self.last = core::mem::take(&mut self.round);
            self.ends = now + ack.rtt.smoothed();
        }
        self.round = self.round.max(sample.rate);
    }
}

/// Window, threshold and recovery period of one path. `Copy`, so that a reduction can be undone as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    pub(crate) cwnd: Bytes,
    pub(crate) ssthresh: u64,
    pub(crate) mtu: u64,
    hystart: HyStart,
    start: Start,
    /// Delivery rates of the initial slow start may be those of acknowledgements that waited ([`Ack::two_way`]).
    two_way: bool,
    peak: Peak,
    /// Losses of packets sent up to here are part of a congestion event already answered.
    answered: Option<Instant>,
    /// In a recovery period: acknowledgements of packets sent up to `answered` do not grow the window.
    recovering: bool,
    /// Bytes of the window that are there because acknowledgements come back by a longer way.
    widened: u64,
}

impl Recovery {
    /// The state of a fresh path (RFC 9002 §7.2).
    pub(crate) fn new(mtu: u16) -> Self {
        Self {
            cwnd: Bytes::new(initial_window(mtu)),
            ssthresh: NO_THRESHOLD,
            mtu: u64::from(mtu.max(1)),
            hystart: HyStart::new(),
            start: Start::new(false),
            two_way: false,
            peak: Peak::default(),
            answered: None,
            recovering: false,
            widened: 0,
        }
    }

    /// Slow start is over with this window.
    pub(crate) fn resume(&mut self, window: u64) {
        self.cwnd = Bytes::new(window).max(self.floor());
        self.ssthresh = self.window();
        self.hystart.stop();
    }

    /// A window below the initial one grows by slow start up to twice that: it was of a path that carried nothing for a while,
    /// and now a train of more than that came through without a loss.
    pub(crate) fn begin_again(&mut self) {
        let initial = initial_window(u16::try_from(self.mtu).unwrap_or(u16::MAX));
        if self.window() < initial && self.ssthresh != NO_THRESHOLD {
            self.ssthresh = self.ssthresh.max(2 * initial);
        }
    }

    /// As it is, with the faster start of long paths on or off.
    pub(crate) fn with_long_start(mut self, on: bool) -> Self {
        self.start = Start::new(on);
        self
    }

    /// Whether the faster start of long paths is on.
    pub(crate) fn long_start(&self) -> bool {
        self.start.is_on()
    }

    /// Whether packets are to leave in trains, for the path to be measured.
    pub(crate) fn wants_trains(&self) -> bool {
        self.ssthresh == NO_THRESHOLD && self.start.wants_trains()
    }

    /// What trains of packets said the path carries, in the initial slow start.
    pub(crate) fn train_rate(&self) -> Option<u64> {
        self.start.train_rate().filter(|_| self.ssthresh == NO_THRESHOLD)
    }

    /// Window in bytes.
    pub(crate) fn window(&self) -> u64 {
        self.cwnd.floor()
    }

    /// Smallest window: two packets (RFC 9002 §7.2).
    pub(crate) fn floor(&self) -> Bytes {
        Bytes::new(2 * self.mtu)
    }

    /// Whether the window is below the threshold.
    pub(crate) fn in_slow_start(&self) -> bool {
        self.window() < self.ssthresh
    }

    /// Whether the last reduction has not yet been seen to take effect (RFC 9002 §7.3.2).
    pub(crate) fn in_recovery(&self) -> bool {
        self.recovering
    }

    /// A packet left.
    pub(crate) fn on_sent(&mut self, pn: u64) {
        self.hystart.on_sent(pn);
    }

    /// Highest delivery rate of the last one to two round trips, bytes per second; zero if unknown.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.round.max(self.peak.last)
    }

    /// Whether an acknowledgement may grow the window; ends the recovery period if it covers a later packet.
    pub(crate) fn leaves_recovery(&mut self, now: Instant, ack: &Ack<'_>) -> bool {
        self.peak.on_ack(now, ack);
        if self.recovering && self.answered.is_some_and(|at| ack.largest_sent_at <= at) {
            return false;
        }
        self.recovering = false;
        true
    }

    /// Slow start (RFC 9002 §7.3.1, RFC 9406 §4.2): grows the window by what was acknowledged, a quarter of it
    /// when conservative, up to the threshold. Returns the acknowledged bytes left for congestion avoidance.
    pub(crate) fn slow_start(&mut self, now: Instant, ack: &Ack<'_>) -> u64 {
        if !self.in_slow_start() {
            return ack.bytes;
        }
        let first = self.ssthresh == NO_THRESHOLD;
        let untouched = self.is_untouched();
        self.two_way = if first { ack.two_way } else { self.two_way };
        if first && self.start.on_ack(now, ack, self.mtu) {
            self.hystart.restart();
        }
        // An application-limited flight still tells about the path's delay.
        let rounds = self.hystart.rounds();
        let mut ends = self.hystart.on_ack(ack.largest_pn, ack.rtt.latest());
        let mut divisor = self.hystart.divisor();
        if first {
            if rounds != self.hystart.rounds() {
                ends |= self.start.on_round(self.window(), divisor > 1);
            } else if self.start.is_careful(self.window()) {
                divisor = divisor.max(CSS_GROWTH_DIVISOR);
            }
        }
        let mut left = 0;
        if !ack.app_limited {
            let room = Bytes::new(self.ssthresh).minus(self.cwnd);
            let growth = Bytes::new(ack.bytes).scaled(1, divisor);
            left = growth.minus(room).floor().saturating_mul(divisor).min(ack.bytes);
            self.cwnd = self.cwnd.plus(growth.min(room));
        }
        if first && ends {
            self.drain(now);
            self.hystart.stop();
            self.ssthresh = self.window();
        } else if ends {
            self.ssthresh = self.window();
        } else if first && divisor == 1 {
            self.hurry(untouched);
        }
        left
    }

    /// Whether the window has not moved yet.
    fn is_untouched(&self) -> bool {
        let mtu = u16::try_from(self.mtu).unwrap_or(u16::MAX);
        self.ssthresh == NO_THRESHOLD && self.cwnd == Bytes::new(initial_window(mtu))
    }

    /// A round trip takes `rtt` ns, and nothing was acknowledged yet: the initial window is scaled to that.
    pub(crate) fn on_first_rtt(&mut self, rtt: u64) {
        if self.is_untouched() {
            self.start.know(rtt);
            self.hurry(true);
        }
    }

    /// A long path: the initial window is scaled by its length, and once trains have told what the path may carry
    /// the window is half of that at least.
    fn hurry(&mut self, untouched: bool) {
        let scale = self.start.scale();
        if untouched && scale > 1000 {
            self.cwnd = self.cwnd.scaled(scale, 1000);
        }
        if let Some(half) = self.start.jump() {
            self.cwnd = self.cwnd.max(Bytes::new(half));
        }
    }

    /// The first window is `window` at least: an earlier connection knew the path. Says whether it is the first.
    pub(crate) fn jump_to(&mut self, window: u64) -> bool {
        let first = self.ssthresh == NO_THRESHOLD;
        if first {
            self.cwnd = self.cwnd.max(Bytes::new(window));
            self.start.land();
        }
        first
    }

    /// The window is `window` at most.
    pub(crate) fn trim(&mut self, window: u64) {
        self.cwnd = self.cwnd.min(Bytes::new(window).max(self.floor()));
    }

    /// The same, and slow start is over.
    pub(crate) fn retreat(&mut self, window: u64) {
        self.trim(window);
        self.ssthresh = self.ssthresh.min(self.window());
        self.hystart.stop();
    }

    /// Up to `window` it may grow as in slow start, but not in a first one.
    pub(crate) fn recover(&mut self, window: u64) {
        if self.ssthresh != NO_THRESHOLD {
            self.ssthresh = self.ssthresh.max(window);
        }
    }

    /// Acknowledgements come back another way, which takes so many ns longer, or less long below zero. What the path carries
    /// meanwhile is in flight besides and stands in no queue: the window is wider by that, by twice itself at most, and
    /// narrower again by no more than that. Nothing while a first slow start finds out itself. Says by how many bytes.
    pub(crate) fn on_way_back(&mut self, longer: i64) -> i64 {
        if self.ssthresh == NO_THRESHOLD {
            return 0;
        }
        let carried = u128::from(self.peak()) * u128::from(longer.unsigned_abs()) / 1_000_000_000;
        let carried = u64::try_from(carried).unwrap_or(u64::MAX);
        if longer < 0 {
            let less = carried.min(self.widened);
            self.widened -= less;
            self.cwnd = self.cwnd.minus(Bytes::new(less)).max(self.floor());
            self.ssthresh = self.ssthresh.saturating_sub(less).max(self.floor().floor());
            return -i64::try_from(less).unwrap_or(i64::MAX);
        }
        let more = carried.min(self.window());
        self.widened = self.widened.saturating_add(more);
        self.cwnd = self.cwnd.plus(Bytes::new(more));
        self.ssthresh = self.ssthresh.saturating_add(more);
        i64::try_from(more).unwrap_or(i64::MAX)
    }

    /// Slow start ends without a loss: the window falls to what the path carries, by no more than three quarters, or than
    /// for a loss (RFC 9438 §4.6) where that is only what acknowledgements tell that wait behind other traffic. If it falls as
    /// far as it would for a loss, losses of what was sent before are answered for.
    fn drain(&mut self, now: Instant) {
        let Some(capacity) = self.start.capacity() else { return };
        let mtu = u16::try_from(self.mtu).unwrap_or(u16::MAX);
        let least = if self.two_way { self.cwnd.scaled(7, 10) } else { self.cwnd.scaled(1, 4) };
        let least = least.max(Bytes::new(initial_window(mtu)));
        let drained = self.cwnd.min(Bytes::new(capacity).max(least));
        if drained <= self.cwnd.scaled(7, 10) {
            self.answered = Some(now);
        }
        self.cwnd = drained;
    }

    /// The window a reduction starts from. It is the window itself, but at the end of the initial slow start that
    /// ran a round ahead of what the path was able to carry: then it is what the path did carry. A handshake carries
    /// little without showing what could be: the initial window is believed.
    pub(crate) fn proven(&self) -> Bytes {
        let mtu = u16::try_from(self.mtu).unwrap_or(u16::MAX);
        match self.start.proven() {
            Some(proven) if self.ssthresh == NO_THRESHOLD && !self.two_way => {
                self.cwnd.min(Bytes::new(proven.max(initial_window(mtu))))
            }
            _ => self.cwnd,
        }
    }

    /// Whether the loss (or mark) of a packet sent at `sent_at` begins a new congestion event.
    pub(crate) fn is_new_event(&self, sent_at: Instant) -> bool {
        self.answered.is_none_or(|at| sent_at > at)
    }

    /// Reduces the window to `window` (at least two packets) and begins a recovery period (RFC 9002 §7.3.2).
    // MUST 9002-7.3.1-1, 9002-7.3.2-2
    pub(crate) fn reduce(&mut self, now: Instant, window: Bytes) {
        self.cwnd = window.max(self.floor());
        self.ssthresh = self.window();
        self.hystart.stop();
        self.answered = Some(now);
        self.recovering = true;
        self.widened = 0;
    }

    /// Falls to the minimum window and into slow start (RFC 9002 §7.6.2). What was sent before is answered for;
    /// acknowledgements grow the window at once.
    // MUST 9002-7.6.2-2
    pub(crate) fn collapse(&mut self, now: Instant) {
        self.cwnd = self.floor();
        self.peak = Peak::default();
        self.answered = Some(now);
        self.recovering = false;
    }

    /// Takes back a reduction: `before` is the state it began from. The packet size stays.
    pub(crate) fn restore(&mut self, before: Self) {
        *self = Self { mtu: self.mtu, ..before };
    }

    /// The packet size changed (RFC 9002 §7.2): a window that has not moved yet is the initial one of the new
    /// size; any other stays, but not below two packets.
    pub(crate) fn on_mtu(&mut self, mtu: u16) {
        let untouched = self.is_untouched();
        self.mtu = u64::from(mtu.max(1));
        self.cwnd = if untouched {
            Bytes::new(initial_window(mtu))
        } else {
            self.cwnd.max(Bytes::new(minimum_window(mtu)))
        };
    }
}
