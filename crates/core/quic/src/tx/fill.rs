//! The order of frames in a packet, in one place.

use tq_wire::{Frame, PathId};

use crate::connection::{Connection, SpaceId};
use crate::endpoint::token::Token as AddressToken;
use crate::handshake::Level;
use crate::payload::Payload;
use crate::stream::Share;
use crate::token::Token;
use tq_time::Instant;

/// ACK-only packets in a row before one asks to be acknowledged itself, so that old ranges can be forgotten.
const ACK_ONLY_LIMIT: u32 = 24;
/// Packets in flight of which none was acknowledged before such PINGs end: they are for peers that answer.
const UNANSWERED: u64 = 64;

impl Connection {
    /// Initial and Handshake: acknowledgements, then CRYPTO, then a PING if a probe is owed and there is nothing else.
    // MUST 9000-12.5-2
    pub(super) fn fill_early(&mut self, now: Instant, id: SpaceId, data: bool, payload: &mut Payload<'_>) {
        let level = if id == SpaceId::Initial { Level::Initial } else { Level::Handshake };
        let probing = data && self.paths[0].probes[id.index()] > 0;
        if probing && !self.crypto.wants(level) {
            // Every probe takes what is not acknowledged, not the first alone: one may be enough to get on.
            self.crypto.send_again(level);
        }
        // A probe with nothing else repeats the last ACK, which may be what is lost: a peer whose probes carry no data
        // sends it again only when it learns that it did not arrive. Others do without: to a peer that learns of its
        // first packets late, the round trip looks long.
        let alone = probing && !self.crypto.wants(level);
        self.fill_ack(now, id, alone, payload);
        if !data {
            return;
        }
        self.crypto.write(level, payload);
        self.fill_probe(id, 0, payload);
    }

    /// 1-RTT: acknowledgements, handshake leftovers, connection ids, flow control, datagrams, streams, a PING if one
    /// is owed.
    pub(super) fn fill_app(
        &mut self,
        now: Instant,
        ix: usize,
        (data, share): (bool, Share),
        payload: &mut Payload<'_>,
    ) {
        self.fill_acks(now, ix, payload);
        if !data {
            return self.fill_ack_only_ping(ix, payload);
        }
        self.fill_own(ix, payload);
        if matches!(share, Share::All | Share::Control) && self.wants_control() {
            self.fill_control(now, payload);
        }
        if self.messages_share(share) {
            self.counters.messages_sent += self.datagrams.write(payload);
        }
        if !matches!(share, Share::Nothing | Share::Control) {
            self.streams.write_data(share, payload);
        }
        self.fill_probe(SpaceId::App(ix), ix, payload);
    }

    /// Whether messages go with a share.
    pub(super) fn messages_share(&self, share: Share) -> bool {
        match share {
            Share::Nothing | Share::Control | Share::Copies => false,
            Share::Over(least) => self.datagrams.backlog() > least,
            Share::All => self.datagrams.wants(),
        }
    }

    /// Acknowledgements that path `ix` carries: its own, and those of paths that cannot.
    fn fill_acks(&mut self, now: Instant, ix: usize, payload: &mut Payload<'_>) {
        if self.paths.len() == 1 {
            return self.fill_ack(now, SpaceId::App(ix), false, payload);
        }
        for of in 0..self.paths.len() {
            let owed = &self.paths[of].space.owed;
            let (due, news) = (owed.pending() || owed.wants(now), of == ix && owed.has_news());
            if !due && !news {
                if of != ix && owed.is_worth_repeating(now) && self.may_repeat_ack(of, ix) {
                    self.fill_ack_copy(now, of, ix, payload);
                    self.paths[of].space.owed.on_repeated();
                }
                continue;
            }
            if due && self.ack_carrier(of) == Some(ix) {
                self.fill_ack(now, SpaceId::App(of), false, payload);
                self.note_ack_on(now, of, ix);
            } else if news {
                self.fill_ack_copy(now, ix, ix, payload);
            }
        }
    }

    /// An acknowledgement of path `of` on `on`, beside those that are due: on itself while another one carries these, or
    /// once more on another one.
    fn fill_ack_copy(&mut self, now: Instant, of: usize, on: usize, payload: &mut Payload<'_>) {
        let path = &self.paths[of];
        let id = path.id;
        if let Some(largest) = path.space.owed.write_copy(now, &mut payload.out, Some(id), 3) {
            payload.tokens.push(Token::Ack { path: Some(id), largest });
            if let Some(keys) = &mut self.keys.one_rtt {
                keys.on_ack_written();
            }
            self.counters.acks_sent += 1;
            self.note_ack_on(now, of, on);
        }
    }

    /// An acknowledgement of path `of` goes on path `on`.
    fn note_ack_on(&mut self, now: Instant, of: usize, on: usize) {
        let (of_id, on_id) = (self.paths[of].id, self.paths[on].id);
        if of == on {
            self.paths[of].space.owed.on_own_path();
        }
        if let Some(ways) = &mut self.multipath.ways {
            ways.on_ack_sent(now, of_id, on_id);
        }
    }

