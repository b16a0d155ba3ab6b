//! How a link is described, and how it may change while it runs.
//!
//! Every value is allowed: probabilities above a million parts are certainty, rates above 10^12 bytes per second
//! are no limit. Which values make sense is for who writes scenarios to check.

use tq_time::Duration;

use crate::impair::{GilbertElliott, Jitter};
use crate::rate::Rate;

/// A link: two directions that need not be alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkConfig {
    /// From the user to the network.
    pub up: DirectionConfig,
    /// From the network to the user.
    pub down: DirectionConfig,
}

impl LinkConfig {
    /// The same both ways.
    pub fn symmetric(both: DirectionConfig) -> Self {
        Self { up: both.clone(), down: both }
    }
}

/// One direction of a link. The default is a perfect wire: no limit, no delay, no loss.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectionConfig {
    /// How fast bytes of IP leave the queue.
    pub rate: Rate,
    /// What the queue holds at most.
    pub queue: Queue,
    /// Active queue management in front of the tail drop.
    pub codel: Option<CoDel>,
    /// ECN-capable packets that find a longer waiting time than this become CE; others are left alone until the
    /// queue is full. A step, the simplest of the marking functions in RFC 9332
    /// Appendix A; with [`Queue::Time`] just above it, CE instead of drop.
    pub mark_above: Option<Duration>,
    /// Time on the wire.
    pub delay: Duration,
    /// Random time on top of `delay`.
    pub jitter: Jitter,
    /// Whether jitter and falling delays may let a packet overtake an earlier one. If not, it arrives with it at
    /// the earliest, as on a radio link that delivers in order.
    pub reorder: bool,
    /// Packets lost at random, in parts per million.
    pub loss_ppm: u32,
    /// Packets lost in bursts.
    pub burst: Option<GilbertElliott>,
    /// Packets damaged in one octet, in parts per million. Packets without bytes are spared.
    pub corrupt_ppm: u32,
    /// Packets that arrive twice, in parts per million.
    pub duplicate_ppm: u32,
    /// The longest packet that passes; all do if `None`.
    pub mtu: Option<Mtu>,
    /// A limit on each flow for itself.
    pub policer: Option<Policer>,
    /// A queue in front of this one that other links use too: its id in [`Bottlenecks`](crate::Bottlenecks).
    pub bottleneck: Option<u32>,
}

/// What a queue holds at most, the packet being sent included. A packet that finds the link idle always goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Bytes of IP.
    Bytes(u64),
    /// Packets.
    Packets(u32),
    /// Waiting time: a packet is dropped if more than this passes before its first byte is sent. Where the rate
    /// can fall to zero prefer bytes: here all but one packet of a longer pause are lost.
    Time(Duration),
}

impl Queue {
    /// No more than this ever waits, whatever the configuration.
    pub const MOST_PACKETS: usize = 1 << 20;

    /// The bytes that `rate` (bytes per second) carries in `time`.
    pub const fn of(rate: u64, time: Duration) -> Self {
        let bytes = rate as u128 * time.as_nanos() / 1_000_000_000;
        Self::Bytes(if bytes > u64::MAX as u128 { u64::MAX } else { bytes as u64 })
    }
}

impl Default for Queue {
    /// As good as no bound: [`Queue::MOST_PACKETS`] packets.
    fn default() -> Self {
        Self::Bytes(u64::MAX)
    }
}

/// CoDel (RFC 8289). The decision for a packet is taken when it is offered, with the moment it will be at the
/// head of the queue; only the exemption of the last packet in the queue is left out, as what comes behind is not
/// known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoDel {
    /// The standing waiting time that is fine.
    pub target: Duration,
    /// For how long it may be exceeded.
    pub interval: Duration,
    /// Whether ECN-capable packets become CE instead of being dropped.
    pub ecn: bool,
}

impl Default for CoDel {
    /// 5 ms and 100 ms (RFC 8289 §4), with ECN.
    fn default() -> Self {
        Self { target: Duration::from_millis(5), interval: Duration::from_millis(100), ecn: true }
    }
}

/// The longest packet that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mtu {
    /// Bytes of IP.
    pub bytes: u32,
    /// Whether the sender of a longer one is told.
    pub icmp: bool,
}

/// A token bucket for each flow; it starts full. At most 4096 flows are told apart: beyond that the flow that was
/// silent for the longest time is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policer {
    /// Bytes of IP per second.
    pub rate: u64,
    /// Bytes of IP that may go at once.
    pub burst: u64,
}

/// Whether a direction works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It works.
    #[default]
    Up,
    /// No carrier: offers fail at once, visibly. What is queued when this begins is lost.
    Down,
    /// Packets vanish at the end of the queue, and nobody is told.
    Silent,
}

/// Something that changes while the link runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// How fast bytes leave the queue.
    Rate(Rate),
    /// Time on the wire, for packets that leave the queue from then on.
    Delay(Duration),
    /// Random loss in parts per million, for packets that leave the queue from then on.
    Loss(u32),
    /// The longest packet that passes, for packets offered from then on.
    Mtu(Option<Mtu>),
    /// Works, carrier lost, or silent.
    State(State),
}
