//! Round-trip time of one path (RFC 9002 §5).
//!
//! Turns samples into a smoothed value, a variation and a minimum, and those into the two delays loss detection
//! needs. It does not decide which samples are fit to use, nor clamp a peer's acknowledgement delay to
//! `max_ack_delay`: the caller knows whether the handshake is confirmed.

use tq_time::Duration;

#[cfg(test)]
mod tests;

/// RFC 9002 §6.1.2, `kGranularity`: 1 ms.
const GRANULARITY: u64 = 1_000_000;
/// RFC 9002 §7.6.1, `kPersistentCongestionThreshold`.
const PERSISTENT_THRESHOLD: u32 = 3;
/// Longest time believed, in nanoseconds (36 years); keeps sums of a few of them inside 64 bits.
const LONGEST: u64 = 1 << 60;

/// Estimator of the round-trip time of one path. All values are non-zero once constructed.
#[derive(Clone, Copy, Debug)]
pub struct Rtt {
    latest: u64,
    smoothed: u64,
    var: u64,
    min: u64,
    sampled: bool,
}

impl Rtt {
    /// An estimator that assumes `initial` until the first sample (RFC 9002 §6.2.2: 333 ms).
    pub fn new(initial: Duration) -> Self {
        let initial = nanos(initial).max(1);
        Self { latest: initial, smoothed: initial, var: initial / 2, min: initial, sampled: false }
    }

    /// Takes a sample, which the peer says it held back for `ack_delay` (RFC 9002 §5.3).
    ///
    /// `ack_delay` is zero for Initial packets and at most the peer's `max_ack_delay` once the handshake is
    /// confirmed; the caller sees to both. A delay that would push the sample below the minimum is ignored.
    // MUST 9002-5.2-1, 9002-5.2-2, 9002-5.3-2
    pub fn update(&mut self, sample: Duration, ack_delay: Duration) {
        let sample = nanos(sample).max(1);
        self.latest = sample;
        if !self.sampled {
            self.sampled = true;
            self.smoothed = sample;
            self.var = sample / 2;
            self.min = sample;
            return;
        }
        self.min = self.min.min(sample);
        let delay = nanos(ack_delay);
        let adjusted = if sample >= self.min + delay { sample - delay } else { sample };
        self.var = (3 * self.var + self.smoothed.abs_diff(adjusted)) / 4;
        self.smoothed = (7 * self.smoothed + adjusted) / 8;
    }

    /// Forgets the minimum in favour of the newest sample: after persistent congestion (RFC 9002 §5.2), or when
    /// acknowledgements begin to return on another path.
    pub fn restart_min(&mut self) {
        self.min = self.latest;
    }

    /// The newest sample as it was taken; the initial value before there is one.
    pub fn latest(&self) -> Duration {
        Duration::from_nanos(self.latest)
    }

    /// Exponentially weighted mean, acknowledgement delay taken off; the initial value before a sample.
    pub fn smoothed(&self) -> Duration {
        Duration::from_nanos(self.smoothed)
    }

    /// Mean deviation from the smoothed value (`rttvar`).
    pub fn var(&self) -> Duration {
        Duration::from_nanos(self.var)
    }

    /// Smallest sample, acknowledgement delay included; the initial value before there is one.
    pub fn min(&self) -> Duration {
        Duration::from_nanos(self.min)
    }

    /// Whether any sample was taken.
    pub fn has_sample(&self) -> bool {
        self.sampled
    }

    /// Probe timeout before back-off: `smoothed + max(4 var, 1 ms) + max_ack_delay` (RFC 9002 §6.2.1).
    /// `max_ack_delay` is the peer's for the application space and zero for the others.
    // MUST 9002-6.2.1-1
    pub fn pto_base(&self, max_ack_delay: Duration) -> Duration {
        Duration::from_nanos(self.smoothed + (4 * self.var).max(GRANULARITY) + nanos(max_ack_delay))
    }

    /// How long an overtaken packet may stay unacknowledged before it counts as lost: `max(9/8 max(smoothed,
    /// latest), 1 ms)` (RFC 9002 §6.1.2).
    // MUST 9002-6.1.2-1
    pub fn loss_delay(&self) -> Duration {
        let rtt = self.smoothed.max(self.latest);
        Duration::from_nanos((rtt + rtt / 8).max(GRANULARITY))
    }

    /// Span of unbroken loss that makes congestion persistent (RFC 9002 §7.6.1): three probe timeouts. The peer's
    /// `max_ack_delay` counts whatever the packet number space.
    pub fn persistent_span(&self, max_ack_delay: Duration) -> Duration {
        self.pto_base(max_ack_delay).saturating_mul(PERSISTENT_THRESHOLD)
    }
}

/// Nanoseconds of a duration, cut off at [`LONGEST`].
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).map_or(LONGEST, |nanos| nanos.min(LONGEST))
}
