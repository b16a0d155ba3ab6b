//! The sending part of a stream (RFC 9000 §3.1): what was written, how far it may go, and how it ends.
//!
//! Decides which bytes a STREAM frame carries next. The connection's credit is handed in; whose turn it is and how the
//! frame is laid out is not decided here.

use core::ops::Range;

use tq_buf::SendBuffer;

use super::priority::Had;
use super::{Ticket, WriteError};

/// Where FIN is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fin {
    /// To be sent, or to be sent again.
    Owed,
    Sent,
    Acked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The application wrote all it had.
    Finished(Fin),
    Reset {
        code: u64,
        /// Whether the peer asked for it.
        stopped: bool,
        acked: bool,
    },
}

/// What all sending parts hold, to be summed over the connection. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Written and not acknowledged in order.
    pub(super) unacked: u64,
    /// Written and never sent.
    pub(super) unsent: u64,
    /// To be sent again.
    pub(super) lost: u64,
}

/// A place in each of the lists of streams that can send.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Bytes that need the connection's credit.
    pub(super) fresh: Ticket,
    /// What it has had of its turns there.
    pub(super) had: Had,
    /// Lost bytes or a lone FIN: need none.
    pub(super) free: Ticket,
    /// A writer that waits for room in the buffers.
    pub(super) waiting: Ticket,
}

/// The sending part.
#[derive(Debug)]
pub(super) struct SendPart {
    buffer: SendBuffer,
    phase: Phase,
    /// MAX_STREAM_DATA of the peer.
    limit: u64,
    /// Bytes below this were charged to the connection's credit: the highest offset the peer may have seen.
    charged: u64,
    /// Lost bytes below `charged` wait.
    resend: bool,
    lost: u64,
    /// A write was refused because of the stream's limit.
    pub(super) stalled: bool,
    /// The limit at which STREAM_DATA_BLOCKED was owed last.
    told: Option<u64>,
    pub(super) places: Places,
}

