//! One datagram in, in the order RFC 9000 §12 describes: split, unprotect, open, admit, frames, after-packet work.
//! Nothing here knows how many paths there are.

mod frames;
mod open;

use core::time::Duration;

use tq_event::DropReason;
use tq_time::Instant;
use tq_wire::header::{self, FIXED_BIT, Header, LongKind};
use tq_wire::{Cid, PathId, Version};

use crate::config::MIN_MTU;
use crate::connection::{Connection, End, RecvMeta, SpaceId};
use crate::error::TransportError;

/// A packet that opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    pub(crate) space: SpaceId,
    /// The path it is for.
    pub(crate) ix: usize,
    pub(crate) pn: u64,
    /// Where the frames are.
    pub(crate) payload: (usize, usize),
    pub(crate) zero_rtt: bool,
    pub(crate) dcid: Cid,
}

impl Connection {
    /// Takes one UDP payload, decrypting it in place. Datagrams of one batch are fed one after the other; what they
    /// cause to be sent is decided when `transmit` is called after the last.
    pub fn receive(&mut self, now: Instant, meta: &RecvMeta, datagram: &mut [u8]) {
        self.counters.datagrams_received += 1;
        self.counters.bytes_received += datagram.len() as u64;
        match &mut self.end {
            End::None => {}
            End::Closing(_) => return self.receive_closing(now, meta, datagram),
            End::Draining(_) | End::Drained(_) => return self.counters.drop_packet(DropReason::Closing),
        }
        self.note_lateness(now);
        if self.side.is_client() && !self.is_known(now, meta) {
            return self.drop_packet(now, DropReason::UnexpectedAddress, datagram.len());
        }
        self.attribute(meta, datagram);
        self.split(now, meta, datagram);
        if !self.hs.waiting.is_empty() {
            self.heard = 0;
            self.retry_waiting(now);
        }
    }

    /// While closing only the peer's own close is of interest; anything else may earn a copy of ours.
    fn receive_closing(&mut self, now: Instant, meta: &RecvMeta, datagram: &mut [u8]) {
        let at = self.attribute(meta, datagram);
        if let Some(at) = at {
            self.heard_on = self.paths[at].id;
        }
        self.counters.drop_packet(DropReason::Closing);
        self.watch_for_close(now, datagram);
        let rtt = &self.paths[at.unwrap_or(0)].rtt;
        let trip = if rtt.has_sample() { rtt.smoothed() } else { Duration::ZERO };
        if let End::Closing(closing) = &mut self.end {
            closing.on_packet(now, datagram.len(), trip);
        }
    }

    /// Whether a server of ours is at this address: nobody else may speak for it (RFC 9000 §9).
    // MUST 9000-9-5
    fn is_known(&self, now: Instant, meta: &RecvMeta) -> bool {
        let from = (meta.remote.ip(), meta.remote.port());
        let asides = self.asides.iter().map(|aside| aside.tuple.remote);
        let former = self.former.filter(|(_, until)| now < *until).map(|(remote, _)| remote);
        let mut known = self.paths.iter().map(|path| path.tuple.remote).chain(asides).chain(former);
        known.any(|remote| (remote.ip(), remote.port()) == from)
    }

    /// Counts bytes for the path they are for, opened or not (RFC 9000 §8.1), and says which that is.
    // MUST 9000-8.1-2
    fn attribute(&mut self, meta: &RecvMeta, datagram: &[u8]) -> Option<usize> {
        let len = datagram.len();
        self.heard = len as u64;
        let at = if self.multipath.on { self.path_for(meta, datagram)? } else { 0 };
        let path = &mut self.paths[at];
        path.bytes_received += len as u64;
        if path.tuple.is_of(meta) {
            path.validation.on_received(len);
        } else if let Some(aside) = self.asides.iter_mut().find(|aside| aside.tuple.is_of(meta)) {
            aside.on_received(len);
        }
        Some(at)
    }

    /// The path whose id a datagram carries, or else one that leads where it came from. `None` for an id of no path yet.
    fn path_for(&self, meta: &RecvMeta, datagram: &[u8]) -> Option<usize> {
        let short = datagram.first().is_some_and(|first| first & header::FORM_LONG == 0);
        let dcid = datagram.get(1..=self.shared.cid_len).filter(|_| short).and_then(Cid::new);
        match dcid.and_then(|dcid| self.path_of(&dcid)) {
            Some(id) => self.path_index(id),
            None => Some(self.paths.iter().position(|path| path.tuple.remote == meta.remote).unwrap_or(0)),
        }
    }

