//! A network on virtual time that drives sans-IO protocols unchanged.
//!
//! Two halves meet in [`Process`]: [`World`] is hosts, routers and links of the link model and knows no protocol;
//! [`quic::QuicHost`] is a program that speaks QUIC, with [`app`]s on it and a [`ledger::Ledger`] that checks every byte of
//! them and knows no protocol either. Same seed and same calls: the same bytes at the same nanosecond.
#![forbid(unsafe_code)]

mod process;

pub use process::{Asked, Context, Departure, Meta, Notice, Process, Waker};

// the network
mod packet;
mod pcap;
mod route;
mod tap;
mod topology;
pub mod world;

pub use packet::{Header, Kind, Quote};
pub use pcap::Pcap;
pub use route::Prefix;
pub use tap::{Point, Seen, Tap, Where};
pub use topology::{End, LinkId, NatId, NodeId, ProcessId};
pub use world::{Books, Fault, Imbalance, NodeTotals, Reason, World};

// programs that speak QUIC
pub mod app;
pub mod entropy;
pub mod ledger;
pub mod qlog;
pub mod quic;
pub mod random;
pub mod session;
