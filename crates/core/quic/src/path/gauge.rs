//! What is measured of a path for schedulers and for its health: rounds, capacity, standing queue, jitter.
//!
//! It takes what acknowledgements bring and answers questions; it never changes a window and never picks a path. Only used
//! where there may be several paths.

use core::time::Duration;

use tq_cc::RateSample;
use tq_sched::{Capacity, Estimate, Jitter, Queue, Window};
use tq_time::Instant;

#[cfg(test)]
mod tests;

/// Losses a round may have and still be a good one: one packet in so many, and a few in any case.
const GOOD_ROUND: u64 = 50;
const ALWAYS_GOOD: u64 = 2;

/// Measurements of one path in our sending direction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauge {
    round: u64,
    /// The round is over when this number or a later one is acknowledged.
    ends: u64,
    acked: u64,
    lost: u64,
    capacity: Capacity,
    queue: Queue,
    jitter: Jitter,
}

impl Gauge {
    /// `packets` were acknowledged, `largest` the newest of them; `next` is the number the next packet gets. Says whether
    /// a round trip is over, and whether it was a good one.
    pub(crate) fn on_acked(&mut self, packets: u64, largest: u64, next: u64) -> Option<bool> {
        self.acked += packets;
        if largest < self.ends {
            return None;
        }
        let good = self.lost <= ALWAYS_GOOD.max((self.acked + self.lost) / GOOD_ROUND);
        (self.round, self.ends, self.acked, self.lost) = (self.round + 1, next, 0, 0);
        Some(good)
    }

    /// Packets were declared lost.
    pub(crate) fn on_lost(&mut self, packets: u64) {
        self.lost += packets;
    }

    /// A delivery rate was measured; the newest round trip took `rtt`, the least one `min`.
    pub(crate) fn on_rate(&mut self, now: Instant, sample: &RateSample, rtt: Duration, min: Duration) {
        self.capacity.on_rtt(rtt, min, sample);
        self.capacity.on_sample(now, self.round, sample);
    }

    /// A round trip in the terms of congestion control was measured; `srtt` is from before it.
    pub(crate) fn on_rtt(&mut self, sample: Duration, srtt: Duration) {
        self.jitter.on_sample(sample, srtt);
        self.queue.on_sample(self.round, sample);
    }

    /// Round trips are in other terms from now on.
    pub(crate) fn on_column(&mut self) {
        self.queue.reset();
    }

    pub(crate) fn estimate(&self, now: Instant, window: &Window) -> Estimate {
        self.capacity.estimate(now, window)
    }

    /// Newest delivery rate, bytes per second.
    pub(crate) fn newest_rate(&self) -> u64 {
        self.capacity.newest()
    }

    /// Rate at which what is in flight drains, bytes per second, where the least round trip is `min`.
    pub(crate) fn draining(&self, now: Instant, window: &Window, min: Duration) -> u64 {
        self.capacity.draining(now, window, min)
    }

    /// Standing queue over a path whose least round trip is `min`.
    pub(crate) fn queue(&self, min: Duration) -> Duration {
        self.queue.standing(min)
    }

    pub(crate) fn sigma(&self) -> Duration {
        self.jitter.sigma()
    }
}
