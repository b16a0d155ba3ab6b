//! ProbeBW (draft §5.3.3): drain, cruise, refill, send more than the path carried, and look what happens.
//!
//! Two bounds move here: the highest rate of two cycles, and what may be in flight before too much is lost. What loss
//! does to them is in [`loss`](super::loss).

use tq_time::{Duration, Instant};

use super::{Bbr, EVEN_GAIN, LARGEST, Sample, State, UNBOUNDED};

/// Least time between probes; up to a second more is drawn.
const PROBE_WAIT: Duration = Duration::from_secs(2);
/// Round trips between probes at most, so that Reno flows get their share (draft §5.3.3.8).
const RENO_ROUNDS: u64 = 63;
/// Round trips that draining may take whatever the time: what a probe added in three at a quarter more goes at a
/// tenth. On paths of up to 250 ms the wait is longer.
const DRAIN_ROUNDS: u64 = 8;
/// Share of the bound left free while not probing, in hundredths.
const HEADROOM: u64 = 15;
/// The step of the bound doubles at most so often.
const MOST_DOUBLINGS: u32 = 30;

/// What acknowledgements tell about probing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acks {
    /// Nothing.
    Idle,
    /// Of packets that fill the pipe.
    Refilling,
    /// The first packets of a probe are on their way.
    Starting,
    /// Of packets of a probe.
    Feedback,
    /// The last packets of a probe are on their way.
    Stopping,
}

/// Where in its cycle of probing the flow is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cycle {
    pub(super) acks: Acks,
    /// Losses are those of a probe, and not answered yet.
    pub(super) judging: bool,
    pub(super) began: Instant,
    wait: Duration,
    /// Round trips since the last probe.
    pub(super) rounds: u64,
    /// Bytes acknowledged since the bound last grew, and for which it grows by a packet.
    acked: u64,
    per_packet: u64,
    doublings: u32,
    /// The last probe lost too much.
    pub(super) too_high: bool,
    /// It was broken off where the one before lost too much.
    cautious: bool,
}

impl Cycle {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            acks: Acks::Idle,
            judging: false,
            began: now,
            wait: Duration::ZERO,
            rounds: 0,
            acked: 0,
            per_packet: UNBOUNDED,
            doublings: 0,
            too_high: false,
            cautious: false,
        }
    }
}

impl Bbr {
    /// Draining begins, and with it a cycle.
    pub(super) fn start_down(&mut self, now: Instant) {
        self.losses.in_round = false;
        self.model.bw_latest = 0;
        self.model.inflight_latest = 0;
        self.cycle.per_packet = UNBOUNDED;
        let random = self.draw();
        self.cycle.rounds = random & 1;
        self.cycle.wait = PROBE_WAIT + Duration::from_nanos((random >> 1) % 1_000_000_000);
        self.cycle.began = now;
        self.cycle.acks = Acks::Stopping;
        self.start_round();
        self.state = State::Down;
    }

    pub(super) fn start_cruise(&mut self) {
        self.state = State::Cruise;
    }

    /// What was lost between probes is forgotten.
    pub(super) fn start_refill(&mut self) {
        self.model.forget_short_term();
        self.noise.advance();
        self.cycle.doublings = 0;
        self.cycle.acked = 0;
        self.cycle.cautious = false;
        self.cycle.acks = Acks::Refilling;
        self.start_round();
        self.state = State::Refill;
    }

    fn start_up(&mut self, sample: &Sample) {
        self.cycle.judging = true;
        self.cycle.acks = Acks::Starting;
        self.start_round();
        self.pipe.restart(sample.rate);
        self.state = State::Up;
        self.raise_slope();
    }

    /// One acknowledgement's step of the machine.
    pub(super) fn update_cycle(&mut self, sample: &Sample) {
        if !self.pipe.reached || self.adapt_long_term(sample) {
            return;
        }
        if matches!(self.state, State::Down | State::Cruise) && self.begins_to_probe(sample.now) {
            return self.start_refill();
        }
        match self.state {
            State::Down if self.is_time_to_cruise(sample) => self.start_cruise(),
            State::Refill if self.round.began => self.start_up(sample),
            State::Up => self.update_up(sample),
            _ => {}
        }
    }

