//! What an earlier connection measured of a link, and how a new one makes use of it without trusting it (Careful
//! Resume, RFC 9959).
//!
//! A [`Meter`] measures what a path delivers; the result is a [`Profile`]. A [`Resume`] lets a fresh window jump to half
//! of a profile at most, watches what became of what was sent on the strength of it, and retreats to what was delivered.
//! It never keeps a profile, never says which link one belongs to, and leaves all else to the controller.

use tq_time::{Duration, Instant};

use crate::controller::{Ack, Algorithm, Controller, Law};
use crate::rtt::nanos;

#[cfg(test)]
mod tests;

/// A profile is not used when it is older.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// It is worth half as much after each of these.
const HALF_LIFE: Duration = Duration::from_secs(6 * 3600);
/// The largest window a profile is worth, whatever it says: what a wrong one costs at most. Half of what a geostationary
/// link of 20 Mbit/s holds fits in.
const MOST: u64 = 1 << 20;
/// No link is faster, bytes per second.
const FASTEST: u64 = 1 << 37;
/// A round trip is like the remembered one from half of it to ten times as long (RFC 9959).
const SHORTER: u32 = 2;
const LONGER: u32 = 10;
/// Shortest time over which a rate is measured.
const SPAN: Duration = Duration::from_millis(50);

/// What is remembered of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Least round-trip time.
    pub min_rtt: Duration,
    /// Bytes per second it delivered.
    pub rate: u64,
}

impl Profile {
    /// Bytes the link holds without a queue.
    pub fn volume(&self) -> u64 {
        self.volume_in(self.min_rtt)
    }

    fn volume_in(&self, rtt: Duration) -> u64 {
        let bytes = u128::from(self.rate.min(FASTEST)) * u128::from(nanos(rtt)) / 1_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// What it is worth when it is `age` old: half as much every six hours, nothing after a day.
    pub fn aged(self, age: Duration) -> Option<Self> {
        let halvings = (age.as_secs() / HALF_LIFE.as_secs()).min(63);
        let rate = self.rate >> halvings;
        (age < LIFE && rate > 0 && !self.min_rtt.is_zero()).then_some(Self { rate, ..self })
    }

    /// Whether a round trip of `rtt` may be one of the same link.
    pub fn is_like(&self, rtt: Duration) -> bool {
        let most = self.min_rtt.checked_mul(LONGER).unwrap_or(Duration::MAX);
        rtt >= self.min_rtt / SHORTER && rtt <= most
    }
}

/// Measures what a path delivers, round trip by round trip.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    since: Option<Instant>,
    bytes: u64,
    limited: bool,
    rate: u64,
}

impl Meter {
    /// `bytes` were acknowledged on a path with round trips of `rtt`; `limited`: there was too little to send. Says whether
    /// the measurement moved.
    pub fn on_ack(&mut self, now: Instant, bytes: u64, rtt: Duration, limited: bool) -> bool {
        let Some(since) = self.since else {
            // these left before anything was measured
            self.since = Some(now);
            return false;
        };
        self.bytes = self.bytes.saturating_add(bytes);
        self.limited |= limited;
        let took = now.saturating_since(since);
        if took < rtt.max(SPAN) {
            return false;
        }
        let rate = u128::from(self.bytes) * 1_000_000_000 / u128::from(nanos(took).max(1));
        let rate = u64::try_from(rate).unwrap_or(u64::MAX).min(FASTEST);
        let before = self.rate;
        // Up by half of the way: acknowledgements that waited come at once. Too little to send says nothing of the path.
        if rate > self.rate {
            self.rate += (rate - self.rate).div_ceil(2);
        } else if !self.limited {
            self.rate -= (self.rate - rate) / 8;
        }
        (self.since, self.bytes, self.limited) = (Some(now), 0, limited);
        self.rate != before
    }

    /// Bytes per second; zero before there was a measurement.
    pub fn rate(&self) -> u64 {
        self.rate
    }
}

/// How far a resumed path has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumption {
    /// The window is there, and nothing beyond the first one was sent yet.
    Ready,
    /// More than the first window is under way, nothing of it acknowledged.
    Unvalidated,
    /// Some of it arrived.
    Validating,
    /// Some of it was lost: what arrives is counted.
    Retreating,
    /// All of it arrived.
    Confirmed,
    /// The link was not what it was.
    Refuted,
}

impl Resumption {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Unvalidated => "unvalidated",
            Self::Validating => "validating",
            Self::Retreating => "retreating",
            Self::Confirmed => "confirmed",
            Self::Refuted => "refuted",
        }
    }
}

/// A window that jumped on the strength of a profile.
#[derive(Clone, Copy, Debug)]
pub struct Resume {
    state: Resumption,
    /// The window before.
    first: u64,
    /// When the first packet beyond that left.
    since: Instant,
    /// The last packet on the strength of the profile left before this.
    until: Instant,
    /// Bytes known to have been in the pipe and to have arrived.
    pipe: u64,
    /// The window the controller itself went down to.
    reduced: u64,
}

