//! A network address and port translator in front of a user's link.
//!
//! A mapping lives from the first packet out until it has been idle for the timeout (RFC 4787 §4.3); what comes
//! back after that has nowhere to go, and the next packet out appears from another port: a rebinding, as QUIC sees
//! it (RFC 9000 §9.3). Decides ports and lets in or not; never touches packets. Expiry needs no timer.

use core::net::{IpAddr, SocketAddr};

use tq_buf::mem::BTreeMap;
use tq_time::{Duration, Instant};

use crate::rng::Rng;

#[cfg(test)]
mod tests;

/// How a translator behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatConfig {
    /// The address the outside sees.
    pub outside: IpAddr,
    /// The lowest and the highest outside port. Turned round if upside down.
    pub ports: (u16, u16),
    /// How long a mapping lives without traffic.
    pub timeout: Duration,
    /// Whether packets from outside keep a mapping alive too (RFC 4787 §4.3 leaves that open).
    pub inbound_refreshes: bool,
    /// Whether each remote end gets a mapping of its own and only it may answer ("address and port-dependent" in
    /// RFC 4787 §4.1 and §5). If not, one inside end has one port, and anyone may write to it.
    pub symmetric: bool,
}

impl NatConfig {
    /// One port per inside end, 120 s, refreshed from inside only, ports 1024 to 65535.
    pub const fn new(outside: IpAddr) -> Self {
        Self {
            outside,
            ports: (1024, 65535),
            timeout: Duration::from_secs(120),
            inbound_refreshes: false,
            symmetric: false,
        }
    }
}

/// A translator.
#[derive(Clone, Debug)]
pub struct Nat {
    config: NatConfig,
    rng: Rng,
    mappings: BTreeMap<Key, Mapping>,
    /// Who has an outside port; exactly the mappings that are not stale.
    owners: BTreeMap<u16, Key>,
}

/// The inside end, and the remote end if mappings depend on it.
type Key = (SocketAddr, Option<SocketAddr>);

#[derive(Clone, Copy, Debug)]
struct Mapping {
    port: u16,
    used: Instant,
    /// Forgotten by [`Nat::rebind`]: kept so that the next port is another one.
    stale: bool,
}

impl Nat {
    /// A translator that knows nobody. Ports are drawn from `seed`.
    pub fn new(config: NatConfig, seed: u64) -> Self {
        let (low, high) = config.ports;
        let config = NatConfig { ports: (low.min(high), low.max(high)), ..config };
        Self { config, rng: Rng::new(seed, 7), mappings: BTreeMap::new(), owners: BTreeMap::new() }
    }

    /// The source that the outside sees of a packet from `inside` to `remote`; `None` if all ports are taken by
    /// living mappings, and the packet is to be dropped.
    pub fn outbound(&mut self, now: Instant, inside: SocketAddr, remote: SocketAddr) -> Option<SocketAddr> {
        let key = (inside, self.config.symmetric.then_some(remote));
        let known = self.mappings.get(&key).copied();
        if let Some(mapping) = known.filter(|mapping| self.lives(mapping, now)) {
            self.mappings.insert(key, Mapping { used: now.max(mapping.used), ..mapping });
            return Some(SocketAddr::new(self.config.outside, mapping.port));
        }
        if let Some(old) = self.mappings.remove(&key).filter(|mapping| !mapping.stale) {
            self.owners.remove(&old.port);
        }
        let port = self.free_port(now, known.map(|mapping| mapping.port))?;
        self.owners.insert(port, key);
        self.mappings.insert(key, Mapping { port, used: now, stale: false });
        Some(SocketAddr::new(self.config.outside, port))
    }

    /// The inside end that a packet from `remote` to outside port `port` is for; `None` if nobody (any more).
    pub fn inbound(&mut self, now: Instant, port: u16, remote: SocketAddr) -> Option<SocketAddr> {
        let key = *self.owners.get(&port)?;
        let mapping = *self.mappings.get(&key)?;
        if !self.lives(&mapping, now) || key.1.is_some_and(|only| only != remote) {
            return None;
        }
        if self.config.inbound_refreshes {
            self.mappings.insert(key, Mapping { used: now.max(mapping.used), ..mapping });
        }
        Some(key.0)
    }

    /// Forgets all mappings, as if restarted: every flow appears from another port, if there is one.
    pub fn rebind(&mut self) {
        self.owners.clear();
        self.mappings.values_mut().for_each(|mapping| mapping.stale = true);
    }

    /// As [`Nat::rebind`], with a new outside address.
    pub fn rebind_to(&mut self, outside: IpAddr) {
        self.config.outside = outside;
        self.rebind();
    }

    /// The address the outside sees.
    pub const fn outside(&self) -> IpAddr {
        self.config.outside
    }

    /// Mappings that live at `now`.
    pub fn mappings(&self, now: Instant) -> usize {
        self.mappings.values().filter(|mapping| self.lives(mapping, now)).count()
    }

    fn lives(&self, mapping: &Mapping, now: Instant) -> bool {
        !mapping.stale && now - mapping.used < self.config.timeout
    }

    /// A port that nobody has, another one than `old` if possible.
    fn free_port(&mut self, now: Instant, old: Option<u16>) -> Option<u16> {
        let (low, high) = self.config.ports;
        let ports = usize::from(high - low) + 1;
        // Memory is bounded by the ports: the dead go when there are more entries than ports.
        if self.owners.len() >= ports || self.mappings.len() >= 2 * ports {
            self.bury(now);
        }
        if self.owners.len() >= ports {
            return None;
        }
        let start = self.rng.between(low.into(), high.into()) as u16;
        let free = |port: &u16| !self.owners.contains_key(port);
        let mut in_turn = (start..=high).chain(low..start).filter(free);
        let first = in_turn.next();
        if first == old { in_turn.next().or(first) } else { first }
    }

    fn bury(&mut self, now: Instant) {
        let timeout = self.config.timeout;
        let lives = |mapping: &Mapping| !mapping.stale && now - mapping.used < timeout;
        self.mappings.retain(|_, mapping| lives(mapping));
        let mappings = &self.mappings;
        self.owners.retain(|_, key| mappings.contains_key(key));
    }
}
