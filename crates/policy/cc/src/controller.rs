//! The congestion controllers behind one face, dispatched by enum.
//!
//! The connection reports what it sent, what was acknowledged and what was lost; a controller answers with a
//! window and a pacing rate. It never sees packets and never says what is lost.

use core::fmt;
use core::str::FromStr;

use tq_time::{Duration, Instant};

use crate::auto::{Chooser, Shown};
use crate::bbr::{Bbr, Known};
use crate::cubic::Cubic;
use crate::governor::Governor;
use crate::newreno::NewReno;
use crate::olia::{Member, Olia};
use crate::rate::{Flight, RateSample};
use crate::recovery::Recovery;
use crate::rtt::{Rtt, nanos};

#[cfg(test)]
mod tests;

/// RFC 9002 §7.2.
const INITIAL_WINDOW: u64 = 14_720;
/// Slowest pacing, bytes per second: what is lost by bursts at this rate is less than what a stalled timer loses.
const SLOWEST_PACE: u64 = 120_000;

/// Delivery rates above this, 1 Tbyte/s, are not believed.
const FASTEST_PEAK: u64 = 1_000_000_000_000;
/// Packets of a train: acknowledgements of every fifth packet still tell its spacing. While the window is small it is two
/// trains, with every second packet acknowledged.
const TRAIN_PACKETS: u64 = 16;
const SHORT_TRAIN: u64 = 11;

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
    /// BBR on paths with a round trip of 100 ms or more and on those that lose packets without a queue, else CUBIC.
    Auto,
    /// OLIA: the windows of a connection's paths are coupled, for links that share a bottleneck.
    Olia,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [Self::Cubic, Self::NewReno, Self::Bbr, Self::Auto, Self::Olia];
    /// Those whose window falls with each loss.
    #[cfg(test)]
    pub(crate) const LOSS_BASED: [Self; 3] = [Self::Cubic, Self::NewReno, Self::Olia];

    /// The name [`FromStr`] takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::NewReno => "newreno",
            Self::Bbr => "bbr",
            Self::Auto => "auto",
            Self::Olia => "olia",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no congestion controller's; the known ones are `cubic`, `newreno` with its short form `reno`,
/// `bbr`, `auto` and `olia`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithm;

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown congestion controller, expected cubic, newreno, bbr, auto or olia")
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
            "auto" => Ok(Self::Auto),
            "olia" => Ok(Self::Olia),
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
    /// About as much comes the other way: acknowledgements may wait in a queue of that traffic, and while it grows they tell
    /// of less than what is delivered.
    pub two_way: bool,
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

/// What paths of one connection had better not do at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probing {
    /// Filling the pipe and sending more than it carried, to see whether there is more.
    pub more: bool,
    /// Draining the queue to see the least round trip.
    pub least: bool,
}

/// A congestion controller of one path.
#[derive(Clone, Copy, Debug)]
pub struct Controller {
    pub(crate) law: Law,
    asked: Algorithm,
    seed: u64,
    governor: Governor,
    chooser: Chooser,
}

/// What a window follows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Law {
    Cubic(Cubic),
    NewReno(NewReno),
    Bbr(Bbr),
    Olia(Olia),
}

impl Controller {
    /// The controller of a fresh path whose packets have up to `mtu` bytes of UDP payload.
    pub fn new(algorithm: Algorithm, now: Instant, mtu: u16) -> Self {
        let law = match algorithm {
            Algorithm::Cubic | Algorithm::Auto => Law::Cubic(Cubic::new(now, mtu)),
            Algorithm::NewReno => Law::NewReno(NewReno::new(mtu)),
            Algorithm::Bbr => Law::Bbr(Bbr::new(now, mtu)),
            Algorithm::Olia => Law::Olia(Olia::new(mtu)),
        };
        let (mut governor, chooser) = (Governor::new(now), Chooser::new(now));
        if algorithm == Algorithm::Olia {
            governor.share();
        }
        Self { law, asked: algorithm, seed: now.as_nanos(), governor, chooser }
    }

