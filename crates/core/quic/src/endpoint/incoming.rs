//! Strangers: from a first datagram to a connection, a Retry, a refusal or silence.
//!
//! A stranger's Initial is authenticated before anything is kept of it, and what is kept is bounded (threats 1 to 4).

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use tq_buf::mem::{Arc, Vec, vec};
use tq_crypto::schedule::InitialSecret;
use tq_crypto::{DirectionalKeys, schedule, unprotect};
use tq_event::DropReason;
use tq_time::Instant;
use tq_wire::frame::Close;
use tq_wire::header::{self, Header, LongKind};
use tq_wire::{Cid, Code, Frame, PathId, Side, Version, Writer, packet_number};

use super::Resets;
use super::half_open::{Prefix, Room};
use super::token::{Link, Token, Verdict};
use super::{Endpoint, Handle, Known, Route};
use crate::config::MIN_MTU;
use crate::connection::handshaking::Handshaking;
use crate::connection::{Connection, Init, RecvMeta, Transmit};
use crate::error::{ConnectionError, TransportError};
use crate::path::Tuple;

/// Somebody who wants to connect. Nothing is kept of it elsewhere.
#[derive(Debug)]
pub struct Incoming {
    pub(super) meta: RecvMeta,
    pub(super) datagram: Vec<u8>,
    pub(super) version: Version,
    pub(super) dcid: Cid,
    pub(super) scid: Cid,
    /// After a Retry: DCID of the first Initial and SCID of the Retry.
    pub(super) retry: Option<(Cid, Cid)>,
    pub(super) validated: bool,
    /// What an earlier connection measured of its links.
    pub(super) links: Vec<Link>,
    /// What its Initials were opened with.
    pub(super) keys: InitialKeys,
}

/// What it takes to answer without a connection.
struct Stranger {
    meta: RecvMeta,
    version: Version,
    scid: Cid,
    secret: InitialSecret,
}

/// Initial keys as far as they were needed.
pub(crate) struct InitialKeys {
    pub(crate) secret: InitialSecret,
    /// Of what the client sends.
    pub(crate) remote: DirectionalKeys,
}

impl fmt::Debug for InitialKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InitialKeys")
    }
}

impl Incoming {
    /// Where it comes from.
    pub fn remote(&self) -> SocketAddr {
        self.meta.remote
    }

    /// Where it was sent to, if the socket told.
    pub fn local_ip(&self) -> Option<IpAddr> {
        self.meta.local_ip
    }

    /// Whether it proved its address with a token.
    pub fn is_validated(&self) -> bool {
        self.validated
    }

    fn stranger(&self) -> Stranger {
        Stranger { meta: self.meta, version: self.version, scid: self.scid, secret: self.keys.secret }
    }

    /// Whether a Retry may still be sent: not if it comes from one.
    pub fn may_retry(&self) -> bool {
        self.retry.is_none()
    }
}

/// Undecided strangers remembered at a time; the oldest is forgotten.
const RECENT: usize = 256;
/// Datagrams kept for each: a ClientHello with a post-quantum key share takes two.
const MORE: usize = 3;
/// Bytes of them for all together.
const MORE_BYTES: usize = 1 << 20;
/// Longest datagram taken from a stranger: no ClientHello is longer, and it is kept until somebody decides.
const LONGEST: usize = 16 << 10;

/// A stranger that was reported: the rest of its flight may come before it is decided.
pub(super) struct Recent {
    dcid: Cid,
    remote: SocketAddr,
    more: Vec<(RecvMeta, Vec<u8>)>,
}

