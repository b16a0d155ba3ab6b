//! What the initial slow start learns besides the round-trip time: how fast packets are delivered.
//!
//! Three uses. A delivery rate that stops growing although the window does ends slow start (the test of SEARCH,
//! draft-chung-ccwg-search, over rounds instead of bins). What the path carried in a round trip bounds the window
//! with which congestion avoidance begins, so that an overshoot is paid for once. And on a long path, the
//! spacing of acknowledgements within trains of packets sent back to back says early what the path could carry.
//! It never touches a window.

use tq_time::{Duration, Instant};

use crate::controller::Ack;
use crate::rtt::nanos;

#[cfg(test)]
mod tests;

/// Slow start ends when the window is more than this many halves of what is delivered in a round trip. SEARCH
/// exits where less than 1 - 0.35 of twice what was delivered a round trip earlier is delivered, that is
/// g < 1.3 times as much. A window that grows by what is delivered is the sum of it: after doublings twice that
/// earlier volume and the newest one, or 1 + 2/g times the newest; 2 while doubling goes on, 2.5 at the bound.
const RUN_AHEAD: u64 = 5;
/// In conservative slow start, whose window grows by a quarter a round (RFC 9406 §4.2), a round's rate that is
/// below this many tenths of the one before has not grown. The round-trip time has risen as well, then.
const GROWN_SLOWLY: u64 = 11;
/// The same in slow start: SEARCH's bound.
const GROWN: u64 = 13;
/// The mean round-trip time of a round has risen if it is above so many fourths of the least one. With a rate that did
/// not grow that is as good a sign: where packets leave in the first part of each round trip only, some of
/// them always meet an empty queue and the least sample of a round says nothing.
const RISEN: u64 = 5;
/// Rounds that must end with the window ahead: one may be an outage or a change of the path.
const AHEAD_ROUNDS: u32 = 2;
/// Samples that make the mean of a round worth something.
const MEAN_SAMPLES: u32 = 8;
/// What an acknowledgement may come later than a round trip and a quarter, ns.
const STRAY: u64 = 1_000_000;
/// Rounds after a jump of the window before rates can have followed it.
const LANDING: u32 = 3;
/// From this round-trip time on a path is long: slow start is scaled to what it would do at this one
/// (`PICOQUIC_TARGET_RENO_RTT` has the same value).
const LONG: u64 = 100_000_000;
/// From this one on trains tell what a path carries before slow start has found out: acknowledged over a shorter path, a long
/// one may look less than long.
const MEASURED: u64 = 60_000_000;
/// And up to this one: a geostationary satellite.
const LONGEST: u64 = 600_000_000;
/// Trains that are enough; the slower one counts. With a third one the median could, but it comes half a round trip later and
/// long paths were 3 % slower for it (docs/bonding.md).
const TRAINS: u32 = 2;
/// How much later than its first packet one of a train may leave: what opens a path is answered as it comes in.
const TOGETHER: Duration = Duration::from_millis(1);
/// Packets that a train has at least after those of its first acknowledgement, and if no more of it comes.
const SPACED: u64 = 8;
const FEWEST: u64 = 5;
/// An acknowledgement that comes so many times later than the packets before it were apart, and more than a millisecond, had
/// been held back for want of another packet.
const HELD_BACK: u64 = 4;

/// The train whose acknowledgements arrive.
#[derive(Clone, Copy, Debug)]
struct Train {
    /// When the first of its packets left: all at once, or nearly so.
    sent_at: Instant,
    /// When its first acknowledgement arrived.
    first: Instant,
    /// Bytes acknowledged after that, and how long that took, ns.
    bytes: u32,
    took: u32,
    /// The most that one acknowledgement brought.
    most: u32,
    /// What the newest brought and when, if that was less: unless another follows it was the last, and waited for more.
    rest: (u32, u32),
    /// Its rate was taken, or no more of it tells any.
    over: bool,
}

impl Train {
    fn new(sent_at: Instant, first: Instant) -> Self {
        Self { sent_at, first, bytes: 0, took: 0, most: 0, rest: (0, 0), over: false }
    }
}

/// Measurements of one path's initial slow start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// Whether long paths are started faster.
    long: bool,
    /// Highest delivery rate of this round and of the last one, bytes per second; zero if none was valid.
    round: u64,
    last: u64,
    /// The last measured round-trip time and the least, in nanoseconds.
    rtt: u64,
    min_rtt: u64,
    /// Sum and number of this round's samples, and the least mean of a round: on a path with jitter, that and not
    /// the least sample is how long a round trip takes.
    sum: u64,
    samples: u32,
    mean: u64,
    /// Samples of this round that say nothing of the path: the application held the sender back, or they came another way.
    limited: u32,
    /// Rounds at whose end the window was ahead, in a row.
    ahead: u32,
    /// Rounds to pass until rates follow the window.
    landing: u32,
    train: Option<Train>,
    /// The rate of the slowest train, bytes per second, and their number.
    slowest: u64,
    trains: u32,
    jumped: bool,
    /// A queue stood while less was delivered in the least round trip than a train has: one would only wait there.
    narrow: bool,
}

