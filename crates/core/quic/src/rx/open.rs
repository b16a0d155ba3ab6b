//! From protected bytes to a payload that is authentic, new and in its space (RFC 9001 §5.3 to §6.3).

use tq_crypto::unprotect;
use tq_event::{DropReason, KeyTrigger};
use tq_time::Instant;
use tq_wire::header::{KEY_PHASE_BIT, LONG_RESERVED, LongKind, SHORT_RESERVED};
use tq_wire::{Cid, Code, PathId, Version, packet_number};

use super::Opened;
use crate::connection::{Connection, SpaceId, Timer};
use crate::error::TransportError;
use crate::handshake::keys::Phase;

impl Connection {
    /// Opens an Initial, Handshake or 0-RTT packet.
    // MUST 9000-12.3-5
    pub(super) fn open_long(
        &mut self,
        now: Instant,
        (id, kind, version): (SpaceId, LongKind, Version),
        dcid: &Cid,
        pn_offset: usize,
        packet: &mut [u8],
    ) -> Result<Opened, DropReason> {
        let keys = match id {
            SpaceId::Initial if version != self.version => {
                self.keys.other_initial.as_deref().map(|(_, keys)| &keys.remote)
            }
            SpaceId::Initial => self.keys.initial.as_ref().map(|keys| &keys.remote),
            SpaceId::Handshake => self.keys.handshake.as_ref().map(|keys| &keys.remote),
            SpaceId::App(_) => self.keys.early.as_ref(),
        };
        let keys = keys.ok_or(DropReason::KeysDiscarded)?;
        let head = unprotect(&*keys.header, packet, pn_offset).ok_or(DropReason::TooShort)?;
        let owed = match id {
            SpaceId::Initial => &self.initial.as_ref().ok_or(DropReason::KeysDiscarded)?.owed,
            SpaceId::Handshake => &self.handshake.as_ref().ok_or(DropReason::KeysDiscarded)?.owed,
            SpaceId::App(ix) => &self.paths[ix].space.owed,
        };
        let pn = packet_number::decode(head.truncated, head.pn_len, owed.expected());
        let duplicate = owed.is_duplicate(pn);
        let start = pn_offset + head.pn_len;
        let (header, body) = packet.split_at_mut(start);
        let Ok(len) = keys.packet.open(PathId::ZERO, pn, header, body) else {
            self.on_forgery(now);
            return Err(DropReason::DecryptionFailed);
        };
        // only now, so that timing does not tell what was received before (RFC 9001 §9.5)
        if duplicate {
            return Err(DropReason::Duplicate);
        }
        self.check_reserved(now, head.first & LONG_RESERVED, len)?;
        let zero_rtt = kind == LongKind::ZeroRtt;
        Ok(Opened { space: id, ix: 0, pn, payload: (start, start + len), zero_rtt, dcid: *dcid })
    }

    /// Opens a 1-RTT packet, following the peer into the next key phase.
    // MUST 9000-12.3-5, 9000-17.4-4, 9001-5.5-1, 9001-5.5-2
    pub(super) fn open_short(
        &mut self,
        now: Instant,
        ix: usize,
        dcid: &Cid,
        pn_offset: usize,
        packet: &mut [u8],
    ) -> Result<Opened, DropReason> {
        let keys = self.keys.one_rtt.as_ref().ok_or(DropReason::KeysMissing)?;
        let head = unprotect(&*keys.remote_header, packet, pn_offset).ok_or(DropReason::TooShort)?;
        let path = &self.paths[ix];
        let owed = &path.space.owed;
        let pn = packet_number::decode(head.truncated, head.pn_len, owed.expected());
        let duplicate = owed.is_duplicate(pn);
        let bit = head.first & KEY_PHASE_BIT != 0;
        let phase = keys.phase_of(bit, pn, path.phase_start);
        if phase == Phase::Next && keys.next.is_none() {
            self.prepare_next_keys();
        }
        let (keys, path) = (self.keys.one_rtt.as_ref().ok_or(DropReason::KeysMissing)?, &self.paths[ix]);
        let opener = keys.opener(phase).ok_or(DropReason::KeysDiscarded)?;
        let start = pn_offset + head.pn_len;
        let (header, body) = packet.split_at_mut(start);
        let Ok(len) = opener.open(path.id, pn, header, body) else {
            self.on_forgery(now);
            return Err(DropReason::DecryptionFailed);
        };
        if duplicate {
            return Err(DropReason::Duplicate);
        }
        self.check_reserved(now, head.first & SHORT_RESERVED, len)?;
        match phase {
            Phase::Next => self.on_peer_key_update(now, ix, pn)?,
            Phase::Current => self.on_current_phase(now, ix, pn)?,
            Phase::Previous => self.on_previous_phase(now, ix, pn)?,
        }
        self.cids_on_used(ix, dcid);
        Ok(Opened {
            space: SpaceId::App(ix),
            ix,
            pn,
            payload: (start, start + len),
            zero_rtt: false,
            dcid: *dcid,
        })
    }

    /// Reserved bits must be zero and a packet must hold a frame; judged only now that the packet is authentic
    /// (RFC 9000 §17.2, §12.4).
    // MUST 9000-12.4-2, 9000-17.2-7, 9000-17.3.1-3
    fn check_reserved(&mut self, now: Instant, reserved: u8, payload: usize) -> Result<(), DropReason> {
        let why = match (reserved, payload) {
            (0, 1..) => return Ok(()),
            (0, 0) => "packet without a frame",
            _ => "reserved header bits are set",
        };
        self.fail(now, TransportError::new(Code::PROTOCOL_VIOLATION, 0, why));
        Err(DropReason::Closing)
    }

