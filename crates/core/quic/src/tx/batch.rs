//! Batches of 1-RTT packets for one path: filled one after the other in one buffer, sealed with one call, sent as one
//! GSO train. Also the single datagrams that validate an address or probe for size.

use core::net::SocketAddr;

use smallvec::{SmallVec, smallvec};
use tq_crypto::protect;
use tq_time::{Duration, Instant};
use tq_wire::Frame;

use super::packet::Draft;
use crate::config::MIN_MTU;
use crate::connection::{Connection, SpaceId, Transmit};
use crate::path::PathState;
use crate::stream::Share;

/// While the address of a further path is being proven and so many bytes come on others, one more datagram goes there, up to
/// so many: a long path then has its second window before its address is proven, which takes one of its round trips. On a
/// short one, or without a download, there is no time for them.
const LIFTED_BY: u64 = 16 << 10;
const MOST_LIFTS: u8 = 12;
/// A packet that falls short of the others by no more than this is padded to go on with the batch.
const PAD_TO_GO_ON: usize = 64;

/// Packets in flight beyond two windows of full ones with which answers end: small ones cost memory, not bytes.
const SMALL_ANSWERS: u64 = 64;

/// A datagram with one PATH_RESPONSE is no longer than this unless it is expanded.
const SMALLEST_ANSWER: u64 = 64;

impl Connection {
    /// Whether path `ix` has 1-RTT frames to send; `data` if more than acknowledgements may go, with so much of what any
    /// path may carry.
    pub(super) fn app_wants(&mut self, now: Instant, ix: usize, data: bool, share: Share) -> bool {
        let path = &self.paths[ix];
        self.ack_due(now, ix)
            || data
                && (path.probes[2] > 0
                    || path.ping
                    || !path.messages.is_empty()
                    || self.messages_share(share)
                    || matches!(share, Share::All | Share::Control) && self.wants_control()
                    || self.streams.wants_share(share))
    }

    /// Whether an acknowledgement is due that path `ix` carries.
    fn ack_due(&self, now: Instant, ix: usize) -> bool {
        if self.paths.len() == 1 {
            return self.paths[ix].space.owed.wants(now);
        }
        let due = |of: &usize| self.paths[*of].space.owed.wants(now);
        self.own_ack_at(ix).is_some_and(|at| at <= now)
            || (0..self.paths.len()).filter(due).any(|of| self.ack_carrier(of) == Some(ix))
    }

    /// Whether there is something that any path may carry.
    pub(super) fn wants_shared(&self) -> bool {
        self.streams.wants_data() || self.datagrams.wants() || self.wants_control()
    }

