//! What is offered to a link, and what the link answers.
//!
//! Plain values: a packet is its length, its ECN bits and its flow; its bytes stay with the caller.

use tq_time::Instant;
use tq_wire::Ecn;

/// One of the two ways through a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the user to the network.
    Up,
    /// From the network to the user.
    Down,
}

impl Direction {
    /// Both, up first.
    pub const BOTH: [Self; 2] = [Self::Up, Self::Down];

    /// The other one.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// A packet as the link sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Bytes of the IP packet, headers included. Zero-length packets are allowed and take no time.
    pub len: u32,
    /// The ECN field (RFC 3168 §5).
    pub ecn: Ecn,
    /// A hash of the flow (for UDP: of the four-tuple), by which a per-flow policer tells flows apart.
    pub flow: u64,
}

/// What becomes of an offered packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrives, once or twice.
    Delivered(Delivery),
    /// It is gone.
    Dropped(Drop),
    /// It is gone because it is longer than the link's MTU; counted as [`Drop::TooBig`].
    TooBig {
        /// Longest packet that passes, in bytes of IP.
        mtu: u32,
        /// Whether the sender is told so (RFC 792 "fragmentation needed", RFC 4443 "packet too big"). If not,
        /// this is a black hole.
        icmp: bool,
    },
}

impl Outcome {
    /// The delivery, if there is one.
    pub const fn delivery(&self) -> Option<Delivery> {
        match self {
            Self::Delivered(delivery) => Some(*delivery),
            Self::Dropped(_) | Self::TooBig { .. } => None,
        }
    }
}

/// An arrival at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When the packet was offered.
    pub offered: Instant,
    /// When its last byte left the queue; from here it is on the wire.
    pub left: Instant,
    /// When it arrives.
    pub at: Instant,
    /// The ECN field on arrival.
    pub ecn: Ecn,
    /// Damage, to be done to both copies if there are two.
    pub corrupt: Option<CorruptAt>,
    /// When a second copy arrives, not before the first.
    pub duplicate: Option<Instant>,
}

/// Where a packet is damaged. A caller that models checksums drops what is hit in front of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorruptAt {
    /// Octet of the IP packet, from 0, below the packet's length.
    pub offset: u32,
    /// Bits to flip there, never 0.
    pub mask: u8,
}

/// Why a packet is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Drop {
    /// No carrier: the interface is down and the sender can see it; also what was queued when it went down.
    Carrier,
    /// Longer than the MTU.
    TooBig,
    /// The flow is above its policer's rate.
    Policed,
    /// The queue is full, or would hold the packet for more than an hour.
    Queue,
    /// CoDel wanted the queue shorter.
    Aqm,
    /// The queue of the shared bottleneck is full, or its CoDel wanted it shorter.
    Shared,
    /// The direction names a shared bottleneck that was not handed in.
    NoBottleneck,
    /// The link is silently out of order: the sender sees nothing.
    Silent,
    /// Random loss.
    Loss,
    /// Burst loss (Gilbert-Elliott).
    Burst,
}

impl Drop {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 10] = [
        Self::Carrier,
        Self::TooBig,
        Self::Policed,
        Self::Queue,
        Self::Aqm,
        Self::Shared,
        Self::NoBottleneck,
        Self::Silent,
        Self::Loss,
        Self::Burst,
    ];

    /// A short name for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Carrier => "carrier",
            Self::TooBig => "too-big",
            Self::Policed => "policed",
            Self::Queue => "queue",
            Self::Aqm => "aqm",
            Self::Shared => "shared",
            Self::NoBottleneck => "no-bottleneck",
            Self::Silent => "silent",
            Self::Loss => "loss",
            Self::Burst => "burst",
        }
    }
}
