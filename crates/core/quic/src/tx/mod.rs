//! What leaves next: pick a path, ask its budget, fill packets in one visible order, seal, record, hand over a batch.
//! Only `pick` knows how many paths there are.

mod batch;
mod budget;
mod close;
mod coalesced;
mod fill;
mod packet;
mod pick;

pub(crate) use pick::Copies;
use tq_crypto::Suite;
use tq_event::KeyTrigger;
use tq_time::Instant;
use tq_wire::Code;

use crate::connection::{Connection, End, Transmit};
use crate::error::TransportError;
use crate::space::Space;
use crate::stream::Share;

/// Smallest buffer for [`Connection::transmit`].
pub const TRANSMIT_BUFFER: usize = 65_536;

/// Packets below an AEAD's limit at which a connection ends that cannot change its keys: more than a batch and a close.
const LEFT_TO_CLOSE: u64 = 1024;

impl Connection {
    /// Fills `buf` with datagrams for one path: one, or up to `max_segments` of equal size. `None`: nothing may or
    /// need be sent now. `buf` has at least [`TRANSMIT_BUFFER`] bytes. Call until `None`.
    // MUST 9000-10.2.2-1, 9000-10.2.2-2
    pub fn transmit(&mut self, now: Instant, buf: &mut [u8], max_segments: usize) -> Option<Transmit> {
        let transmit = match &self.end {
            End::None => {
                self.streams.on_transmit();
                self.transmit_open(now, buf, max_segments.max(1))
            }
            End::Closing(_) => self.transmit_close(now, buf),
            End::Draining(_) | End::Drained(_) => None,
        }?;
        let count = transmit.segment.map_or(1, |segment| transmit.len.div_ceil(segment));
        self.counters.datagrams_sent += count as u64;
        self.counters.bytes_sent += transmit.len as u64;
        self.log_sent_batch(now, count, transmit.len);
        Some(transmit)
    }

    /// Ends without a word, not even CONNECTION_CLOSE, when a space has no packet number left (RFC 9000 §12.3).
    // MUST 9000-12.3-3
    fn ends_for_want_of_numbers(&mut self, now: Instant) -> bool {
        let used_up = self.paths.iter().any(|path| path.space.numbers.is_used_up());
        if used_up {
            let error = TransportError::new(Code::INTERNAL_ERROR, 0, "packet numbers are used up");
            self.end_now(now, error.into());
        }
        used_up
    }

    fn transmit_on(
        &mut self,
        now: Instant,
        ix: usize,
        buf: &mut [u8],
        max_segments: usize,
    ) -> Option<Transmit> {
        if let Some(transmit) = self.transmit_early(now, buf) {
            return Some(transmit);
        }
        self.keys.one_rtt.as_ref()?;
        self.transmit_bound(now, ix, buf)
            .or_else(|| self.transmit_batch(now, ix, buf, max_segments, Share::All))
            .or_else(|| self.transmit_mtu_probe(now, ix, buf))
    }

    /// What is left of the handshake; on the first path, whether or not there are others by now.
    fn transmit_early(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        let over = self.initial.is_none() && self.handshake.is_none();
        if over { None } else { self.transmit_coalesced(now, buf) }
    }

    /// What no other path can carry and what comes first: challenges, responses, the first flight of a new path.
    fn transmit_bound(&mut self, now: Instant, ix: usize, buf: &mut [u8]) -> Option<Transmit> {
        self.transmit_probing(now, ix, buf)
            .or_else(|| self.transmit_first(now, ix, buf))
            .or_else(|| self.transmit_flight(now, ix, buf))
    }

    /// A probe of an address beside the one in use, or an answer to one. For that one datagram it takes the place of the
    /// first path's.
    // MUST 9000-8.2.2-3, 9000-21.5.3-1
    fn transmit_aside(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        let count = self.asides.len();
        (0..count).find_map(|at| {
            if !self.asides[at].wants() || !self.exchange_aside(at) {
                return None;
            }
            self.beside = true;
            let transmit = self.transmit_probing(now, 0, buf);
            self.beside = false;
            self.exchange_aside(at);
            transmit
        })
    }

    /// Updates keys on our own after enough packets (decision 8), or because the AEAD's limit is near.
    // MUST 9001-5.3-3, 9001-6.1-1, 9001-6.6-3
    fn update_keys_if_due(&mut self, now: Instant) {
        let Some(keys) = &self.keys.one_rtt else { return };
        let limit = self.config.key_update_after.min(keys.suite.confidentiality_limit() / 2);
        if keys.sealed >= limit && self.hs.confirmed && keys.may_update(now) {
            self.advance_keys(now, KeyTrigger::LocalUpdate);
        }
    }

    /// Whether the keys of a level have sealed almost as many packets as their AEAD allows: an update that was due at half
    /// of that was not possible. What is left is for the close. Numbers of a space tell what its only keys sealed.
    // MUST 9001-6.6-1, 9001-6.6-2, 9001-6.6-3, 9001-6.6-4
    fn keys_spent(&self) -> bool {
        let spent = |sealed: u64, suite: Suite| sealed >= suite.confidentiality_limit() - LEFT_TO_CLOSE;
        let numbers = |space: &Space| spent(space.numbers.peek(), Suite::Aes128Gcm);
        [&self.initial, &self.handshake].into_iter().flatten().any(numbers)
            || self.may_send_early() && numbers(&self.paths[0].space)
            || self.keys.one_rtt.as_ref().is_some_and(|keys| spent(keys.sealed, keys.suite))
    }

    /// Moves both directions to the next keys; says whether that was allowed now: the handshake is confirmed, the
    /// last update acknowledged and three PTO old (RFC 9001 §6.1, §6.5).
    // MUST 9001-6-1, 9001-6.1-1
    pub fn update_keys(&mut self, now: Instant) -> bool {
        let allowed =
            self.hs.confirmed && self.keys.one_rtt.as_ref().is_some_and(|keys| keys.may_update(now));
        if allowed {
            self.advance_keys(now, KeyTrigger::LocalUpdate);
        }
        allowed
    }
}

#[cfg(test)]
mod tests;
