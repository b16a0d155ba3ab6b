//! What a path can carry, as far as it has shown.
//!
//! A windowed maximum over the last ten rounds of delivery-rate samples that the application did not limit, and how
//! much it is worth: measured, growing, stale or unknown. A limited sample may raise it, never lower it.

use tq_cc::RateSample;
use tq_time::{Duration, Instant};

use crate::math::div;
use crate::silence::nanos;
use crate::view::CapacityState;

#[cfg(test)]
mod tests;

const ROUNDS: usize = 10;
/// A sample is a measurement for this long.
const LIFE: Duration = Duration::from_secs(10);
/// Jitter and held back acknowledgements make a sample so much longer, beside a quarter of the round trip.
const SLACK: Duration = Duration::from_millis(10);
/// The newest sample says how things are for no less than this.
const OLD: Duration = Duration::from_millis(100);

/// What the estimate is asked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Congestion window, bytes.
    pub cwnd: u64,
    /// Smoothed RTT; zero before a sample.
    pub srtt: Duration,
    /// The controller is in slow start.
    pub slow_start: bool,
    /// Remembered rate of the link, bytes/s; zero if there is none, or it was found wrong.
    pub profile: u64,
}

/// A capacity and what stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Bytes per second.
    pub rate: u64,
    /// What stands behind it.
    pub state: CapacityState,
    /// Age of the youngest sample; `None` without one.
    pub age: Option<Duration>,
}

/// Capacity of one path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Capacity {
    /// Largest sample of each of the last rounds, by round modulo ten.
    best: [u64; ROUNDS],
    round: u64,
    sampled_at: Option<Instant>,
    newest: u64,
    /// How long the newest was measured over.
    took: Duration,
    /// What the path delivered while a queue stood there: no less than it can, whatever its window; zero before that.
    loaded: u64,
}

impl Capacity {
    /// Nothing measured.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a sample of the path's `round`-th round trip (a number that grows).
    pub fn on_sample(&mut self, now: Instant, round: u64, sample: &RateSample) {
        let most = self.filtered();
        // Only rounds that measure something push older ones out: an application that sends little
        // must not talk the figure down.
        if sample.app_limited && sample.rate < most {
            return;
        }
        (self.newest, self.took) = (sample.rate, sample.interval);
        let ahead = round.saturating_sub(self.round);
        for step in 1..=ahead.min(ROUNDS as u64) {
            self.best[slot(self.round.saturating_add(step))] = 0;
        }
        self.round = self.round.max(round);
        let best = &mut self.best[slot(self.round)];
        *best = sample.rate.max(*best);
        self.sampled_at = Some(self.sampled_at.map_or(now, |at| at.max(now)));
    }

    /// Takes a round trip of `rtt` that came with the newest sample, on a path whose least one is `min`. With a queue what is
    /// delivered is the path's and not the window's; it is believed to have fallen as samples repeat it.
    pub fn on_rtt(&mut self, rtt: Duration, min: Duration, sample: &RateSample) {
        if rtt > unloaded(min) {
            let fallen = self.loaded.saturating_sub(sample.rate) / 8;
            self.loaded = sample.rate.max(self.loaded - fallen);
        }
    }

    /// Forgets everything: the path has another tuple.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Largest rate of the last ten rounds, bytes per second; zero before a sample.
    pub fn filtered(&self) -> u64 {
        self.best.iter().copied().max().unwrap_or(0)
    }

    /// Newest rate taken, bytes per second.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// The rate by which to reckon how long what is in flight takes to drain, bytes per second, on a path whose least round
    /// trip is `min_rtt`: [`crate::PathView::r_measured`]. The newest; but in slow start, where that took no longer than a
    /// round trip without a queue does, it is what the window let through and says nothing of the path: then what the
    /// window would bring, unless a queue stood on the path before and it has shown no more since. Who took it for the path's rate would wait for windows to drain that do not stand anywhere, and
    /// a path that is asked for little never shows more. A newest that is older than two round trips may be of an outage, and
    /// a path that got nothing since cannot show that it is over: then the largest of the last rounds.
    pub fn draining(&self, now: Instant, window: &Window, min_rtt: Duration) -> u64 {
        let age = self.sampled_at.map_or(Duration::ZERO, |at| now.saturating_since(at));
        if age > OLD.max(window.srtt * 2) {
            return self.filtered();
        }
        let free = self.took <= unloaded(min_rtt);
        if window.slow_start && free && self.newest <= self.loaded.saturating_add(self.loaded / 4) {
            return self.newest.max(self.loaded);
        }
        match nanos(min_rtt) {
            min_rtt if min_rtt > 0 && self.newest > 0 && window.slow_start && free => {
                let brings = div(u128::from(window.cwnd) * 1_000_000_000, u128::from(min_rtt));
                // A window that outgrows what the link was known to carry fills a queue, unless it carries more by now.
                let known = if self.newest < window.profile { window.profile } else { u64::MAX };
                brings.min(known).max(self.newest)
            }
            _ => self.newest,
        }
    }

    /// The estimate. A path in slow start is growing from its first RTT sample on, measured or not: what it will
    /// carry is more than what it carried.
    pub fn estimate(&self, now: Instant, window: &Window) -> Estimate {
        let by_window = match nanos(window.srtt) {
            0 => 0,
            srtt => div(u128::from(window.cwnd) * 1_000_000_000, u128::from(srtt)),
        };
        let age = self.sampled_at.map(|at| now.saturating_since(at));
        let (rate, state) = match age {
            _ if window.slow_start && by_window > 0 => {
                (self.filtered().max(by_window), CapacityState::Growing)
            }
            Some(age) if age < LIFE => (self.filtered(), CapacityState::Measured),
            Some(_) => (by_window, CapacityState::Stale),
            None => (window.profile, CapacityState::Unknown),
        };
        Estimate { rate, state, age }
    }
}

/// The longest that a round trip takes without a queue.
fn unloaded(min_rtt: Duration) -> Duration {
    min_rtt + min_rtt / 4 + SLACK
}

fn slot(round: u64) -> usize {
    (round % ROUNDS as u64) as usize
}
