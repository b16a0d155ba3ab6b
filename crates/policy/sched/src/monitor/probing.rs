//! When a path that shows no progress is asked, and how.
//!
//! Every 250 ms for the two minutes that a path is kept, then every 500 ms while data waits and every 2 s otherwise: never backing off, since
//! a probe is some 40 bytes. Every fourth asks for the path's validation too, in case a NAT forgot it.

use tq_time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(2);
const FIRST_PHASE: Duration = Duration::from_secs(120);
/// Replies further apart are not two signs of the same life.
const TOGETHER: Duration = Duration::from_secs(3);
/// A burst is probes at 0, 50 and 150 ms, no more often than this.
const BURST_EVERY: Duration = Duration::from_secs(1);

/// What is sent on a path to see whether it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A small ack-eliciting packet.
    Ping,
    /// A PATH_CHALLENGE padded to 1200 bytes.
    Challenge,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Probing {
    started: Option<Instant>,
    sent_at: Instant,
    due: Instant,
    count: u32,
    burst_at: Option<Instant>,
    burst_left: u8,
    reply_at: Option<Instant>,
}

impl Probing {
    /// A new silence or outage; the first probe is due at once.
    pub(super) fn restart(&mut self, now: Instant) {
        *self =
            Self { started: Some(now), sent_at: now, due: now, burst_at: self.burst_at, ..Self::default() };
    }

    /// Three probes close together; `false` if the last burst is too recent.
    pub(super) fn burst(&mut self, now: Instant) -> bool {
        let recent = self.burst_at.is_some_and(|at| now.saturating_since(at) < BURST_EVERY);
        if !recent {
            (self.burst_at, self.burst_left, self.due) = (Some(now), 2, now);
        }
        !recent
    }

    /// Nothing is due for `by`.
    pub(super) fn postpone(&mut self, now: Instant, by: Duration) {
        self.due = now + by;
    }

    /// Whether this was started at or after `since`.
    pub(super) fn asked_since(&self, since: Option<Instant>) -> bool {
        matches!((self.started, since), (Some(started), Some(since)) if started >= since)
    }

    /// When the next probe is due, or the next look at a path that is asked nothing.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// The same of a path that is out: after two minutes the interval depends on demand.
    pub(super) fn due_out(&self, demand: bool) -> Instant {
        let slow = self.sent_at.saturating_since(self.started.unwrap_or(self.sent_at)) >= FIRST_PHASE;
        match (slow && self.due == self.sent_at + EVERY, demand) {
            (false, _) => self.due,
            (true, true) => self.sent_at + LATER,
            (true, false) => self.sent_at + IDLE,
        }
    }

    /// The probe that is due now; the next follows in a burst's or an outage's rhythm.
    pub(super) fn next(&mut self, now: Instant) -> Probe {
        let after = match self.burst_left {
            2 => Duration::from_millis(50),
            1 => Duration::from_millis(100),
            _ => EVERY,
        };
        self.burst_left = self.burst_left.saturating_sub(1);
        self.next_after(now, after)
    }

    /// The probe that is due now; the next follows in `after`.
    pub(super) fn next_after(&mut self, now: Instant, after: Duration) -> Probe {
        self.sent_at = now;
        self.due = now + after;
        self.count = self.count.wrapping_add(1);
        if self.count.is_multiple_of(4) { Probe::Challenge } else { Probe::Ping }
    }

    /// A probe was answered; `true` with the second in time.
    pub(super) fn on_reply(&mut self, now: Instant) -> bool {
        let second = self.reply_at.is_some_and(|at| now.saturating_since(at) <= TOGETHER);
        self.reply_at = Some(now);
        second
    }
}