    /// Walks coalesced packets. One for another connection id is dropped before anything is kept (RFC 9000 §12.2).
    // MUST 9000-10.3-5, 9000-10.3.1-1, 9000-12.2-1, 9000-12.2-3, 9000-12.2-4
    fn split(&mut self, now: Instant, meta: &RecvMeta, datagram: &mut [u8]) {
        let mut first: Option<Cid> = None;
        let (mut at, whole) = (0, datagram.len());
        if datagram.is_empty() {
            return self.drop_packet(now, DropReason::Empty, 0);
        }
        while at < datagram.len() {
            let rest = &mut datagram[at..];
            let header = match Header::parse(rest, self.shared.cid_len) {
                Ok(header) => header,
                Err(_) => return self.unreadable(now, at, datagram),
            };
            let len = match &header {
                Header::Long { end, .. } => *end,
                _ => rest.len(),
            };
            let dcid = match &header {
                Header::Long { dcid, .. } | Header::Short { dcid, .. } | Header::Retry { dcid, .. } => {
                    Some(*dcid)
                }
                _ => None,
            };
            if dcid.is_some() && first.is_some() && dcid != first {
                return self.drop_packet(now, DropReason::OtherConnection, rest.len());
            }
            first = first.or(dcid);
            let (short, opened) = (matches!(header, Header::Short { .. }), self.counters.packets_received);
            if let Err(reason) = self.check_initial(&header, whole) {
                self.drop_packet(now, reason, len);
            } else {
                self.packet(now, meta, header, &mut rest[..len]);
            }
            // short ones have been looked at where they failed
            let failed = at == 0 && !short && self.counters.packets_received == opened;
            if failed && self.is_stateless_reset(datagram) {
                return self.on_stateless_reset(now);
            }
            if self.end.is_over() {
                return;
            }
            at += len;
        }
    }

    /// What an Initial must be like, in a datagram of `whole` bytes: expanded if a client sent it (RFC 9000 §14.1),
    /// without a token if a server did (§17.2.2).
    // MUST 9000-8.2.1-4, 9000-14-4, 9000-14.1-3, 9000-17.2.2-2
    fn check_initial(&self, header: &Header, whole: usize) -> Result<(), DropReason> {
        match header {
            Header::Long { kind: LongKind::Initial, .. }
                if self.side.is_server() && whole < usize::from(MIN_MTU) =>
            {
                Err(DropReason::InitialTooSmall)
            }
            Header::Long { kind: LongKind::Initial, token, .. }
                if self.side.is_client() && !token.is_empty() =>
            {
                Err(DropReason::BadHeader)
            }
            _ => Ok(()),
        }
    }

    // MUST 9000-17.2-1, 9000-17.3.1-1
    fn packet(&mut self, now: Instant, meta: &RecvMeta, header: Header, packet: &mut [u8]) {
        match header {
            Header::Short { .. } | Header::Long { .. } | Header::Retry { .. }
                if packet[0] & FIXED_BIT == 0 && !self.config.grease =>
            {
                self.drop_packet(now, DropReason::FixedBit, packet.len());
            }
            Header::Short { dcid, pn_offset } => self.short(now, meta, &dcid, pn_offset, packet),
            Header::Long { kind, version, dcid, scid, pn_offset, .. } => {
                self.long(now, meta, kind, version, (&dcid, &scid), pn_offset, packet);
            }
            Header::Retry { scid, token, version, .. } if version == self.version => {
                let outcome = self.on_retry(now, scid, &packet[token], packet);
                if outcome.is_ok() {
                    self.settle_race(meta);
                }
                self.drop_if(now, outcome, packet.len());
            }
            Header::VersionNegotiation { dcid, scid, versions } => {
                let ours = packet[dcid] == *self.hs.local_scid && packet[scid] == *self.hs.odcid;
                let outcome = if ours {
                    let list = packet[versions].to_vec();
                    self.on_version_negotiation(now, &list)
                } else {
                    Err(DropReason::BadVersionNegotiation)
                };
                self.drop_if(now, outcome, packet.len());
            }
            Header::Retry { .. } | Header::Unknown { .. } => {
                self.drop_packet(now, DropReason::UnknownVersion, packet.len());
            }
        }
    }

    fn drop_if(&mut self, now: Instant, outcome: Result<(), DropReason>, len: usize) {
        if let Err(reason) = outcome {
            self.drop_packet(now, reason, len);
        }
    }