impl Endpoint {
    /// A long-header packet of a version spoken here for no connection.
    // MUST 9000-5.2.2-2, 9000-8.1.3-7, 9000-14.1-3, 9000-17.2-1
    pub(super) fn first_datagram(
        &mut self,
        now: Instant,
        meta: &RecvMeta,
        header: &Header,
        datagram: &mut [u8],
        reply: &mut Vec<u8>,
    ) -> Route {
        let Some(server) = &self.server else {
            return Route::Drop(DropReason::UnknownConnection);
        };
        let Header::Long { kind: LongKind::Initial, version, dcid, scid, token, pn_offset, end } = header
        else {
            return self.before_initial(now, meta, header, datagram);
        };
        if datagram[0] & header::FIXED_BIT == 0 && !server.transport.grease {
            return Route::Drop(DropReason::FixedBit);
        }
        // RFC 9000 §14.1, §7.2
        if datagram.len() < usize::from(MIN_MTU) {
            return Route::Drop(DropReason::InitialTooSmall);
        }
        if datagram.len() > LONGEST {
            return Route::Drop(DropReason::QueueFull);
        }
        // a client's own choice has 8 bytes at least; one that comes back with our Retry's has what we gave it
        let short = dcid.len() < 8;
        if short && token.is_empty() {
            return Route::Drop(DropReason::BadHeader);
        }
        let room = self.half_open.room(Prefix::of(meta.remote.ip()), &self.config);
        if room == Room::No {
            return Route::Drop(DropReason::Refused);
        }
        if self.begun.knows(dcid) {
            return Route::Drop(DropReason::Duplicate);
        }
        let Some(keys) = self.authentic(*version, dcid, &datagram[..*end], *pn_offset) else {
            return Route::Drop(DropReason::DecryptionFailed);
        };
        let kept: usize = self.recent.iter().flat_map(|known| &known.more).map(|(_, more)| more.len()).sum();
        if let Some(known) =
            self.recent.iter_mut().find(|known| known.dcid == *dcid && known.remote == meta.remote)
        {
            if known.more.len() >= MORE || kept + datagram.len() > MORE_BYTES {
                return Route::Drop(DropReason::QueueFull);
            }
            known.more.push((*meta, datagram.to_vec()));
            return Route::Kept;
        }
        let mut incoming = Incoming {
            meta: *meta,
            datagram: datagram.to_vec(),
            version: *version,
            dcid: *dcid,
            scid: *scid,
            retry: None,
            validated: false,
            links: Vec::new(),
            keys,
        };
        let lives = (self.config.retry_lifetime, self.config.token_lifetime);
        let verdict = match &datagram[token.clone()] {
            [] => Verdict::Useless,
            token => self.shared.judge_token(now, token, meta.remote, (*version, dcid), lives),
        };
        if short && !matches!(verdict, Verdict::Retry { .. }) {
            return Route::Drop(DropReason::BadHeader);
        }
        match verdict {
            Verdict::Retry { odcid, scid } => {
                incoming.retry = Some((odcid, scid));
                incoming.validated = true;
            }
            Verdict::New { valid, links } => {
                incoming.validated = valid && self.shown.spend(&datagram[token.clone()]);
                incoming.links = links;
            }
            Verdict::Useless => {}
            Verdict::Invalid => {
                return Route::Reply(self.close_initial(
                    now,
                    &incoming.stranger(),
                    Code::INVALID_TOKEN,
                    reply,
                ));
            }
        }
        if room == Room::Proven && !incoming.validated {
            return Route::Reply(self.send_retry(now, &incoming, reply));
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { dcid: *dcid, remote: meta.remote, more: Vec::new() });
        Route::Incoming(incoming)
    }

    /// A long-header packet of a stranger that is no Initial: 0-RTT may have overtaken it.
    // MUST 9000-5.2.2-2
    fn before_initial(&mut self, now: Instant, meta: &RecvMeta, header: &Header, datagram: &[u8]) -> Route {
        match header {
            Header::Long { kind: LongKind::ZeroRtt, version, dcid, .. }
                if dcid.len() >= 8 && self.shared.versions.contains(version) =>
            {
                match self.early.keep(now, dcid, meta, datagram) {
                    true => Route::Kept,
                    false => Route::Drop(DropReason::QueueFull),
                }
            }
            _ => Route::Drop(DropReason::UnknownConnection),
        }
    }

