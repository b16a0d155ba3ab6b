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

/// What the estimate is asked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Congestion window, bytes.
    pub cwnd: u64,
    /// Smoothed RTT; zero before a sample.
    pub srtt: Duration,
    /// The controller is in slow start.
    pub slow_start: bool,
    /// Remembered rate of the link, bytes/s; zero if there is none.
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
        self.newest = sample.rate;
        let ahead = round.saturating_sub(self.round);
        for step in 1..=ahead.min(ROUNDS as u64) {
            self.best[slot(self.round.saturating_add(step))] = 0;
        }
        self.round = self.round.max(round);
        let best = &mut self.best[slot(self.round)];
        *best = sample.rate.max(*best);
        self.sampled_at = Some(self.sampled_at.map_or(now, |at| at.max(now)));
    }

    /// Forgets everything: the path has another tuple.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Largest rate of the last ten rounds, bytes per second; zero before a sample.
    pub fn filtered(&self) -> u64 {
        self.best.iter().copied().max().unwrap_or(0)
    }

    /// Newest rate taken, bytes per second: [`crate::PathView::r_measured`].
    pub fn newest(&self) -> u64 {
        self.newest
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

fn slot(round: u64) -> usize {
    (round % ROUNDS as u64) as usize
}