    /// Counts a packet that did not authenticate (RFC 9001 §6.6).
    // MUST 9001-6.6-6
    fn on_forgery(&mut self, now: Instant) {
        if self.keys.on_forgery() {
            self.fail(
                now,
                TransportError::new(Code::AEAD_LIMIT_REACHED, 0, "too many packets do not authenticate"),
            );
        }
    }

    /// Old keys opened a packet: it must be below all that newer ones opened.
    // MUST 9001-6.4-2
    fn on_previous_phase(&mut self, now: Instant, ix: usize, pn: u64) -> Result<(), DropReason> {
        let path = &mut self.paths[ix];
        path.older_top = path.older_top.max(Some(pn));
        match path.phase_start {
            Some(start) if start <= pn => Err(self.out_of_phase(now)),
            _ => Ok(()),
        }
    }

    fn out_of_phase(&mut self, now: Instant) -> DropReason {
        let why = "old keys for a packet above one with newer keys";
        self.fail(now, TransportError::new(Code::KEY_UPDATE_ERROR, 0, why));
        DropReason::Closing
    }

    fn on_current_phase(&mut self, now: Instant, ix: usize, pn: u64) -> Result<(), DropReason> {
        let path = &mut self.paths[ix];
        if path.older_top.is_some_and(|top| top > pn) {
            return Err(self.out_of_phase(now));
        }
        path.phase_start = Some(path.phase_start.map_or(pn, |start| start.min(pn)));
        let Some(keys) = self.keys.one_rtt.as_mut().filter(|keys| !keys.peer_seen) else {
            return Ok(());
        };
        keys.peer_seen = true;
        if keys.previous.is_some() {
            // The peer has followed: the old keys serve stragglers for three PTO.
            let until = now + 3 * self.longest_pto();
            self.timers.set(Timer::OldKeys as usize, until);
        }
        Ok(())
    }

    /// The peer moved to the next key phase (RFC 9001 §6.2).
    // MUST 9001-6.2-1, 9001-6.2-2
    fn on_peer_key_update(&mut self, now: Instant, ix: usize, pn: u64) -> Result<(), DropReason> {
        let early = self.keys.one_rtt.as_ref().is_none_or(|keys| !keys.answered && keys.generation > 0);
        if !self.hs.complete || early {
            // The peer may update once we have acknowledged a packet of the current phase (RFC 9001 §6.2).
            let why = "key update before the last one was acknowledged";
            self.fail(now, TransportError::new(Code::KEY_UPDATE_ERROR, 0, why));
            return Err(DropReason::Closing);
        }
        self.advance_keys(now, KeyTrigger::RemoteUpdate);
        self.on_current_phase(now, ix, pn)
    }

    /// Makes the keys of the next phase, if they are not there.
    pub(crate) fn prepare_next_keys(&mut self) {
        if let Some(keys) = self.keys.one_rtt.as_mut().filter(|keys| keys.next.is_none()) {
            keys.next = self.hs.session.as_mut().and_then(|session| session.next_keys());
        }
    }

    /// Both directions move on one phase.
    pub(crate) fn advance_keys(&mut self, now: Instant, trigger: KeyTrigger) {
        self.prepare_next_keys();
        let wait = 3 * self.longest_pto();
        let Some(keys) = &mut self.keys.one_rtt else { return };
        let Some(following) = self.hs.session.as_mut().and_then(|session| session.next_keys()) else {
            return;
        };
        let Some(next) = keys.next.take() else { return };
        keys.advance(next, following);
        keys.not_before = Some(now + wait);
        let generation = keys.generation;
        for path in &mut self.paths {
            path.phase_start = None;
            path.older_top = path.space.owed.largest();
            path.sealed_from = path.space.numbers.peek();
        }
        self.counters.key_updates += 1;
        self.log_key_update(now, generation, trigger);
    }

    /// Keys of the phase before are of no more use.
    pub(crate) fn drop_old_keys(&mut self, now: Instant) {
        let Some(keys) = &mut self.keys.one_rtt else { return };
        if keys.previous.take().is_some() {
            let generation = keys.generation - 1;
            self.log_old_keys_gone(now, generation);
        }
    }

    fn cids_on_used(&mut self, ix: usize, dcid: &Cid) {
        let id = self.paths[ix].id;
        if let Some(ids) = self.cids.iter_mut().find(|ids| ids.path == id) {
            ids.local.on_used(dcid);
        }
    }

    /// While closing: opens packets only to see whether the peer closed as well.
    pub(super) fn watch_for_close(&mut self, now: Instant, datagram: &mut [u8]) {
        use tq_wire::header::Header;
        if self.is_stateless_reset(datagram) {
            return self.on_stateless_reset(now);
        }
        let Ok(Header::Short { dcid, pn_offset }) = Header::parse(datagram, self.shared.cid_len) else {
            return;
        };
        let Some(ix) = self.path_of(&dcid).and_then(|path| self.path_index(path)) else { return };
        let Ok(opened) = self.open_short(now, ix, &dcid, pn_offset, datagram) else { return };
        for frame in tq_wire::frame::Frames::new(&datagram[opened.payload.0..opened.payload.1]).flatten() {
            if let tq_wire::Frame::Close(close) = frame {
                return self.on_close_frame(now, &close);
            }
        }
    }
}
