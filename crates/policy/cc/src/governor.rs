//! The queue governor: how much a controller whose window falls only with losses may have in flight so that its own
//! queue stays short.
//!
//! From the rate that is delivered and the round trip without a queue it computes a cap on the window, once per round
//! trip. It learns the least round trip anew now and then by sending a little less for a moment. Where the queue stays
//! whatever it does, it is somebody else's, and who holds back there starves: then it aims at a longer one, step by step,
//! and at last steps aside. It never changes the window itself, never applies before the rate is measured, and leaves four
//! packets at least. Two senders with governors share a short queue mostly, not always evenly.

use tq_time::{Duration, Instant};

use crate::controller::Ack;
use crate::rtt::nanos;

#[cfg(test)]
mod tests;

/// The queue it aims at: a quarter of the least round trip, between these two, ns.
const LEAST_QUEUE: u64 = 4_000_000;
const MOST_QUEUE: u64 = 16_000_000;
/// It gives way by aiming at four times that, or at sixteen times, before it steps aside altogether: two senders with
/// governors must not take each other for one without.
const WIDER: u64 = 4;
const WIDEST: u32 = 2;
/// Packets that may be in flight whatever was measured.
const LEAST_PACKETS: u64 = 4;
/// Rounds whose highest rate counts while the queue is as short as it should be.
const ROUNDS: usize = 10;
/// Unit rates are kept in, bytes per second: every path has ten of them, used or not.
const UNIT: u64 = 16;
/// And while it is not: what is delivered then is what the path has for us.
const RECENT: usize = 3;
/// And when that does not end: a rate of before it fell would not let the queue drain.
const NEWEST: usize = 2;
/// Rounds with a long queue after which it is looked whose it is: the rate may have changed, and what was too much must
/// drain.
const PATIENCE: u32 = 3;
/// For how long it gives way at first and at most.
const ASIDE: Duration = Duration::from_secs(10);
const LONGEST_ASIDE: Duration = Duration::from_secs(60);
/// A path that was not seen to be short for so long has become longer.
const LONGER: Duration = Duration::from_secs(100);
/// Rounds with a short queue after which that time is the first again.
const CALM: u32 = 8;
/// Rounds with a short queue after which a little more is tried.
const TRY_AFTER: u32 = 16;
/// A least round trip that was not seen again for so long is looked for.
const STALE: Duration = Duration::from_secs(10);
/// Rounds that lasts besides the one in which the queue drains.
const LOOKING: u32 = 1;
/// Largest cap: 1 TiB, as for windows.
const LARGEST: u64 = 1 << 40;
/// Part of what the path holds by which less is sent meanwhile.
const LESS: u64 = 20;
/// Nothing known, no bound.
const UNBOUNDED: u64 = u64::MAX;

/// What it does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Holds the window down to the cap.
    Holding,
    /// Drains the queue to see the round trip without it; rounds left, least sample of the last one.
    Looking { left: u32, least: u64 },
    /// Another sender keeps the queue.
    Aside { until: Instant },
}

/// Queue governor of one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Governor {
    on: bool,
    mode: Mode,
    /// Bytes delivered when the round under way began, and when that was; it ends with a packet sent after it.
    began: u64,
    began_at: Instant,
    /// Bytes per second of rounds that the application did not hold back, by number modulo ten.
    rates: [u32; ROUNDS],
    measured: usize,
    /// The round had samples without an application's limit.
    loaded: bool,
    /// Least sample of the round under way and of the one before, ns.
    least: u64,
    last_least: u64,
    /// Round trip without a queue, ns, and when a sample was near it.
    base: u64,
    base_at: Instant,
    /// When it was last looked for.
    looked_at: Instant,
    /// Least sample while it gave way, ns, and since when.
    lowest: u64,
    lowest_since: Instant,
    /// The queue is no shorter than it should be.
    crowded: bool,
    /// Rounds in a row with a long queue, and with a short one.
    long: u32,
    calm: u32,
    /// How far it gives way, and does at least.
    width: u32,
    least_width: u32,
    /// The rate before the queue became long.
    rate_then: u64,
    aside_for: Duration,
    cap: u64,
}

