//! What a relay saw and did, per direction, as counts and as the JSON object its binary leaves behind.
//!
//! Datagrams are counted as they came in, before anything was done to them, by their first packet. Only what
//! versions 1 and 2 show without keys is read (RFC 8999, RFC 9000 §17.2, RFC 9369 §3.2).

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Versions remembered per direction; a peer that makes them up cannot fill memory.
const VERSIONS: usize = 16;
/// Connection ids remembered per direction, and how much of each: the shortest that stacks use are longer.
const IDS: usize = 4096;
const ID: usize = 6;
/// QUIC version 2 (RFC 9369).
const V2: u32 = 0x6b33_43cf;

/// Kinds of datagrams, in the order of [`NAMES`].
const NAMES: [&str; 7] =
    ["initial", "zero_rtt", "handshake", "retry", "version_negotiation", "short", "other"];
const INITIAL: usize = 0;
const ZERO_RTT: usize = 1;
const HANDSHAKE: usize = 2;
const RETRY: usize = 3;
const SHORT: usize = 5;

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Became {
    Passed,
    Lost,
    Corrupted,
    Overflowed,
    Queued,
    Outage,
    Swallowed,
}

/// What came in one direction and what became of it.
#[derive(Debug, Default)]
pub struct Seen {
    kinds: [AtomicU64; NAMES.len()],
    versions: Mutex<BTreeSet<u32>>,
    /// Of Handshake packets.
    handshakes: Mutex<BTreeSet<u32>>,
    /// 0-RTT packets, those behind others in a datagram too.
    early: AtomicU64,
    /// Datagrams with short headers at the second door.
    also: AtomicU64,
    /// Beginnings of the connection ids in short headers, and the client from or to which they went first.
    ids: Mutex<HashMap<[u8; ID], u64>>,
    /// Datagrams whose id went from or to another client before.
    reused: AtomicU64,
    /// Passed on.
    pub passed: AtomicU64,
    /// Lost on purpose.
    pub lost: AtomicU64,
    /// Passed on with a changed byte.
    pub corrupted: AtomicU64,
    /// Lost because the relay itself was overrun.
    pub overflowed: AtomicU64,
    /// Lost because the link's queue was full.
    pub queue_full: AtomicU64,
    /// Lost because the link was out of order.
    pub outage: AtomicU64,
    /// Lost because of their number.
    pub swallowed: AtomicU64,
}

impl Seen {
    /// Notes a datagram as it came in, from or to this client.
    pub(super) fn note(&self, datagram: &[u8], client: u64) {
        let mut first = true;
        self.note_id(datagram, client);
        for (kind, version) in packets(datagram) {
            if first {
                self.kinds[kind].fetch_add(1, Ordering::Relaxed);
            }
            first = false;
            self.early.fetch_add(u64::from(kind == ZERO_RTT), Ordering::Relaxed);
            let Some(version) = version else { continue };
            let sets = [Some(&self.versions), (kind == HANDSHAKE).then_some(&self.handshakes)];
            for set in sets.into_iter().flatten() {
                let mut versions = set.lock().unwrap_or_else(PoisonError::into_inner);
                if versions.len() < VERSIONS {
                    versions.insert(version);
                }
            }
        }
    }

    /// Whoever moves shows no id in two places (RFC 9000 §9.5). Ids that are empty leave octets that nobody repeats.
    fn note_id(&self, datagram: &[u8], client: u64) {
        let [first, rest @ ..] = datagram else { return };
        let Some(id) = rest.first_chunk::<ID>().filter(|_| first & 0x80 == 0) else { return };
        self.also.fetch_add(u64::from(client >= super::ALSO >> 1), Ordering::Relaxed);
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = match ids.get(id) {
            Some(owner) => *owner,
            None if ids.len() < IDS => *ids.entry(*id).or_insert(client),
            None => client,
        };
        self.reused.fetch_add(u64::from(owner != client), Ordering::Relaxed);
    }

