//! How much a path may have in flight, and how fast it may leave.
//!
//! Round-trip estimation ([`Rtt`], RFC 9002 §5), congestion windows ([`Controller`]: CUBIC of RFC 9438 and
//! NewReno of RFC 9002 §7, both starting with HyStart++ of RFC 9406, a test after SEARCH, and faster on long
//! paths; BBRv3 of draft-ietf-ccwg-bbr-06; one that chooses between them; OLIA for paths that share a
//! link; a governor that keeps queues short), departure times ([`Pacer`]), delivery rate samples ([`RateSampler`]) and
//! what earlier connections measured ([`Profile`], [`Resume`], RFC 9959). One set of these belongs to one path.
//!
//! Nothing here keeps packets, decides what is lost, reads a clock or allocates. Every call is O(1); the
//! arithmetic is integer throughout, so two machines given the same calls give the same answers.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod auto;
mod bbr;
mod controller;
mod cubic;
mod fixed;
mod governor;
mod hystart;
mod newreno;
mod olia;
mod pacer;
mod rate;
mod recovery;
mod resume;
mod rtt;
mod start;
#[cfg(test)]
mod testing;

pub use controller::{
    Ack, Algorithm, Controller, Lost, Probing, UnknownAlgorithm, initial_window, minimum_window,
};
pub use olia::{Member, factor};
pub use pacer::Pacer;
pub use rate::{Flight, RateSample, RateSampler, SentState};
pub use resume::{Meter, Profile, Resume, Resumption};
pub use rtt::Rtt;
