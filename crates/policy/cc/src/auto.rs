//! Which controller suits a path: CUBIC where it is short and clean, BBR where it is long, or loses packets that met no
//! queue (decision 19).
//!
//! It counts what is lost while no queue stands, and looks at the least round trip. A slow start that an odd packet ended
//! without a queue is enough: where CUBIC would go on from there, with a window of a tenth of the path's or less, it takes
//! seconds to lose what it takes to be sure, and how many is chance. It changes its mind rarely: the first
//! time at once, later at most once a minute, and back only when what spoke for BBR has gone. It sends nothing and holds
//! no window.

use tq_time::{Duration, Instant};

use crate::controller::Algorithm;

#[cfg(test)]
mod tests;

/// From this least round trip on BBR, and below that CUBIC again, ns.
const LONG: u64 = 100_000_000;
const SHORT: u64 = 80_000_000;
/// Loss without a queue that speaks for BBR, per million, in so many packets and separate round trips.
const LOSSY: u64 = 1000;
const PACKETS: u64 = 2000;
const EVENTS: u32 = 2;
/// Much of it does sooner.
const VERY_LOSSY: u64 = 3000;
const FEW_PACKETS: u64 = 500;
const MANY_EVENTS: u32 = 4;
/// Plenty at once.
const PLENTY: u64 = 10_000;
const FEWEST_PACKETS: u64 = 150;
const SOME_EVENTS: u32 = 3;
/// What a slow start may lose in the round trip that ends it for that to be chance: so many packets, or one in so many. One that
/// runs over a queue loses a third.
const ODD: u64 = 2;
const ODD_SHARE: u64 = 30;
/// Bursts do as well, with a smaller share: each keeps CUBIC low for many seconds, so packets lost in so many events.
const BURSTS: u64 = 40;
const BURSTY: u64 = 400;
/// Packets after which old evidence counts half: no less than two hand-overs of a satellite at 15 s and 200 Mbit/s.
const MEMORY: u64 = 500_000;
/// A standing queue below a quarter of the longest that stood is none, nor is one below this, ns.
const SHALLOW: u64 = 4;
const TRIFLE: u64 = 2_000_000;
/// Nor is one of an eighth of the least round trip: so much jitter leaves in the least of a few samples.
const NEAR: u64 = 8;
/// Silence before a loss, of packets in flight, that tells of a radio which paused or changed hands.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest queue that stood is forgotten after once to twice this time.
const DEEP: Duration = Duration::from_secs(30);
/// The least round trip is forgotten after once to twice this time.
const SHORTEST: Duration = Duration::from_secs(10);
/// Least time between changes.
const STICKY: Duration = Duration::from_secs(60);
const LONGEST_STICKY: Duration = Duration::from_secs(600);

/// Evidence of one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chooser {
    acked: u64,
    /// Bytes lost without a queue, round trips in which that happened, when it did last.
    lost: u64,
    events: u32,
    event_at: Option<Instant>,
    /// The last loss was one without a queue.
    dry: bool,
    /// It followed a pause.
    paused: bool,
    /// The last acknowledgement while packets are in flight, and the end of the last pause.
    heard_at: Option<Instant>,
    pause_at: Option<Instant>,
    /// Longest standing queue of the span before and of this one, ns.
    deepest: [u64; 2],
    /// Least round trip of the span before and of this one, ns.
    least: [u64; 2],
    least_since: Instant,
    since: Instant,
    changed_at: Option<Instant>,
    sticky: Duration,
    opening: Opening,
}

/// How the first slow start ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Opening {
    /// It goes on, or ended without a loss, or at a queue.
    #[default]
    Fine,
    /// By a loss without a queue: bytes lost and acknowledged since.
    Ending { lost: u64, acked: u64 },
    /// By a few packets that met no queue.
    Odd,
}

