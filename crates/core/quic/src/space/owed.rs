//! Packet numbers received and the acknowledgements owed for them (RFC 9000 §13.2, ack-frequency draft).
//!
//! Decides what is a duplicate, when an ACK is due and what it says. It does not decide in which packet or on which
//! path an ACK travels, and it never looks into packets.
//!
//! Two sets of numbers are kept, because they are forgotten at different times: `owed` is what ACK frames report and
//! shrinks once the peer has heard it; `seen` is what duplicates are checked against and only grows, up to a bound
//! below which everything counts as seen.

use tq_buf::Ranges;
use tq_time::{Duration, Instant};
use tq_wire::frame::encode_ack;
use tq_wire::{Ecn, EcnCounts, PathId, VARINT_MAX, Writer};

#[cfg(test)]
mod tests;

/// Ranges reported in ACK frames; the oldest are dropped beyond it.
const OWED_RANGES: usize = 64;
/// Ranges remembered to recognise duplicates. Each number the peer lost or skipped makes a range, so this is how many
/// losses ago a packet may have been sent and still be accepted.
const SEEN_RANGES: usize = 256;

/// A path on which nothing came for this long may have fallen silent: others repeat what it was told last, this often.
pub(crate) const QUIET: Duration = Duration::from_millis(5);
const REPEATS: u8 = 2;
/// After this long whoever wanted to know it knows.
const FORGOTTEN: Duration = Duration::from_secs(1);

/// When to acknowledge: RFC 9000 §13.2 by default, else as the peer's last ACK_FREQUENCY asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AckPolicy {
    /// Ack-eliciting packets that may stay unacknowledged; one more and an ACK is due at once.
    pub(crate) threshold: u64,
    /// Longest delay of an ACK.
    pub(crate) max_delay: Duration,
    /// Gap in packet numbers that makes an ACK due at once; 1 is RFC 9000's rule, 0 is never.
    pub(crate) reordering: u64,
}

impl Default for AckPolicy {
    fn default() -> Self {
        Self { threshold: 1, max_delay: Duration::from_millis(5), reordering: 1 }
    }
}

impl AckPolicy {
    /// RFC 9000's rhythm with the max_ack_delay we declare, which counts whole milliseconds.
    // MUST 9000-13.2.1-1
    pub(crate) fn within(declared: Duration) -> Self {
        let millis = declared.as_millis().min((1 << 14) - 1);
        Self { max_delay: Duration::from_millis(millis as u64), ..Self::default() }
    }
}

/// Received numbers of one space.
///
/// A packet in order costs O(1), any other O(log ranges) plus moving at most half of [`SEEN_RANGES`] ranges. Memory
/// is at most 16 bytes for each of [`OWED_RANGES`] + [`SEEN_RANGES`] + 2 ranges.
#[derive(Debug)]
pub(crate) struct Owed {
    /// What the next ACK reports; always has the largest number received.
    owed: Ranges,
    /// Everything received, as far as remembered; all below `floor` counts as received.
    seen: Ranges,
    floor: u64,
    /// Largest number received and when.
    largest: Option<(u64, Instant)>,
    /// Largest number received in an ack-eliciting packet.
    largest_eliciting: Option<u64>,
    /// Largest number an ACK reported.
    reported: Option<u64>,
    /// Smallest number received that no ACK has reported yet.
    fresh: Option<u64>,
    ecn: EcnCounts,
    /// Whether the last packet was marked CE.
    ce: bool,
    policy: AckPolicy,
    /// ACKs are to be so many times fewer than asked for: where they go there is little room.
    thinned: u8,
    immediate: bool,
    /// Ack-eliciting packets since the last ACK.
    unacked: u64,
    /// When the first of them came.
    since: Option<Instant>,
    at_once: bool,
    /// Something ack-eliciting came since an ACK went on the path itself.
    news: bool,
    /// How often the newest was repeated on other paths.
    repeated: u8,
}

impl Owed {
    /// Nothing received. With `immediate`, every ack-eliciting packet makes an ACK due at once.
    pub(crate) fn new(immediate: bool) -> Self {
        Self {
            owed: Ranges::new(),
            seen: Ranges::new(),
            floor: 0,
            largest: None,
            largest_eliciting: None,
            reported: None,
            fresh: None,
            ecn: EcnCounts::default(),
            ce: false,
            policy: AckPolicy::default(),
            thinned: 1,
            immediate,
            unacked: 0,
            since: None,
            at_once: false,
            news: false,
            repeated: 0,
        }
    }