impl SendPart {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            buffer: SendBuffer::new(),
            phase: Phase::Open,
            limit,
            charged: 0,
            resend: false,
            lost: 0,
            stalled: false,
            told: None,
            places: Places::default(),
        }
    }

    /// Becomes the sending part of another stream, whose limit is yet to be set.
    pub(super) fn renew(&mut self) {
        self.buffer.renew();
        let Self { buffer: _, phase, limit, charged, resend, lost, stalled, told, places } = self;
        (*phase, *limit, *charged) = (Phase::Open, 0, 0);
        (*resend, *lost, *stalled, *told) = (false, 0, false, None);
        *places = Places::default();
    }

    #[inline]
    pub(super) fn held(&self) -> Held {
        Held { unacked: self.buffer.unacked(), unsent: self.buffer.unsent(), lost: self.lost }
    }

    /// Whether the application may write at all.
    // MUST 9000-4.5-2
    pub(super) fn check_open(&self) -> Result<(), WriteError> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Reset { code, stopped: true, .. } => Err(WriteError::Stopped(code)),
            _ => Err(WriteError::Closed),
        }
    }

    /// Bytes below the peer's limit that were not written yet.
    pub(super) fn allowance(&self) -> u64 {
        self.limit.saturating_sub(self.buffer.end())
    }

    /// Bytes written beyond the peer's limit.
    pub(super) fn excess(&self) -> u64 {
        self.buffer.end().saturating_sub(self.limit)
    }

    /// Where written bytes go. The caller has checked [`SendPart::check_open`].
    pub(super) fn buffer(&mut self) -> &mut SendBuffer {
        &mut self.buffer
    }

    /// No more will be written; `false` if it cannot be finished any more.
    pub(super) fn finish(&mut self) -> bool {
        let open = self.phase == Phase::Open;
        if open {
            self.phase = Phase::Finished(Fin::Owed);
            self.stalled = false;
        }
        open
    }

    /// Gives up what is left; `false` if the peer has everything, or if it was reset before.
    // MUST 9000-3.3-1
    pub(super) fn reset(&mut self, code: u64, stopped: bool) -> bool {
        if self.is_done() || matches!(self.phase, Phase::Reset { .. }) {
            return false;
        }
        self.phase = Phase::Reset { code, stopped, acked: false };
        self.buffer.clear();
        (self.resend, self.lost, self.stalled) = (false, 0, false);
        true
    }

    /// Code and final size of the RESET_STREAM to write, while one is called for.
    // MUST 9000-13.3-1
    pub(super) fn reset_frame(&self) -> Option<(u64, u64)> {
        match self.phase {
            Phase::Reset { code, acked: false, .. } => Some((code, self.charged)),
            _ => None,
        }
    }

    /// RESET_STREAM was acknowledged.
    pub(super) fn on_reset_acked(&mut self) {
        if let Phase::Reset { acked, .. } = &mut self.phase {
            *acked = true;
        }
    }

    /// The peer's limit is now at least `limit`; says whether it moved.
    // MUST 9000-4.1-3, 9000-13.3-3
    pub(super) fn raise(&mut self, limit: u64) -> bool {
        let moves = limit > self.limit;
        self.limit = self.limit.max(limit);
        moves
    }

    /// The peer's transport parameters say so.
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Whether bytes may go that need the connection's credit.
    // MUST 9000-3.3-2
    pub(super) fn wants_fresh(&self) -> bool {
        self.charged < self.limit.min(self.buffer.end()) && !matches!(self.phase, Phase::Reset { .. })
    }

    /// Bytes that may go for the first time, but for the connection's credit.
    pub(super) fn fresh_bytes(&self) -> u64 {
        self.limit.min(self.buffer.end()).saturating_sub(self.charged)
    }

    /// Whether something may go that does not.
    pub(super) fn wants_free(&self) -> bool {
        self.resend || (self.phase == Phase::Finished(Fin::Owed) && self.charged == self.buffer.end())
    }

    /// The limit to complain about in STREAM_DATA_BLOCKED, each once.
    pub(super) fn complaint(&mut self) -> Option<u64> {
        let blocked = self.is_blocked() && self.told != Some(self.limit);
        blocked.then(|| *self.told.insert(self.limit))
    }

    /// Whether the stream's limit holds bytes back; of no interest once it ended.
    // MUST 9000-3.3-2
    fn is_blocked(&self) -> bool {
        let more = self.stalled || self.buffer.end() > self.charged;
        more && self.charged >= self.limit && !matches!(self.phase, Phase::Reset { .. })
    }

    /// Whether STREAM_DATA_BLOCKED with this limit still tells the truth.
    pub(super) fn is_blocked_at(&self, limit: u64) -> bool {
        self.limit == limit && self.is_blocked()
    }

    /// The limit STREAM_DATA_BLOCKED is to carry, if still blocked.
    pub(super) fn blocked_limit(&self) -> Option<u64> {
        self.is_blocked().then_some(self.limit)
    }

    /// No offset sent is above this.
    pub(super) fn position(&self) -> u64 {
        self.buffer.sent()
    }

    /// Takes the next bytes, at most `room` and at most `credit` never sent before, `fresh` ones only or what was lost
    /// first; says whether the stream ends with them. An empty range is a lone FIN. The third is how much credit that
    /// took.
    // MUST 9000-2.2-3, 9000-4.1-1, 9000-19.10-3
    pub(super) fn take(&mut self, room: usize, credit: u64, fresh: bool) -> Option<(Range<u64>, bool, u64)> {
        let limit = self.limit.min(self.charged.saturating_add(credit)).max(self.charged);
        let sent = self.buffer.sent();
        let end = self.buffer.end();
        let next = match fresh && self.charged == sent {
            true => self.buffer.next_fresh(room, limit),
            // after 0-RTT was rejected all that was sent is lost and needs credit
            false => self.buffer.next(room, limit),
        };
        let range = match next {
            Some(range) => range,
            None if fresh => return None,
            None => {
                self.resend = false;
                if self.phase != Phase::Finished(Fin::Owed) || self.charged != end {
                    return None;
                }
                end..end
            }
        };
        if range.start < sent {
            self.lost = self.lost.saturating_sub(range.end - range.start);
        }
        if !self.buffer.has_lost() {
            (self.resend, self.lost) = (false, 0);
        }
        let new = range.end.saturating_sub(self.charged);
        self.charged += new;
        let fin = range.end == end && matches!(self.phase, Phase::Finished(_));
        if fin && self.phase == Phase::Finished(Fin::Owed) {
            self.phase = Phase::Finished(Fin::Sent);
        }
        Some((range, fin, new))
    }

    /// Copies what [`SendPart::take`] took.
    // MUST 9000-2.2-2
    pub(super) fn copy(&self, range: Range<u64>, into: &mut [u8]) {
        self.buffer.copy(range, into);
    }

    /// The peer has these; says whether that was the last it lacked.
    pub(super) fn on_acked(&mut self, range: Range<u64>, fin: bool) -> bool {
        let before = self.is_done();
        self.buffer.ack(range);
        if !self.buffer.has_lost() {
            (self.resend, self.lost) = (false, 0);
        }
        if fin && matches!(self.phase, Phase::Finished(_)) {
            self.phase = Phase::Finished(Fin::Acked);
        }
        !before && self.is_finished()
    }

    /// These were lost.
    pub(super) fn on_lost(&mut self, range: Range<u64>, fin: bool) {
        if fin && self.phase == Phase::Finished(Fin::Sent) {
            self.phase = Phase::Finished(Fin::Owed);
        }
        let below = range.start < self.charged;
        let len = range.end.saturating_sub(range.start);
        self.buffer.lose(range);
        if self.buffer.has_lost() {
            self.resend |= below;
            self.lost = (self.lost + len).min(self.buffer.unacked() - self.buffer.unsent());
        }
    }

    /// Nothing that was sent counts: it all goes again from the beginning (0-RTT rejected).
    pub(super) fn restart(&mut self) {
        self.charged = 0;
        self.told = None;
        self.resend = false;
        match &mut self.phase {
            Phase::Finished(fin) => *fin = Fin::Owed,
            Phase::Reset { acked, .. } => *acked = false,
            Phase::Open => {}
        }
        let sent = self.buffer.sent();
        self.buffer.lose(0..sent);
        self.lost = self.buffer.unacked() - self.buffer.unsent();
    }

    /// The peer has every byte and FIN.
    fn is_finished(&self) -> bool {
        self.phase == Phase::Finished(Fin::Acked) && self.buffer.unacked() == 0
    }

    /// Nothing is left to happen (Data Recvd or Reset Recvd).
    pub(super) fn is_done(&self) -> bool {
        self.is_finished() || matches!(self.phase, Phase::Reset { acked: true, .. })
    }
}