impl Resume {
    /// Lets the window of a fresh `controller` jump, if `profile` is of a link with round trips like `rtt`, the first one
    /// measured, and says more than the window has.
    pub fn begin(
        now: Instant,
        profile: &Profile,
        rtt: Duration,
        controller: &mut Controller,
    ) -> Option<Self> {
        let first = controller.window();
        let half = (profile.volume_in(rtt.min(profile.min_rtt)) / 2).min(MOST);
        // Windows that share a link grow together; what one of them carried alone is not its share.
        let alone = controller.algorithm() != Algorithm::Olia;
        if !alone || !profile.is_like(rtt) || half <= first || !controller.jump(half, rtt) {
            return None;
        }
        Some(Self { state: Resumption::Ready, first, since: now, until: now, pipe: 0, reduced: first })
    }

    /// How far it has come.
    pub fn state(&self) -> Resumption {
        self.state
    }

    /// Whether what becomes of the path's packets still matters.
    pub fn is_over(&self) -> bool {
        matches!(self.state, Resumption::Confirmed | Resumption::Refuted)
    }

    /// Whether the window must not grow: nothing is known of what it let through (RFC 9959).
    pub fn holds(&self) -> bool {
        matches!(self.state, Resumption::Unvalidated | Resumption::Retreating)
    }

    /// Packets leave; with them `in_flight` bytes are.
    pub fn on_sent(&mut self, now: Instant, in_flight: u64) {
        if self.state == Resumption::Ready && in_flight > self.first {
            (self.state, self.since, self.pipe) = (Resumption::Unvalidated, now, self.first);
        }
    }

    /// Packets were acknowledged; the controller heard of them already.
    pub fn on_ack(&mut self, now: Instant, ack: &Ack<'_>, controller: &mut Controller) {
        if self.state == Resumption::Ready || self.is_over() {
            return;
        }
        let sent_at = ack.largest_sent_at;
        self.pipe = self.pipe.saturating_add(ack.bytes);
        if self.state == Resumption::Unvalidated && sent_at >= self.since {
            (self.state, self.until) = (Resumption::Validating, now);
            // what was not used is not validated
            controller.trim(ack.in_flight.saturating_add(ack.bytes).max(self.first));
        } else if self.state == Resumption::Validating && sent_at >= self.until {
            self.state = Resumption::Confirmed;
        } else if self.state == Resumption::Retreating && sent_at >= self.until {
            controller.recover(self.reduced.min(self.pipe / 10 * 7));
            self.state = Resumption::Refuted;
        }
    }

    /// Packets were lost or marked; the controller heard of it already.
    pub fn on_congestion(&mut self, now: Instant, controller: &mut Controller) {
        match self.state {
            Resumption::Ready => {
                controller.retreat(self.first / 2);
                controller.recover(self.first / 10 * 7);
                self.state = Resumption::Refuted;
            }
            Resumption::Unvalidated | Resumption::Validating => {
                self.reduced = controller.window();
                controller.retreat(self.pipe / 2);
                (self.state, self.until) = (Resumption::Retreating, now);
            }
            Resumption::Retreating | Resumption::Confirmed | Resumption::Refuted => {}
        }
    }
}

impl Controller {
    /// An earlier connection knew more of the path: the window of a fresh one is `window` at least, in a round trip of
    /// `rtt`. Says whether it is fresh.
    fn jump(&mut self, window: u64, rtt: Duration) -> bool {
        match &mut self.law {
            Law::Cubic(cubic) => cubic.state_mut().jump_to(window),
            Law::NewReno(reno) => reno.state_mut().jump_to(window),
            Law::Olia(_) => false,
            Law::Bbr(bbr) => bbr.jump_to(window, nanos(rtt)),
        }
    }

    /// The window is `window` at most; slow start goes on.
    fn trim(&mut self, window: u64) {
        match &mut self.law {
            Law::Cubic(cubic) => cubic.state_mut().trim(window),
            Law::NewReno(reno) => reno.state_mut().trim(window),
            Law::Olia(_) => {}
            Law::Bbr(bbr) => bbr.trim(window),
        }
    }

    /// The window was larger than what is known of the path bears: it is `window` at most, and slow start is over.
    fn retreat(&mut self, window: u64) {
        match &mut self.law {
            Law::Cubic(cubic) => cubic.retreat(window),
            Law::NewReno(reno) => reno.state_mut().retreat(window),
            Law::Olia(_) => {}
            Law::Bbr(bbr) => bbr.trim(window),
        }
    }

    /// The path paused, carried `window` bytes in round trips of `before` until then, and loses nothing any more: up to what that is
    /// in round trips of `rtt`, of twice as much at most, the window may grow as in slow start.
    pub fn regain(&mut self, window: u64, before: Duration, rtt: Duration) {
        let (before, rtt) = (nanos(before).max(1), nanos(rtt));
        let longer = rtt.clamp(before, before.saturating_mul(2));
        let window = u128::from(window) * u128::from(longer) / u128::from(before);
        let window = u64::try_from(window).unwrap_or(u64::MAX);
        match &mut self.law {
            Law::Cubic(cubic) => cubic.regain(window),
            Law::NewReno(reno) => reno.state_mut().recover(window),
            // Coupled windows are no one path's, and BBR's follows from its rate.
            Law::Olia(_) | Law::Bbr(_) => {}
        }
    }

    /// Up to `window` it may grow as in slow start again.
    fn recover(&mut self, window: u64) {
        match &mut self.law {
            Law::Cubic(cubic) => cubic.state_mut().recover(window),
            Law::NewReno(reno) => reno.state_mut().recover(window),
            Law::Olia(_) | Law::Bbr(_) => {}
        }
    }
}