    /// Whether `pn` was received before, or is too old to tell.
    // MUST 9000-12.3-4
    pub(crate) fn is_duplicate(&self, pn: u64) -> bool {
        if self.largest.is_none_or(|(largest, _)| pn > largest) {
            return false;
        }
        pn < self.floor || self.seen.contains(pn)
    }

    /// Largest number received plus one, 0 at first: what packet numbers are decoded against.
    pub(crate) fn expected(&self) -> u64 {
        self.largest.map_or(0, |(largest, _)| largest + 1)
    }

    /// Largest number received.
    pub(crate) fn largest(&self) -> Option<u64> {
        self.largest.map(|(largest, _)| largest)
    }

    /// A packet was received and is not a duplicate (a duplicate changes nothing).
    // MUST 9000-13.2.1-2, 9000-13.2.1-4
    pub(crate) fn on_packet(&mut self, now: Instant, pn: u64, eliciting: bool, ecn: Ecn) {
        if self.is_duplicate(pn) {
            return;
        }
        self.remember(now, pn);
        self.ecn.count(ecn);
        let ce = ecn == Ecn::Ce;
        if eliciting {
            let late = self.largest_eliciting.is_some_and(|largest| pn < largest);
            self.largest_eliciting = self.largest_eliciting.max(Some(pn));
            self.unacked += 1;
            self.news = true;
            self.repeated = 0;
            self.since.get_or_insert(now);
            // The first mark is news for congestion control, and so is the end of marking, though the draft does not
            // ask for it; with the default rhythm every mark is (RFC 9000 §13.2.1).
            let marked = ce != self.ce || ce && self.policy.threshold <= 1;
            self.at_once |= self.immediate
                || marked
                || self.unacked > self.threshold()
                || late && self.policy.reordering == 1
                || self.has_reportable_gap();
        }
        self.ce = ce;
    }

    // MUST 9000-13.2.3-1
    fn remember(&mut self, now: Instant, pn: u64) {
        self.seen.insert_one(pn);
        if self.seen.len() > SEEN_RANGES
            && let Some(oldest) = self.seen.pop_first()
        {
            self.floor = oldest.end;
        }
        self.owed.insert_one(pn);
        if self.owed.len() > OWED_RANGES {
            self.owed.keep_highest(OWED_RANGES);
        }
        self.fresh = Some(self.fresh.map_or(pn, |fresh| fresh.min(pn)));
        if self.largest.is_none_or(|(largest, _)| pn > largest) {
            self.largest = Some((pn, now));
        }
    }

    /// Whether a number is missing that the peer could declare lost if it heard of the largest one, and that no ACK
    /// has let it declare lost yet (ack-frequency draft, out-of-order packets).
    fn has_reportable_gap(&self) -> bool {
        let (Some(largest), 1..) = (self.largest_eliciting, self.policy.reordering) else { return false };
        let from = self.reported.map_or(0, |reported| (reported + 1).saturating_sub(self.policy.reordering));
        let to = (largest + 1).saturating_sub(self.policy.reordering);
        !self.seen.covers(from.max(self.floor)..to)
    }

    /// Changes when ACKs are due, also for packets already waiting for one.
    pub(crate) fn set_policy(&mut self, policy: AckPolicy) {
        self.policy = policy;
        self.at_once |= self.unacked > self.threshold();
    }

    /// Makes ACKs `times` fewer than the peer asked for; the longest delay stays.
    pub(crate) fn thin(&mut self, times: u8) {
        self.thinned = times.max(1);
    }

    /// Ack-eliciting packets that may stay unacknowledged.
    fn threshold(&self) -> u64 {
        (self.policy.threshold.saturating_add(1)).saturating_mul(self.thinned.into()) - 1
    }

    /// Makes an ACK due at once (IMMEDIATE_ACK); whether before or after the packet is recorded does not matter.
    pub(crate) fn ack_at_once(&mut self) {
        self.at_once = true;
    }

