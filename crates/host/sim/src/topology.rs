//! What a network is made of: nodes, their interfaces, and the links between them.
//!
//! Plain data and the names it goes by. Decides nothing: where packets go is said in [`route`](crate::route), what
//! becomes of them in [`world`](crate::world).

use std::net::IpAddr;

use tq_linkmodel::{Direction, Link};

use crate::route::Prefix;
use crate::world::{NodeTotals, Socket};

/// A host or a router of one [`World`](crate::World); means nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

/// A link of one [`World`](crate::World); means nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) u32);

/// A program on a node of one [`World`](crate::World); never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub(crate) u32);

/// An address translator of one [`World`](crate::World).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatId(pub(crate) u32);

/// One end of a link: an interface of `node` with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Whose interface it is.
    pub node: NodeId,
    /// Its first address; more can be added with [`World::add_address`](crate::World::add_address).
    pub address: IpAddr,
}

impl End {
    /// An interface of `node` with `address`.
    pub fn new(node: NodeId, address: impl Into<IpAddr>) -> Self {
        Self { node, address: address.into() }
    }
}

/// A host or a router.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// Routers pass on what is not for them.
    pub(crate) forwards: bool,
    pub(crate) ports: Vec<Port>,
    /// Routes that were given, longest prefix first: prefix and port.
    pub(crate) routes: Vec<(Prefix, u32)>,
    /// Ascending by address and port.
    pub(crate) sockets: Vec<Socket>,
    /// The next port for sockets that do not care.
    pub(crate) ephemeral: u16,
    pub(crate) totals: NodeTotals,
}

impl Node {
    /// The port of which `address` is one of the addresses.
    pub(crate) fn port_of(&self, address: IpAddr) -> Option<u32> {
        let index = self.ports.iter().position(|port| port.addresses.contains(&address))?;
        Some(index as u32)
    }

    /// The port on a link; the first one if both ends are here.
    pub(crate) fn port_on(&self, link: LinkId) -> Option<u32> {
        self.ports.iter().position(|port| port.link == link.0).map(|index| index as u32)
    }
}

/// An interface: a node's end of a link.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) link: u32,
    /// The direction in which this end sends.
    pub(crate) direction: Direction,
    pub(crate) addresses: Vec<IpAddr>,
    /// Translates what leaves here.
    pub(crate) nat: Option<u32>,
    /// What the programs were last told.
    pub(crate) carrier: bool,
}

impl Port {
    /// The first address of the family of `other`.
    pub(crate) fn address_like(&self, other: IpAddr) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| address.is_ipv4() == other.is_ipv4())
    }
}

/// A link with what is around it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) link: Link,
    /// Node and port of end a (which sends up) and end b (which sends down).
    pub(crate) ends: [(u32, u32); 2],
    /// Packets that came out at the far end, second copies included, per direction.
    pub(crate) arrived: [u64; 2],
}

/// Up is 0, down is 1.
pub(crate) const fn index(direction: Direction) -> usize {
    match direction {
        Direction::Up => 0,
        Direction::Down => 1,
    }
}