impl Governor {
    /// Off, nothing known.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            on: false,
            mode: Mode::Holding,
            began: 0,
            began_at: now,
            rates: [0; ROUNDS],
            measured: 0,
            loaded: false,
            least: UNBOUNDED,
            last_least: UNBOUNDED,
            base: UNBOUNDED,
            base_at: now,
            looked_at: now,
            lowest: UNBOUNDED,
            lowest_since: now,
            crowded: false,
            long: 0,
            calm: 0,
            width: 0,
            least_width: 0,
            rate_then: 0,
            aside_for: ASIDE,
            cap: UNBOUNDED,
        }
    }

    /// Others may be on the link, and are to get no more than it: it gives way from the beginning.
    pub(crate) fn share(&mut self) {
        (self.least_width, self.width) = (2, 2);
    }

    /// Switches it on or off. It measures all the time, so that it knows what to do when it is switched on.
    pub(crate) fn set(&mut self, on: bool) {
        self.on = on;
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Bytes that may be in flight as far as the queue is concerned; `u64::MAX` if that is not for it to say.
    pub(crate) fn cap(&self) -> u64 {
        match self.mode {
            Mode::Aside { .. } => UNBOUNDED,
            _ if self.on => self.cap,
            _ => UNBOUNDED,
        }
    }

    /// Least round trip of the last full round, or of the present one if that is less already, ns; `u64::MAX` if unknown.
    pub(crate) fn standing(&self) -> u64 {
        self.least.min(self.last_least)
    }

    /// Delivery rate it goes by, bytes per second; zero if none is known.
    pub(crate) fn rate(&self) -> u64 {
        let span = match self.mode {
            Mode::Looking { .. } => NEWEST,
            _ if self.crowded => RECENT,
            _ => ROUNDS,
        };
        (0..span).map(|back| self.back(back)).max().unwrap_or(0)
    }

    /// What was delivered in one of the last two rounds, the higher: a loss is of a packet that left in the one before. In
    /// units that only compare.
    pub(crate) fn recent(&self) -> u32 {
        u32::try_from(self.back(0).max(self.back(1)) / UNIT).unwrap_or(u32::MAX)
    }

    /// Whether the last round delivered half as much again as the one before: a slow start that no queue holds back.
    pub(crate) fn is_rising(&self) -> bool {
        self.back(1) > 0 && self.back(0) >= self.back(1) + self.back(1) / 2
    }

    /// One acknowledgement. `window` is the controller's own, if its slow start is over; `mtu`: bytes of a packet.
    pub(crate) fn on_ack(&mut self, now: Instant, ack: &Ack<'_>, window: Option<u64>, mtu: u64) {
        let (Some(flight), true) = (ack.flight, ack.rtt.has_sample()) else { return };
        let sample = nanos(ack.rtt.latest());
        self.on_sample(now, sample, nanos(ack.rtt.min()));
        self.loaded |= ack.delivered.is_some_and(|sample| !sample.app_limited);
        if flight.delivered < self.began {
            // Counting began anew: the path went back to an address it had left.
            (self.began, self.began_at) = (flight.delivered, now);
        }
        if flight.delivered_before < self.began {
            return;
        }
        self.take_rate(now, flight.delivered);
        if window.is_some() {
            self.judge(now, ack.in_flight);
        }
        self.crowded = self.least.saturating_sub(self.base) > self.aim();
        self.look(now, window.is_some());
        let queue = self.least.saturating_sub(self.base);
        self.last_least = core::mem::replace(&mut self.least, UNBOUNDED);
        self.cap = match (self.rate(), window) {
            (rate, Some(window)) if rate > 0 => {
                self.next_cap(rate, queue, window).clamp(LEAST_PACKETS * mtu, LARGEST)
            }
            _ => UNBOUNDED,
        };
    }

    /// The way back takes longer, or less long, by what the path carries `more` bytes in.
    pub(crate) fn widen(&mut self, more: i64) {
        if self.cap != UNBOUNDED {
            self.cap = self.cap.saturating_add_signed(more).clamp(1, LARGEST);
        }
    }

    /// What may be in flight in the next round, at `rate`, after one with this queue and `window`. While that is short the
    /// cap stays above what was in flight: what a round trip takes longer than the least is then no queue, and to hold it
    /// back would be to starve. Where it is as long as it should be it may be that of the way back, in which the peer's governor
    /// keeps it so: now and then a little more tells, and again for as long as more arrives.
    fn next_cap(&self, rate: u64, queue: u64, window: u64) -> u64 {
        let (aim, cap) = (self.aim(), self.cap_for(rate));
        let used = self.cap.min(window);
        match self.mode {
            Mode::Holding if queue <= aim / 2 => cap.max(used + used / 8),
            Mode::Holding if !self.is_long(queue) && self.is_trying() => {
                cap.max(used).saturating_add(volume(rate, aim / 4))
            }
            Mode::Holding if !self.is_long(queue) => cap.max(used),
            _ => cap,
        }
    }

    /// Whether it is time for a little more, or more arrived in the last round than in any before the last two.
    fn is_trying(&self) -> bool {
        let before = (2..ROUNDS).map(|back| self.back(back)).max().unwrap_or(0);
        self.calm % TRY_AFTER == TRY_AFTER - 1 || self.back(0) > before + before / 32
    }

    /// The least round trip: of this path since it was last looked for. A minimum below which the estimator does not know
    /// any more is one in other terms: the way back is another one.
    fn on_sample(&mut self, now: Instant, sample: u64, known: u64) {
        self.least = self.least.min(sample);
        self.lowest = self.lowest.min(sample);
        if self.base == UNBOUNDED || self.base < known {
            (self.base, self.base_at) = (known, now);
        }
        self.base = self.base.min(sample);
        if sample <= self.base + self.base / 32 {
            self.base_at = now;
        }
    }

    /// The mean rate of a round that the application did not hold back; of one that it did, if it is higher.
    fn take_rate(&mut self, now: Instant, delivered: u64) {
        let took = nanos(now.saturating_since(self.began_at));
        let bytes = delivered.saturating_sub(self.began);
        (self.began, self.began_at) = (delivered, now);
        let loaded = core::mem::take(&mut self.loaded);
        if took == 0 || bytes == 0 {
            return;
        }
        let rate = u128::from(bytes) * 1_000_000_000 / u128::from(took);
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        if loaded || rate > self.rate() {
            self.put(rate);
        }
    }

    fn put(&mut self, rate: u64) {
        self.rates[self.measured % ROUNDS] = u32::try_from(rate.div_ceil(UNIT)).unwrap_or(u32::MAX);
        self.measured += 1;
    }

    /// What the last round's queue tells.
    fn judge(&mut self, now: Instant, in_flight: u64) {
        let queue = self.least.saturating_sub(self.base);
        if !self.is_long(queue) {
            // A queue that is now a little shorter than that and now a little longer was not seen to give way.
            if queue <= self.aim() + self.aim() / 8 {
                self.long = 0;
            }
            self.calm = self.calm.saturating_add(1);
            if self.calm >= CALM && self.mode == Mode::Holding {
                self.calm_down(now);
            }
            return;
        }
        if self.long == 0 {
            self.rate_then = self.rate();
        }
        (self.calm, self.long) = (0, self.long.saturating_add(1));
        if self.on && self.mode == Mode::Holding && in_flight <= self.cap && self.long >= PATIENCE {
            self.keep_recent();
            self.mode = Mode::Looking { left: LOOKING, least: UNBOUNDED };
        }
    }

    /// Only the newest rates count from now on.
    fn keep_recent(&mut self) {
        let recent: [u64; RECENT] = core::array::from_fn(|place| self.back(RECENT - 1 - place));
        (self.rates, self.measured) = ([0; ROUNDS], 0);
        recent.into_iter().for_each(|rate| self.put(rate));
    }

    /// The rate of so many rounds ago; zero if there was none.
    fn back(&self, rounds: usize) -> u64 {
        if rounds < self.measured {
            u64::from(self.rates[(self.measured - 1 - rounds) % ROUNDS]) * UNIT
        } else {
            0
        }
    }

    /// Whether a queue is longer than aimed at, and by more than chance.
    fn is_long(&self, queue: u64) -> bool {
        let aim = self.aim();
        queue > aim + aim / 4
    }

    /// The queue was short for a while.
    fn calm_down(&mut self, now: Instant) {
        if self.width == self.least_width {
            self.aside_for = ASIDE;
            (self.lowest, self.lowest_since) = (UNBOUNDED, now);
        }
    }

    /// Somebody else keeps a queue of `queue` ns here: one twice as long is aimed at, below half of which
    /// the cap grows, or none at all: else its share would only shrink.
    fn give_way(&mut self, now: Instant, queue: u64) {
        // What it was before it held back in vain.
        self.put(self.rate_then.max(self.rate()));
        let enough = |width: &u32| self.aim_at(*width) >= 2 * queue;
        match (self.width + 1..=WIDEST).find(enough) {
            Some(width) => self.width = width,
            None => {
                self.width = WIDEST;
                self.mode = Mode::Aside { until: now + self.aside_for };
            }
        }
        self.aside_for = (2 * self.aside_for).min(LONGEST_ASIDE);
    }

    /// Looks for the least round trip if it has grown old, or to see whether the other sender has gone; goes on with
    /// it, and takes what was found.
    fn look(&mut self, now: Instant, started: bool) {
        self.mode = match self.mode {
            Mode::Looking { left: 0, least } => return self.found(now, least.min(self.least)),
            Mode::Looking { left, .. } => Mode::Looking { left: left - 1, least: self.least },
            Mode::Aside { until } if now >= until => Mode::Looking { left: LOOKING, least: UNBOUNDED },
            Mode::Holding if started && self.on && self.is_due(now) => {
                Mode::Looking { left: LOOKING, least: UNBOUNDED }
            }
            mode => mode,
        };
    }

    /// Whether to look for the least round trip. Beside others that costs a share, but if they have gone nothing else tells.
    fn is_due(&self, now: Instant) -> bool {
        match self.width > self.least_width {
            true => now.saturating_since(self.looked_at) > self.aside_for,
            false => now.saturating_since(self.base_at) > STALE,
        }
    }

    /// A round trip that is much longer than known is a queue that is not ours. If that was so time after time, and never a
    /// shorter one, the path has become longer.
    fn found(&mut self, now: Instant, least: u64) {
        self.lowest = self.lowest.min(least);
        self.mode = Mode::Holding;
        (self.long, self.calm) = (0, 0);
        let stale = now.saturating_since(self.base_at) > STALE;
        (self.base_at, self.looked_at) = (now, now);
        let queue = least.saturating_sub(self.base);
        if queue <= self.narrow() {
            self.base = if stale { least } else { self.base };
            self.width = self.least_width;
        } else if now.saturating_since(self.lowest_since) >= LONGER && self.lowest > self.base + self.narrow()
        {
            self.base = self.lowest;
            (self.lowest, self.lowest_since) = (UNBOUNDED, now);
        } else if self.width == self.least_width || queue > self.aim() / 2 {
            self.give_way(now, queue);
        }
    }

    /// The queue it aims at, ns.
    fn aim(&self) -> u64 {
        self.aim_at(self.width)
    }

    fn aim_at(&self, width: u32) -> u64 {
        self.narrow() * WIDER.pow(width)
    }

    fn narrow(&self) -> u64 {
        (self.base / 4).clamp(LEAST_QUEUE, MOST_QUEUE)
    }

    fn cap_for(&self, rate: u64) -> u64 {
        match self.mode {
            Mode::Looking { .. } => volume(rate, self.base - self.base / LESS),
            _ => volume(rate, self.base.saturating_add(self.aim())),
        }
    }
}

/// Bytes that `rate` carries in `time` ns.
fn volume(rate: u64, time: u64) -> u64 {
    let bytes = u128::from(rate) * u128::from(time) / 1_000_000_000;
    u64::try_from(bytes).map_or(LARGEST, |bytes| bytes.min(LARGEST))
}
