//! Where a node sends what is not for itself: routes that were given, and the shortest way otherwise.
//!
//! Given routes win over found ones, the longest prefix among them; found ones lead over the fewest links to the
//! nearest node that has the address, and over the link made first where two are equal. Hosts pass nothing on, and
//! nobody finds what is behind a translator from outside. Carrier plays no part: a route over a dead link stays.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use tq_linkmodel::Nat;

use crate::topology::{Line, Node, index};

#[cfg(test)]
mod tests;

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The addresses whose first `length` bits are those of `address`. Lengths beyond the address's own mean that
    /// one address.
    pub fn new(address: impl Into<IpAddr>, length: u8) -> Self {
        let address = address.into();
        let most = if address.is_ipv4() { 32 } else { 128 };
        Self { address, length: length.min(most) }
    }

    /// How many bits count.
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Whether `address` is one of them; never if it is of the other family.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differ = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()) << 96,
            (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
            _ => return false,
        };
        differ.leading_zeros() >= u32::from(self.length)
    }
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Self::new(address, u8::MAX)
    }
}

const NONE: u32 = u32::MAX;
/// Answers remembered per node.
const RECENT: usize = 8;

/// What a node does with a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is here.
    Local,
    /// It sends by this port.
    Port(u32),
    /// It knows no route.
    None,
}

/// Routes found so far, forgotten whenever the network changes.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// For each destination the port to take, by node.
    found: BTreeMap<IpAddr, Vec<u32>>,
    /// The last answers for each node, each in the place its address falls on.
    recent: Vec<[Option<(IpAddr, Way)>; RECENT]>,
}

/// The network as routing sees it.
#[derive(Clone, Copy)]
pub(crate) struct Map<'a> {
    pub(crate) nodes: &'a [Node],
    pub(crate) lines: &'a [Line],
    pub(crate) nats: &'a [Nat],
}

impl Ways {
    /// Something changed.
    pub(crate) fn forget(&mut self) {
        self.found.clear();
        self.recent.clear();
    }

    /// What `node` does with a packet to `destination`.
    #[inline]
    pub(crate) fn way(&mut self, map: Map<'_>, node: u32, destination: IpAddr) -> Way {
        let place = match destination {
            IpAddr::V4(ip) => ip.to_bits() ^ (ip.to_bits() >> 8),
            IpAddr::V6(ip) => (ip.to_bits() ^ (ip.to_bits() >> 64)) as u32,
        } as usize
            % RECENT;
        if let Some(recent) = self.recent.get(node as usize)
            && let Some((last, answer)) = recent[place]
            && last == destination
        {
            return answer;
        }
        let answer = self.look_up(map, node, destination);
        if self.recent.len() < map.nodes.len() {
            self.recent.resize(map.nodes.len(), [None; RECENT]);
        }
        self.recent[node as usize][place] = Some((destination, answer));
        answer
    }

    fn look_up(&mut self, map: Map<'_>, node: u32, destination: IpAddr) -> Way {
        if destination.is_unspecified() || map.owns(&map.nodes[node as usize], destination) {
            return Way::Local;
        }
        let given = map.nodes[node as usize].routes.iter().find(|(prefix, _)| prefix.contains(destination));
        if let Some((_, port)) = given {
            return Way::Port(*port);
        }
        let ports = self.found.entry(destination).or_insert_with(|| map.find(destination));
        match ports[node as usize] {
            NONE => Way::None,
            port => Way::Port(port),
        }
    }
}

impl Map<'_> {
    /// Whether an address is one of a node's interfaces or translators.
    fn owns(self, node: &Node, address: IpAddr) -> bool {
        let outside = |nat: u32| self.nats[nat as usize].outside() == address;
        node.ports.iter().any(|port| port.addresses.contains(&address) || port.nat.is_some_and(outside))
    }

    /// The port to take to `destination`, for every node: a search from the destination backwards.
    fn find(self, destination: IpAddr) -> Vec<u32> {
        let mut ports = vec![NONE; self.nodes.len()];
        let mut seen = vec![false; self.nodes.len()];
        let mut queue = VecDeque::new();
        for (id, node) in self.nodes.iter().enumerate() {
            if self.owns(node, destination) {
                seen[id] = true;
                queue.push_back((id, true));
            }
        }
        while let Some((id, owner)) = queue.pop_front() {
            let node = &self.nodes[id];
            if !owner && !node.forwards {
                continue;
            }
            for port in &node.ports {
                if let Some(nat) = port.nat
                    && self.nats[nat as usize].outside() != destination
                    && !port.addresses.contains(&destination)
                {
                    continue;
                }
                let line = &self.lines[port.link as usize];
                let (neighbour, its_port) = line.ends[index(port.direction.opposite())];
                if !seen[neighbour as usize] {
                    seen[neighbour as usize] = true;
                    ports[neighbour as usize] = its_port;
                    queue.push_back((neighbour as usize, false));
                }
            }
        }
        ports
    }
}
