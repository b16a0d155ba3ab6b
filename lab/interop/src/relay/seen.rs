//! What a relay saw and did, per direction, as counts and as the JSON object its binary leaves behind.
//!
//! Datagrams are counted as they came in, before anything was done to them, by their first packet. Only what
//! version 1 shows without keys is read (RFC 8999, RFC 9000 §17.2).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Verdict;

/// Versions remembered per direction; a peer that makes them up cannot fill memory.
const VERSIONS: usize = 16;

/// Kinds of datagrams, in the order of [`NAMES`].
const NAMES: [&str; 7] =
    ["initial", "zero_rtt", "handshake", "retry", "version_negotiation", "short", "other"];

/// What came in one direction and what became of it.
#[derive(Debug, Default)]
pub struct Seen {
    kinds: [AtomicU64; NAMES.len()],
    versions: Mutex<BTreeSet<u32>>,
    /// Passed on.
    pub passed: AtomicU64,
    /// Lost on purpose.
    pub lost: AtomicU64,
    /// Passed on with a changed byte.
    pub corrupted: AtomicU64,
    /// Lost because a queue was at its limit.
    pub overflowed: AtomicU64,
}

impl Seen {
    /// Notes a datagram as it came in.
    pub(super) fn note(&self, datagram: &[u8]) {
        let (kind, version) = kind(datagram);
        self.kinds[kind].fetch_add(1, Ordering::Relaxed);
        let Some(version) = version else { return };
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if versions.len() < VERSIONS {
            versions.insert(version);
        }
    }

    /// Notes what became of it; `None` is a full queue.
    pub(super) fn done(&self, verdict: Option<Verdict>) {
        let count = match verdict {
            Some(Verdict::Pass) => &self.passed,
            Some(Verdict::Lose) => &self.lost,
            Some(Verdict::Corrupt) => &self.corrupted,
            None => &self.overflowed,
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
        ];
        let counts: Vec<String> =
            kinds.chain(fates).map(|(name, count)| format!("\"{name}\":{count}")).collect();
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let versions: Vec<String> = versions.iter().map(|version| format!("\"{version:#010x}\"")).collect();
        format!("{{{},\"versions\":[{}]}}", counts.join(","), versions.join(","))
    }
}

/// An index into [`NAMES`], and the version of a long header.
fn kind(datagram: &[u8]) -> (usize, Option<u32>) {
    match datagram {
        // The fixed bit may be greased (RFC 9287).
        [first, ..] if first & 0x80 == 0 => (5, None),
        [first, a, b, c, d, ..] => {
            let version = u32::from_be_bytes([*a, *b, *c, *d]);
            let kind = match version {
                0 => 4,
                // Of other versions the first byte says nothing; the reserved ones are laid out alike here.
                _ => usize::from(first >> 4 & 3),
            };
            (kind, Some(version))
        }
        _ => (6, None),
    }
}

#[cfg(test)]
mod tests;
