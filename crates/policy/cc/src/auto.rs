//! Which controller suits a path: CUBIC where it is short and clean, BBR where it is long, or loses packets that met no
//! queue (decision 19).
//!
//! It looks at the least round trip, and asks of each loss whether the path was full: an odd packet that is lost while much less
//! is delivered than the path was seen to carry, or while slow start still delivers more each round trip, and no queue stands,
//! did not overflow anything. A little of that is enough, since CUBIC falls with each loss and what it would take to count a rate of
//! them takes it seconds. It changes its mind rarely: the first time at once, later at most once a minute, and back only when
//! what spoke for BBR has gone. It sends nothing and holds no window.

use tq_time::{Duration, Instant};

use crate::controller::Algorithm;

#[cfg(test)]
mod tests;

/// From this least round trip on BBR, and below that CUBIC again, ns.
const LONG: u64 = 100_000_000;
const SHORT: u64 = 80_000_000;
/// What is delivered at a loss falls short of the best from here on, per mille of that; and so much of it, over several losses,
/// that they are not of a full path: one at half of the rate, or two at three quarters.
const BELOW: u32 = 250;
const FAR_BELOW: u32 = 500;
/// What may be lost until the reduction has taken effect for that to be chance: so many packets, or one in so many. A slow start that
/// runs over a queue loses a third, and so does what a policer holds to a rate.
const ODD: u8 = 2;
const ODD_SHARE: u64 = 30;
/// The same in what leaves first, before twice the initial window was acknowledged: half of that window. A radio that just
/// changed hands loses some of it, and a threshold at so little would hold CUBIC down for many seconds.
const ODD_FIRST: u8 = 5;
const FIRST: u64 = 20;
/// Round trips after a loss in which another one may still be of what that one was: others send as before.
const SOON: u32 = 3;
/// More is a burst, from so many packets on; that many bursts without a queue speak for BBR as well: each keeps CUBIC low for
/// many seconds. One that follows a pause counts twice, one that follows another loss within this time not at all: that is still
/// the same trouble.
const BURST: u64 = 20;
const BURSTS: u8 = 2;
const APART: Duration = Duration::from_secs(1);
/// Packets after which old ones count half in the loss that is told to BBR.
const MEMORY: u64 = 500_000;
/// A standing queue below a quarter of the longest that stood is none, nor is one below this, ns.
const SHALLOW: u64 = 4;
const TRIFLE: u64 = 2_000_000;
/// Nor is one of an eighth of the least round trip: so much jitter leaves in the least of a few samples.
const NEAR: u64 = 8;
/// Silence before a loss, of packets in flight, that tells of a radio which paused or changed hands.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest queue that stood, the best rate and bursts are forgotten after once to twice this time: no less than what lies
/// between two hand-overs of a satellite.
const DEEP: Duration = Duration::from_secs(30);
/// Where packets jitter and keep their order few of them travel faster than many: the least round trip is one of those in which
/// this part of the best rate was delivered, at least.
const PART: u32 = 4;
/// The least round trip is forgotten after once to twice this time.
const SHORTEST: Duration = Duration::from_secs(10);
/// Least time between changes.
const STICKY: Duration = Duration::from_secs(60);
const LONGEST_STICKY: Duration = Duration::from_secs(600);

/// Evidence of one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chooser {
    acked: u64,
    /// Bytes lost by chance.
    lost: u64,
    /// The last acknowledgement while packets are in flight, and the end of the last pause.
    heard_at: Option<Instant>,
    pause_at: Option<Instant>,
    /// Longest standing queue of the span before and of this one, ns.
    deepest: [u64; 2],
    /// Highest rate of a round trip in these, in the governor's units; of now on, once a queue stood at a loss.
    best: [u32; 2],
    /// Bursts lost in these.
    bursts: [u8; 2],
    /// Least round trips since the last loss, ns: their sum and number.
    usual: (u64, u32),
    /// Least round trip of the span before and of this one, ns.
    least: [u64; 2],
    least_since: Instant,
    least_rate: u32,
    since: Instant,
    changed_at: Option<Instant>,
    sticky: Duration,
    /// The loss that is being answered.
    answering: Option<Loss>,
    /// When the last began, or this path did.
    lost_at: Instant,
    /// By how much losses fell short of the best rate, per mille.
    short: u32,
    /// The first slow start was ended by a few packets that met no queue.
    odd: bool,
}

