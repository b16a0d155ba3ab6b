//! The least round-trip time, and ProbeRTT (draft §5.3.4): half a pipe for a moment, so that queues drain and the path's
//! own time is seen.
//!
//! The draft goes there every five seconds unless a lower sample came. On a path that is otherwise empty that finds what
//! was known, and costs a path of 600 ms a tenth of its rate. So after a ProbeRTT samples within 1/64 of the least
//! renew it, for half a minute; in Startup they do as well, for the pipe is not full yet. Where others keep a queue
//! standing no such samples come, and everything is as in the draft. Beyond 312 ms the interval is 16 round trips.

use tq_time::{Duration, Instant};

use super::model::volume;
use super::{Bbr, PROBE_RTT_CWND_GAIN, Sample, State, UNBOUNDED};
use crate::bbr::cycle::Acks;

/// ProbeRTTInterval; MinRTTFilterLen is twice that.
const INTERVAL: Duration = Duration::from_secs(5);
/// ProbeRTTDuration.
const DURATION: Duration = Duration::from_millis(200);
/// How long samples near the least renew it after a ProbeRTT.
const CONFIRMED: Duration = Duration::from_secs(30);
/// How near, as a fraction of it.
const NEAR: u64 = 64;
/// Least interval in round trips: what a probe for bandwidth put into the queue takes as long to drain.
const INTERVAL_ROUNDS: u32 = 16;

/// Longest round trip an interval is made longer for, ns.
const LONGEST: u64 = 2_000_000_000;

/// Two filters: one for when to look, one for what was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct MinRtt {
    /// Least time of two intervals, ns; [`UNBOUNDED`] before there is one.
    pub(super) min: u64,
    at: Instant,
    /// Least time of one.
    recent: u64,
    recent_at: Instant,
    /// That was not renewed for as long.
    expired: bool,
    /// Samples near the least renew it until then.
    confirmed_until: Instant,
}

impl MinRtt {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            min: UNBOUNDED,
            at: now,
            recent: UNBOUNDED,
            recent_at: now,
            expired: false,
            confirmed_until: Instant::ZERO,
        }
    }

    /// The least time is known.
    pub(super) fn know(&mut self, now: Instant, rtt: u64) {
        *self = Self { min: rtt, recent: rtt, ..Self::new(now) };
    }

    fn update(&mut self, now: Instant, rtt: u64, confirms: bool) {
        let near = rtt <= self.min.saturating_add(self.min / NEAR);
        if near && (confirms || now < self.confirmed_until) {
            (self.at, self.recent_at) = (now, now);
            self.recent = self.recent.min(self.min);
        }
        let interval = INTERVAL.max(Duration::from_nanos(self.recent.min(LONGEST)) * INTERVAL_ROUNDS);
        self.expired = now > self.recent_at + interval;
        if rtt < self.recent || self.expired {
            (self.recent, self.recent_at) = (rtt, now);
        }
        if self.recent < self.min || now > self.at + 2 * interval {
            (self.min, self.at) = (self.recent, self.recent_at);
        }
    }
}

/// A ProbeRTT under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProbeRtt {
    /// When it has lasted long enough, once little enough is in flight.
    done_at: Option<Instant>,
    round_done: bool,
    /// Packets that left after so much and before so much was delivered say nothing of the rate.
    limited: (u64, u64),
}

impl ProbeRtt {
    /// Bytes delivered are counted from zero again.
    pub(super) fn recount(&mut self) {
        self.limited = (0, 0);
    }

    /// Whether a packet that left after `delivered` bytes were delivered is one of it.
    pub(super) fn limits(&self, delivered: u64) -> bool {
        self.limited.0 <= delivered && delivered < self.limited.1
    }
}

impl Bbr {
    pub(super) fn update_min_rtt(&mut self, sample: &Sample) {
        if let Some(rtt) = sample.rtt {
            if self.min_rtt.min < sample.least {
                // Acknowledgements return by a longer way.
                self.min_rtt.know(sample.now, sample.least);
            }
            self.min_rtt.update(sample.now, rtt, self.state == State::Startup);
        }
    }

    pub(super) fn check_probe_rtt(&mut self, sample: &Sample) {
        let due = self.min_rtt.expired || self.neighbours.rest_is_due();
        if due && self.state != State::ProbeRtt && !self.idle_restart && self.neighbours.let_rest(sample.now)
        {
            self.save_cwnd();
            self.state = State::ProbeRtt;
            self.probe_rtt = ProbeRtt { limited: (sample.delivered, 0), ..ProbeRtt::default() };
            self.cycle.acks = Acks::Stopping;
            self.start_round();
        }
        if self.state == State::ProbeRtt {
            self.go_on_probing_rtt(sample);
        }
        if sample.acked > 0 {
            self.idle_restart = false;
        }
    }

    fn go_on_probing_rtt(&mut self, sample: &Sample) {
        self.probe_rtt.limited.1 = sample.delivered.saturating_add(sample.in_flight).max(1);
        if self.probe_rtt.done_at.is_none() {
            if sample.in_flight <= self.probe_rtt_cwnd() {
                self.probe_rtt.done_at = Some(sample.now + DURATION);
                self.probe_rtt.round_done = false;
                self.start_round();
            }
            return;
        }
        self.probe_rtt.round_done |= self.round.began;
        if self.probe_rtt.round_done {
            self.end_probe_rtt(sample.now);
        }
    }

    /// Leaves if it lasted long enough.
    pub(super) fn end_probe_rtt(&mut self, now: Instant) {
        if self.probe_rtt.done_at.is_none_or(|at| now <= at) {
            return;
        }
        self.min_rtt.recent_at = now;
        self.min_rtt.confirmed_until = now + CONFIRMED;
        self.restore_cwnd();
        self.model.forget_short_term();
        if self.pipe.reached {
            self.start_down(now);
            self.start_cruise();
        } else {
            self.state = State::Startup;
        }
    }

    /// Window of ProbeRTT.
    pub(super) fn probe_rtt_cwnd(&self) -> u64 {
        self.bdp(PROBE_RTT_CWND_GAIN).max(self.floor())
    }

    /// What the path holds without a queue, times `gain` hundredths; the initial window before that is known.
    pub(super) fn bdp(&self, gain: u64) -> u64 {
        self.bdp_at(self.model.bw(), gain)
    }

    /// The same at a rate of `bw`.
    pub(super) fn bdp_at(&self, bw: u64, gain: u64) -> u64 {
        if self.min_rtt.min == UNBOUNDED {
            return crate::controller::initial_window(u16::try_from(self.mtu).unwrap_or(u16::MAX));
        }
        super::model::scaled(volume(bw, self.min_rtt.min), gain)
    }
}
