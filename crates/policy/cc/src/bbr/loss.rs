//! What losses and marks do (draft §5.5.10, §5.5.11).
//!
//! A probe that loses too much sets the bound on what may be in flight; loss between probes slows the flow down to what
//! arrives, until the next probe. Nothing happens to the window at once, but for persistent congestion. All of
//! it is taken back when the packets turn out to have arrived.

use tq_time::Instant;

use super::model::scaled;
use super::{Bbr, EVEN_GAIN, LARGEST, Sample, State, UNBOUNDED};
use crate::controller::Lost;
use crate::rtt::nanos;

/// Least share of what was, in hundredths, that is left after a round trip with loss.
const BETA: u64 = 70;

/// Losses of a round trip, and what to restore.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    /// This acknowledgement ended a round trip of looking for losses; it is counted apart from [`Round`](super::Round).
    pub(super) round_began: bool,
    ends: u64,
    /// Something was lost in this one.
    pub(super) in_round: bool,
    /// Bytes acknowledged, lost, and lost without a queue in it; runs of lost packets.
    pub(super) acked: u64,
    pub(super) lost: u64,
    pub(super) dry: u64,
    pub(super) ranges: u32,
    marked: bool,
    /// Bytes delivered when a probe was answered that lost too much. What left before that is no news.
    answered: Option<u64>,
    /// When recovery began: it ends with a packet sent after that.
    pub(super) recovering: Option<Instant>,
    /// Round in which it began.
    pub(super) recovering_since: u64,
    /// State that losses ended.
    pub(super) undo_state: Option<State>,
    undo: Option<Undo>,
}

#[derive(Clone, Copy, Debug)]
struct Undo {
    bw_shortterm: u64,
    inflight_shortterm: u64,
    inflight_longterm: u64,
}

impl Losses {
    pub(super) fn on_ack(&mut self, sample: &Sample) {
        self.acked = (self.acked + sample.acked).min(LARGEST);
        self.round_began = sample.before >= self.ends;
        if self.round_began {
            self.ends = sample.delivered;
        }
    }

    /// Bytes delivered are counted from zero again.
    pub(super) fn recount(&mut self) {
        self.ends = 0;
        self.answered = None;
    }

    pub(super) fn next_round(&mut self) {
        (self.acked, self.lost, self.dry, self.ranges, self.marked) = (0, 0, 0, 0, false);
    }
}

impl Bbr {
    /// Packets were lost.
    pub(crate) fn on_lost(&mut self, now: Instant, lost: &Lost<'_>) {
        if self.losses.answered.is_some_and(|at| lost.flight.delivered_before <= at) {
            return;
        }
        self.note_loss();
        let bytes = lost.bytes.min(LARGEST);
        self.losses.lost = (self.losses.lost + bytes).min(LARGEST);
        self.losses.ranges = self.losses.ranges.saturating_add(lost.ranges);
        if lost.rtt.has_sample() && self.is_dry(nanos(lost.rtt.latest())) {
            self.losses.dry = (self.losses.dry + bytes).min(LARGEST);
            self.learn_dry_loss(bytes);
        }
        let flight = &lost.flight;
        let before = flight.in_flight.min(LARGEST);
        if self.cycle.judging && self.is_too_high(flight.lost, before + self.mtu) {
            let bound = self.inflight_at_loss(before, flight.lost.saturating_sub(bytes));
            self.on_too_high(now, bound, flight.app_limited);
        }
    }

    /// The same ones, or a mark. Says whether that is a new event.
    // MUST 9002-7.6.2-2
    pub(crate) fn on_congestion(
        &mut self,
        now: Instant,
        sent_at: Instant,
        in_flight: u64,
        persistent: bool,
        ecn: bool,
    ) -> bool {
        let began = self.losses.recovering.is_none_or(|at| sent_at > at) || persistent;
        if self.losses.recovering.is_none() {
            self.save_cwnd();
            self.losses.recovering_since = self.round.count;
            self.losses.recovering = Some(now);
        } else if began {
            self.losses.recovering = Some(now);
        }
        if ecn {
            self.on_mark(now, in_flight);
        }
        if persistent {
            self.save_cwnd();
            self.cwnd = 2 * self.mtu;
        }
        began
    }

    /// A queue put a mark on a packet: there is too much in flight. It cannot turn out to have been reordering.
    fn on_mark(&mut self, now: Instant, in_flight: u64) {
        self.note_loss();
        self.losses.marked = true;
        self.losses.undo = None;
        if self.state == State::Startup && !self.pipe.reached {
            self.leave_startup();
        } else if self.cycle.judging {
            self.on_too_high(now, in_flight, false);
        }
        self.losses.undo_state = None;
    }

