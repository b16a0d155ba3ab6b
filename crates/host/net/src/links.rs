//! Which interfaces of the machine can carry a path, as they come and go.
//!
//! A [`Link`] is an interface that is up, has carrier, an address, and a default route of its own in any table. Virtual
//! interfaces are no links unless they are allowed by name. [`Watcher`] asks the kernel for everything once, then
//! follows its messages; [`table::Table`] is what it knows, without I/O. Decides what a link is and when it changed;
//! never which link is used, and changes nothing.

mod dump;
pub mod fact;
pub mod kind;
pub mod table;
mod watch;

use std::net::IpAddr;

pub use kind::{Cost, Kind, Select, matches};
pub use watch::Watcher;

/// A link as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The interface's name, for `SO_BINDTODEVICE`.
    pub device: String,
    /// The interface's number. A new interface of the same name has another.
    pub index: u32,
    /// Addresses to send from, of families with a default route: IPv4 first, then the preferred ones of IPv6.
    pub addresses: Vec<IpAddr>,
    /// The next hops of its best default routes, one of each family at most. None: point to point.
    pub gateways: Vec<IpAddr>,
    /// The metric of its best default route: what the machine itself prefers is lowest.
    pub metric: u32,
    /// What it is made of.
    pub kind: Kind,
    /// A guess of what bytes cost there.
    pub cost: Cost,
}

/// What happened to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It can be used from now on.
    Up,
    /// It can still be used, but something of [`Link`] is different.
    Changed,
    /// It cannot be used any more.
    Down,
}

/// A change, with the link as it is now; as it last was if it is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEvent {
    /// What happened.
    pub change: Change,
    /// To which link.
    pub link: Link,
}
