//! NewReno for QUIC (RFC 9002 §7): one packet per round trip up, half the window down.
//!
//! The controller to compare others with. It shares slow start, HyStart++ and the recovery period with CUBIC and
//! adds only the straight line and the halving.

use tq_time::Instant;

use crate::controller::Ack;
use crate::fixed::Bytes;
use crate::recovery::Recovery;

#[cfg(test)]
mod tests;

/// NewReno on one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewReno {
    state: Recovery,
    undo: Option<Recovery>,
}

impl NewReno {
    /// The controller of a fresh path with packets of `mtu` bytes.
    pub(crate) fn new(mtu: u16) -> Self {
        Self { state: Recovery::new(mtu), undo: None }
    }

    /// The same, with the faster start of long paths on or off.
    pub(crate) fn with_long_start(mut self, on: bool) -> Self {
        self.state = self.state.with_long_start(on);
        self
    }

    pub(crate) fn on_sent(&mut self, pn: u64) {
        self.state.on_sent(pn);
    }

    // MUST 9002-7.3.3-1
    pub(crate) fn on_ack(&mut self, now: Instant, ack: &Ack<'_>) {
        if !self.state.leaves_recovery(now, ack) {
            return;
        }
        let bytes = self.state.slow_start(now, ack);
        if !ack.app_limited && bytes > 0 {
            let cwnd = self.state.window().max(1);
            let growth = Bytes::new(self.state.mtu).scaled(bytes.min(cwnd), cwnd);
            self.state.cwnd = self.state.cwnd.plus(growth);
        }
    }

    /// `used`: no more than this was in flight, whatever the window.
    // MUST 9002-7.3.1-1, 9002-7.3.2-1
    pub(crate) fn on_congestion(
        &mut self,
        now: Instant,
        sent_at: Instant,
        used: u64,
        persistent: bool,
        ecn: bool,
    ) {
        if self.state.is_new_event(sent_at) {
            self.undo = Some(self.state);
            let cwnd = self.state.proven().min(Bytes::new(used));
            self.state.reduce(now, cwnd.scaled(1, 2));
        }
        if ecn {
            // A mark was put on by a queue: it cannot turn out to have been reordering.
            self.undo = None;
        }
        if persistent {
            self.state.collapse(now);
        }
    }

    pub(crate) fn on_spurious(&mut self) {
        if let Some(before) = self.undo.take()
            && before.cwnd > self.state.cwnd
        {
            self.state.restore(before);
        }
    }

    pub(crate) fn on_first_rtt(&mut self, rtt: u64) {
        self.state.on_first_rtt(rtt);
    }

    pub(crate) fn on_mtu(&mut self, mtu: u16) {
        self.state.on_mtu(mtu);
    }

    pub(crate) fn state(&self) -> &Recovery {
        &self.state
    }

    pub(crate) fn state_mut(&mut self) -> &mut Recovery {
        &mut self.state
    }
}
