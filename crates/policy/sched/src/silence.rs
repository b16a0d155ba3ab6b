//! How long a path may be silent before that means something.
//!
//! The usual gap between two acknowledgements that acknowledge something new, kept as a decaying maximum over busy
//! periods. A growing queue is not mistaken for silence: acknowledgements keep coming at the bottleneck's pace
//! whatever the delay. RFC 9002's PTO cannot serve, being re-armed by every packet sent.

use tq_time::{Duration, Instant};

use crate::math::{MS, SECOND, halved};

#[cfg(test)]
mod tests;

/// Usual gap assumed at first, ns.
const FIRST_GAP: u64 = 5 * MS;
/// Longer gaps are outages, not habits, ns.
const LONGEST_GAP: u64 = 200 * MS;
/// The maximum halves in this time, ns.
const HALF_LIFE: u64 = 10 * SECOND;
/// Longer silences that ended by themselves are outages, not pauses, ns.
const LONGEST_PAUSE: u64 = SECOND;
/// The longest pause halves in this time, ns: satellites are handed over each 15 s.
const PAUSE_HALF_LIFE: u64 = 30 * SECOND;
/// Bounds of the tolerance, ns.
const SHORTEST: u64 = 15 * MS;
const LONGEST: u64 = 50 * MS;
/// A sender that lets so much pass between two packets has paused, ns.
const SENDER_PAUSE: u64 = 5 * MS;
/// Another path with an RTT up to this is a good place for data sent again, ns.
const NEAR: u64 = 100 * MS;

/// What a path has outstanding, asked when silence is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// When the oldest ack-eliciting packet outstanding was sent; `None` if none is.
    pub oldest_sent: Option<Instant>,
    /// Smoothed RTT of the shortest fresh acknowledgement path ([`crate::RttMatrix::fastest`]).
    pub srtt: Duration,
    /// Its variation.
    pub rttvar: Duration,
    /// Longest the peer may hold an acknowledgement back at present.
    pub ack_delay: Duration,
    /// Smallest RTT of the other paths in service; `None` if there are none.
    pub other_rtt: Option<Duration>,
    /// Data waits to be sent: probes stay frequent.
    pub demand: bool,
    /// An idle path is asked for a sign of life after this long; zero never. 5 s, 15 s on metered links.
    pub keep_alive: Duration,
}

/// Gap detector of one path and direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    gap: u64,
    gap_at: Instant,
    /// Longest silence that ended by itself, and when.
    pause: u64,
    pause_at: Instant,
    /// Silence of all was taken off the present one already.
    forgiven: bool,
    /// Since when something has been outstanding without a pause.
    busy_since: Option<Instant>,
    progress_at: Option<Instant>,
    /// Progress was made in this busy period.
    heard: bool,
    /// The next answer is not due before.
    due: Option<Instant>,
    /// Last time the path answered a question although nothing was acknowledged.
    answered_at: Option<Instant>,
    /// When the newest packet left.
    sent_at: Instant,
    /// When the sender went on after its first pause in the present recovery; zero if there was none.
    resumed: Instant,
}

impl Silence {
    /// A detector that assumes 5 ms between acknowledgements.
    pub fn new(now: Instant) -> Self {
        Self {
            gap: FIRST_GAP,
            gap_at: now,
            pause: 0,
            pause_at: now,
            forgiven: false,
            busy_since: None,
            progress_at: None,
            heard: false,
            due: None,
            answered_at: None,
            sent_at: now,
            resumed: Instant::ZERO,
        }
    }

    /// An ack-eliciting packet left; `recovering` while no effect of a smaller window was seen.
    pub fn on_sent(&mut self, now: Instant, recovering: bool) {
        let paused = core::mem::replace(&mut self.sent_at, now) + Duration::from_nanos(SENDER_PAUSE) < now;
        self.resumed = match self.resumed {
            _ if !recovering => Instant::ZERO,
            Instant::ZERO if paused => now,
            resumed => resumed,
        };
        if self.busy_since.is_none() {
            self.busy_since = Some(now);
            self.heard = false;
        }
    }

    /// When the oldest packet was sent that has to be answered. A window that shrank lets the sender rest until less is
    /// outstanding, and what left last before may be in the same loss: what leaves after that is the question.
    fn asked_at(&self, oldest: Instant) -> Instant {
        self.resumed.max(oldest)
    }

    /// The oldest packet outstanding left at `oldest`, and its answer takes `srtt`; tells when it is due. What passes until
    /// then is nobody's silence. A sender that starts slowly leaves gaps of a round trip, which are no habit of the path.
    pub fn expect(&mut self, oldest: Instant, srtt: Duration) -> Instant {
        *self.due.insert(self.asked_at(oldest) + srtt)
    }