    /// As many full packets as the budget allows.
    pub(crate) fn transmit_batch(
        &mut self,
        now: Instant,
        ix: usize,
        buf: &mut [u8],
        max_segments: usize,
        share: Share,
    ) -> Option<Transmit> {
        if !self.may_send_app() || self.paths[ix].is_blocked() || !self.paths[ix].state.is_live() {
            return None;
        }
        let mut budget = self.budget(now, ix)?;
        let data = budget.allows_data();
        if !self.app_wants(now, ix, data, share) {
            self.note_idle(ix, data);
            return None;
        }
        let ecn = self.paths[ix].mark();
        let mut segment = budget.datagram;
        let mut seals = core::mem::take(&mut self.seals);
        seals.clear();
        let (mut at, mut paced) = (0, 0);
        while seals.len() < max_segments && at + segment <= buf.len() && segment <= budget.total {
            let data = budget.allows_data();
            if !self.app_wants(now, ix, data, share) {
                break;
            }
            let limit = at + segment;
            let fill = |c: &mut Self, payload: &mut crate::payload::Payload<'_>| {
                c.fill_app(now, ix, (data, share), payload);
            };
            let Some(mut draft) = self.draft(SpaceId::App(ix), ix, buf, at, limit, fill) else { break };
            let short = limit - draft.seal.packet.end;
            if short > 0 && short <= PAD_TO_GO_ON && self.streams.wants_data() && data && share == Share::All
            {
                self.pad(buf, &mut draft, segment);
            }
            if draft.eliciting && self.knocks(now, ix) {
                self.pad(buf, &mut draft, segment.min(usize::from(MIN_MTU)));
            }
            let (end, len) = (draft.seal.packet.end, draft.seal.packet.len());
            paced += if draft.in_flight { len } else { 0 };
            self.log_sent(now, ix, draft.space, &draft.seal, &buf[draft.seal.packet.clone()], ecn);
            seals.push(draft.seal.clone());
            at = end;
            budget.total -= len;
            budget.data = budget.data.saturating_sub(if draft.eliciting { len } else { 0 });
            self.record(now, ix, draft, ecn);
            budget.probes = self.paths[ix].probes[2];
            // Later segments must not be longer than the first; a shorter one is the last.
            if len < segment {
                if seals.len() == 1 {
                    segment = len;
                }
                break;
            }
        }
        let sealed = self.seal_batch(ix, buf, &seals);
        let count = seals.len();
        self.seals = seals;
        if !sealed || count == 0 {
            return None;
        }
        self.paths[ix].app_limited = false;
        let in_flight = self.in_flight(ix);
        if let Some(known) = &mut self.known {
            known.on_sent(now, self.paths[ix].id, in_flight);
        }
        Some(self.account(now, ix, (at, paced), (count > 1).then_some(segment), ecn))
    }

    /// Seals a batch with one call, then masks the headers.
    // MUST 9001-6.6-1
    fn seal_batch(&mut self, ix: usize, buf: &mut [u8], seals: &[tq_crypto::Seal]) -> bool {
        let path = self.paths[ix].id;
        let Some(keys) = &mut self.keys.one_rtt else { return false };
        keys.sealed += seals.len() as u64;
        keys.local.seal_batch(path, seals, buf);
        for seal in seals {
            protect(
                &*keys.local_header,
                &mut buf[seal.packet.clone()],
                seal.header_len - seal.pn_len,
                seal.pn_len,
            );
        }
        true
    }

    /// Bytes leave on a path: amplification, pacer and whoever counts hear of it. Packets that are in flight for nobody, `len` less
    /// `paced`, cost the pacer nothing (RFC 9002 §7.7): acknowledgements of a fast download over a small window would put off the
    /// credit that it waits for. A rate that was asked for is kept by all.
    pub(super) fn account(
        &mut self,
        now: Instant,
        ix: usize,
        (len, paced): (usize, usize),
        segment: Option<usize>,
        ecn: tq_wire::Ecn,
    ) -> Transmit {
        let path = &mut self.paths[ix];
        path.validation.on_sent(len);
        path.bytes_sent += len as u64;
        let rate = path.pacing_rate();
        let paced = if path.policy.max_rate.is_some() { len } else { paced };
        if paced > 0 {
            path.pacer.on_sent(now, paced, rate);
        }
        Transmit {
            remote: path.tuple.remote,
            local_ip: path.tuple.local_ip,
            socket: path.tuple.socket,
            ecn,
            len,
            segment,
            depart_at: now,
        }
    }

    /// There was room and nothing to fill it: samples and windows must not take that for the path's limit.
    pub(super) fn note_idle(&mut self, ix: usize, room: bool) {
        // One that may carry nothing yet is not idle.
        if room && self.paths[ix].state.is_usable() {
            let in_flight = self.in_flight(ix);
            let path = &mut self.paths[ix];
            path.app_limited = in_flight + u64::from(path.mtu.current()) < path.cc.window();
            path.rates.on_app_limited(in_flight);
            path.pacer.rest();
        }
    }

    /// A datagram with challenge and responses, expanded to prove the path's size (RFC 9000 §8.2.1).
    // MUST 9000-8.2.1-1, 9000-8.2.1-2, 9000-8.2.2-2, 9000-8.2.2-5, 9000-8.2.2-6
    pub(super) fn transmit_probing(&mut self, now: Instant, ix: usize, buf: &mut [u8]) -> Option<Transmit> {
        let path = &self.paths[ix];
        let challenging = path.validation.wants_challenge();
        // Answers may overdraw the window, but not without end: a peer that acknowledges none of them gets no more.
        let most = 2 * path.cc.window();
        let few =
            path.space.sent.eliciting_in_flight() < most / u64::from(path.mtu.current()) + SMALL_ANSWERS;
        // What fills the window may be lost, and not acknowledged before the peer has its answer: one for each PTO.
        let silent =
            path.space.sent.last_eliciting_at().is_none_or(|at| now >= at + path.pto_base(Duration::ZERO));
        let answer = match silent || few && self.in_flight(ix) < most {
            true => path.validation.answer_budget(path.bytes_received),
            false => 0,
        };
        if !self.may_send_app() || !challenging && answer < SMALLEST_ANSWER {
            return None;
        }
        let budget = self.budget(now, ix)?;
        let limit = budget.total.min(usize::from(MIN_MTU));
        let full = limit == usize::from(MIN_MTU);
        let answers =
            if answer >= limit as u64 { usize::MAX } else { usize::from(answer >= SMALLEST_ANSWER) };
        let mut challenge = [0; 8];
        self.shared.entropy.fill(&mut challenge);
        let fill = |c: &mut Self, p: &mut crate::payload::Payload<'_>| {
            c.fill_validation(now, ix, (challenge, full), answers, p)
        };
        let mut draft = self.draft(SpaceId::App(ix), ix, buf, 0, limit, fill)?;
        // a challenge that cannot be full size is small, so that it can be repeated
        if (challenging || answers > 1) && full {
            self.pad(buf, &mut draft, limit);
        }
        // what goes to another address takes no room in the window of this one
        draft.in_flight &= !self.beside;
        let len = draft.seal.packet.end;
        if answers > 0 {
            self.paths[ix].validation.on_answered(len);
        }
        Some(self.finish_datagram(now, ix, buf, smallvec![draft], len))
    }

    /// On a client: one datagram more for the server to send three times as much on path `ix`, if others bring much meanwhile
    /// and there is nothing to be sent that needs the way up.
    fn lift(&mut self, ix: usize) {
        let path = &self.paths[ix];
        let opening = path.state == PathState::Validating && path.flight == 0 && path.lifted < MOST_LIFTS;
        if !opening || self.streams.backlog() > 0 {
            return;
        }
        let came = self.came();
        let path = &mut self.paths[ix];
        if came.saturating_sub(path.came_before) >= (u64::from(path.lifted) + 1) * LIFTED_BY {
            (path.flight, path.lifted) = (1, path.lifted + 1);
        }
    }

    /// The rest of the first flight of a path: full datagrams, so that the server may send more than one (decision 11).
    pub(super) fn transmit_flight(&mut self, now: Instant, ix: usize, buf: &mut [u8]) -> Option<Transmit> {
        if self.side.is_server() {
            return None;
        }
        self.lift(ix);
        let path = &self.paths[ix];
        let size = usize::from(MIN_MTU);
        if path.flight == 0 || path.cc.window() < self.in_flight(ix) + size as u64 {
            return None;
        }
        let fill = |_: &mut Self, payload: &mut crate::payload::Payload<'_>| {
            payload.frame(&Frame::Ping, None);
        };
        let mut draft = self.draft(SpaceId::App(ix), ix, buf, 0, size, fill)?;
        self.pad(buf, &mut draft, size);
        self.paths[ix].flight -= 1;
        Some(self.finish_datagram(now, ix, buf, smallvec![draft], size))
    }

    /// A datagram larger than the current size, to learn whether it passes (RFC 8899).
    pub(super) fn transmit_mtu_probe(&mut self, now: Instant, ix: usize, buf: &mut [u8]) -> Option<Transmit> {
        if !self.hs.confirmed || !self.paths[ix].state.is_usable() {
            return None;
        }
        if !self.paths[ix].validation.is_validated() && self.side.is_server() {
            return None;
        }
        let size = self.paths[ix].mtu.next_probe(now)?;
        let room = self.paths[ix].cc.window().saturating_sub(self.in_flight(ix));
        if u64::from(size) > room {
            return None;
        }
        let fill = |_: &mut Self, payload: &mut crate::payload::Payload<'_>| {
            payload.frame(&Frame::Ping, None);
        };
        let mut draft = self.draft(SpaceId::App(ix), ix, buf, 0, usize::from(size), fill)?;
        self.pad(buf, &mut draft, usize::from(size));
        draft.mtu_probe = true;
        self.paths[ix].mtu.on_probe_sent(size);
        let drafts: SmallVec<[Draft; 3]> = smallvec![draft];
        Some(self.finish_datagram(now, ix, buf, drafts, usize::from(size)))
    }

    /// A datagram of `size` bytes from the host's socket `socket` to `remote` was refused as too big for the interface.
    /// Only the paths that lead there are changed.
    pub fn on_too_big(&mut self, now: Instant, socket: u32, remote: SocketAddr, size: usize) {
        let size = u16::try_from(size).unwrap_or(u16::MAX);
        for ix in 0..self.paths.len() {
            let path = &mut self.paths[ix];
            if path.tuple.socket != socket || path.tuple.remote != remote {
                continue;
            }
            let old = path.mtu.current();
            if path.mtu.on_too_big(size, now) {
                self.on_mtu_changed(now, ix, old);
            }
        }
    }
}
