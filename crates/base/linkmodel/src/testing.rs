//! Helpers for the tests of this crate. They decide nothing about links.

use crate::{
    Counters, Delivery, Direction, DirectionConfig, Duration, Ecn, Instant, Link, LinkConfig, Outcome,
    Packet, Rate,
};

pub(crate) const DOWN: Direction = Direction::Down;

pub(crate) fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

pub(crate) fn ms(millis: u64) -> Instant {
    at(millis * 1_000_000)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn packet(len: u32) -> Packet {
    Packet { len, ..Packet::default() }
}

pub(crate) fn ect(len: u32) -> Packet {
    Packet { len, ecn: Ecn::Ect0, flow: 0 }
}

/// A link that is the same both ways.
pub(crate) fn link(config: DirectionConfig) -> Link {
    Link::new(&LinkConfig::symmetric(config), 42)
}

/// Ten megabytes per second: a 1000-byte packet takes 100 µs.
pub(crate) fn ten() -> DirectionConfig {
    DirectionConfig { rate: Rate::Fixed(10_000_000), ..DirectionConfig::default() }
}

/// Offers `count` packets of 1000 bytes, one each `gap` nanoseconds from 0 on, downwards.
pub(crate) fn flood(link: &mut Link, count: u64, gap: u64) -> std::vec::Vec<Outcome> {
    (0..count).map(|index| link.offer(at(index * gap), DOWN, packet(1000))).collect()
}

pub(crate) fn delivered(outcomes: &[Outcome]) -> std::vec::Vec<Delivery> {
    outcomes.iter().filter_map(Outcome::delivery).collect()
}

/// The counters, which must balance.
pub(crate) fn books(link: &Link) -> Counters {
    let counters = link.counters(DOWN);
    assert!(counters.balance(), "{counters:?}");
    counters
}
