//! Datagrams of the handshake: Initial, 0-RTT, Handshake and 1-RTT packets behind each other, padded where RFC 9000
//! §14.1 asks for it.

use smallvec::SmallVec;
use tq_time::Instant;

use super::packet::Draft;
use crate::config::MIN_MTU;
use crate::connection::{Connection, SpaceId, Transmit};
use crate::handshake::Level;
use crate::stream::Share;

impl Connection {
    /// One datagram while Initial or Handshake keys are in use; `None` if neither they nor 0-RTT have something to send.
    // MUST 9000-8.1-3, 9000-8.1-5, 9000-12.2-2, 9000-14-1, 9000-14.1-1, 9000-14.1-2, 9001-4.9.1-1, 9001-9.3-1
    // MUST 9002-7-2
    pub(super) fn transmit_coalesced(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        if self.paths[0].is_blocked() {
            return None;
        }
        let budget = self.budget(now, 0)?;
        let min = usize::from(MIN_MTU);
        let limit = budget.datagram.min(usize::from(self.paths[0].mtu.current()));
        let window = self.paths[0].cc.window().saturating_sub(self.in_flight(0));
        let mut drafts: SmallVec<[Draft; 3]> = SmallVec::new();
        let mut at = 0;
        let mut must_pad = false;
        for id in [SpaceId::Initial, SpaceId::Handshake] {
            // A server pads its ack-eliciting Initials, a client all of them; what cannot be padded waits.
            let room = id != SpaceId::Initial || limit >= min;
            let data = room && (window >= limit as u64 || self.paths[0].probes[id.index()] > 0);
            if !self.early_wants(now, id, data) {
                continue;
            }
            let Some(draft) =
                self.draft(id, 0, buf, at, limit, |c, payload| c.fill_early(now, id, data, payload))
            else {
                continue;
            };
            must_pad |= id == SpaceId::Initial && (self.side.is_client() || draft.eliciting);
            at = draft.seal.packet.end;
            drafts.push(draft);
        }
        let early = self.may_send_early();
        if drafts.is_empty() && !early {
            return None;
        }
        if early || self.may_send_app() {
            let asked = self.hs.asked().len();
            if let Some(draft) = self.draft_behind(now, buf, (at, limit), budget.allows_data()) {
                must_pad |= self.hs.asked().len() > asked;
                at = draft.seal.packet.end;
                drafts.push(draft);
            }
        }
        if drafts.is_empty() {
            self.note_idle(0, budget.allows_data());
            return None;
        }
        if must_pad && at < min {
            let last = drafts.last_mut()?;
            let len = min - last.seal.packet.start;
            self.pad(buf, last, len);
            at = min;
        }
        let handshake = drafts.iter().any(|draft| draft.space == SpaceId::Handshake);
        let transmit = self.finish_datagram(now, 0, buf, drafts, at);
        if handshake && self.side.is_client() {
            // RFC 9001 §4.9.1
            self.discard_level(now, SpaceId::Initial);
        }
        Some(transmit)
    }

    /// A packet of 0-RTT or 1-RTT behind those of the handshake, in a datagram of `limit` bytes at most.
    fn draft_behind(
        &mut self,
        now: Instant,
        buf: &mut [u8],
        (at, limit): (usize, usize),
        data: bool,
    ) -> Option<Draft> {
        let asks =
            self.hs.raced.as_ref().is_some_and(|raced| raced.asks) && data && limit >= usize::from(MIN_MTU);
        if !asks && !self.app_wants(now, 0, data, Share::All) {
            return None;
        }
        self.draft(SpaceId::App(0), 0, buf, at, limit, |c, payload| {
            if asks {
                c.ask_way(now, payload);
            }
            c.fill_app(now, 0, (data, Share::All), payload);
        })
    }

    /// Seals the packets of one datagram and accounts for it.
    pub(super) fn finish_datagram(
        &mut self,
        now: Instant,
        ix: usize,
        buf: &mut [u8],
        drafts: SmallVec<[Draft; 3]>,
        len: usize,
    ) -> Transmit {
        let ecn = self.paths[ix].mark();
        let paced = if drafts.iter().any(|draft| draft.in_flight) { len } else { 0 };
        for draft in drafts {
            self.seal_and_record(now, ix, buf, draft, ecn);
        }
        self.account(now, ix, (len, paced), None, ecn)
    }

    fn crypto_or_probe(&self, id: SpaceId) -> bool {
        let level = if id == SpaceId::Initial { Level::Initial } else { Level::Handshake };
        self.crypto.wants(level) || self.paths[0].probes[id.index()] > 0
    }

    /// Whether a space of the handshake has something to say.
    fn early_wants(&self, now: Instant, id: SpaceId, data: bool) -> bool {
        let keys = match id {
            SpaceId::Initial => self.keys.initial.is_some(),
            _ => self.keys.handshake.is_some(),
        };
        let owed = self.space(id).is_some_and(|space| space.owed.wants(now));
        keys && (owed || data && self.crypto_or_probe(id))
    }

    /// Whether 1-RTT packets may be sent.
    pub(super) fn may_send_app(&self) -> bool {
        self.keys.one_rtt.is_some() && self.hs.params_seen
    }
}