    /// The same, drawing what is random from `seed`. Without this, from the time it was made.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        if let Law::Bbr(bbr) = &mut self.law {
            *bbr = bbr.with_seed(seed);
        }
        self
    }

    /// What random is drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The same, with the faster start of long paths on or off; it is off in a fresh one.
    ///
    /// On, a path whose least round-trip time is 100 ms or more starts with a window scaled by that time over
    /// 100 ms (at most six times the initial one), and when the acknowledgements of two trains of packets have
    /// told what the path may carry, the window becomes half of that at least, once.
    #[must_use]
    pub fn with_long_start(mut self, on: bool) -> Self {
        self.law = match self.law {
            Law::Cubic(cubic) => Law::Cubic(cubic.with_long_start(on)),
            Law::NewReno(reno) => Law::NewReno(reno.with_long_start(on)),
            Law::Bbr(bbr) => Law::Bbr(bbr.with_long_start(on)),
            Law::Olia(olia) => Law::Olia(olia.with_long_start(on)),
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
        if !wanted {
            return 0;
        }
        let mtu = u64::from(self.mtu());
        (self.law_window() / 2).clamp(SHORT_TRAIN * mtu, TRAIN_PACKETS * mtu) as usize
    }

    /// What the spacing of trains says the path carries, bytes per second, while slow start goes on: before its window shows
    /// what that is. `None` on short paths and before there were two trains.
    pub fn train_rate(&self) -> Option<u64> {
        self.loss_based().map_or_else(Bbr::train_rate, Recovery::train_rate)
    }

    /// A packet of `bytes` that counts as in flight left; `in_flight_before` does not include it.
    ///
    /// `pn` rises within a space; where it falls, another space of the same path has begun to send.
    pub fn on_sent(&mut self, now: Instant, bytes: u16, in_flight_before: u64, pn: u64) {
        match &mut self.law {
            Law::Cubic(cubic) => cubic.on_sent(now, in_flight_before, pn),
            Law::NewReno(reno) => reno.on_sent(pn),
            Law::Bbr(bbr) => bbr.on_sent(now, bytes, in_flight_before),
            Law::Olia(olia) => olia.on_sent(pn),
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
            Law::Olia(olia) => olia.on_ack(now, ack),
            Law::Bbr(bbr) => bbr.on_ack(now, ack),
        }
        let window = (!self.in_slow_start()).then(|| self.law_window());
        self.governor.on_ack(now, ack, window, self.mtu().into());
        if self.asked == Algorithm::Auto {
            self.choose(now, ack);
        }
    }

    /// Packets were declared lost; [`Controller::on_congestion`] is told of the same ones next. Nothing to those whose
    /// window falls with each loss.
    pub fn on_lost(&mut self, now: Instant, lost: &Lost<'_>) {
        let started = !self.in_slow_start();
        let first = self.in_first_start();
        let shown = self.shown(lost.rtt);
        let new = (!self.in_recovery()).then_some(shown);
        match &mut self.law {
            Law::Bbr(bbr) => bbr.on_lost(now, lost),
            _ if self.asked != Algorithm::Auto => {}
            _ if started => self.chooser.on_lost(now, lost.bytes, new, lost.rtt.smoothed()),
            _ if first => {
                let (rising, mtu) = (self.governor.is_rising(), self.mtu().into());
                self.chooser.on_first_lost(now, lost.bytes, shown, rising, mtu);
            }
            _ => {}
        }
    }

    /// A round trip takes `rtt`, which an answered challenge told: nothing was acknowledged yet.
    pub fn on_first_rtt(&mut self, now: Instant, rtt: Duration) {
        let rtt = nanos(rtt);
        let leaves = self.asked == Algorithm::Auto && self.chooser.leave_cubic(now, rtt).is_some();
        match &mut self.law {
            Law::Cubic(cubic) if leaves => {
                let long = cubic.state().long_start();
                let mut fresh = Bbr::new(now, self.mtu()).with_seed(self.seed).with_long_start(long);
                fresh.on_first_rtt(rtt);
                self.law = Law::Bbr(fresh);
            }
            Law::Cubic(cubic) => cubic.on_first_rtt(rtt),
            Law::NewReno(reno) => reno.on_first_rtt(rtt),
            Law::Olia(olia) => olia.on_first_rtt(rtt),
            Law::Bbr(bbr) => bbr.on_first_rtt(rtt),
        }
    }

    /// Acknowledgements come back another way from now on: `before` and `after` are the path's round trips by the way so
    /// far and by the new one. A window that was found by a shorter way would not fill a longer one, and takes long to
    /// grow: it is wider by what the path carries in the difference, which no queue sees, until the way is short again.
    pub fn on_way_back(&mut self, before: &Rtt, after: &Rtt) {
        let signed = |rtt: Duration| i64::try_from(nanos(rtt)).unwrap_or(i64::MAX);
        let longer = |than: Duration, is: Duration| signed(is).saturating_sub(signed(than));
        // The least of a way that was not in use for long has a queue in it, which was there both ways.
        let least = longer(before.min(), after.min());
        let usual = longer(before.smoothed(), after.smoothed());
        if !before.has_sample() || least.signum() != usual.signum() {
            return;
        }
        let longer = if least.abs() < usual.abs() { least } else { usual };
        let more = match &mut self.law {
            Law::Cubic(cubic) => cubic.on_way_back(longer),
            Law::NewReno(reno) => reno.state_mut().on_way_back(longer),
            // Coupled windows are no one path's, and BBR's follows from its rate.
            Law::Olia(_) | Law::Bbr(_) => return,
        };
        self.governor.widen(more);
    }

    /// A train of copies came through without a loss on a path that was held: a window that fell below the initial one grows by
    /// slow start up to twice that. Two packets a round trip show nobody what a link can carry.
    pub fn begin_again(&mut self) {
        match &mut self.law {
            Law::Cubic(cubic) => cubic.state_mut().begin_again(),
            Law::NewReno(reno) => reno.state_mut().begin_again(),
            // Coupled windows are no one path's, and BBR's follows from its rate.
            Law::Olia(_) | Law::Bbr(_) => {}
        }
    }

    /// What the path did last.
    fn shown(&self, rtt: &Rtt) -> Shown {
        Shown {
            standing: self.governor.standing(),
            latest: nanos(rtt.latest()),
            rate: self.governor.recent(),
        }
    }

    /// Auto: another controller, if that suits the path better, with what was learnt so far.
    fn choose(&mut self, now: Instant, ack: &Ack<'_>) {
        let mtu = self.mtu();
        let min_rtt = nanos(ack.rtt.min());
        match &self.law {
            Law::Bbr(bbr) => {
                if self.chooser.leave_bbr(now, min_rtt, bbr.is_lossy()).is_some() {
                    let long = bbr.long_start();
                    self.law = Law::Cubic(Cubic::with_window(now, mtu, bbr.volume()).with_long_start(long));
                }
            }
            law => {
                self.chooser.on_min_rtt(min_rtt);
                self.chooser.on_acked(now, ack.bytes, self.shown(ack.rtt), ack.in_flight > 0, mtu.into());
                if !self.in_recovery() {
                    self.chooser.on_recovered(mtu.into());
                }
                let counts = self.chooser.counts();
                if !ack.rtt.has_sample() || self.chooser.leave_cubic(now, min_rtt).is_none() {
                    return;
                }
                let known = Known { rate: self.governor.rate(), min_rtt, window: self.window(), counts };
                let long = matches!(law, Law::Cubic(cubic) if cubic.state().long_start());
                let mut fresh = Bbr::new(now, mtu).with_seed(self.seed).with_long_start(long);
                self.law = Law::Bbr(match self.in_first_start() {
                    true => {
                        fresh.on_ack(now, ack);
                        fresh
                    }
                    false => fresh.with_known(now, &known),
                });
            }
        }
    }

    /// Nothing ended the initial slow start yet.
    fn in_first_start(&self) -> bool {
        self.ssthresh() == u64::MAX
    }

    /// What this path is doing that its neighbours of the same connection had better not do at the same time: probing for
    /// more, and draining the queue to see the least round trip.
    pub fn probing(&self) -> Probing {
        match &self.law {
            Law::Bbr(bbr) => bbr.probing(),
            _ => Probing::default(),
        }
    }

    /// What any of the other paths is doing: this one waits with the same for up to a second.
    pub fn on_neighbours(&mut self, probing: Probing) {
        if let Law::Bbr(bbr) = &mut self.law {
            bbr.on_neighbours(probing);
        }
    }

    /// What the other paths of a coupled group have to know of this one; `None` if it is not coupled.
    pub fn member(&self, rtt: &Rtt) -> Option<Member> {
        match &self.law {
            Law::Olia(olia) if rtt.has_sample() => Some(olia.member(rtt.smoothed())),
            _ => None,
        }
    }

    /// A coupled window grows by so many millionths of what Reno would ([`factor`](crate::factor)).
    pub fn couple(&mut self, factor: i64) {
        if let Law::Olia(olia) = &mut self.law {
            olia.couple(factor);
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
            Law::Olia(olia) => olia.on_congestion(now, sent_at, used, persistent, ecn),
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
            Law::Olia(olia) => olia.on_spurious(),
            Law::Bbr(bbr) => bbr.on_spurious(now),
        }
    }

    /// Packets now have up to `mtu` bytes.
    pub fn on_mtu(&mut self, mtu: u16) {
        match &mut self.law {
            Law::Cubic(cubic) => cubic.on_mtu(mtu),
            Law::NewReno(reno) => reno.on_mtu(mtu),
            Law::Olia(olia) => olia.on_mtu(mtu),
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

    /// Which algorithm was asked for.
    pub fn algorithm(&self) -> Algorithm {
        self.asked
    }

    /// Which one is at work: the same, or what [`Algorithm::Auto`] chose.
    pub fn at_work(&self) -> Algorithm {
        match self.law {
            Law::Cubic(_) => Algorithm::Cubic,
            Law::NewReno(_) => Algorithm::NewReno,
            Law::Bbr(_) => Algorithm::Bbr,
            Law::Olia(_) => Algorithm::Olia,
        }
    }

    /// Forgets everything but algorithm and packet size: the path has new addresses (RFC 9000 §9.4).
    pub fn reset(&mut self, now: Instant) {
        let mut fresh = Self::new(self.algorithm(), now, self.mtu());
        fresh.govern(self.governor.is_on());
        let long = self.loss_based().map_or_else(Bbr::long_start, Recovery::long_start);
        *self = fresh.with_seed(self.seed).with_long_start(long);
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
            Law::Olia(olia) => Ok(olia.state()),
            Law::Bbr(bbr) => Err(bbr),
        }
    }
}