/// A loss and those that followed until its reduction took effect.
#[derive(Clone, Copy, Debug)]
struct Loss {
    /// Bytes lost, and acknowledged since.
    lost: u32,
    acked: u32,
    /// What it tells if few packets were lost, and how many those may be.
    tells: Tells,
    odd: u8,
    /// How many bursts it counts for if many were.
    bursts: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    /// Neither: too soon after another.
    Nothing,
    /// It may have been, as much is delivered as ever.
    Near,
    /// The path was not full when this ended slow start.
    Odd,
    /// It was not, by so much of its best rate, per mille.
    Short(u16),
    /// It was, at this rate.
    Full(u32),
}

/// What the path did last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// Least round trip of late, ns; `u64::MAX` if unknown. And the newest.
    pub(crate) standing: u64,
    pub(crate) latest: u64,
    /// What it delivered in a round trip, in the governor's units.
    pub(crate) rate: u32,
}

impl Chooser {
    /// Nothing known.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            acked: 0,
            lost: 0,
            heard_at: None,
            pause_at: None,
            deepest: [0; 2],
            least: [u64::MAX; 2],
            least_since: now,
            least_rate: 0,
            since: now,
            changed_at: None,
            sticky: STICKY,
            best: [0; 2],
            bursts: [0; 2],
            usual: (0, 0),
            answering: None,
            lost_at: now,
            short: 0,
            odd: false,
        }
    }

    /// Round trips are never below `known` ns any more: those that were went by another way back.
    pub(crate) fn on_min_rtt(&mut self, known: u64) {
        if self.least() < known {
            (self.least, self.deepest, self.usual) = ([u64::MAX; 2], [0; 2], (0, 0));
        }
    }

    /// `bytes` were acknowledged; `busy`: more is in flight.
    pub(crate) fn on_acked(&mut self, now: Instant, bytes: u64, shown: Shown, busy: bool, mtu: u64) {
        let standing = shown.standing;
        if self.heard_at.is_some_and(|at| now >= at + PAUSE) {
            self.pause_at = Some(now);
        }
        self.heard_at = busy.then_some(now);
        if shown.rate > self.least_rate.saturating_mul(PART) {
            (self.least, self.least_rate) = ([u64::MAX; 2], shown.rate);
        }
        if now.saturating_since(self.least_since) >= SHORTEST {
            self.least = [self.least[1], u64::MAX];
            self.least_since = now;
        }
        self.least[1] = self.least[1].min(standing);
        let queue = self.queue(standing);
        if now.saturating_since(self.since) >= DEEP {
            (self.deepest, self.best) = ([self.deepest[1], 0], [self.best[1], 0]);
            self.bursts = [self.bursts[1], 0];
            self.since = now;
        }
        self.deepest[1] = self.deepest[1].max(queue);
        self.best[1] = self.best[1].max(shown.rate);
        self.usual = (self.usual.0.saturating_add(shown.latest), self.usual.1.saturating_add(1));
        self.acked = self.acked.saturating_add(bytes);
        if let Some(loss) = &mut self.answering {
            loss.acked = loss.acked.saturating_add(small(bytes));
        }
        if self.acked > MEMORY * mtu {
            (self.acked, self.lost) = (self.acked / 2, self.lost / 2);
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

    /// `bytes` were lost in the first slow start, the first of it; `rising`: it still delivers more each round trip.
    pub(crate) fn on_first_lost(&mut self, now: Instant, bytes: u64, shown: Shown, rising: bool, mtu: u64) {
        let odd = if self.acked < FIRST * mtu { ODD_FIRST } else { ODD };
        let full = !rising && self.queue(shown.standing) > self.trifle();
        let tells = if full { Tells::Full(shown.rate) } else { Tells::Odd };
        self.answering = Some(Loss { lost: small(bytes), acked: 0, tells, odd, bursts: 0 });
        self.lost_at = now;
    }

    /// The reduction that followed has taken effect.
    pub(crate) fn on_recovered(&mut self, mtu: u64) {
        let Some(Loss { lost, acked, tells, odd, bursts }) = self.answering.take() else { return };
        let (lost, acked) = (u64::from(lost), u64::from(acked));
        self.usual = (0, 0);
        let few = lost <= (u64::from(odd) * mtu).max(acked / ODD_SHARE);
        match tells {
            // The path carries no more than this, whatever it did before.
            Tells::Full(rate) => (self.best, self.short, self.bursts) = ([0, rate], 0, [0; 2]),
            _ if !few => {
                (self.best, self.short) = ([0; 2], 0);
                let more = if lost >= BURST * mtu { bursts } else { 0 };
                self.bursts[1] = self.bursts[1].saturating_add(more);
                return;
            }
            Tells::Odd => self.odd = true,
            Tells::Nothing => {}
            Tells::Near => self.short /= 2,
            Tells::Short(by) => self.short = self.short.saturating_add(by.into()),
        }
        if !matches!(tells, Tells::Full(_)) {
            self.lost = self.lost.saturating_add(lost);
        }
    }

    /// `bytes` were lost after slow start; `None` if that belongs to an earlier loss. A round trip takes `srtt`.
    pub(crate) fn on_lost(&mut self, now: Instant, bytes: u64, shown: Option<Shown>, srtt: Duration) {
        if let Some(loss) = &mut self.answering {
            loss.lost = loss.lost.saturating_add(small(bytes));
        } else if let Some(shown) = shown {
            let paused = self.pause_at.is_some_and(|at| now <= at + PAUSE + 2 * srtt);
            let soon = now < self.lost_at + SOON * srtt;
            let tells = self.asked(shown, paused, soon);
            let apart = now >= self.lost_at + APART;
            let bursts = if apart { 1 + u8::from(paused) } else { 0 };
            self.answering = Some(Loss { lost: small(bytes), acked: 0, tells, odd: ODD, bursts });
            self.lost_at = now;
        }
    }

    /// Whether the path was full at a loss. One that overflows even a short queue does so while round trips take longer than
    /// they did since the last loss; and without a queue, a policer does so at its rate.
    fn asked(&self, shown: Shown, paused: bool, soon: bool) -> Tells {
        let deepest = self.deepest[0].max(self.deepest[1]);
        let queue = self.queue(shown.standing);
        if !paused && queue > self.trifle().max(deepest / SHALLOW) {
            return Tells::Full(shown.rate);
        }
        if soon {
            return Tells::Nothing;
        }
        let usual = self.queue(self.usual.0 / u64::from(self.usual.1.max(1)));
        let best = self.best[0].max(self.best[1]).max(1);
        let short = u64::from(best.saturating_sub(shown.rate)) * 1000 / u64::from(best);
        let short = u16::try_from(short).unwrap_or(u16::MAX);
        if u32::from(short) < BELOW || self.queue(shown.latest) > usual + usual / 2 {
            Tells::Near
        } else {
            Tells::Short(short)
        }
    }

    /// So much longer than the least a round trip takes without a queue, ns.
    fn trifle(&self) -> u64 {
        TRIFLE.max(self.least() / NEAR)
    }

    /// Bytes acknowledged and lost by chance, as far as they are remembered.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.acked, self.lost)
    }

    /// What to change to from CUBIC, if anything; `min_rtt` in ns.
    pub(crate) fn leave_cubic(&mut self, now: Instant, min_rtt: u64) -> Option<Algorithm> {
        let bursts = self.bursts[0].saturating_add(self.bursts[1]);
        let wanted = min_rtt >= LONG || self.odd || self.short >= FAR_BELOW || bursts >= BURSTS;
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
        (self.acked, self.lost, self.best, self.bursts) = (0, 0, [0; 2], [0; 2]);
        (self.answering, self.short, self.odd) = (None, 0, false);
        to
    }
}

/// Bytes of one loss.
fn small(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
