//! Whether a path carries ECN marks (RFC 9000 §13.4.2, A.4). Off unless configured; any doubt turns it off.

use tq_event::EcnState;
use tq_wire::EcnCounts;

/// Packets marked before the first counts are expected.
const TEST_PACKETS: u64 = 10;

/// ECN of one path.
#[derive(Clone, Debug)]
pub(crate) struct EcnPath {
    state: EcnState,
    /// By packet number space, as the counts of the peer are (RFC 9000 §13.4.1): Initial, Handshake, 1-RTT.
    spaces: [Marked; 3],
    /// Marks sent before the address was the one it is.
    before: u64,
}

/// Marks in one space.
#[derive(Clone, Copy, Debug, Default)]
struct Marked {
    sent: u64,
    counts: EcnCounts,
}

impl EcnPath {
    pub(crate) fn new(enabled: bool) -> Self {
        let state = if enabled { EcnState::Testing } else { EcnState::Failed };
        Self { state, spaces: Default::default(), before: 0 }
    }

    /// This state takes the place of `last` at another address. The peer counts on in each space whatever the address,
    /// so its counts and ours are carried over.
    pub(crate) fn go_on_from(&mut self, last: &Self) {
        self.spaces = last.spaces;
        self.before = self.sent();
    }

    fn sent(&self) -> u64 {
        self.spaces.iter().map(|space| space.sent).sum()
    }

    /// Whether to mark the next packet.
    #[inline]
    pub(crate) fn marks(&self) -> bool {
        matches!(self.state, EcnState::Testing | EcnState::Capable)
    }

    /// A marked packet was sent.
    pub(crate) fn on_sent(&mut self, space: usize) {
        self.spaces[space].sent += 1;
        if self.state == EcnState::Testing && self.sent() - self.before >= TEST_PACKETS {
            self.state = EcnState::Unknown;
        }
    }

    /// An ACK that raised the largest acknowledged number newly covers `marked` packets sent with ECT(0). Returns
    /// whether it reports new CE marks.
    // MUST 9000-13.4.2.2-1, 9000-13.4.2.2-2
    pub(crate) fn on_ack(&mut self, space: usize, marked: u64, counts: Option<EcnCounts>) -> bool {
        let known = &mut self.spaces[space];
        if self.state == EcnState::Failed || known.sent == 0 {
            // another address may be tried with marks again
            known.counts = counts.unwrap_or(known.counts);
            return false;
        }
        let Some(counts) = counts else {
            if marked > 0 {
                self.state = EcnState::Failed;
            }
            return false;
        };
        let grown = |new: u64, old: u64| new.checked_sub(old);
        let (Some(ect0), Some(ce)) =
            (grown(counts.ect0, known.counts.ect0), grown(counts.ce, known.counts.ce))
        else {
            self.state = EcnState::Failed;
            return false;
        };
        let too_many = counts.ect0.saturating_add(counts.ce) > known.sent;
        if ect0 + ce < marked || counts.ect1 != 0 || too_many {
            self.state = EcnState::Failed;
            return false;
        }
        known.counts = counts;
        if marked > 0 {
            self.state = EcnState::Capable;
        }
        ce > 0
    }

    /// Probe timeouts in a row while no mark was ever confirmed: the path may drop marked packets.
    pub(crate) fn on_silence(&mut self) {
        if matches!(self.state, EcnState::Testing | EcnState::Unknown)
            && self.sent() > self.before
            && (self.before > 0 || self.spaces.iter().all(|space| space.counts.is_zero()))
        {
            self.state = EcnState::Failed;
        }
    }

    /// State, for events and statistics.
    pub(crate) fn state(&self) -> EcnState {
        self.state
    }
}
