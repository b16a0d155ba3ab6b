//! What an ACK frame or a loss timer did to the sent packets of a space, added up.
//!
//! Congestion control, RTT, ECN validation and events read the sums; whoever wrote the frames gets the tokens. Both
//! structs are filled again and again: [`clear`](Acked::clear) keeps the allocations. They decide nothing.

use tq_buf::mem::Vec;
use tq_cc::SentState;
use tq_time::Instant;

use crate::token::Token;

/// An ACK that no honest peer sends: PROTOCOL_VIOLATION (RFC 9000 §13.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadAck {
    /// It acknowledges a number above the largest sent.
    Unsent,
    /// It acknowledges a number that was left out.
    Skipped,
}

/// What an ACK frame newly acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Acked {
    /// Bytes that were in flight and are delivered. Without packets declared lost before, and without those sent to
    /// another address.
    pub(crate) bytes: u64,
    /// Packets newly acknowledged, in flight or not. Without packets declared lost before.
    pub(crate) packets: u64,
    /// Largest packet number newly acknowledged, and when it was sent.
    pub(crate) largest: Option<(u64, Instant)>,
    /// Whether an ack-eliciting packet was newly acknowledged.
    pub(crate) any_eliciting: bool,
    /// Whether the frame's largest number was newly acknowledged and is the largest so far: with `any_eliciting`, an
    /// RTT sample (RFC 9002 §5.1), and ECN counts that may be judged (RFC 9000 §13.4.2.1).
    pub(crate) new_largest: bool,
    /// Packets newly acknowledged that were sent with ECT(0).
    pub(crate) ect0: u64,
    /// What they carried.
    pub(crate) tokens: Vec<Token>,
    /// Bytes of the largest MTU probe among them.
    pub(crate) probe_acked: Option<u16>,
    /// Packets declared lost before that were delivered after all. Their tokens were handed out as lost.
    pub(crate) spurious: u64,
    /// Sampler state of the latest-sent packet in flight among them, and when that was sent.
    pub(crate) rates: Option<(SentState, Instant)>,
}

impl Acked {
    /// Forgets everything but the allocations.
    pub(crate) fn clear(&mut self) {
        let mut tokens = core::mem::take(&mut self.tokens);
        tokens.clear();
        *self = Self { tokens, ..Self::default() };
    }
}

/// What was declared lost.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// Bytes that were in flight. Without MTU probes.
    pub(crate) bytes: u64,
    /// Packets. Without MTU probes.
    pub(crate) packets: u64,
    /// The newest of them, and when it was sent. Without MTU probes.
    pub(crate) newest: Option<(u64, Instant)>,
    /// Sampler state of the newest of those in flight.
    pub(crate) rate: SentState,
    /// Sending times of the first and last packet of the longest run of lost ack-eliciting packets without an
    /// acknowledged one in between, all sent after the first RTT sample. Persistent congestion if it is longer than
    /// three PTOs (RFC 9002 §7.6). A run may begin with packets declared lost earlier.
    pub(crate) span: Option<(Instant, Instant)>,
    /// What they carried.
    pub(crate) tokens: Vec<Token>,
    /// Bytes of the smallest MTU probe among them: no sign of congestion (RFC 9000 §14.4).
    pub(crate) probe_lost: Option<u16>,
    /// Packets among them went to another address: no sign of anything here, and counted nowhere above.
    pub(crate) strayed: bool,
    /// All their numbers, ascending.
    pub(crate) numbers: Vec<u64>,
}

impl Lost {
    /// Forgets everything but the allocations.
    pub(crate) fn clear(&mut self) {
        let mut tokens = core::mem::take(&mut self.tokens);
        let mut numbers = core::mem::take(&mut self.numbers);
        tokens.clear();
        numbers.clear();
        *self = Self { tokens, numbers, ..Self::default() };
    }

    /// Runs of consecutive numbers among them.
    pub(crate) fn ranges(&self) -> u32 {
        let gaps = self.numbers.windows(2).filter(|pair| pair[1] > pair[0] + 1).count();
        u32::try_from(gaps + 1).unwrap_or(u32::MAX)
    }
}