impl Start {
    /// Nothing seen; `long`: whether long paths are started faster.
    pub(crate) fn new(long: bool) -> Self {
        Self {
            long,
            round: 0,
            last: 0,
            rtt: 0,
            min_rtt: 0,
            sum: 0,
            samples: 0,
            mean: u64::MAX,
            limited: 0,
            ahead: 0,
            landing: 0,
            train: None,
            slowest: u64::MAX,
            trains: 0,
            jumped: false,
            narrow: false,
        }
    }

    /// Whether long paths are started faster.
    pub(crate) fn is_on(&self) -> bool {
        self.long
    }

    /// A round trip takes `rtt` ns, which something else than an acknowledgement told.
    pub(crate) fn know(&mut self, rtt: u64) {
        self.min_rtt = rtt;
    }

    /// Takes one acknowledgement; `mtu` is the size of a packet. Says whether round trips before went by another way back,
    /// for they were less than the least known now.
    pub(crate) fn on_ack(&mut self, now: Instant, ack: &Ack<'_>, mtu: u64) -> bool {
        if !ack.rtt.has_sample() {
            return false;
        }
        self.rtt = nanos(ack.rtt.latest());
        let least = core::mem::replace(&mut self.min_rtt, nanos(ack.rtt.min()));
        let anew = least > 0 && self.min_rtt > least;
        if anew {
            (self.mean, self.sum, self.samples) = (u64::MAX, 0, 0);
        }
        self.sum = self.sum.saturating_add(self.rtt);
        self.samples += 1;
        // A rate over longer than a round trip was acknowledged another way than round trips are measured on: they do not
        // compare.
        let late = self.rtt + self.rtt / 4 + STRAY;
        let stray = ack.delivered.is_some_and(|sample| nanos(sample.interval) > late);
        self.limited += u32::from(ack.app_limited || stray);
        // An application-limited sample is a lower bound like any other; the window does not grow meanwhile.
        if let Some(sample) = ack.delivered.filter(|_| !stray) {
            self.round = self.round.max(sample.rate);
            let queued = self.rtt > 2 * self.min_rtt;
            self.narrow |= queued && volume(sample.rate, self.min_rtt) < 2 * SPACED * mtu;
        }
        if self.long && self.min_rtt >= MEASURED && !self.jumped {
            self.on_train(now, ack, mtu);
        }
        anew
    }

    /// The rate of a train is that of the packets after its first acknowledgement, as soon as they are enough: the
    /// last acknowledgement may have been held back for want of another packet, and tells nothing then.
    fn on_train(&mut self, now: Instant, ack: &Ack<'_>, mtu: u64) {
        let sent = ack.largest_sent_at;
        let same = |train: &Train| sent >= train.sent_at && sent < train.sent_at + TOGETHER;
        let Some(mut train) = self.train.filter(same) else {
            self.end_train(FEWEST * mtu);
            self.train = Some(Train::new(sent, now));
            return;
        };
        // Another follows: the one before was not the last.
        let (bytes, took) = core::mem::take(&mut train.rest);
        (train.bytes, train.took) = (train.bytes.saturating_add(bytes), train.took.max(took));
        let new = u32::try_from(ack.bytes).unwrap_or(u32::MAX);
        let took = u32::try_from(nanos(now.saturating_since(train.first))).unwrap_or(u32::MAX);
        let usual = u64::from(train.took) * u64::from(new) / u64::from(train.bytes.max(1));
        let held = u64::from(took.saturating_sub(train.took)) > HELD_BACK * usual + STRAY;
        if train.bytes > 0 && held {
            self.train = Some(train);
            self.end_train(FEWEST * mtu);
            return;
        }
        if new < train.most {
            train.rest = (new, took);
        } else {
            (train.bytes, train.took, train.most) = (train.bytes.saturating_add(new), took, new);
        }
        self.train = Some(train);
        if u64::from(train.bytes) >= SPACED * mtu {
            self.end_train(SPACED * mtu);
        }
    }

    /// Takes the rate of the train at hand if `least` bytes of it were acknowledged, once.
    fn end_train(&mut self, least: u64) {
        let Some(train) = self.train.as_mut().filter(|train| !train.over) else { return };
        train.over = true;
        let (bytes, took) = (u64::from(train.bytes), u64::from(train.took));
        if bytes >= least && took > 0 {
            self.slowest = self.slowest.min(per_second(bytes, took));
            self.trains = self.trains.saturating_add(1);
        }
    }