    /// Forgets a stranger; what else came of its flight, 0-RTT last.
    fn decided(&mut self, incoming: &Incoming) -> Vec<(RecvMeta, Vec<u8>)> {
        let remote = incoming.meta.remote;
        let at = self.recent.iter().position(|known| known.dcid == incoming.dcid && known.remote == remote);
        let mut more = at.and_then(|at| self.recent.remove(at)).map_or_else(Vec::new, |known| known.more);
        more.append(&mut self.early.take(&incoming.dcid, remote));
        more
    }

    /// Does nothing for it. Its next datagram is a new [`Incoming`].
    pub fn ignore(&mut self, incoming: &Incoming) {
        self.decided(incoming);
    }

    /// The keys everybody can derive, if an Initial opens with them. Works on a copy.
    fn authentic(
        &mut self,
        version: Version,
        dcid: &Cid,
        packet: &[u8],
        pn_offset: usize,
    ) -> Option<InitialKeys> {
        let crypto = &*self.shared.crypto;
        let secret = InitialSecret::new(crypto, version, dcid);
        let remote = secret.keys_of(crypto, Side::Client);
        let copy = &mut self.copy;
        copy.clear();
        copy.extend_from_slice(packet);
        let head = unprotect(&*remote.header, copy, pn_offset)?;
        let pn = packet_number::decode(head.truncated, head.pn_len, 0);
        let (header, body) = copy.split_at_mut(pn_offset + head.pn_len);
        remote.packet.open(PathId::ZERO, pn, header, body).ok()?;
        Some(InitialKeys { secret, remote })
    }

    /// Makes a connection of it.
    ///
    /// # Errors
    /// There is no server configuration, or TLS cannot serve it, or the first datagram was a violation; then a close
    /// may be in `reply`.
    // MUST 9000-7.2-5
    #[expect(clippy::result_large_err, reason = "a failed accept is rare, and its parts are wanted")]
    pub fn accept(
        &mut self,
        now: Instant,
        incoming: Incoming,
        reply: &mut Vec<u8>,
    ) -> Result<(Handle, Connection), (ConnectionError, Option<Transmit>)> {
        let more = self.decided(&incoming);
        let stranger = incoming.stranger();
        let Some(server) = self.server.clone() else {
            let transmit = self.close_initial(now, &stranger, Code::CONNECTION_REFUSED, reply);
            return Err((ConnectionError::LocallyClosed, Some(transmit)));
        };
        // It was forgotten and reported twice: by now its id leads to a connection.
        if self.routes.by_cid(&incoming.dcid).is_some() {
            return Err((ConnectionError::LocallyClosed, None));
        }
        // Many may have been waiting for their decision when the last room was taken.
        let prefix = Prefix::of(incoming.meta.remote.ip());
        if self.half_open.room(prefix, &self.config) == Room::No {
            let transmit = self.close_initial(now, &stranger, Code::CONNECTION_REFUSED, reply);
            return Err((ConnectionError::LocallyClosed, Some(transmit)));
        }
        let shared = Arc::clone(&self.shared);
        let local_cid = shared.new_cid();
        let (odcid, retry_scid) = match incoming.retry {
            Some((odcid, scid)) => (odcid, Some(scid)),
            None => (incoming.dcid, None),
        };
        let mut hs = Handshaking::new(odcid, local_cid, incoming.version);
        hs.retry_scid = retry_scid;
        let meta = incoming.meta;
        let init = Init {
            side: Side::Server,
            version: incoming.version,
            config: Arc::clone(&server.transport),
            shared,
            tuple: Tuple { remote: meta.remote, local_ip: meta.local_ip, socket: meta.socket },
            local_cid,
            peer_cid: incoming.scid,
            hs,
        };
        let mut connection = Connection::new(now, init);
        connection.remember_links(now, &incoming.links);
        if let Err(error) =
            connection.start_server(&*server.tls, &incoming.dcid, incoming.keys, incoming.validated)
        {
            let transmit = self.close_initial(now, &stranger, Code::INTERNAL_ERROR, reply);
            let error = TransportError {
                code: Code::INTERNAL_ERROR,
                frame: 0,
                reason: tq_buf::mem::Cow::Owned(error.0),
            };
            return Err((error.into(), Some(transmit)));
        }
        let half_open = Some((prefix, [odcid, incoming.dcid]));
        let handle =
            Handle(self.known.insert(Known { half_open, server_name: None, resets: Resets::new() }) as u32);
        self.half_open.begin(prefix);
        self.absorb(handle, &mut connection);
        let mut datagram = incoming.datagram;
        connection.receive(now, &meta, &mut datagram);
        for (meta, mut datagram) in more {
            connection.receive(now, &meta, &mut datagram);
        }
        self.absorb(handle, &mut connection);
        Ok((handle, connection))
    }