    /// Something new was acknowledged; `idle` if nothing is outstanding any more.
    pub fn on_progress(&mut self, now: Instant, idle: bool) {
        let due = self.due.take();
        if let (true, Some(last)) = (self.heard, self.progress_at) {
            let last = due.map_or(last, |due| due.max(last));
            let gap = nanos(now.saturating_since(last));
            if gap <= LONGEST_GAP && gap >= self.usual_gap(now) {
                self.gap = gap;
                self.gap_at = now;
            }
            self.on_pause(now, gap);
        }
        self.forgiven = false;
        self.progress_at = Some(now);
        self.answered_at = None;
        self.heard = true;
        if idle {
            self.on_idle();
        }
    }

    /// A silence of `lasted` (ns) ended by itself.
    fn on_pause(&mut self, now: Instant, lasted: u64) {
        if lasted <= LONGEST_PAUSE && lasted >= self.usual_pause(now) {
            (self.pause, self.pause_at) = (lasted, now);
        }
    }

    /// The path that was taken to be out since `since` goes on by itself: it pauses for so long.
    pub fn on_back(&mut self, now: Instant, since: Instant) {
        self.on_pause(now, nanos(now.saturating_since(since)));
    }

    /// Longest pause of late, ns: halved every 30 s.
    fn usual_pause(&self, now: Instant) -> u64 {
        halved(self.pause, nanos(now.saturating_since(self.pause_at)), PAUSE_HALF_LIFE)
    }

    /// The longest pause the path was known for when the present silence began.
    pub fn known_pause(&self) -> Duration {
        let at = self.since().map_or(self.pause_at, |since| since.max(self.pause_at));
        Duration::from_nanos(self.usual_pause(at))
    }

    /// A challenge was answered on the path itself: it works both ways, even if acknowledgements do not come.
    pub fn on_answer(&mut self, now: Instant) {
        self.answered_at = Some(now);
    }

    /// Last time that was so since anything was acknowledged.
    pub fn answered(&self) -> Option<Instant> {
        self.answered_at
    }

    /// Nothing is outstanding any more: what follows is another busy period.
    pub fn on_idle(&mut self) {
        self.busy_since = None;
        self.heard = false;
    }

    /// The host did nothing for `away`: that time was nobody's silence.
    pub fn on_stall(&mut self, away: Duration) {
        self.progress_at = self.progress_at.map(|at| at + away);
        self.busy_since = self.busy_since.map(|at| at + away);
    }

    /// Another path was silent with this one for `away`, and has gone on: it was the peer or the last mile. Once in a silence,
    /// so that gaps of the other path do not hide this one's death.
    pub fn forgive(&mut self, away: Duration) {
        if !core::mem::replace(&mut self.forgiven, true) {
            self.on_stall(away);
        }
    }

    /// Whether something is outstanding.
    pub fn is_busy(&self) -> bool {
        self.busy_since.is_some()
    }

    /// Last time something was acknowledged.
    pub fn last_progress(&self) -> Option<Instant> {
        self.progress_at
    }

    /// Since when the path has been silent; `None` if nothing is outstanding.
    pub fn since(&self) -> Option<Instant> {
        let busy = self.busy_since?;
        Some(self.progress_at.map_or(busy, |at| at.max(busy)))
    }

    /// Usual gap now, ns: the largest one seen, halved every 10 s.
    fn usual_gap(&self, now: Instant) -> u64 {
        halved(self.gap, nanos(now.saturating_since(self.gap_at)), HALF_LIFE)
    }

    /// Silence tolerated (15 to 50 ms): twice the usual gap. Without another path within 100 ms the upper bound
    /// is half the RTT if that is more, since nothing could be delivered sooner elsewhere.
    pub fn tolerance(&self, now: Instant, load: &Load) -> Duration {
        let near = load.other_rtt.is_some_and(|rtt| nanos(rtt) <= NEAR);
        let longest = if near { LONGEST } else { LONGEST.max(nanos(load.srtt) / 2) };
        Duration::from_nanos((2 * self.usual_gap(now)).clamp(SHORTEST, longest))
    }

    /// When silence becomes suspicious; `None` if nothing is outstanding.
    ///
    /// `max(silent since + tolerance, oldest sent + srtt + max(2·rttvar, 1 ms) + ack delay)`
    pub fn suspect_at(&self, load: &Load) -> Option<Instant> {
        let since = self.since()?;
        let oldest = self.asked_at(load.oldest_sent?);
        // The usual gap as it was when the silence began: it does not shrink while one waits.
        let silent = since + self.tolerance(since.max(self.gap_at), load);
        let due = oldest + load.srtt + (2 * load.rttvar).max(Duration::from_millis(1)) + load.ack_delay;
        Some(silent.max(due))
    }
}

/// Nanoseconds of a duration, cut off at 64 bits.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What other paths say about one that is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// Another path made progress well after this one fell silent: it is this path.
    Heard,
    /// One did, but it has been silent for a while as well: longer paths are heard a little longer when all die at once.
    /// Enough for a suspicion, not for more.
    Faded,
    /// Other paths are alive and have nothing outstanding: sending there is the question and the answer.
    Idle,
    /// Every path with something outstanding is silent: the host, the peer or the last mile. None is to blame.
    Silent,
    /// There is no other path.
    Alone,
}