    /// Whether an ACK is due.
    pub(crate) fn wants(&self, now: Instant) -> bool {
        self.largest.is_some() && (self.at_once || self.deadline().is_some_and(|due| due <= now))
    }

    /// Whether an ack-eliciting packet waits for an ACK: put one into a packet that is sent anyway.
    pub(crate) fn pending(&self) -> bool {
        self.unacked > 0
    }

    /// Whether something ack-eliciting came since [`Owed::on_own_path`]: the path itself is owed an ACK, wherever others
    /// went.
    pub(crate) fn has_news(&self) -> bool {
        self.news
    }

    /// Whether another path is to repeat what was acknowledged: nothing came for a while, and if the path is silent both
    /// ways, its last acknowledgements were lost.
    pub(crate) fn is_worth_repeating(&self, now: Instant) -> bool {
        let quiet = self.largest.map_or(Duration::ZERO, |(_, at)| now.saturating_since(at));
        self.largest_eliciting.is_some() && self.repeated < REPEATS && (QUIET..FORGOTTEN).contains(&quiet)
    }

    /// Another path repeats it.
    pub(crate) fn on_repeated(&mut self) {
        self.repeated += 1;
    }

    /// An ACK goes on the path itself.
    pub(crate) fn on_own_path(&mut self) {
        self.news = false;
    }

    /// When the delayed ACK is due; `None` if nothing waits for one.
    // MUST 9000-13.2.1-1
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + self.policy.max_delay)
    }

    /// Writes an ACK, or a PATH_ACK if `path` is given, of as many of the newest ranges as fit. `exponent` is the
    /// ack_delay_exponent we advertised (0 to 20). Returns the largest number acknowledged; `None`, and nothing
    /// written, if nothing was received yet or there is no room.
    // MUST 9000-13.2.1-3, 9000-13.2.5-1
    pub(crate) fn write(
        &mut self,
        now: Instant,
        out: &mut Writer<'_>,
        path: Option<PathId>,
        exponent: u8,
    ) -> Option<u64> {
        let (largest, ranges) = self.encode(now, out, path, exponent)?;
        self.reported = Some(largest);
        self.at_once = false;
        (self.unacked, self.since) = (0, None);
        let lowest = self.owed.iter().rev().nth(ranges - 1).map_or(0, |range| range.start);
        if self.owed.len() == ranges || self.fresh.is_none_or(|fresh| fresh >= lowest) {
            self.fresh = None;
        } else {
            // A late packet did not fit: the next ACK within the usual delay tries again.
            (self.unacked, self.since) = (1, Some(now));
        }
        Some(largest)
    }

    /// Writes the same beside those that are due: one is due no later for it. For the path itself while another one
    /// carries what is due.
    pub(crate) fn write_copy(
        &self,
        now: Instant,
        out: &mut Writer<'_>,
        path: Option<PathId>,
        exponent: u8,
    ) -> Option<u64> {
        self.encode(now, out, path, exponent).map(|(largest, _)| largest)
    }

    /// Gives the largest number acknowledged and how many ranges fitted.
    fn encode(
        &self,
        now: Instant,
        out: &mut Writer<'_>,
        path: Option<PathId>,
        exponent: u8,
    ) -> Option<(u64, usize)> {
        let (largest, at) = self.largest?;
        let micros = now.saturating_since(at).as_micros() >> exponent.min(20);
        let delay = u64::try_from(micros).unwrap_or(u64::MAX).min(VARINT_MAX);
        let ecn = (!self.ecn.is_zero()).then_some(self.ecn);
        let ranges = encode_ack(out, path, self.owed.iter(), delay, ecn);
        (ranges > 0).then_some((largest, ranges))
    }

    /// The peer has received an ACK up to `largest`: what it reported need not be reported again (RFC 9000 §13.2.4).
    /// The largest number received always stays, and so does what no ACK has reported yet.
    // MUST 9000-13.2.3-2
    pub(crate) fn on_ack_acked(&mut self, largest: u64) {
        let Some((newest, _)) = self.largest else { return };
        let bound = largest.saturating_add(1).min(newest);
        self.owed.remove_below(self.fresh.map_or(bound, |fresh| fresh.min(bound)));
    }
}
