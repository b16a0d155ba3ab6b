//! One packet: header, payload, padding, and what is remembered of it. Sealing comes later, for a datagram or a batch
//! at once.

use tq_crypto::{Seal, TAG_LEN, protect};
use tq_time::Instant;
use tq_wire::header::{self, LongKind};
use tq_wire::{Cid, Ecn, PathId, Version, Writer, packet_number};

use crate::connection::{Connection, SpaceId};
use crate::payload::Payload;
use crate::space::SentPacket;
use crate::token::Tokens;

/// A packet that is written but not sealed.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) space: SpaceId,
    pub(super) seal: Seal,
    /// Where the Length field of a long header is, from the start of the packet.
    length_at: Option<usize>,
    /// 0-RTT.
    early: bool,
    pub(super) tokens: Tokens,
    pub(super) eliciting: bool,
    pub(super) mtu_probe: bool,
    /// Whether it holds more than acknowledgements.
    pub(super) in_flight: bool,
}

/// The fields a header needs.
pub(super) struct Heading<'a> {
    pub(super) dcid: Cid,
    pub(super) scid: Cid,
    pub(super) version: Version,
    pub(super) token: &'a [u8],
    pub(super) phase: bool,
    pub(super) grease: bool,
    /// 0-RTT instead of 1-RTT.
    pub(super) early: bool,
}

/// Writes a packet's header at the start of `room`; returns packet number offset and where the Length field is.
// MUST 9000-17.4-1, 9000-17.4-2, 9000-17.4-3
pub(super) fn write_header(
    room: &mut [u8],
    id: SpaceId,
    heading: &Heading<'_>,
    pn: u64,
    pn_len: usize,
) -> Option<(usize, Option<usize>)> {
    let kind = match id {
        SpaceId::Initial => LongKind::Initial,
        SpaceId::Handshake => LongKind::Handshake,
        SpaceId::App(_) if heading.early => LongKind::ZeroRtt,
        SpaceId::App(_) => {
            if room.len() < 1 + heading.dcid.len() + 4 + TAG_LEN {
                return None;
            }
            let mut w = Writer::new(room);
            header::encode_short(&mut w, &heading.dcid, pn_len, heading.phase, false);
            let at = w.len();
            header::encode_pn(&mut w, pn, pn_len);
            if heading.grease {
                room[0] &= !header::FIXED_BIT;
            }
            return Some((at, None));
        }
    };
    let long = header::Long {
        kind,
        version: heading.version,
        dcid: &heading.dcid,
        scid: &heading.scid,
        token: heading.token,
    };
    if room.len() < long.encoded_len() + 4 + TAG_LEN {
        return None;
    }
    let mut w = Writer::new(room);
    let length_at = long.encode(&mut w, pn_len);
    let at = w.len();
    header::encode_pn(&mut w, pn, pn_len);
    Some((at, Some(length_at)))
}

impl Connection {
    /// Packet number and its length for the next packet of a space. Numbers are sent longer than need be for a while
    /// after losses only as far as RFC 9000 §17.1 asks.
    pub(super) fn next_pn(&self, id: SpaceId) -> Option<(u64, usize)> {
        let space = self.space(id).filter(|space| !space.numbers.is_used_up())?;
        let pn = space.numbers.peek();
        Some((pn, packet_number::encoded_len(pn, space.sent.largest_acked())))
    }

