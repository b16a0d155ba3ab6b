//! CUBIC (RFC 9438): after a reduction the window follows a cubic of time around the window that was too much.
//!
//! Windows are bytes with a fraction ([`Bytes`]), times microseconds, so `K` is exact to 1 µs and `W_cubic` to the
//! byte for windows of a few megabytes. Time in which the application did not use the window is not counted. As
//! RFC 9438 §4.6 allows, a reduction starts from the window and not from the bytes in flight, since the window
//! does not grow unless it is used.

use tq_time::{Duration, Instant};

use crate::controller::Ack;
use crate::fixed::{Bytes, cube_root};
use crate::recovery::Recovery;

#[cfg(test)]
mod tests;

// RFC 9438 §5: C = 0.4 segments/s³ = 2/5, beta = 0.7, alpha = 3 (1 - beta)/(1 + beta) = 9/17.
const C: (u64, u64) = (2, 5);
const BETA: (u64, u64) = (7, 10);
const ALPHA: (u64, u64) = (9, 17);
/// (1 + beta)/2, for fast convergence.
const CONVERGED: (u64, u64) = (17, 20);
/// Microseconds cubed in a second cubed.
const CUBIC_SECOND: u128 = 1_000_000_000_000_000_000;
/// Longest distance from the inflection point that is computed, in µs (36 minutes): the cube times a packet
/// stays in 128 bits, and the window passed its maximum long before.
const FARTHEST: u64 = 1 << 31;

/// One stage of congestion avoidance.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    start: Instant,
    /// `W_max` of this stage: at least the window it began with.
    origin: Bytes,
    /// Time from `start` to the inflection point, µs.
    k: u64,
    /// `W_est`, what Reno would have.
    reno: Bytes,
}

/// What a spurious congestion event restores (RFC 9438 §4.9.2).
#[derive(Clone, Copy, Debug)]
struct State {
    recovery: Recovery,
    epoch: Option<Epoch>,
    /// `W_max`; zero while unknown.
    w_max: Bytes,
    /// `cwnd_prior`: the window before the last reduction, or at the end of slow start if there was none.
    prior: Bytes,
}

/// CUBIC on one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cubic {
    state: State,
    /// The epoch's clock has run up to here.
    ticked: Instant,
    undo: Option<State>,
}

impl Cubic {
    /// The controller of a fresh path with packets of `mtu` bytes.
    pub(crate) fn new(now: Instant, mtu: u16) -> Self {
        let state =
            State { recovery: Recovery::new(mtu), epoch: None, w_max: Bytes::ZERO, prior: Bytes::ZERO };
        Self { state, ticked: now, undo: None }
    }

    /// One that goes on in congestion avoidance with `window` bytes, from another controller.
    pub(crate) fn with_window(now: Instant, mtu: u16, window: u64) -> Self {
        let mut fresh = Self::new(now, mtu);
        fresh.state.recovery.resume(window);
        fresh
    }

    /// The same, with the faster start of long paths on or off.
    pub(crate) fn with_long_start(mut self, on: bool) -> Self {
        self.state.recovery = self.state.recovery.with_long_start(on);
        self
    }

    pub(crate) fn on_sent(&mut self, now: Instant, in_flight_before: u64, pn: u64) {
        if in_flight_before == 0 {
            self.pause(now);
        }
        self.state.recovery.on_sent(pn);
    }

    pub(crate) fn on_ack(&mut self, now: Instant, ack: &Ack<'_>) {
        if !self.state.recovery.leaves_recovery(now, ack) {
            return;
        }
        let bytes = self.state.recovery.slow_start(now, ack);
        if ack.app_limited {
            self.pause(now);
        } else if bytes > 0 {
            self.grow(now, bytes, ack.rtt.smoothed());
            self.ticked = self.ticked.max(now);
        }
    }

    /// `used`: no more than this was in flight, whatever the window.
    pub(crate) fn on_congestion(
        &mut self,
        now: Instant,
        sent_at: Instant,
        used: u64,
        persistent: bool,
        ecn: bool,
    ) {
        if self.state.recovery.is_new_event(sent_at) {
            self.undo = Some(self.state);
            self.reduce(now, used);
        }
        if ecn {
            // A mark was put on by a queue: it cannot turn out to have been reordering.
            self.undo = None;
        }
        if persistent {
            // RFC 9438 §4.8: the next stage begins at its inflection point, wherever slow start ends.
            self.state.epoch = None;
            self.state.w_max = Bytes::ZERO;
            self.state.recovery.collapse(now);
        }
    }

    pub(crate) fn on_spurious(&mut self) {
        if let Some(before) = self.undo.take()
            && before.recovery.cwnd > self.state.recovery.cwnd
        {
            let mtu = self.state.recovery.mtu;
            // `k` depends on the packet size.
            let epoch = before.epoch.filter(|_| mtu == before.recovery.mtu);
            self.state.recovery.restore(before.recovery);
            self.state = State { recovery: self.state.recovery, epoch, ..before };
        }
    }

    pub(crate) fn on_first_rtt(&mut self, rtt: u64) {
        self.state.recovery.on_first_rtt(rtt);
    }

    pub(crate) fn on_mtu(&mut self, mtu: u16) {
        if u64::from(mtu) != self.state.recovery.mtu {
            self.state.recovery.on_mtu(mtu);
            self.state.epoch = None;
        }
    }

    pub(crate) fn state(&self) -> &Recovery {
        &self.state.recovery
    }

