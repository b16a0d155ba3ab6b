//! One model of a link, for the simulator, the namespace lab and the unprivileged demo alike.
//!
//! A [`Link`] has two directions; each is told of a packet by [`Link::offer`] and answers at once what becomes of
//! it: when it arrives, how it was hurt, or why it is gone. Nothing here holds packets, reads a clock or does
//! I/O: who calls keeps the bytes until the moment the answer names. Same configuration, seed and calls, same
//! answers, on every machine: all arithmetic is on integers.
//!
//! What a packet meets, in this order: carrier, MTU, per-flow policer, a shared [`Bottleneck`] if the direction
//! names one, the link's own queue and rate, outage, random and burst loss, corruption, delay and jitter,
//! duplication. Loss strikes after the queue: a lost packet has used the link's time.
//!
//! ```
//! use tq_linkmodel::{Direction, Instant, Link, Outcome, Packet, Preset};
//! let mut link = Link::new(&Preset::Dsl.config(7), 7);
//! let packet = Packet { len: 1250, ..Packet::default() };
//! let Outcome::Delivered(first) = link.offer(Instant::ZERO, Direction::Down, packet) else { panic!() };
//! // 1250 bytes at 50 Mbit/s take 200 µs, the way 10 ms.
//! assert_eq!(first.at, Instant::from_nanos(10_200_000));
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod bottleneck;
mod codel;
mod config;
mod counters;
mod generate;
mod impair;
mod lane;
mod link;
mod nat;
mod packet;
mod policer;
mod preset;
mod profile;
mod rate;
mod rng;
mod stage;
mod timeline;
mod trace;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use bottleneck::{Bottleneck, BottleneckConfig, Bottlenecks};
pub use config::{Change, CoDel, DirectionConfig, LinkConfig, Mtu, Policer, Queue, State};
pub use counters::{Counters, Depth};
pub use generate::{Leo, Lte, leo, lte};
pub use impair::{GilbertElliott, Jitter};
pub use link::Link;
pub use nat::{Nat, NatConfig};
pub use packet::{CorruptAt, Delivery, Direction, Drop, Outcome, Packet};
pub use preset::Preset;
pub use profile::{Profile, ProfileError, Segment};
pub use rate::Rate;
pub use tq_time::{Duration, Instant};
pub use tq_wire::Ecn;
pub use trace::{Trace, TraceError, TraceFault};
