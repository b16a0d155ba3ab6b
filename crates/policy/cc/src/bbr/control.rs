//! From the model to a window and a pace (draft §5.6).

use super::model::scaled;
use super::{Bbr, LARGEST, State, UNBOUNDED};
use crate::controller::initial_window;

/// Packets that keep a path going whose volume is less (MinPipeCwnd).
const LEAST_PACKETS: u64 = 4;
/// Hundredths of the rate that are paced: one less, so that queues drain.
const PACED: u64 = 99;
/// Largest burst, bytes: one segmentation-offload call.
const LARGEST_BURST: u64 = 65_536;

impl Bbr {
    /// Least window.
    pub(super) fn floor(&self) -> u64 {
        LEAST_PACKETS * self.mtu
    }

    /// Bytes for `gain` hundredths of the path's volume at a rate of `bw`, bursts included.
    pub(super) fn inflight(&self, bw: u64, gain: u64) -> u64 {
        self.with_bursts(self.bdp_at(bw, gain))
    }

    fn with_bursts(&self, bytes: u64) -> u64 {
        let burst = (self.pacing_rate / 1000).min(LARGEST_BURST).max(2 * self.mtu);
        let bytes = bytes.max(burst).max(self.floor());
        if self.state == State::Up { bytes + 2 * self.mtu } else { bytes }
    }

    /// The pace follows the model. Before the pipe was filled it only rises: samples the application held down must not
    /// slow down the search.
    pub(super) fn set_pacing_rate(&mut self, gain: u64) {
        let rate = scaled(scaled(self.model.bw(), gain), PACED);
        if self.pipe.reached || rate > self.pacing_rate {
            self.pacing_rate = rate.max(1);
        }
    }

    /// The window goes down at once and up by what was acknowledged.
    pub(super) fn set_cwnd(&mut self, acked: u64) {
        let most = self.with_bursts(self.bdp(self.state.cwnd_gain()) + self.model.aggregation.extra());
        let grown = self.cwnd.saturating_add(acked).min(LARGEST);
        let initial = initial_window(u16::try_from(self.mtu).unwrap_or(u16::MAX));
        if self.pipe.reached {
            self.cwnd = grown.min(most);
        } else if self.cwnd < most || self.delivered < initial {
            self.cwnd = grown;
        }
        self.cwnd = self.cwnd.max(self.floor());
        if self.state == State::ProbeRtt {
            self.cwnd = self.cwnd.min(self.probe_rtt_cwnd());
        }
        self.cwnd = self.cwnd.min(self.bound());
    }

    /// What losses allow in this state.
    fn bound(&self) -> u64 {
        let bound = match self.state {
            State::Drain | State::Down | State::Refill | State::Up => self.model.inflight_longterm,
            State::Cruise | State::ProbeRtt => self.with_headroom(),
            State::Startup => UNBOUNDED,
        };
        bound.min(self.model.inflight_shortterm).max(self.floor())
    }

    /// Remembers the window before something makes it smaller for a while.
    pub(super) fn save_cwnd(&mut self) {
        let whole = self.losses.recovering.is_none() && self.state != State::ProbeRtt;
        self.prior_cwnd = if whole { self.cwnd } else { self.prior_cwnd.max(self.cwnd) };
    }

    pub(super) fn restore_cwnd(&mut self) {
        self.cwnd = self.cwnd.max(self.prior_cwnd);
    }
}
