//! How many handshakes may be going on: in all, and from one neighbourhood of addresses, so that one network cannot use
//! up the table (threat 2). Also remembers what strangers may use once. It counts and compares; what happens to a
//! stranger is decided in `incoming`.

use core::hash::BuildHasher;
use core::net::IpAddr;

use hashbrown::HashMap;
use tq_buf::mem::{Vec, vec};

use super::route::Keyed;
use crate::config::EndpointConfig;

#[cfg(test)]
mod tests;

/// Things remembered as spent, 8 octets each; a newer one takes an older one's place.
const SPENT: usize = 4096;

/// What may be used once: first ids whose handshake is over, tokens. A table of fixed size, made when it is first needed,
/// that forgets now and then and never takes something fresh for spent (but once in 2^64).
#[derive(Debug)]
pub(super) struct Spent {
    /// Hashes; 0 is none.
    table: Vec<u64>,
    keyed: Keyed,
}

impl Spent {
    pub(super) const fn new(keyed: Keyed) -> Self {
        Self { table: Vec::new(), keyed }
    }

    /// Spends `thing`; says whether it was fresh.
    // MUST 9000-8.1.4-5
    pub(super) fn spend(&mut self, thing: &[u8]) -> bool {
        if self.table.is_empty() {
            self.table = vec![0; SPENT];
        }
        let hash = self.hash(thing);
        core::mem::replace(&mut self.table[hash as usize % SPENT], hash) != hash
    }

    /// Whether it is known to be spent.
    pub(super) fn knows(&self, thing: &[u8]) -> bool {
        let hash = self.hash(thing);
        self.table.get(hash as usize % SPENT) == Some(&hash)
    }

    fn hash(&self, thing: &[u8]) -> u64 {
        self.keyed.hash_one(thing).max(1)
    }
}

/// A neighbourhood: an IPv4 /24 or an IPv6 /56, which is what one subscriber or small site has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Prefix(u64);

impl Prefix {
    /// The neighbourhood of an address. IPv4 in its mapped form is IPv4.
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(u64::from(ip.to_bits() >> 8)),
            // no IPv4 prefix has this bit, and a /56 leaves room for it
            IpAddr::V6(ip) => Self(1 << 63 | (ip.to_bits() >> 72) as u64),
        }
    }
}

/// What may be done for a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It may be kept.
    Yes,
    /// Only if it has proven its address.
    Proven,
    /// There is none.
    No,
}

/// Handshakes going on.
#[derive(Debug)]
pub(super) struct HalfOpen {
    total: usize,
    /// Only neighbourhoods with at least one, so there are no more entries than handshakes.
    prefixes: HashMap<Prefix, usize, Keyed>,
}

impl HalfOpen {
    pub(super) const fn new(keyed: Keyed) -> Self {
        Self { total: 0, prefixes: HashMap::with_hasher(keyed) }
    }

    pub(super) const fn total(&self) -> usize {
        self.total
    }

    /// What the limits say of one more from `prefix`.
    pub(super) fn room(&self, prefix: Prefix, config: &EndpointConfig) -> Room {
        let near = self.prefixes.get(&prefix).copied().unwrap_or(0);
        let most_near = config.max_half_open_per_prefix;
        if self.total >= config.max_half_open || near >= most_near {
            return Room::No;
        }
        match config.retry_above {
            // A neighbourhood is asked for proof early, so that forged addresses do not lock its honest ones out.
            Some(bound) if self.total >= bound || near >= most_near.div_ceil(4) => Room::Proven,
            _ => Room::Yes,
        }
    }

    pub(super) fn begin(&mut self, prefix: Prefix) {
        self.total += 1;
        *self.prefixes.entry(prefix).or_insert(0) += 1;
    }

    pub(super) fn end(&mut self, prefix: Prefix) {
        self.total = self.total.saturating_sub(1);
        if let Some(near) = self.prefixes.get_mut(&prefix) {
            *near -= 1;
            if *near == 0 {
                self.prefixes.remove(&prefix);
            }
        }
        // What a flood made grow is given back.
        if self.prefixes.capacity() > 64 && self.prefixes.len() < self.prefixes.capacity() / 8 {
            self.prefixes.shrink_to_fit();
        }
    }
}