    /// Writes one packet into `buf[start..limit]`; `fill` adds the frames. `None`, with nothing consumed, if no frame
    /// was written or there is no room.
    // MUST 9000-8.1.2-1, 9000-8.1.3-1, 9000-12.4-1, 9000-17.2.2-1
    pub(super) fn draft(
        &mut self,
        id: SpaceId,
        ix: usize,
        buf: &mut [u8],
        start: usize,
        limit: usize,
        fill: impl FnOnce(&mut Self, &mut Payload<'_>),
    ) -> Option<Draft> {
        let (pn, pn_len) = self.next_pn(id)?;
        let grease =
            matches!(id, SpaceId::App(_)) && self.peer.grease_quic_bit && self.config.grease && pn & 1 == 1;
        let early = matches!(id, SpaceId::App(_)) && self.may_send_early();
        let token = core::mem::take(&mut self.hs.token);
        let heading = Heading {
            dcid: self.peer_cid(ix)?,
            scid: self.hs.local_scid,
            // 0-RTT keeps to the version the ticket is of (RFC 9369 §4.1)
            version: if early { self.hs.original } else { self.version },
            token: &token,
            phase: self.keys.one_rtt.as_ref().is_some_and(|keys| keys.phase),
            grease,
            early,
        };
        let written = write_header(&mut buf[start..limit], id, &heading, pn, pn_len);
        self.hs.token = token;
        let (pn_offset, length_at) = written?;
        let header_len = pn_offset + pn_len;
        let room = &mut buf[start + header_len..limit - TAG_LEN];
        let mut payload = Payload::new(room);
        fill(self, &mut payload);
        if payload.out.is_empty() {
            return None;
        }
        // A sample needs four bytes from the packet number on (RFC 9001 §5.4.2).
        while payload.out.len() + pn_len < 4 {
            payload.out.u8(0);
        }
        let end = start + header_len + payload.out.len() + TAG_LEN;
        let (tokens, eliciting) = (payload.tokens, payload.eliciting);
        let cwnd = self.paths[ix].cc.window() / u64::from(self.paths[ix].mtu.current());
        let taken = self.space_mut(id)?.numbers.take(cwnd);
        debug_assert_eq!(taken, pn);
        let seal = Seal { packet: start..end, header_len, pn_len, pn };
        let in_flight = eliciting;
        Some(Draft { space: id, seal, length_at, early, tokens, eliciting, mtu_probe: false, in_flight })
    }

    /// Pads a draft to `len` bytes; padding counts as in flight (RFC 9002 §2).
    pub(super) fn pad(&self, buf: &mut [u8], draft: &mut Draft, len: usize) {
        let end = draft.seal.packet.start + len;
        if end > draft.seal.packet.end {
            buf[draft.seal.packet.end - TAG_LEN..end - TAG_LEN].fill(0);
            draft.seal.packet.end = end;
            draft.in_flight = true;
        }
    }

    /// Fills in the Length field, seals and masks one packet, and remembers it.
    pub(super) fn seal_and_record(
        &mut self,
        now: Instant,
        ix: usize,
        buf: &mut [u8],
        draft: Draft,
        ecn: Ecn,
    ) {
        let packet = &mut buf[draft.seal.packet.clone()];
        let seal = &draft.seal;
        if let Some(at) = draft.length_at {
            header::set_length(packet, at, packet.len() - seal.header_len + seal.pn_len);
        }
        self.log_sent(now, ix, draft.space, seal, packet, ecn);
        let path = self.paths[ix].id;
        let keys = match draft.space {
            SpaceId::Initial => {
                self.keys.initial.as_ref().map(|keys| (&*keys.local.header, &*keys.local.packet))
            }
            SpaceId::Handshake => {
                self.keys.handshake.as_ref().map(|keys| (&*keys.local.header, &*keys.local.packet))
            }
            SpaceId::App(_) if draft.early => {
                self.keys.early.as_ref().map(|keys| (&*keys.header, &*keys.packet))
            }
            SpaceId::App(_) => {
                if let Some(keys) = &mut self.keys.one_rtt {
                    keys.sealed += 1;
                }
                self.keys.one_rtt.as_ref().map(|keys| (&*keys.local_header, &*keys.local))
            }
        };
        let Some((header_key, packet_key)) = keys else { return };
        let path = if matches!(draft.space, SpaceId::App(_)) { path } else { PathId::ZERO };
        packet_key.seal(path, seal.pn, seal.header_len, packet);
        protect(header_key, packet, seal.header_len - seal.pn_len, seal.pn_len);
        self.record(now, ix, draft, ecn);
    }

    /// Remembers a packet as sent.
    pub(super) fn record(&mut self, now: Instant, ix: usize, draft: Draft, ecn: Ecn) {
        let in_flight_before = self.in_flight(ix);
        let size = draft.seal.packet.len() as u16;
        let path = &mut self.paths[ix];
        let rate = path.rates.on_sent(now, in_flight_before);
        if draft.in_flight {
            path.cc.on_sent(now, size, in_flight_before, draft.seal.pn);
        }
        if ecn == Ecn::Ect0 {
            path.ecn.on_sent(draft.space.index());
        }
        if draft.eliciting && !self.idle_armed_by_send {
            self.idle_armed_by_send = true;
            self.arm_idle(now);
        }
        self.counters.packets_sent += 1;
        let path = &mut self.paths[ix];
        if draft.eliciting && self.multipath.on && !draft.mtu_probe && !self.beside {
            path.monitor.on_sent(now, path.cc.in_recovery());
        }
        let pn = draft.seal.pn;
        let packet = SentPacket {
            at: now,
            size,
            eliciting: draft.eliciting,
            in_flight: draft.in_flight,
            ect0: ecn == Ecn::Ect0,
            mtu_probe: draft.mtu_probe,
            beside: self.beside,
            copied: false,
            tokens: draft.tokens,
            rate,
        };
        if let Some(space) = self.space_mut(draft.space) {
            space.sent.record(pn, packet);
        }
    }
}