    // MUST 9000-7.2-2, 9000-7.2-3, 9000-7.2-4, 9000-7.2-6, 9001-4.6.2-1, 9001-5.6-4, 9001-5.6-5
    fn long(
        &mut self,
        now: Instant,
        meta: &RecvMeta,
        kind: LongKind,
        version: Version,
        (dcid, scid): (&Cid, &Cid),
        pn_offset: usize,
        packet: &mut [u8],
    ) {
        if !self.admits(kind, version) {
            return self.drop_packet(now, DropReason::UnknownVersion, packet.len());
        }
        if kind == LongKind::ZeroRtt {
            if self.side.is_client() {
                // only ever our own, sent back
                return self.drop_packet(now, DropReason::KeysDiscarded, packet.len());
            }
            if self.keys.early.is_none() && self.awaits_early_keys() {
                return self.postpone(now, meta, packet);
            }
        }
        let id = match kind {
            LongKind::Initial => SpaceId::Initial,
            LongKind::Handshake => SpaceId::Handshake,
            LongKind::ZeroRtt => SpaceId::App(0),
        };
        if kind == LongKind::ZeroRtt && self.paths[0].id != PathId::ZERO {
            return self.drop_packet(now, DropReason::KeysDiscarded, packet.len());
        }
        if kind != LongKind::ZeroRtt && !self.expects_scid(scid) {
            return self.drop_packet(now, DropReason::OtherConnection, packet.len());
        }
        if id == SpaceId::Handshake && self.keys.handshake.is_none() && !self.hs.confirmed {
            return self.postpone(now, meta, packet);
        }
        if kind == LongKind::Initial && version != self.version {
            self.prepare_to_follow(version);
        }
        match self.open_long(now, (id, kind, version), dcid, pn_offset, packet) {
            Ok(_)
                if id == SpaceId::Initial
                    && version != self.version
                    && self.side.is_client()
                    && !self.follow(version) =>
            {
                self.drop_packet(now, DropReason::UnknownVersion, packet.len());
            }
            Ok(opened) if opened.zero_rtt && !self.check_early_number(now, opened.pn) => {}
            Ok(opened) => {
                if self.hs.remote_scid.is_none() && kind != LongKind::ZeroRtt {
                    self.hs.remote_scid = Some(*scid);
                    if self.side.is_client() {
                        self.cids[0].peer.set_first(*scid, None);
                    }
                }
                self.process(now, meta, &opened, packet);
            }
            Err(reason) => {
                if reason == DropReason::Duplicate && id == SpaceId::Initial {
                    self.on_copy(meta);
                }
                self.drop_packet(now, reason, packet.len());
            }
        }
    }

    // MUST 9001-5.7-1, 9001-5.7-2, 9001-5.7-3
    fn short(&mut self, now: Instant, meta: &RecvMeta, dcid: &Cid, pn_offset: usize, packet: &mut [u8]) {
        let Some(path) = self.path_of(dcid) else {
            return self.undecryptable(now, DropReason::UnknownPath, packet);
        };
        if self.keys.one_rtt.is_none() || (self.side.is_server() && !self.hs.complete) {
            return self.postpone(now, meta, packet);
        }
        let known = self.path_index(path);
        let Some(ix) = known.or_else(|| self.attempt_path(now, meta, path)) else {
            return self.undecryptable(now, DropReason::UnknownPath, packet);
        };
        match self.open_short(now, ix, dcid, pn_offset, packet) {
            Ok(opened) => {
                if known.is_none() {
                    self.on_path_opened(now, ix, packet.len());
                }
                self.note_one_rtt(opened.ix, opened.pn);
                self.process(now, meta, &opened, packet);
            }
            Err(reason) => {
                if known.is_none() {
                    self.forget_attempt();
                }
                self.undecryptable(now, reason, packet);
            }
        }
    }

    /// The rest of a datagram has no header that can be read: a stateless reset, if it is the whole (RFC 9000 §10.3.1).
    fn unreadable(&mut self, now: Instant, at: usize, datagram: &[u8]) {
        if at == 0 && self.is_stateless_reset(datagram) {
            return self.on_stateless_reset(now);
        }
        self.drop_packet(now, DropReason::BadHeader, datagram.len() - at);
    }

    /// A short-header packet that does not open may be a stateless reset (RFC 9000 §10.3.1).
    // MUST 9000-10.3.1-1
    fn undecryptable(&mut self, now: Instant, reason: DropReason, packet: &[u8]) {
        if reason != DropReason::Duplicate && self.is_stateless_reset(packet) {
            return self.on_stateless_reset(now);
        }
        self.drop_packet(now, reason, packet.len());
    }

    /// Whether a datagram ends in the reset token of an id we send with.
    // MUST 9000-10.3-3
    pub(crate) fn is_stateless_reset(&self, datagram: &[u8]) -> bool {
        let Some(tail) = datagram.last_chunk::<16>().filter(|_| datagram.len() >= 21) else { return false };
        let token = tq_wire::ResetToken(*tail);
        self.cids.iter().fold(false, |found, ids| found | ids.peer.is_reset(&token))
    }

