//! How long a path's queue is and how much its round trips vary.
//!
//! Both from samples of the fixed column only ([`crate::RttMatrix::control`]): samples of several
//! acknowledgement paths mixed would show a queue that is none.

use tq_time::Duration;

use crate::silence::nanos;

#[cfg(test)]
mod tests;

/// Standing queue of one path: least sample of a round less the path's minimum.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    round: u64,
    least: u64,
    last_least: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self { round: 0, least: u64::MAX, last_least: u64::MAX }
    }
}

impl Queue {
    /// Nothing measured.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a sample of the path's `round`-th round trip.
    pub fn on_sample(&mut self, round: u64, sample: Duration) {
        if round > self.round {
            self.last_least = self.least;
            self.least = u64::MAX;
            self.round = round;
        }
        self.least = self.least.min(nanos(sample));
    }

    /// Standing queue over the path whose least RTT is `min_rtt`: by the last full round, or the present one if it
    /// already shows less. Zero before a sample.
    pub fn standing(&self, min_rtt: Duration) -> Duration {
        match self.least.min(self.last_least) {
            u64::MAX => Duration::ZERO,
            least => Duration::from_nanos(least.saturating_sub(nanos(min_rtt))),
        }
    }

    /// The column changed: earlier samples are in other terms.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// σ of one path: mean distance of samples from the smoothed RTT, newest weighted ¼.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jitter {
    sigma: u64,
}

impl Jitter {
    /// Nothing measured.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a sample; `srtt` is the smoothed value before it.
    pub fn on_sample(&mut self, sample: Duration, srtt: Duration) {
        let distance = nanos(sample).abs_diff(nanos(srtt));
        self.sigma = self.sigma - self.sigma / 4 + distance / 4;
    }

    /// σ.
    pub fn sigma(&self) -> Duration {
        Duration::from_nanos(self.sigma)
    }
}