    /// Something was lost. What follows from the first loss of a recovery on can be taken back.
    fn note_loss(&mut self) {
        if !self.losses.in_round {
            self.losses.ends = self.delivered;
        }
        if self.losses.recovering.is_none() {
            self.save_cwnd();
            self.losses.undo_state = None;
            self.losses.undo = Some(Undo {
                bw_shortterm: self.model.bw_shortterm,
                inflight_shortterm: self.model.inflight_shortterm,
                inflight_longterm: self.model.inflight_longterm,
            });
        }
        self.losses.in_round = true;
    }

    /// Whether `lost` bytes are too much where `sent` were in flight.
    pub(super) fn is_too_high(&self, lost: u64, sent: u64) -> bool {
        lost > self.noise.limit(sent, self.mtu)
    }

    /// How much was in flight when losses became too much: `before` it was sent, with `lost` bytes gone already.
    fn inflight_at_loss(&self, before: u64, lost: u64) -> u64 {
        let limit = self.noise.limit(before, self.mtu);
        let rest = before.saturating_sub(limit).max(1);
        let more = u128::from(limit.saturating_sub(lost)) * u128::from(before) / u128::from(rest);
        before + u64::try_from(more).unwrap_or(0).min(before)
    }

    /// A probe lost too much with `bound` in flight; once per probe. The draft makes that the bound; here a quarter of
    /// what stood in the queue comes off, or two flows that take turns in losing keep whatever shares they have.
    fn on_too_high(&mut self, now: Instant, bound: u64, app_limited: bool) {
        self.cycle.too_high = true;
        self.cycle.judging = false;
        self.losses.answered = Some(self.delivered);
        if !app_limited {
            let queued = bound.saturating_sub(self.bdp(EVEN_GAIN));
            self.model.inflight_longterm = (bound - queued / 4).max(scaled(self.target(), BETA));
        }
        if self.state == State::Up {
            self.losses.undo_state = Some(State::Up);
            self.start_down(now);
        }
    }

    /// A round trip is over. If something was lost in it that is not by chance, and this was no probe, the flow slows
    /// down to what arrived, by 30 % at most.
    pub(super) fn adapt_short_term(&mut self) {
        if core::mem::take(&mut self.losses.in_round) && !self.state.is_probing() && self.is_congested() {
            let model = &mut self.model;
            if model.bw_shortterm == UNBOUNDED {
                model.bw_shortterm = model.max_bw();
            }
            if model.inflight_shortterm == UNBOUNDED {
                model.inflight_shortterm = self.cwnd;
            }
            model.bw_shortterm = model.bw_latest.max(scaled(model.bw_shortterm, BETA));
            model.inflight_shortterm = model.inflight_latest.max(scaled(model.inflight_shortterm, BETA));
        }
    }

    /// Whether this round trip's losses tell of a smaller path: those at a queue beyond what happens by chance, others
    /// beyond what a probe may lose.
    fn is_congested(&self) -> bool {
        let losses = &self.losses;
        let sent = losses.acked + losses.lost;
        let chance = match losses.lost > losses.dry {
            true => self.noise.expected(sent, self.mtu),
            false => self.noise.limit(sent, self.mtu),
        };
        losses.marked || losses.lost > chance
    }

    /// A packet sent at `sent_at` was acknowledged.
    pub(super) fn leave_recovery(&mut self, sent_at: Instant) {
        if self.losses.recovering.is_some_and(|at| sent_at > at) {
            self.losses.recovering = None;
            self.restore_cwnd();
        }
    }

    /// All packets of the last event arrived after all.
    pub(crate) fn on_spurious(&mut self, now: Instant) {
        let Some(undo) = self.losses.undo.take() else { return };
        self.restore_cwnd();
        self.losses.in_round = false;
        self.losses.recovering = None;
        let reached = self.pipe.reached;
        self.pipe.restart(0);
        self.pipe.reached = reached;
        let model = &mut self.model;
        model.bw_shortterm = model.bw_shortterm.max(undo.bw_shortterm);
        model.inflight_shortterm = model.inflight_shortterm.max(undo.inflight_shortterm);
        model.inflight_longterm = model.inflight_longterm.max(undo.inflight_longterm);
        let resting = self.state == State::ProbeRtt;
        match self.losses.undo_state.take() {
            Some(State::Startup) if self.state != State::Startup => {
                self.pipe.reached = false;
                self.state = if resting { self.state } else { State::Startup };
            }
            Some(State::Up) if self.state != State::Up && !resting => {
                self.cycle.began = now;
                self.start_refill();
            }
            _ => {}
        }
    }
}
