//! What lies between the two ends: rate, queue, delay and outages by the project's one link model, losses and
//! corruptions in bounded runs by dice of their own, a NAT that changes its mind.
//!
//! Only describes; the link is made of it, and the relay acts on it.

use std::ops::RangeInclusive;
use std::time::Duration;

use tq_linkmodel::{Change, DirectionConfig, Instant, Link, LinkConfig, Queue, Rate, State};

/// For how long outages are announced.
const FORESEEN: Duration = Duration::from_secs(900);

/// What the network does to single datagrams, in both directions alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Share of datagrams lost, 0 to 1.
    pub loss: f64,
    /// Share of datagrams with one byte changed, 0 to 1.
    pub corrupt: f64,
    /// Longest run of losses, and of corruptions; at least 1.
    pub burst: u32,
    /// Same seed and same order of datagrams, same decisions.
    pub seed: u64,
}

/// A link that all clients share, and what is done to each of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Losses and corruptions.
    pub impairment: Impairment,
    /// Bits per second of IP each way; `None` is no limit.
    pub rate: Option<u64>,
    /// Packets that wait for the rate at most.
    pub queue: Option<u32>,
    /// One way.
    pub delay: Duration,
    /// Works for the first, then nothing arrives for the second, and again; from the first datagram on.
    pub outage: Option<(Duration, Duration)>,
    /// A NAT that gives clients new addresses.
    pub rebind: Option<Rebind>,
    /// Datagrams of each client that never arrive, counted from 1.
    pub swallow: Option<RangeInclusive<u64>>,
}

/// When the server begins to see a client at another address; the old one is gone then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebind {
    /// Whether the IP address changes too: from one of 127.0.0.0/8 to the next. IPv6 has only one loopback address.
    pub addr: bool,
    /// After the client's first datagram.
    pub first: Duration,
    /// And again every so often.
    pub every: Duration,
}

impl Network {
    /// A perfect wire with these impairments.
    pub fn impaired(impairment: Impairment) -> Self {
        Self {
            impairment,
            rate: None,
            queue: None,
            delay: Duration::ZERO,
            outage: None,
            rebind: None,
            swallow: None,
        }
    }

    /// The link; its time starts with the first datagram.
    pub(super) fn link(&self) -> Link {
        let way = DirectionConfig {
            rate: self.rate.map_or(Rate::Unlimited, |bits| Rate::Fixed(bits / 8)),
            queue: self.queue.map_or(Queue::default(), Queue::Packets),
            delay: self.delay,
            ..DirectionConfig::default()
        };
        let mut link = Link::new(&LinkConfig::symmetric(way), self.impairment.seed);
        let Some((on, off)) = self.outage.filter(|(on, off)| !(*on + *off).is_zero()) else { return link };
        let mut at = Duration::ZERO;
        while at < FORESEEN {
            link.set(Instant::ZERO + at + on, Change::State(State::Silent));
            at += on + off;
            link.set(Instant::ZERO + at, Change::State(State::Up));
        }
        link
    }
}
