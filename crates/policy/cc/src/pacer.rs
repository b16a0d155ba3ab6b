//! When the next burst may leave: a token bucket that answers with departure times.
//!
//! Sending is allowed while the credit is not negative and may overdraw it by one burst, so bursts leave whole and
//! the average rate is exact. Credit is counted in 10^-9 byte, the product of bytes per second and nanoseconds,
//! hence without rounding. It never holds packets nor sets a timer, and a caller that must send at once (probes,
//! real-time data) may: what it sends is charged.

use tq_time::{Duration, Instant};

#[cfg(test)]
mod tests;

const NANO: i64 = 1_000_000_000;
/// What may leave at once after idleness: ten packets of the smallest MTU, short by a byte because the packet
/// that overdraws the credit still leaves.
const IDLE_CREDIT: i64 = (10 * 1200 - 1) * NANO;
/// Largest burst, bytes: one segmentation-offload call.
const LARGEST_BURST: u64 = 65_536;
/// What a caller missed that came late for its departure is made up for as far back as this: a timer's grain at least, and on a
/// host with much to do what passes until it is its turn again.
const GRAIN: Duration = Duration::from_millis(2);
const LATEST: Duration = Duration::from_millis(10);

/// Departure times of one path.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    /// Bytes that may leave, in 10^-9 byte; negative while a burst is being paid for.
    credit: i64,
    /// `credit` is as of this moment.
    at: Instant,
    /// The departure time last given out, if the caller was made to wait for it.
    awaited: Option<Instant>,
    /// There was nothing to send since the last burst: credit is saved up.
    resting: bool,
}

impl Default for Pacer {
    fn default() -> Self {
        Self::new()
    }
}

impl Pacer {
    /// A pacer that lets the first ten packets leave at once.
    pub fn new() -> Self {
        Self { credit: IDLE_CREDIT, at: Instant::ZERO, awaited: None, resting: false }
    }

    /// When the next burst may leave, `now` or later, at `rate` bytes per second (from
    /// [`Controller::pacing_rate`](crate::Controller::pacing_rate)). Ask when there is something to send.
    // MUST 9002-7.7-1
    pub fn departure(&mut self, now: Instant, rate: u64) -> Instant {
        self.refill(now, rate);
        if self.credit >= 0 {
            return now;
        }
        let wait = self.credit.unsigned_abs().div_ceil(rate.max(1));
        let departure = now + Duration::from_nanos(wait);
        self.awaited = Some(departure);
        departure
    }

    /// The same for whoever only wants to know: time until then is not made up for, as it is to a caller that waits.
    pub fn earliest(&self, now: Instant, rate: u64) -> Instant {
        let mut asked = *self;
        asked.departure(now, rate)
    }

    /// `bytes` left at `now`: a packet or a whole burst.
    pub fn on_sent(&mut self, now: Instant, bytes: usize, rate: u64) {
        self.refill(now, rate);
        self.awaited = None;
        self.resting = false;
        let cost = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(NANO);
        self.credit = self.credit.saturating_sub(cost);
    }

    /// Nothing leaves for `time`, as if what `rate` gives in it had left now.
    pub fn pause(&mut self, now: Instant, time: Duration, rate: u64) {
        self.refill(now, rate);
        let bytes = u128::from(rate) * time.as_nanos();
        self.credit = self.credit.min(0).saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// There is nothing to send though more might leave: what is saved up until then may leave at once.
    pub fn rest(&mut self) {
        self.resting = true;
    }

    /// The window is full: it is not a departure that is waited for.
    pub fn hold(&mut self) {
        self.awaited = None;
    }

    /// Bytes of one burst: what `rate` gives in a millisecond, at least two packets of `mtu`, at most 64 KiB.
    pub fn burst(&self, rate: u64, mtu: u16) -> usize {
        let packets = 2 * u64::from(mtu);
        (rate / 1000).min(LARGEST_BURST).max(packets) as usize
    }

    /// Adds what the time since the last call is worth. Credit saved up is bounded: ten packets after idleness; if the
    /// caller waited for a departure time and came late, what it missed, up to ten milliseconds or one
    /// largest burst, so that neither coarse timers nor a busy host lower the rate; nothing while a full window waits for
    /// acknowledgements: what they free goes evenly, not as a burst into the queue that is longest then.
    fn refill(&mut self, now: Instant, rate: u64) {
        let passed = now.saturating_since(self.at).as_nanos();
        let earned = u64::try_from(passed).unwrap_or(u64::MAX).saturating_mul(rate);
        let credit = self.credit.saturating_add(i64::try_from(earned).unwrap_or(i64::MAX));
        self.credit = credit.min(self.credit_limit(now, rate).max(self.credit));
        self.at = self.at.max(now);
    }

    fn credit_limit(&self, now: Instant, rate: u64) -> i64 {
        match self.awaited {
            _ if self.resting => IDLE_CREDIT,
            Some(departure) => {
                let missed = now.saturating_since(departure).clamp(GRAIN, LATEST).as_micros() as u64;
                (rate.saturating_mul(missed) / 1_000_000).min(LARGEST_BURST) as i64 * NANO
            }
            None => 0,
        }
    }
}
