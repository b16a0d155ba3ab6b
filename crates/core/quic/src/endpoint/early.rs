//! 0-RTT packets that overtook the Initial they belong to (RFC 9000 §5.2.2).
//!
//! Anybody can send such packets, so few are kept, for a moment, and nothing is ever sent because of them: they reach a
//! connection when an Initial with the same id from the same address is accepted, and are forgotten otherwise.

use core::net::SocketAddr;
use core::time::Duration;

use tq_buf::mem::{Vec, VecDeque};
use tq_time::Instant;
use tq_wire::Cid;

use crate::connection::RecvMeta;

/// Datagrams kept in all; beyond, the oldest is forgotten.
const MOST: usize = 64;
/// Datagrams kept for one id from one address; beyond, the newest is dropped.
const EACH: usize = 8;
/// How long.
const LIFE: Duration = Duration::from_secs(1);

struct Kept {
    at: Instant,
    dcid: Cid,
    meta: RecvMeta,
    datagram: Vec<u8>,
}

impl Kept {
    fn is_of(&self, dcid: &Cid, remote: SocketAddr) -> bool {
        self.dcid == *dcid && self.meta.remote == remote
    }
}

/// They, oldest first.
#[derive(Default)]
pub(super) struct EarlyPackets(VecDeque<Kept>);

impl EarlyPackets {
    /// Keeps a datagram; says whether there was room.
    pub(super) fn keep(&mut self, now: Instant, dcid: &Cid, meta: &RecvMeta, datagram: &[u8]) -> bool {
        while self.0.front().is_some_and(|kept| now.saturating_since(kept.at) > LIFE) {
            self.0.pop_front();
        }
        if self.0.iter().filter(|kept| kept.is_of(dcid, meta.remote)).count() >= EACH {
            return false;
        }
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(Kept { at: now, dcid: *dcid, meta: *meta, datagram: datagram.to_vec() });
        true
    }

    /// Takes out what is kept for an id from an address.
    pub(super) fn take(&mut self, dcid: &Cid, remote: SocketAddr) -> Vec<(RecvMeta, Vec<u8>)> {
        let mut taken = Vec::new();
        self.0.retain_mut(|kept| {
            let matches = kept.is_of(dcid, remote);
            if matches {
                taken.push((kept.meta, core::mem::take(&mut kept.datagram)));
            }
            !matches
        });
        taken
    }
}