    /// Says no: CONNECTION_REFUSED.
    pub fn refuse(&mut self, now: Instant, incoming: &Incoming, reply: &mut Vec<u8>) -> Transmit {
        self.decided(incoming);
        self.close_initial(now, &incoming.stranger(), Code::CONNECTION_REFUSED, reply)
    }

    /// Asks it to prove its address; nothing is kept. `None` if it comes from a Retry already.
    // MUST 9000-17.2.5.1-1, 9000-17.2.5.1-4
    pub fn retry(&mut self, now: Instant, incoming: &Incoming, reply: &mut Vec<u8>) -> Option<Transmit> {
        if !incoming.may_retry() {
            return None;
        }
        self.decided(incoming);
        Some(self.send_retry(now, incoming, reply))
    }

    fn send_retry(&self, now: Instant, incoming: &Incoming, reply: &mut Vec<u8>) -> Transmit {
        let scid = self.shared.new_cid();
        let token = Token::retry(now, incoming.meta.remote, incoming.version, incoming.dcid, scid);
        let token = self.shared.seal_token(&token);
        let mut out = vec![0; 7 + 2 * Cid::MAX_LEN + token.len()];
        let mut w = Writer::new(&mut out);
        header::encode_retry(&mut w, incoming.version, &incoming.scid, &scid, &token);
        let len = w.len();
        out.truncate(len);
        let tag = schedule::retry_tag(&*self.shared.crypto, incoming.version, &incoming.dcid, &out);
        out.extend_from_slice(&tag);
        *reply = out;
        self.reply_to(now, &incoming.meta, reply)
    }

    /// An Initial with nothing but CONNECTION_CLOSE, from no connection.
    fn close_initial(&self, now: Instant, stranger: &Stranger, code: Code, reply: &mut Vec<u8>) -> Transmit {
        let keys = stranger.secret.keys_of(&*self.shared.crypto, Side::Server);
        let scid = self.shared.new_cid();
        let mut out = vec![0; 128];
        let mut w = Writer::new(&mut out);
        let heading = header::Long {
            kind: LongKind::Initial,
            version: stranger.version,
            dcid: &stranger.scid,
            scid: &scid,
            token: &[],
        };
        let length_at = heading.encode(&mut w, 1);
        header::encode_pn(&mut w, 0, 1);
        let header_len = w.len();
        Frame::Close(Close { code: code.0, frame_type: Some(0), reason: b"" }).encode(&mut w);
        let end = w.len() + tq_crypto::TAG_LEN;
        out.truncate(end);
        header::set_length(&mut out, length_at, end - header_len + 1);
        keys.packet.seal(PathId::ZERO, 0, header_len, &mut out);
        tq_crypto::protect(&*keys.header, &mut out, header_len - 1, 1);
        *reply = out;
        self.reply_to(now, &stranger.meta, reply)
    }
}
