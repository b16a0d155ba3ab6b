//! How much a path may carry now: window, pacer, amplification, datagram size. Acknowledgements pass the window and
//! the pacer; probes after a PTO pass the window.

use tq_time::Instant;

use crate::config::MIN_MTU;
use crate::connection::Connection;

/// What may be sent on a path at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// Largest datagram.
    pub(super) datagram: usize,
    /// Bytes of ack-eliciting datagrams the window and the pacer allow.
    pub(super) data: usize,
    /// Bytes of any kind the address may get.
    pub(super) total: usize,
    /// Probe packets owed in 1-RTT.
    pub(super) probes: u8,
}

impl Budget {
    /// Whether an ack-eliciting datagram may go.
    // MUST 9000-19.21-2, 9002-7-2, 9002-7.5-1
    pub(super) fn allows_data(&self) -> bool {
        self.probes > 0 || self.data >= self.datagram
    }
}

impl Connection {
    /// Asks path `ix` for its budget; `None` if its address may get nothing at all, or its socket takes nothing.
    pub(super) fn budget(&mut self, now: Instant, ix: usize) -> Option<Budget> {
        if self.is_full(self.paths[ix].tuple.socket) {
            return None;
        }
        let in_flight = self.in_flight(ix);
        let path = &mut self.paths[ix];
        // Probes are small, so that they arrive even if the path has come to carry less (RFC 8899 §4.3).
        let mtu = match path.probes {
            [0, 0, 0] => path.mtu.current(),
            _ => path.mtu.current().min(MIN_MTU),
        };
        let mtu = usize::from(mtu);
        let total = usize::try_from(path.amplification_budget()).unwrap_or(usize::MAX);
        if total == 0 {
            return None;
        }
        let window = usize::try_from(path.cc.window().saturating_sub(in_flight)).unwrap_or(usize::MAX);
        let mut data = window;
        if window < mtu {
            path.pacer.hold();
        } else if self.config.pacing {
            let rate = path.pacing_rate();
            let departure = path.pacer.departure(now, rate);
            if departure > now {
                data = 0;
                path.paced_until = Some(departure);
            } else {
                path.paced_until = None;
                data = window.min(path.pacer.burst(rate, path.mtu.current()).max(path.cc.train()));
            }
        }
        Some(Budget { datagram: mtu.min(total), data: data.min(total), total, probes: path.probes[2] })
    }
}
