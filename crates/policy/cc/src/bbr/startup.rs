//! Startup and Drain (draft §5.3.1, §5.3.2): filling the pipe for the first time, and what stands in it too much.
//!
//! Two signs end Startup: a rate that stops growing, and more loss than a path may have. It decides nothing after
//! Drain, but the test for a rate that grows serves ProbeBW as well.

use tq_time::Instant;

use super::model::{per_second, scaled};
use super::{Bbr, EVEN_GAIN, STARTUP_GAIN, Sample, State};
use crate::controller::{Ack, initial_window};

/// Growth of the rate in a round trip that counts, in hundredths.
const GROWTH: u64 = 125;
/// Round trips without it after which the pipe is full.
const FLAT_ROUNDS: u32 = 3;
/// Runs of lost packets in a round trip that end Startup (BBRStartupFullLossCnt).
const LOST_RANGES: u32 = 6;
/// Round trips Drain lasts at most.
const DRAIN_ROUNDS: u64 = 3;

/// Whether the rate still grows when more is sent (draft §5.3.1.2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pipe {
    /// Rate to compare with.
    base: u64,
    flat: u32,
    /// Highest rate of the round trip under way.
    round: u64,
    /// Full since the last reset.
    pub(super) full: bool,
    /// Full at some time.
    pub(super) reached: bool,
    /// Round in which Drain began.
    drain_from: u64,
}

impl Pipe {
    /// Begins anew, comparing with `base`.
    pub(super) fn restart(&mut self, base: u64) {
        *self = Self { base, reached: self.reached, drain_from: self.drain_from, ..Self::default() };
    }

    /// Whether the rate grew in the last round trip.
    pub(super) fn is_growing(&self) -> bool {
        !self.full && self.flat == 0
    }
}

impl Bbr {
    /// Compares at the end of each round trip, with the highest rate of it: a single sample of a path with jitter may be
    /// anything.
    pub(super) fn check_full_pipe(&mut self, sample: &Sample) {
        if self.pipe.full || sample.app_limited {
            return;
        }
        self.pipe.round = self.pipe.round.max(sample.rate);
        if !self.round.began {
            return;
        }
        let rate = core::mem::take(&mut self.pipe.round);
        if rate >= scaled(self.pipe.base, GROWTH) {
            self.pipe.restart(rate);
            return;
        }
        self.pipe.flat += 1;
        self.pipe.full = self.pipe.flat >= FLAT_ROUNDS;
        self.pipe.reached |= self.pipe.full;
    }

    /// Whether Startup is over.
    pub(super) fn check_startup(&mut self, _sample: &Sample) {
        if self.state != State::Startup {
            return;
        }
        if !self.pipe.reached && self.lost_much() {
            self.leave_startup();
        }
        if self.pipe.reached {
            self.state = State::Drain;
            self.pipe.drain_from = self.round.count;
        }
    }

    /// Ends Startup because of losses or a mark.
    pub(super) fn leave_startup(&mut self) {
        self.losses.undo_state = Some(State::Startup);
        self.pipe.reached = true;
        self.model.inflight_longterm = self.bdp(EVEN_GAIN).max(self.model.inflight_latest);
    }

    /// A round trip in recovery lost too much at many places: at a queue, or the rate did not grow any more.
    fn lost_much(&self) -> bool {
        let losses = &self.losses;
        let whole = losses.recovering.is_some() && self.round.count > losses.recovering_since;
        let sent = losses.acked + losses.lost;
        losses.round_began
            && whole
            && losses.ranges >= LOST_RANGES
            && losses.lost > self.noise.limit(sent, self.mtu)
            && (2 * losses.dry < losses.lost || !self.pipe.is_growing())
    }

    pub(super) fn check_drain(&mut self, sample: &Sample) {
        let over = || {
            sample.in_flight <= self.inflight(self.model.bw(), EVEN_GAIN)
                || self.round.count > self.pipe.drain_from + DRAIN_ROUNDS
        };
        if self.state == State::Drain && over() {
            self.start_down(sample.now);
        }
    }

    /// The first window, by the length of the path: a round trip takes `rtt` ns.
    fn scale(&mut self, rtt: u64) {
        if !core::mem::replace(&mut self.scaled, true) {
            let initial = initial_window(u16::try_from(self.mtu).unwrap_or(u16::MAX));
            self.cwnd = self.cwnd.max(initial * self.start.scale() / 1000);
            self.pacing_rate = scaled(per_second(self.cwnd, rtt), STARTUP_GAIN);
        }
    }

    /// A round trip takes `rtt` ns, and nothing was acknowledged yet.
    pub(crate) fn on_first_rtt(&mut self, rtt: u64) {
        if !self.scaled && self.delivered == 0 {
            self.start.know(rtt);
            self.scale(rtt);
        }
    }

    /// The first window is `window` at least, sent as slow start would in a round trip of `rtt` ns: an earlier connection
    /// knew the path. Says whether it is the first.
    pub(crate) fn jump_to(&mut self, window: u64, rtt: u64) -> bool {
        let first = self.state == State::Startup && !self.pipe.reached;
        if first {
            self.scaled = true;
            self.start.land();
            self.cwnd = self.cwnd.max(window);
            self.pacing_rate = self.pacing_rate.max(scaled(per_second(window, rtt), 150));
        }
        first
    }

    /// The window is `window` at most, and what is sent as fast as was seen to arrive.
    pub(crate) fn trim(&mut self, window: u64) {
        self.cwnd = self.cwnd.min(window.max(self.floor()));
        self.prior_cwnd = self.prior_cwnd.min(self.cwnd);
        let measured = scaled(self.model.bw(), self.state.pacing_gain());
        if measured > 0 {
            self.pacing_rate = self.pacing_rate.min(measured);
        }
    }

    /// A long path: the initial window is scaled by its length, and once trains of packets have told what the path may
    /// carry, the window is half of that at least, sent at the rate of the trains.
    pub(super) fn hurry(&mut self, now: Instant, ack: &Ack<'_>) {
        if self.state != State::Startup || self.min_rtt.min == super::UNBOUNDED {
            return;
        }
        self.start.on_ack(now, ack, self.mtu);
        self.scale(self.min_rtt.min);
        if let Some(half) = self.start.jump() {
            self.cwnd = self.cwnd.max(half);
            self.pacing_rate = self.pacing_rate.max(scaled(per_second(half, self.min_rtt.min), 200));
        }
    }
}
