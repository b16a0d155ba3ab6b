//! The congestion controllers behind one face, dispatched by enum.
//!
//! The connection reports what it sent, what was acknowledged and what was lost; a controller answers with a
//! window and a pacing rate. It never sees packets and never says what is lost.

use core::fmt;
use core::str::FromStr;

use tq_time::Instant;

use crate::bbr::Bbr;
use crate::cubic::Cubic;
use crate::governor::Governor;
use crate::newreno::NewReno;
use crate::rate::{Flight, RateSample};
use crate::recovery::Recovery;
use crate::rtt::Rtt;

#[cfg(test)]
mod tests;

/// RFC 9002 §7.2.
const INITIAL_WINDOW: u64 = 14_720;
/// Slowest pacing, bytes per second: what is lost by bursts at this rate is less than what a stalled timer loses.
const SLOWEST_PACE: u64 = 120_000;

/// Delivery rates above this, 1 Tbyte/s, are not believed.
const FASTEST_PEAK: u64 = 1_000_000_000_000;
/// Packets of a train: acknowledgements of every fifth packet still tell its spacing.
const TRAIN_PACKETS: usize = 16;

/// Window of a fresh path with packets of `mtu` bytes: `min(10 mtu, max(14720, 2 mtu))` (RFC 9002 §7.2).
pub fn initial_window(mtu: u16) -> u64 {
    let mtu = u64::from(mtu);
    (10 * mtu).min(INITIAL_WINDOW.max(2 * mtu)).max(1)
}

/// Smallest window, two packets of `mtu` bytes (RFC 9002 §7.2).
pub fn minimum_window(mtu: u16) -> u64 {
    2 * u64::from(mtu.max(1))
}

/// The algorithms there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RFC 9438.
    #[default]
    Cubic,
    /// RFC 9002 §7.
    NewReno,
    /// BBRv3, draft-ietf-ccwg-bbr-06.
    Bbr,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 3] = [Self::Cubic, Self::NewReno, Self::Bbr];
    /// Those whose window falls with each loss.
    #[cfg(test)]
    pub(crate) const LOSS_BASED: [Self; 2] = [Self::Cubic, Self::NewReno];

    /// The name [`FromStr`] takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::NewReno => "newreno",
            Self::Bbr => "bbr",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no congestion controller's; the known ones are `cubic`, `newreno` with its short form `reno`, and
/// `bbr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithm;

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown congestion controller, expected cubic, newreno or bbr")
    }
}

impl core::error::Error for UnknownAlgorithm {}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "cubic" => Ok(Self::Cubic),
            "reno" | "newreno" => Ok(Self::NewReno),
            "bbr" => Ok(Self::Bbr),
            _ => Err(UnknownAlgorithm),
        }
    }
}

/// What one ACK frame newly acknowledged. Frames that acknowledge nothing in flight are not reported.
#[derive(Clone, Copy, Debug)]
pub struct Ack<'a> {
    /// Bytes newly acknowledged, of packets that counted as in flight.
    pub bytes: u64,
    /// When the newest of the packets newly acknowledged was sent.
    pub largest_sent_at: Instant,
    /// Its packet number.
    pub largest_pn: u64,
    /// The path's round-trip time, this acknowledgement's sample included.
    pub rtt: &'a Rtt,
    /// Bytes still in flight, after these were taken off.
    pub in_flight: u64,
    /// The window was not what held the sender back when these packets were in flight: it must not grow
    /// (RFC 9002 §7.8). Being held by the pacer is not being held by the application.
    pub app_limited: bool,
    /// Delivery rate, if this acknowledgement gave a sample.
    pub delivered: Option<RateSample>,
    /// What became of the path while the newest of the packets was in flight
    /// ([`RateSampler::flight`](crate::RateSampler::flight)).
    pub flight: Option<Flight>,
}

/// Packets declared lost at one moment, as controllers that measure loss see them.
#[derive(Clone, Copy, Debug)]
pub struct Lost<'a> {
    /// Bytes of the packets.
    pub bytes: u64,
    /// Runs of consecutive packet numbers they make up.
    pub ranges: u32,
    /// What became of the path since the newest of them left ([`RateSampler::on_lost`](crate::RateSampler::on_lost)).
    pub flight: Flight,
    /// The path's round-trip time.
    pub rtt: &'a Rtt,
}

/// A congestion controller of one path.
#[derive(Clone, Copy, Debug)]
pub struct Controller {
    pub(crate) law: Law,
    governor: Governor,
}

/// What a window follows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Law {
    Cubic(Cubic),
    NewReno(NewReno),
    Bbr(Bbr),
}

impl Controller {
    /// The controller of a fresh path whose packets have up to `mtu` bytes of UDP payload.
    pub fn new(algorithm: Algorithm, now: Instant, mtu: u16) -> Self {
        let law = match algorithm {
            Algorithm::Cubic => Law::Cubic(Cubic::new(now, mtu)),
            Algorithm::NewReno => Law::NewReno(NewReno::new(mtu)),
            Algorithm::Bbr => Law::Bbr(Bbr::new(now, mtu)),
        };
        Self { law, governor: Governor::new(now) }
    }

