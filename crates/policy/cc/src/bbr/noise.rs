//! Loss that has nothing to do with how much is sent.
//!
//! The draft takes more than 2 % of loss for a full queue, and any loss outside of a probe for a smaller path. On radio
//! links with 1 or 2 % of random loss it would shrink on each round trip. Here a packet that was lost while its
//! neighbours met no queue is "dry"; how often that happens on packets that met none is the path's own loss rate, and
//! the bounds move up with it (to half as much again and 1 %). A policer without a queue looks the same,
//! hence there is a most. It never sees why a packet was lost.

use super::{Bbr, Sample, State, UNBOUNDED};

/// Per mille of loss in a round trip that is too much on a path without a loss rate of its own (draft §2.8).
const LOSS_THRESH: u64 = 20;
/// Most of a loss rate believed to be the path's own, per mille.
const MOST: u64 = 60;
/// And least.
const LEAST: u64 = 1;
/// Packets of evidence that a rate is drawn to zero by, so that one early loss is no rate.
const DOUBT: u64 = 200;
/// Packets after which old evidence counts half.
const MEMORY: u64 = 4000;
/// A queue below a quarter of the deepest seen in two cycles is none.
const SHALLOW: u64 = 4;
/// Nor is one of a 32nd of the least round-trip time.
const TRIFLE: u64 = 32;

/// The path's own loss, and how deep its queue was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Noise {
    acked: u64,
    lost: u64,
    /// Most time above the least round trip, ns: the cycle before, and this one.
    deepest: [u64; 2],
}

impl Noise {
    /// Whether a round-trip time of `rtt` shows no queue, where `min` is the least.
    pub(super) fn is_dry(&self, rtt: u64, min: u64) -> bool {
        let deepest = self.deepest[0].max(self.deepest[1]);
        rtt.saturating_sub(min) <= (deepest / SHALLOW).max(min / TRIFLE)
    }

    /// Another cycle begins.
    pub(super) fn advance(&mut self) {
        self.deepest = [self.deepest[1], 0];
    }

    /// So much arrived and was lost before, at most what is remembered.
    pub(super) fn know(&mut self, acked: u64, lost: u64, mtu: u64) {
        let most = (MEMORY / 2 * mtu).max(1);
        let parts = (acked.saturating_add(lost) / most).max(1);
        (self.acked, self.lost) = (acked / parts, lost / parts);
    }

    fn learn(&mut self, acked: u64, lost: u64, mtu: u64) {
        self.acked += acked;
        self.lost += lost;
        if self.acked + self.lost > MEMORY * mtu {
            (self.acked, self.lost) = (self.acked / 2, self.lost / 2);
        }
    }

    /// The path's own loss rate, per mille.
    pub(super) fn rate(&self, mtu: u64) -> u64 {
        match self.lost * 1000 / (self.acked + self.lost + DOUBT * mtu) {
            rate if rate < LEAST => 0,
            rate => rate.min(MOST),
        }
    }

    /// Bytes of `sent` (2^41 at most) whose loss is by chance: what the rate explains, and twice the deviation of that.
    pub(super) fn expected(&self, sent: u64, mtu: u64) -> u64 {
        let mean = sent * self.rate(mtu) / 1000;
        mean + 2 * (mean * mtu).isqrt()
    }

    /// Bytes of `sent` beyond whose loss there was too much in flight.
    pub(super) fn limit(&self, sent: u64, mtu: u64) -> u64 {
        let own = sent * self.rate(mtu) / 1000;
        let most = (own + own / 2).max(self.expected(sent, mtu));
        let least = sent * LOSS_THRESH / 1000;
        if own == 0 { least } else { least.max(most + sent / 100) }
    }
}

impl Bbr {
    /// Whether neighbours of a packet lost now met no queue.
    pub(super) fn is_dry(&self, rtt: u64) -> bool {
        self.min_rtt.min != UNBOUNDED && self.noise.is_dry(rtt, self.min_rtt.min)
    }

    /// Packets arrived. Those that met no queue say how much is lost without one, unless more is sent than before to see
    /// what happens; while the rate of Startup still grows, that is the same.
    pub(super) fn learn_noise(&mut self, sample: &Sample) {
        let Some(rtt) = sample.rtt.filter(|_| self.min_rtt.min != UNBOUNDED) else { return };
        let queue = rtt.saturating_sub(self.min_rtt.min);
        self.noise.deepest[1] = self.noise.deepest[1].max(queue);
        if self.is_learning() && self.is_dry(rtt) {
            self.noise.learn(sample.acked, 0, self.mtu);
        }
    }

    /// `bytes` were lost while neighbours met no queue.
    pub(super) fn learn_dry_loss(&mut self, bytes: u64) {
        if self.is_learning() {
            self.noise.learn(0, bytes, self.mtu);
        }
    }

    fn is_learning(&self) -> bool {
        match self.state {
            State::Startup => self.pipe.is_growing(),
            State::Down | State::Cruise | State::ProbeRtt => true,
            State::Drain | State::Refill | State::Up => false,
        }
    }
}