    /// Times [`LONG`] that the path is long, in thousandths: 1000 to 6000; 1000 while that is not known or the
    /// faster start is off.
    pub(crate) fn scale(&self) -> u64 {
        if !self.long || self.min_rtt <= LONG {
            return 1000;
        }
        self.min_rtt.min(LONGEST) / (LONG / 1000)
    }

    /// Half of what the path carries in a round trip by the slower of its trains; once, if enough were seen.
    pub(crate) fn jump(&mut self) -> Option<u64> {
        if self.jumped || self.trains < TRAINS {
            return None;
        }
        self.land();
        Some(volume(self.slowest, self.min_rtt) / 2)
    }

    /// The window jumped for another reason: trains are not needed any more.
    pub(crate) fn land(&mut self) {
        self.jumped = true;
        self.landing = LANDING;
    }

    /// What its trains say the path carries, bytes per second; `None` if too few were seen.
    pub(crate) fn train_rate(&self) -> Option<u64> {
        Some(self.slowest).filter(|rate| self.jumped && *rate < u64::MAX)
    }

    /// Whether packets are to leave in trains: a long path of which too few were seen.
    pub(crate) fn wants_trains(&self) -> bool {
        self.long && !self.jumped && !self.narrow && self.min_rtt >= MEASURED
    }

    /// A round is over, with this `window`; `slow`: it was one of conservative slow start. Says whether slow start is
    /// to end because the rate did not grow.
    pub(crate) fn on_round(&mut self, window: u64, slow: bool) -> bool {
        if core::mem::take(&mut self.limited) * 2 > self.samples {
            // What was not asked for did not arrive: that is no path that carries no more.
            (self.last, self.round) = (self.last.max(self.round), 0);
            (self.sum, self.samples) = (0, 0);
            return false;
        }
        let (last, round) = (self.last, self.round);
        let grew =
            |tenths| last == 0 || round == 0 || round.saturating_mul(10) >= last.saturating_mul(tenths);
        let mean = self.sum / u64::from(self.samples.max(1));
        let risen = self.mean != u64::MAX && mean.saturating_mul(4) > self.mean.saturating_mul(RISEN);
        let ahead = self.is_ahead(window) || self.landing == 0 && risen && !grew(GROWN);
        self.ahead = if ahead { self.ahead + 1 } else { 0 };
        if self.samples >= MEAN_SAMPLES {
            self.mean = self.mean.min(mean);
        }
        (self.sum, self.samples) = (0, 0);
        (self.last, self.round) = (round, 0);
        self.landing = self.landing.saturating_sub(1);
        self.ahead >= AHEAD_ROUNDS || slow && !grew(GROWN_SLOWLY)
    }

    /// Whether growth is to slow down, though slow start does not end yet.
    pub(crate) fn is_careful(&self, window: u64) -> bool {
        self.ahead > 0 || self.is_ahead(window)
    }

    /// Whether `window` has run ahead of what is delivered in a round trip.
    fn is_ahead(&self, window: u64) -> bool {
        let known = self.last > 0 && self.round > 0 && self.landing == 0 && self.mean != u64::MAX;
        known && window.saturating_mul(2) > volume(self.rate(), self.mean).saturating_mul(RUN_AHEAD)
    }

    /// Bytes the path carries in a round trip without a queue, and an eighth; `None` if nothing is known.
    pub(crate) fn capacity(&self) -> Option<u64> {
        let rtt = if self.mean == u64::MAX { self.min_rtt } else { self.mean };
        let bytes = volume(self.rate(), rtt);
        (bytes > 0).then(|| bytes + bytes / 8)
    }

    /// The window a reduction starts from that is known to be no more than the path's: what it carried in the last
    /// round-trip time, what waited in its queue included; but after a reduction to seven tenths (RFC 9438 §4.6)
    /// what it carries without a queue is left. `None` if nothing is known.
    pub(crate) fn proven(&self) -> Option<u64> {
        let bytes = volume(self.rate(), self.rtt).max(volume(self.rate(), self.min_rtt) / 7 * 10);
        (bytes > 0).then_some(bytes)
    }

    fn rate(&self) -> u64 {
        self.round.max(self.last)
    }
}

/// Bytes per second of `bytes` in `time` ns.
fn per_second(bytes: u64, time: u64) -> u64 {
    u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(time.max(1))).unwrap_or(u64::MAX)
}

/// Bytes that `rate` brings in `time` ns.
fn volume(rate: u64, time: u64) -> u64 {
    let nano = Duration::from_secs(1).as_nanos();
    u64::try_from(u128::from(rate) * u128::from(time) / nano).unwrap_or(u64::MAX)
}