    /// What is for this path and no other.
    fn fill_own(&mut self, ix: usize, payload: &mut Payload<'_>) {
        let path = &mut self.paths[ix];
        if path.ping && payload.frame(&Frame::Ping, None) {
            path.ping = false;
        }
        while let Some(message) = path.messages.front()
            && payload.frame(&Frame::Datagram(message), None)
        {
            self.counters.messages_sent += 1;
            path.messages.pop_front();
        }
    }

    /// The ACK that is due or waits, or the last one `again`.
    // MUST 9000-13.2.6-1, 9000-13.2.6-2, 9000-13.2.6-3, 9000-17.2.3-3
    fn fill_ack(&mut self, now: Instant, id: SpaceId, again: bool, payload: &mut Payload<'_>) {
        let path = match id {
            SpaceId::App(ix) => Some(self.paths[ix].id),
            _ => None,
        };
        let named = path.filter(|_| self.multipath.on);
        // ack_delay_exponent of ours is the default
        let Some(space) = self.space_mut(id) else { return };
        if !again && !space.owed.pending() && !space.owed.wants(now) {
            return;
        }
        if let Some(largest) = space.owed.write(now, &mut payload.out, named, 3) {
            payload.tokens.push(Token::Ack { path, largest });
            if path.is_some()
                && let Some(keys) = &mut self.keys.one_rtt
            {
                keys.on_ack_written();
            }
            self.counters.acks_sent += 1;
        }
    }

    // MUST 9000-13.2.1-5
    fn fill_ack_only_ping(&mut self, ix: usize, payload: &mut Payload<'_>) {
        self.paths[ix].ack_only += 1;
        let answered = self.paths[ix].space.sent.eliciting_in_flight() < UNANSWERED;
        // a packet that asks for an answer counts, and must fit the window
        let size = u64::from(self.paths[ix].mtu.current());
        let room = self.in_flight(ix) + size <= self.paths[ix].cc.window();
        if self.paths[ix].ack_only >= ACK_ONLY_LIMIT && answered && room {
            self.paths[ix].ack_only = 0;
            payload.frame(&Frame::Ping, None);
        }
    }

    /// Whether small frames of the connection wait.
    pub(super) fn wants_control(&self) -> bool {
        self.hs.done_pending
            || self.hs.new_token_pending
            || self.crypto.wants(Level::OneRtt)
            || self.ack_frequency.wants()
            || self.streams.wants_control()
            || self.cids.iter().any(|ids| ids.local.wants() || ids.peer.wants())
            || self.multipath.on && self.wants_path_control()
    }

    // MUST 9000-19.7-1
    fn fill_control(&mut self, now: Instant, payload: &mut Payload<'_>) {
        if self.hs.done_pending && payload.frame(&Frame::HandshakeDone, Some(Token::HandshakeDone)) {
            self.hs.done_pending = false;
        }
        self.crypto.write(Level::OneRtt, payload);
        if self.multipath.on {
            self.write_path_control(payload);
        }
        for ids in &mut self.cids {
            ids.peer.write(payload);
            ids.local.write(payload);
        }
        if self.hs.new_token_pending {
            let remote = self.paths[0].tuple.remote;
            if self.hs.new_token.is_none() {
                let links = self.links_to_tell(now);
                let token = self.shared.seal_token(&AddressToken::new(now, remote, self.version, links));
                self.hs.new_token = Some(token.into());
            }
            let written = |token: &[u8]| payload.frame(&Frame::NewToken(token), Some(Token::NewToken));
            self.hs.new_token_pending = !self.hs.new_token.as_deref().is_some_and(written);
        }
        self.ack_frequency.write(payload);
        self.streams.write_control(payload);
    }

    /// A probe must be ack-eliciting (RFC 9002 §6.2.4).
    // MUST 9002-6.2.4-2
    fn fill_probe(&mut self, id: SpaceId, ix: usize, payload: &mut Payload<'_>) {
        let probes = &mut self.paths[ix].probes[id.index()];
        if *probes == 0 {
            return;
        }
        if payload.eliciting || payload.frame(&Frame::Ping, None) {
            *probes -= 1;
        }
    }

    /// A challenge and the responses owed on a path.
    pub(super) fn fill_validation(
        &mut self,
        now: Instant,
        ix: usize,
        (challenge, full): ([u8; 8], bool),
        answers: usize,
        payload: &mut Payload<'_>,
    ) {
        let path = &mut self.paths[ix];
        let id: PathId = path.id;
        if path.validation.wants_challenge()
            && payload.frame(&Frame::PathChallenge(challenge), Some(Token::PathChallenge(id)))
        {
            path.validation.on_challenge_sent(now, challenge, full);
        }
        for _ in 0..answers {
            if payload.room() < 9 {
                return;
            }
            let Some(data) = path.validation.next_response() else { return };
            payload.frame(&Frame::PathResponse(data), None);
        }
    }
}