    fn update_up(&mut self, sample: &Sample) {
        if self.is_time_to_go_down(sample) {
            self.cycle.too_high = false;
            self.start_down(sample.now);
        }
    }

    /// It is time to probe, and no other path does.
    fn begins_to_probe(&mut self, now: Instant) -> bool {
        self.is_time_to_probe(now) && self.neighbours.let_up(now)
    }

    fn is_time_to_probe(&self, now: Instant) -> bool {
        let reno = self.target() / self.mtu;
        let waited = now > self.cycle.began + self.cycle.wait;
        let drained = self.state != State::Down || self.cycle.rounds > DRAIN_ROUNDS;
        waited && drained || self.cycle.rounds >= reno.min(RENO_ROUNDS)
    }

    fn is_time_to_cruise(&self, sample: &Sample) -> bool {
        sample.in_flight <= self.with_headroom()
            && sample.in_flight <= self.inflight(self.model.max_bw(), EVEN_GAIN)
    }

    fn is_time_to_go_down(&mut self, sample: &Sample) -> bool {
        if self.cycle.too_high && sample.in_flight >= self.model.inflight_longterm {
            self.cycle.cautious = true;
            return true;
        }
        if self.is_cwnd_limited() && self.cwnd >= self.model.inflight_longterm {
            // It is our own bound that keeps the rate from growing.
            self.pipe.restart(sample.rate);
            return false;
        }
        self.pipe.full
    }

    /// What the flow wants in flight: the path's volume, or less if losses cut the window.
    pub(super) fn target(&self) -> u64 {
        self.bdp(EVEN_GAIN).min(self.cwnd)
    }

    /// The bound on what is in flight, less what is left to others.
    pub(super) fn with_headroom(&self) -> u64 {
        let bound = self.model.inflight_longterm;
        if bound == UNBOUNDED {
            return UNBOUNDED;
        }
        let headroom = (bound / 100 * HEADROOM).max(self.mtu);
        bound.saturating_sub(headroom).max(self.floor())
    }

    fn raise_slope(&mut self) {
        let growth = 1u64 << self.cycle.doublings;
        self.cycle.doublings = (self.cycle.doublings + 1).min(MOST_DOUBLINGS);
        self.cycle.per_packet = (self.cwnd / growth).max(self.mtu);
    }

    /// The bound grows by 1, 2, 4, ... packets a round trip while it is what holds the flow back.
    fn probe_upward(&mut self, sample: &Sample) {
        if !self.is_cwnd_limited() || self.cwnd < self.model.inflight_longterm {
            return;
        }
        self.cycle.acked += sample.acked;
        let packets = self.cycle.acked / self.cycle.per_packet.max(1);
        self.cycle.acked %= self.cycle.per_packet.max(1);
        self.model.inflight_longterm = (self.model.inflight_longterm + packets * self.mtu).min(LARGEST);
        if self.round.began {
            self.raise_slope();
        }
    }

    /// Follows what acknowledgements mean and lets the bounds grow. Says whether the state changed.
    fn adapt_long_term(&mut self, sample: &Sample) -> bool {
        if self.cycle.acks == Acks::Starting && self.round.began {
            self.cycle.acks = Acks::Feedback;
        }
        if self.cycle.acks == Acks::Stopping && self.round.began {
            self.cycle.judging = false;
            self.cycle.acks = Acks::Idle;
            if self.state.is_probe_bw() && !sample.app_limited {
                self.model.advance();
            }
            if self.state.is_probe_bw() && self.cycle.cautious && !self.cycle.too_high {
                self.start_refill();
                return true;
            }
        }
        let bound = self.model.inflight_longterm;
        if bound != UNBOUNDED && !self.is_too_high(sample.lost, sample.sent_in_flight) {
            self.model.inflight_longterm = bound.max(sample.sent_in_flight);
            if self.state == State::Up {
                self.probe_upward(sample);
            }
        }
        false
    }
}