    /// Notes what became of it.
    pub(super) fn done(&self, became: Became) {
        let count = match became {
            Became::Passed => &self.passed,
            Became::Lost => &self.lost,
            Became::Corrupted => &self.corrupted,
            Became::Overflowed => &self.overflowed,
            Became::Queued => &self.queue_full,
            Became::Outage => &self.outage,
            Became::Swallowed => &self.swallowed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// One JSON object.
    pub(super) fn json(&self) -> String {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let kinds = NAMES.iter().zip(&self.kinds).map(|(name, count)| (*name, of(count)));
        let fates = [
            ("passed", of(&self.passed)),
            ("lost", of(&self.lost)),
            ("corrupted", of(&self.corrupted)),
            ("overflowed", of(&self.overflowed)),
            ("queue_full", of(&self.queue_full)),
            ("outage", of(&self.outage)),
            ("swallowed", of(&self.swallowed)),
            ("zero_rtt_packets", of(&self.early)),
            ("also", of(&self.also)),
            ("ids_reused", of(&self.reused)),
        ];
        let counts: Vec<String> =
            kinds.chain(fates).map(|(name, count)| format!("\"{name}\":{count}")).collect();
        let list = |set: &Mutex<BTreeSet<u32>>| {
            let versions = set.lock().unwrap_or_else(PoisonError::into_inner);
            let versions: Vec<String> =
                versions.iter().map(|version| format!("\"{version:#010x}\"")).collect();
            versions.join(",")
        };
        let (versions, handshakes) = (list(&self.versions), list(&self.handshakes));
        format!("{{{},\"versions\":[{versions}],\"handshake_versions\":[{handshakes}]}}", counts.join(","))
    }
}

/// What passed between the server and one client before that had proven its address (RFC 9000 §8.1).
#[derive(Debug, Default)]
pub(super) struct Account {
    received: AtomicU64,
    sent: AtomicU64,
    proven: AtomicBool,
}

impl Account {
    /// A datagram reaches the server.
    pub(super) fn received(&self, datagram: &[u8]) {
        self.received.fetch_add(datagram.len() as u64, Ordering::Relaxed);
        // Who sends Handshake packets has got the server's Initial.
        if packets(datagram).any(|(kind, _)| matches!(kind, HANDSHAKE | SHORT)) {
            self.proven.store(true, Ordering::Relaxed);
        }
    }

    /// The server sent a datagram of this length; `most` is how much it ever was, in thousandths.
    pub(super) fn sent(&self, len: usize, most: &AtomicU64) {
        if self.proven.load(Ordering::Relaxed) {
            return;
        }
        let sent = self.sent.fetch_add(len as u64, Ordering::Relaxed) + len as u64;
        most.fetch_max(sent * 1000 / self.received.load(Ordering::Relaxed).max(1), Ordering::Relaxed);
    }
}

/// The packets of a datagram as far as they can be told apart: an index into [`NAMES`], and the version of a long
/// header.
fn packets(datagram: &[u8]) -> impl Iterator<Item = (usize, Option<u32>)> {
    let mut left = Some(datagram);
    std::iter::from_fn(move || {
        let packet = left.take()?;
        let (kind, version) = kind(packet);
        if matches!(kind, 0..=HANDSHAKE) {
            left = behind(packet, kind == INITIAL).filter(|rest| !rest.is_empty() && rest[0] & 0x80 != 0);
        }
        Some((kind, version))
    })
}

/// An index into [`NAMES`], and the version of a long header.
fn kind(datagram: &[u8]) -> (usize, Option<u32>) {
    match datagram {
        // The fixed bit may be greased (RFC 9287).
        [first, ..] if first & 0x80 == 0 => (SHORT, None),
        [first, a, b, c, d, ..] => {
            let version = u32::from_be_bytes([*a, *b, *c, *d]);
            let bits = usize::from(first >> 4 & 3);
            let kind = match version {
                0 => 4,
                // Version 2 counts from Retry on.
                V2 => (bits + RETRY) % 4,
                // Of other versions the first byte says nothing; the reserved ones are laid out alike here.
                _ => bits,
            };
            (kind, Some(version))
        }
        _ => (6, None),
    }
}

/// What follows a packet with a length field.
fn behind(packet: &[u8], initial: bool) -> Option<&[u8]> {
    let rest = packet.get(5..)?;
    let rest = rest.get(1 + usize::from(*rest.first()?)..)?;
    let mut rest = rest.get(1 + usize::from(*rest.first()?)..)?;
    if initial {
        let (token, after) = varint(rest)?;
        rest = after.get(token..)?;
    }
    let (len, rest) = varint(rest)?;
    rest.get(len..)
}

/// RFC 9000 §16.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let first = *bytes.first()?;
    let len = 1 << (first >> 6);
    let value =
        bytes.get(1..len)?.iter().fold(u64::from(first & 0x3f), |sum, byte| sum << 8 | u64::from(*byte));
    Some((usize::try_from(value).ok()?, &bytes[len..]))
}

#[cfg(test)]
mod tests;