    pub(crate) fn state_mut(&mut self) -> &mut Recovery {
        &mut self.state.recovery
    }

    /// The window is `window` at most and slow start over: what was more was not the path's, and is nothing to come back to.
    pub(crate) fn retreat(&mut self, window: u64) {
        self.state.recovery.retreat(window);
        let State { recovery, w_max, .. } = self.state;
        self.state = State { recovery, epoch: None, w_max: w_max.min(recovery.cwnd), prior: recovery.cwnd };
        self.undo = None;
    }

    /// As [`Recovery::recover`], and what comes after it is a stage of its own.
    pub(crate) fn regain(&mut self, window: u64) {
        self.state.recovery.recover(window);
        if self.state.recovery.in_slow_start() {
            self.state.epoch = None;
        }
    }

    /// As [`Recovery::on_way_back`]: the windows that were too much are wider, or narrower, by as much.
    pub(crate) fn on_way_back(&mut self, longer: i64) -> i64 {
        let more = self.state.recovery.on_way_back(longer);
        let moved = |window: Bytes| match Bytes::new(more.unsigned_abs()) {
            _ if window == Bytes::ZERO => window,
            bytes if more < 0 => window.minus(bytes),
            bytes => window.plus(bytes),
        };
        (self.state.w_max, self.state.prior) = (moved(self.state.w_max), moved(self.state.prior));
        if let Some(epoch) = &mut self.state.epoch {
            (epoch.origin, epoch.reno) = (moved(epoch.origin), moved(epoch.reno));
        }
        self.undo = None;
        more
    }

    /// Takes the time since the last tick out of the epoch: the window was not in use (RFC 9438 §5.8).
    fn pause(&mut self, now: Instant) {
        if let Some(epoch) = &mut self.state.epoch {
            epoch.start += now.saturating_since(self.ticked);
        }
        self.ticked = self.ticked.max(now);
    }

    /// Multiplicative decrease and fast convergence (RFC 9438 §4.6, §4.7). The reduction is from the window
    /// itself, the memory of it shrinks further if even the last maximum was not reached.
    fn reduce(&mut self, now: Instant, used: u64) {
        let cwnd = self.state.recovery.proven().min(Bytes::new(used));
        let converge = cwnd < self.state.w_max;
        self.state.w_max = if converge { cwnd.scaled(CONVERGED.0, CONVERGED.1) } else { cwnd };
        self.state.prior = cwnd;
        self.state.epoch = None;
        self.state.recovery.reduce(now, cwnd.scaled(BETA.0, BETA.1));
    }

    /// One acknowledgement's growth in congestion avoidance (RFC 9438 §4.2 to §4.5).
    // MUST 9002-7-1
    fn grow(&mut self, now: Instant, bytes: u64, srtt: Duration) {
        let Recovery { cwnd, mtu, .. } = self.state.recovery;
        let mut epoch = match self.state.epoch {
            Some(epoch) => epoch,
            None => self.begin(now),
        };
        let whole = cwnd.floor().max(1);
        // An acknowledgement of more than a window cannot do more than a round trip would.
        let bytes = bytes.min(whole);
        let line = Bytes::new(mtu).scaled(bytes, whole);
        let caught_up = epoch.reno >= self.state.prior;
        epoch.reno = epoch.reno.plus(if caught_up { line } else { line.scaled(ALPHA.0, ALPHA.1) });

        let elapsed = now.saturating_since(epoch.start);
        self.state.recovery.cwnd = if window_at(&epoch, elapsed, mtu) < epoch.reno {
            cwnd.max(epoch.reno)
        } else {
            let ahead = window_at(&epoch, elapsed.saturating_add(srtt), mtu);
            let target = ahead.min(cwnd.scaled(3, 2));
            cwnd.plus(target.minus(cwnd).scaled(bytes, whole))
        };
        self.state.epoch = Some(epoch);
    }

    /// Begins a stage of congestion avoidance. Without a known maximum below which to stay (HyStart++ ended slow
    /// start, or persistent congestion) it begins at its inflection point (RFC 9438 §4.8, §4.10).
    fn begin(&mut self, now: Instant) -> Epoch {
        let Recovery { cwnd, mtu, .. } = self.state.recovery;
        if self.state.prior == Bytes::ZERO {
            self.state.prior = cwnd;
        }
        self.state.w_max = self.state.w_max.max(cwnd);
        self.ticked = now;
        let below = self.state.w_max.minus(cwnd);
        Epoch { start: now, origin: self.state.w_max, k: inflection(below, mtu), reno: cwnd }
    }
}

/// `K = cbrt((W_max - cwnd_epoch)/C)` in µs, rounded down; `below` is the difference.
fn inflection(below: Bytes, mtu: u64) -> u64 {
    let scale = u128::from(C.0) * u128::from(mtu) * u128::from(Bytes::new(1).units());
    cube_root(u128::from(below.units()) * u128::from(C.1) * CUBIC_SECOND / scale)
}

/// `W_cubic(t) = C (t - K)³ + W_max`.
fn window_at(epoch: &Epoch, elapsed: Duration, mtu: u64) -> Bytes {
    let t = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let distance = u128::from(t.abs_diff(epoch.k).min(FARTHEST));
    let scale = u128::from(C.0) * u128::from(mtu) * u128::from(Bytes::new(1).units());
    let change = Bytes::from_units(distance * distance * distance * scale / (u128::from(C.1) * CUBIC_SECOND));
    if t < epoch.k { epoch.origin.minus(change) } else { epoch.origin.plus(change) }
}
