//! A packet number space: Initial, Handshake, or the application space of one path.
//!
//! It hands out packet numbers, remembers what was sent until it is acknowledged or lost, and knows what is owed to
//! the peer in acknowledgements. It never decides when or where to send, how much may be in flight, or what an RTT is:
//! those are the path's. The three parts do not know each other.

mod number;
mod outcome;
mod owed;
mod sent;

pub(crate) use number::Numbers;
pub(crate) use outcome::{Acked, BadAck, Lost};
pub(crate) use owed::{AckPolicy, Owed, QUIET};
pub(crate) use sent::{Sent, SentPacket};

/// One packet number space.
#[derive(Debug)]
pub(crate) struct Space {
    /// Numbers for packets to send.
    pub(crate) numbers: Numbers,
    /// Packets sent and not yet settled.
    pub(crate) sent: Sent,
    /// Packets received, and the ACKs owed for them.
    pub(crate) owed: Owed,
}

impl Space {
    /// A fresh space. `skip_seed` is secret and unpredictable: it decides which numbers are skipped. `immediate_acks`
    /// is for Initial and Handshake, where every ack-eliciting packet is answered at once (RFC 9000 §13.2.1).
    pub(crate) fn new(skip_seed: u64, immediate_acks: bool) -> Self {
        Self { numbers: Numbers::new(skip_seed), sent: Sent::new(), owed: Owed::new(immediate_acks) }
    }
}
