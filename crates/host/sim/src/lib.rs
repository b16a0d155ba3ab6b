//! A network on virtual time that drives sans-IO protocols unchanged.
#![forbid(unsafe_code)]

mod process;

pub use process::{Asked, Context, Departure, Meta, Notice, Process};

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