    /// The same, drawing what is random from `seed`. Without this, from the time it was made.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        if let Law::Bbr(bbr) = &mut self.law {
            *bbr = bbr.with_seed(seed);
        }
        self
    }

    /// The same, with the faster start of long paths on or off; it is off in a fresh one.
    ///
    /// On, a path whose least round-trip time is 100 ms or more starts with a window scaled by that time over
    /// 100 ms (at most six times the initial one), and when the acknowledgements of three trains of packets have
    /// told what the path may carry, the window becomes half of that at least, once.
    #[must_use]
    pub fn with_long_start(mut self, on: bool) -> Self {
        self.law = match self.law {
            Law::Cubic(cubic) => Law::Cubic(cubic.with_long_start(on)),
            Law::NewReno(reno) => Law::NewReno(reno.with_long_start(on)),
            Law::Bbr(bbr) => Law::Bbr(bbr.with_long_start(on)),
        };
        self
    }

    /// Switches the queue governor on or off; it is off in a fresh one and does nothing to BBR.
    ///
    /// On, a controller whose window falls only with losses keeps no more in flight than the path carries in its least
    /// round-trip time and a quarter of that more, 5 to 20 ms. Where the queue stays nevertheless another sender keeps
    /// it: then the window is left alone for 10 s, then 20, 40, and 60 at most.
    pub fn govern(&mut self, on: bool) {
        self.governor.set(on);
    }

    /// Bytes that are best sent back to back for the path to be measured; zero mostly. Not more than the initial
    /// window of the path's length (RFC 9002 §7.7).
    pub fn train(&self) -> usize {
        let wanted = match self.loss_based() {
            Ok(state) => state.wants_trains(),
            Err(bbr) => bbr.wants_trains(),
        };
        if wanted { TRAIN_PACKETS * usize::from(self.mtu()) } else { 0 }
    }

    /// A packet of `bytes` that counts as in flight left; `in_flight_before` does not include it.
    ///
    /// `pn` rises within a space; where it falls, another space of the same path has begun to send.
    pub fn on_sent(&mut self, now: Instant, bytes: u16, in_flight_before: u64, pn: u64) {
        match &mut self.law {
            Law::Cubic(cubic) => cubic.on_sent(now, in_flight_before, pn),
            Law::NewReno(reno) => reno.on_sent(pn),
            Law::Bbr(bbr) => bbr.on_sent(now, bytes, in_flight_before),
        }
    }

    /// An ACK frame newly acknowledged packets; called once per frame. Losses the frame revealed are reported
    /// by [`Controller::on_congestion`], in either order.
    pub fn on_ack(&mut self, now: Instant, ack: &Ack<'_>) {
        // A window that is held down is not the limit: it does not grow.
        let held = self.cap() < self.law_window();
        let ack = &Ack { app_limited: ack.app_limited || held, ..*ack };
        match &mut self.law {
            Law::Cubic(cubic) => cubic.on_ack(now, ack),
            Law::NewReno(reno) => reno.on_ack(now, ack),
            Law::Bbr(bbr) => return bbr.on_ack(now, ack),
        }
        let window = (!self.in_slow_start()).then(|| self.law_window());
        self.governor.on_ack(now, ack, window, self.mtu().into());
    }

    /// Packets were declared lost; [`Controller::on_congestion`] is told of the same ones next. Nothing to those whose
    /// window falls with each loss.
    pub fn on_lost(&mut self, now: Instant, lost: &Lost<'_>) {
        if let Law::Bbr(bbr) = &mut self.law {
            bbr.on_lost(now, lost);
        }
    }

    /// Packets were lost, or marked by the network (`ecn`, treated as a loss); `sent_at` is when the newest of
    /// them was sent. At most one reduction per recovery period: of packets sent before the last reduction
    /// nothing more is taken (RFC 9002 §7.3.2). `persistent` (RFC 9002 §7.6) falls to the minimum window whether
    /// or not the period is new; the caller then also restarts the minimum RTT ([`Rtt::restart_min`]).
    ///
    /// `lost_bytes` and `in_flight` (after the loss) are for controllers that measure loss. BBR reduces nothing at once
    /// but to the minimum window; it judges at the end of the round trip.
    ///
    /// Says whether a congestion event began: [`Controller::on_spurious`] takes back what it did.
    pub fn on_congestion(
        &mut self,
        now: Instant,
        sent_at: Instant,
        _lost_bytes: u64,
        in_flight: u64,
        persistent: bool,
        ecn: bool,
    ) -> bool {
        let before = self.law_window();
        // What was held down was not in use: a reduction starts from what was (RFC 9438 §4.6).
        let used = self.cap();
        match &mut self.law {
            Law::Cubic(cubic) => cubic.on_congestion(now, sent_at, used, persistent, ecn),
            Law::NewReno(reno) => reno.on_congestion(now, sent_at, used, persistent, ecn),
            Law::Bbr(bbr) => return bbr.on_congestion(now, sent_at, in_flight, persistent, ecn),
        }
        self.law_window() < before
    }

    /// Every packet of the last congestion event was acknowledged after all: the reduction is undone unless the
    /// window has grown past its old size (RFC 9438 §4.9). Without effect after an ECN mark or a second call.
    pub fn on_spurious(&mut self, now: Instant) {
        match &mut self.law {
            Law::Cubic(cubic) => cubic.on_spurious(),
            Law::NewReno(reno) => reno.on_spurious(),
            Law::Bbr(bbr) => bbr.on_spurious(now),
        }
    }

    /// Packets now have up to `mtu` bytes.
    pub fn on_mtu(&mut self, mtu: u16) {
        match &mut self.law {
            Law::Cubic(cubic) => cubic.on_mtu(mtu),
            Law::NewReno(reno) => reno.on_mtu(mtu),
            Law::Bbr(bbr) => bbr.on_mtu(mtu),
        }
    }

    /// Bytes that may be in flight.
    pub fn window(&self) -> u64 {
        self.law_window().min(self.cap())
    }

    /// The same without the governor.
    fn law_window(&self) -> u64 {
        self.loss_based().map_or_else(Bbr::window, Recovery::window)
    }

    fn cap(&self) -> u64 {
        match self.law {
            Law::Bbr(_) => u64::MAX,
            _ => self.governor.cap(),
        }
    }

    /// Slow-start threshold in bytes; `u64::MAX` while there is none, and always with BBR.
    pub fn ssthresh(&self) -> u64 {
        self.loss_based().map_or(u64::MAX, |state| state.ssthresh)
    }

    /// Whether the window is still below the threshold; with BBR, whether it is in Startup.
    pub fn in_slow_start(&self) -> bool {
        self.loss_based().map_or_else(Bbr::in_startup, Recovery::in_slow_start)
    }

    /// Whether a reduction was made (BBR: something was lost) and no packet sent after it was acknowledged yet.
    pub fn in_recovery(&self) -> bool {
        self.loss_based().map_or_else(Bbr::in_recovery, Recovery::in_recovery)
    }

    /// Bytes per second at which packets may leave (RFC 9002 §7.7), at least 120 kB/s.
    ///
    /// In slow start 1.5 times the window per smoothed RTT: a window that doubles each RTT is filled from 2 ln 2 = 1.39
    /// on, and what is faster leaves the rest of each RTT empty, where no queue is seen. After it 1.25 times, and at
    /// least 1.25 times the delivery rate of the last round trips: the smoothed RTT lags when a queue has drained.
    /// In recovery once, so that a reduction is spread over the round trip and nothing bursts into the full queue
    /// (the aim of RFC 9937). BBR paces by what it measured, without a least rate.
    pub fn pacing_rate(&self, rtt: &Rtt) -> u64 {
        let state = match self.loss_based() {
            Ok(state) => state,
            Err(bbr) => return bbr.pacing_rate(rtt),
        };
        let (gain, divisor) = match state {
            state if state.in_recovery() => (1, 1),
            state if state.in_slow_start() => (3, 2),
            _ => (5, 4),
        };
        // A window is below 2^41, so this stays below 2^64.
        let micros = u64::try_from(rtt.smoothed().as_micros()).unwrap_or(u64::MAX).max(1);
        let peak = if state.in_recovery() { 0 } else { state.peak().min(FASTEST_PEAK) };
        let measured = peak * 5 / 4;
        (self.window() * 1_000_000 / micros * gain / divisor).max(measured).max(SLOWEST_PACE)
    }

    /// The algorithm's name, as [`Algorithm::name`].
    pub fn name(&self) -> &'static str {
        self.algorithm().name()
    }

    /// Which algorithm this is.
    pub fn algorithm(&self) -> Algorithm {
        match self.law {
            Law::Cubic(_) => Algorithm::Cubic,
            Law::NewReno(_) => Algorithm::NewReno,
            Law::Bbr(_) => Algorithm::Bbr,
        }
    }

    /// Forgets everything but algorithm and packet size: the path has new addresses (RFC 9000 §9.4).
    pub fn reset(&mut self, now: Instant) {
        let mut fresh = Self::new(self.algorithm(), now, self.mtu());
        fresh.govern(self.governor.is_on());
        *self = match self.loss_based() {
            Ok(state) => fresh.with_long_start(state.long_start()),
            Err(bbr) => fresh.with_seed(bbr.seed()).with_long_start(bbr.long_start()),
        };
    }

    fn mtu(&self) -> u16 {
        let mtu = self.loss_based().map_or_else(Bbr::mtu, |state| state.mtu);
        u16::try_from(mtu).unwrap_or(u16::MAX)
    }

    /// What all controllers have in common whose window falls with each loss.
    fn loss_based(&self) -> Result<&Recovery, &Bbr> {
        match &self.law {
            Law::Cubic(cubic) => Ok(cubic.state()),
            Law::NewReno(reno) => Ok(reno.state()),
            Law::Bbr(bbr) => Err(bbr),
        }
    }
}
