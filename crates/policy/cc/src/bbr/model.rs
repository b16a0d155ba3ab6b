//! What the path can do, as far as was seen: its rate, what may be in flight, how much arrives in clumps.
//!
//! Filters and bounds only. It never decides what to do next nor when a bound is to change.

use tq_time::Instant;

use super::{LARGEST, Sample, UNBOUNDED};
use crate::rtt::nanos;

/// Round trips a slot of the aggregation filter lasts: with two slots the draft's ten at most.
const SLOT_ROUNDS: u64 = 5;

/// Rates and volumes of one path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    /// Highest rates of the ProbeBW cycle before and of this one.
    max: [u64; 2],
    /// Bound on the rate while this cycle sees losses.
    pub(super) bw_shortterm: u64,
    /// Bound on what is in flight while this cycle sees losses.
    pub(super) inflight_shortterm: u64,
    /// What in flight was too much when it was tried.
    pub(super) inflight_longterm: u64,
    /// Highest rate and volume of the last round trip.
    pub(super) bw_latest: u64,
    pub(super) inflight_latest: u64,
    pub(super) aggregation: Aggregation,
}

impl Model {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            max: [0; 2],
            bw_shortterm: UNBOUNDED,
            inflight_shortterm: UNBOUNDED,
            inflight_longterm: UNBOUNDED,
            bw_latest: 0,
            inflight_latest: 0,
            aggregation: Aggregation { since: now, acked: 0, extra: [0; 2], slot: 0 },
        }
    }

    /// The path delivered so much per second.
    pub(super) fn know(&mut self, rate: u64) {
        self.max[1] = self.max[1].max(rate.min(LARGEST));
    }

    /// Highest rate of two cycles, bytes per second; zero if unknown.
    pub(super) fn max_bw(&self) -> u64 {
        self.max[0].max(self.max[1])
    }

    /// The rate to send at.
    pub(super) fn bw(&self) -> u64 {
        self.max_bw().min(self.bw_shortterm)
    }

    /// A rate sample; those the application held down count only if they are higher (draft §5.5.4).
    pub(super) fn on_rate(&mut self, sample: &Sample) {
        if sample.rate >= self.max_bw() || !sample.app_limited {
            self.max[1] = self.max[1].max(sample.rate);
        }
    }

    /// A cycle is over. One without samples does not make the one before forgotten.
    pub(super) fn advance(&mut self) {
        if self.max[1] > 0 {
            self.max = [self.max[1], 0];
        }
    }

    pub(super) fn on_latest(&mut self, sample: &Sample) {
        self.bw_latest = self.bw_latest.max(sample.rate);
        self.inflight_latest = self.inflight_latest.max(sample.volume);
    }

    pub(super) fn next_latest(&mut self, sample: &Sample) {
        (self.bw_latest, self.inflight_latest) = (sample.rate, sample.volume);
    }

    pub(super) fn forget_short_term(&mut self) {
        (self.bw_shortterm, self.inflight_shortterm) = (UNBOUNDED, UNBOUNDED);
    }
}

/// How much more is acknowledged at once than the rate explains (draft §5.5.9).
#[derive(Clone, Copy, Debug)]
pub(super) struct Aggregation {
    since: Instant,
    acked: u64,
    extra: [u64; 2],
    /// Round in which the newer slot began.
    slot: u64,
}

impl Aggregation {
    /// Time without packets is nobody's delay.
    pub(super) fn restart(&mut self, now: Instant) {
        (self.since, self.acked) = (now, 0);
    }

    /// `cap` bounds a single excess; before the pipe was filled only the last round trip or two count.
    pub(super) fn on_ack(&mut self, sample: &Sample, bw: u64, cap: u64, round: u64, filled: bool) {
        let expected = volume(bw, nanos(sample.now.saturating_since(self.since)));
        let mut expected_now = expected;
        if self.acked <= expected {
            self.restart(sample.now);
            expected_now = 0;
        }
        self.acked = self.acked.saturating_add(sample.acked);
        let extra = self.acked.saturating_sub(expected_now).min(cap);
        if round >= self.slot + if filled { SLOT_ROUNDS } else { 1 } {
            self.slot = round;
            self.extra = [self.extra[1], 0];
        }
        self.extra[1] = self.extra[1].max(extra);
    }

    /// Bytes to have in flight beyond the path's own.
    pub(super) fn extra(&self) -> u64 {
        self.extra[0].max(self.extra[1])
    }
}

/// Bytes that `rate` brings in `time` ns, at most [`LARGEST`].
pub(super) fn volume(rate: u64, time: u64) -> u64 {
    let bytes = u128::from(rate) * u128::from(time) / 1_000_000_000;
    u64::try_from(bytes).map_or(LARGEST, |bytes| bytes.min(LARGEST))
}

/// Bytes per second of `bytes` in `time` ns, at most [`LARGEST`].
pub(super) fn per_second(bytes: u64, time: u64) -> u64 {
    let rate = u128::from(bytes) * 1_000_000_000 / u128::from(time.max(1));
    u64::try_from(rate).map_or(LARGEST, |rate| rate.min(LARGEST))
}

/// `bytes` times `gain` hundredths, at most [`LARGEST`].
pub(super) fn scaled(bytes: u64, gain: u64) -> u64 {
    (bytes.min(LARGEST) * gain / 100).min(LARGEST)
}