    /// Keeps a packet until its keys come, if there is room.
    fn postpone(&mut self, now: Instant, meta: &RecvMeta, packet: &[u8]) {
        if !self.keep_for_later(meta, packet) {
            self.drop_packet(now, DropReason::KeysMissing, packet.len());
        }
    }

    /// Keys may have come: tries the packets that wait, once.
    fn retry_waiting(&mut self, now: Instant) {
        let ready = self.hs.complete
            || self.keys.handshake.is_some()
            || (self.side.is_client() && self.keys.one_rtt.is_some());
        if !ready {
            return;
        }
        for (meta, mut packet) in core::mem::take(&mut self.hs.waiting) {
            if self.end.is_over() {
                return;
            }
            self.attribute_late(&meta, &packet);
            self.split(now, &meta, &mut packet);
        }
    }

    /// A packet that waited for its keys may be one of a path that did not exist when it came: its bytes count for that now.
    fn attribute_late(&mut self, meta: &RecvMeta, packet: &[u8]) {
        let at = if self.multipath.on { self.path_for(meta, packet) } else { None };
        if let Some(path) = at.map(|at| &mut self.paths[at]).filter(|path| path.id != PathId::ZERO) {
            path.bytes_received += packet.len() as u64;
            if path.tuple.is_of(meta) {
                path.validation.on_received(packet.len());
            }
        }
    }

    /// Frames and what follows from the packet as a whole.
    // MUST 9000-5.2-1, 9000-10.3-1, 9000-11.1-1, 9000-13.1-1
    fn process(&mut self, now: Instant, meta: &RecvMeta, opened: &Opened, packet: &[u8]) {
        self.counters.packets_received += 1;
        let payload = &packet[opened.payload.0..opened.payload.1];
        self.log_received(now, opened, meta.ecn, packet.len(), payload);
        self.hs.heard = true;
        self.settle_race(meta);
        match self.frames(now, meta, opened, payload) {
            Ok(outcome) => self.after_packet(now, meta, opened, outcome, packet.len()),
            Err(error) => self.fail(now, error),
        }
    }

    // MUST 9000-9-3, 9001-4.9.1-2
    fn after_packet(
        &mut self,
        now: Instant,
        meta: &RecvMeta,
        opened: &Opened,
        outcome: frames::Outcome,
        size: usize,
    ) {
        if self.end.is_over() {
            return;
        }
        self.heard_on = self.paths[opened.ix].id;
        self.streams.on_packet_end();
        if self.settling && matches!(opened.space, SpaceId::App(_)) {
            self.settle_if_alive();
        }
        self.on_path_heard(now, opened.ix);
        let Some(space) = self.space_mut(opened.space) else { return };
        let highest = space.owed.largest().is_none_or(|largest| opened.pn > largest);
        space.owed.on_packet(now, opened.pn, outcome.eliciting, meta.ecn);
        if self.last_activity != now || self.idle_armed_by_send {
            // once for a train, whose datagrams share a moment
            self.last_activity = now;
            self.idle_armed_by_send = false;
            self.arm_idle(now);
            if outcome.eliciting {
                self.arm_silence(now);
            }
        }
        if opened.space == SpaceId::Initial {
            self.on_new_initial(now, meta);
        }
        if opened.space == SpaceId::Handshake && self.side.is_server() && self.initial.is_some() {
            // The client's address is proven, and it has the Handshake keys (RFC 9001 §4.9.1).
            self.settle_client(now, meta);
            self.discard_level(now, SpaceId::Initial);
        }
        if matches!(opened.space, SpaceId::App(_)) && !self.paths[opened.ix].tuple.is_of(meta) {
            // A client's packets come from another address: NAT rebinding or migration (RFC 9000 §9.3). Only a server
            // follows, only on the newest packet that is not a probe, and not before the handshake is complete: a copy of
            // 0-RTT proves nothing (RFC 9000 §9).
            let live = self.paths[opened.ix].state.is_live();
            if self.side.is_server() && highest && live && !outcome.probing_only && !opened.zero_rtt {
                self.follow_client(now, meta, opened.ix, size);
            }
        }
        if outcome.crypto
            && let Err(error) = self.feed(now, opened.space)
        {
            self.fail(now, error);
        }
    }

    fn feed(&mut self, now: Instant, id: SpaceId) -> Result<(), TransportError> {
        use crate::handshake::Level;
        let level = match id {
            SpaceId::Initial => Level::Initial,
            SpaceId::Handshake => Level::Handshake,
            SpaceId::App(_) => Level::OneRtt,
        };
        self.feed_tls(now, level)
    }

    pub(crate) fn drop_packet(&mut self, now: Instant, reason: DropReason, size: usize) {
        self.counters.drop_packet(reason);
        self.log_dropped(now, reason, size);
    }
}