impl Chooser {
    /// Nothing known.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            acked: 0,
            lost: 0,
            events: 0,
            event_at: None,
            dry: false,
            paused: false,
            heard_at: None,
            pause_at: None,
            deepest: [0; 2],
            least: [u64::MAX; 2],
            least_since: now,
            since: now,
            changed_at: None,
            sticky: STICKY,
            opening: Opening::Fine,
        }
    }

    /// Round trips are never below `known` ns any more: those that were went by another way back.
    pub(crate) fn on_min_rtt(&mut self, known: u64) {
        if self.least() < known {
            (self.least, self.deepest) = ([u64::MAX; 2], [0; 2]);
        }
    }

    /// `bytes` were acknowledged while the least round trips took `standing` ns; `busy`: more is in flight.
    pub(crate) fn on_acked(&mut self, now: Instant, bytes: u64, standing: u64, busy: bool, mtu: u64) {
        if self.heard_at.is_some_and(|at| now >= at + PAUSE) {
            self.pause_at = Some(now);
        }
        self.heard_at = busy.then_some(now);
        if now.saturating_since(self.least_since) >= SHORTEST {
            self.least = [self.least[1], u64::MAX];
            self.least_since = now;
        }
        self.least[1] = self.least[1].min(standing);
        let queue = self.queue(standing);
        if now.saturating_since(self.since) >= DEEP {
            self.deepest = [self.deepest[1], 0];
            self.since = now;
        }
        self.deepest[1] = self.deepest[1].max(queue);
        self.acked = self.acked.saturating_add(bytes);
        if let Opening::Ending { acked, .. } = &mut self.opening {
            *acked += bytes;
        }
        if self.acked > MEMORY * mtu {
            (self.acked, self.lost, self.events) = (self.acked / 2, self.lost / 2, self.events / 2);
        }
    }

    /// A round trip of `standing` ns longer than the least of late, ns. The least ever may have been that of another
    /// satellite.
    fn queue(&self, standing: u64) -> u64 {
        if standing == u64::MAX { 0 } else { standing.saturating_sub(self.least()) }
    }

    /// Least round trip of late, ns; zero before there is one.
    fn least(&self) -> u64 {
        match self.least[0].min(self.least[1]) {
            u64::MAX => 0,
            least => least,
        }
    }

    /// `bytes` were lost in the first slow start, the first of it, while round trips took `standing` ns.
    pub(crate) fn on_first_lost(&mut self, bytes: u64, standing: u64) {
        if self.queue(standing) <= TRIFLE.max(self.least() / NEAR) {
            self.opening = Opening::Ending { lost: bytes, acked: 0 };
        }
    }

    /// The reduction that followed has taken effect.
    pub(crate) fn on_recovered(&mut self, mtu: u64) {
        let Opening::Ending { lost, acked } = self.opening else { return };
        let odd = lost <= (ODD * mtu).max(acked / ODD_SHARE);
        self.opening = if odd { Opening::Odd } else { Opening::Fine };
        if odd {
            self.lost = self.lost.saturating_add(lost);
        }
    }

    /// `bytes` were lost while round trips took `standing` ns, after slow start; `None` if that belongs to an earlier loss: what
    /// was said of that holds. A round trip takes `srtt`.
    pub(crate) fn on_lost(&mut self, now: Instant, bytes: u64, standing: Option<u64>, srtt: Duration) {
        if let Opening::Ending { lost, .. } = &mut self.opening {
            *lost += bytes;
            return;
        }
        let deepest = self.deepest[0].max(self.deepest[1]);
        if let Some(standing) = standing {
            let trifle = TRIFLE.max(self.least() / NEAR);
            self.paused = self.pause_at.is_some_and(|at| now <= at + PAUSE + 2 * srtt);
            self.dry = self.paused || self.queue(standing) <= trifle.max(deepest / SHALLOW);
        }
        if !self.dry {
            return;
        }
        self.lost = self.lost.saturating_add(bytes);
        if self.event_at.is_none_or(|at| now > at + srtt) {
            self.events = self.events.saturating_add(if self.paused { 2 } else { 1 });
            self.event_at = Some(now);
        }
    }

    /// Loss without a queue, per million.
    fn loss(&self) -> u64 {
        let sent = u128::from(self.acked) + u128::from(self.lost);
        (u128::from(self.lost) * 1_000_000 / sent.max(1)) as u64
    }

    /// Bytes acknowledged and lost without a queue, as far as they are remembered.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.acked, self.lost)
    }

    /// What to change to from CUBIC, if anything; `min_rtt` in ns.
    pub(crate) fn leave_cubic(&mut self, now: Instant, min_rtt: u64, mtu: u64) -> Option<Algorithm> {
        let (sent, loss) = (self.acked.saturating_add(self.lost), self.loss());
        let lossy = sent >= PACKETS * mtu && loss >= LOSSY && self.events >= EVENTS
            || sent >= FEW_PACKETS * mtu && loss >= VERY_LOSSY && self.events >= MANY_EVENTS
            || sent >= FEWEST_PACKETS * mtu && loss >= PLENTY && self.events >= SOME_EVENTS
            || self.opening == Opening::Odd;
        let bursty = self.lost >= BURSTS * mtu && loss >= BURSTY && self.events >= EVENTS;
        let wanted = min_rtt >= LONG || lossy || bursty;
        (wanted && self.may_change(now)).then(|| self.change(now, Algorithm::Bbr))
    }

    /// What to change to from BBR, if anything, where the loss of the path itself is `lossy`.
    pub(crate) fn leave_bbr(&mut self, now: Instant, min_rtt: u64, lossy: bool) -> Option<Algorithm> {
        (min_rtt < SHORT && !lossy && self.may_change(now)).then(|| self.change(now, Algorithm::Cubic))
    }

    fn may_change(&self, now: Instant) -> bool {
        self.changed_at.is_none_or(|at| now >= at + self.sticky)
    }

    /// Each change makes the next one wait longer.
    fn change(&mut self, now: Instant, to: Algorithm) -> Algorithm {
        if self.changed_at.replace(now).is_some() {
            self.sticky = (2 * self.sticky).min(LONGEST_STICKY);
        }
        (self.acked, self.lost, self.events, self.event_at) = (0, 0, 0, None);
        self.opening = Opening::Fine;
        to
    }
}
